"""What to paste into a client so that it uses an MCP URL: one format per client, from the documentation of that client.

The command line and the management API both offer these snippets.

A snippet never contains an API token. `api_token_env` names the environment variable that holds the token, and each
snippet refers to the variable in the syntax of its client. For clients that cannot (Cline, Zed, Claude Desktop), a
placeholder marks what to fill in. The formats were checked in November 2026.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from functions.gateway import json_text
from functions.gateway.json_text import Json

PLACEHOLDER = "PASTE_THE_API_TOKEN_HERE"
"""Used for clients that accept no reference to a secret."""

Kind = Literal["json", "toml", "yaml", "python", "shell", "text"]


@dataclass(frozen=True)
class Snippet:
    """`text` is what to paste, `where` is the place to paste it, `notes` warn of known problems."""

    client: str
    kind: Kind
    where: str
    text: str
    notes: tuple[str, ...] = ()


class SnippetError(ValueError):
    """No snippet can be made. The message says what is valid."""


NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A valid name of a server: it needs no quoting in TOML or any other format."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of an environment variable."""


def snippet(client: str, url: str, name: str = "postern", api_token_env: str | None = None) -> Snippet:
    """The snippet for a client in CLIENTS. `name` is the name of the server in the client. Raises SnippetError."""
    if client not in CLIENTS:
        raise SnippetError(f'no snippet for "{client}"; valid: {", ".join(CLIENTS)}')
    if NAME.fullmatch(name) is None:
        raise SnippetError(f'the name is "{name}"; it must be 1 to 64 letters, digits, - and _')
    if api_token_env is not None and VARIABLE.fullmatch(api_token_env) is None:
        raise SnippetError(
            "the variable for the API token is not the name of a variable; give its name and not the token, e.g. "
            "POSTERN_SECOND_API_TOKEN"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SnippetError(
            "the URL is not an http or https address; give the MCP URL that was printed when the server was minted"
        )
    return CLIENTS[client](url, name, api_token_env)


def _json(document: Json) -> str:
    return json_text.readable(document)


def _with_headers(entry: dict[str, Json], value: str | None) -> dict[str, Json]:
    return {**entry, "headers": {"Authorization": f"Bearer {value}"}} if value else entry


def _placeholder_note(api_token_env: str | None) -> tuple[str, ...]:
    if api_token_env is None:
        return ()
    return (
        "This client does not read environment variables here: replace the placeholder with the value of "
        f"{api_token_env}.",
    )


def _bridge(url: str, env: str | None) -> list[str]:
    """Arguments of mcp-remote, which connects clients over HTTP that can only start local programs."""
    arguments = ["-y", "mcp-remote", url, "--transport", "http-only"]
    if urlsplit(url).scheme == "http":
        arguments.append("--allow-http")
    if env is not None:
        # No space after the colon: some clients split arguments at spaces, so the variable includes "Bearer".
        arguments += ["--header", f"Authorization:${{{env}}}"]
    return arguments


def _bridge_entry(url: str, env: str | None) -> dict[str, Json]:
    """The bridge as the configuration of a client has it."""
    entry: dict[str, Json] = {"command": "npx", "args": _bridge(url, "POSTERN_AUTHORIZATION" if env else None)}
    if env is not None:
        entry["env"] = {"POSTERN_AUTHORIZATION": f"Bearer {PLACEHOLDER}"}
    return entry


def _claude_desktop(url: str, name: str, env: str | None) -> Snippet:
    return Snippet(
        "claude-desktop",
        "json",
        "claude_desktop_config.json (Settings, Developer, Edit Config); restart Claude Desktop afterwards",
        _json({"mcpServers": {name: _bridge_entry(url, env)}}),
        (
            "Needs Node.js. A public https URL can go into Settings, Connectors, Add custom connector instead: that "
            "reaches it from Anthropic's servers and works in Claude on the web and on a phone, too.",
            *_placeholder_note(env),
        ),
    )


def _claude_code(url: str, name: str, env: str | None) -> Snippet:
    command = f"claude mcp add --transport http {shlex.quote(name)} {shlex.quote(url)}"
    if env is not None:
        command += f' --header "Authorization: Bearer ${env}"'
    return Snippet("claude-code", "shell", "a shell in your project", command)


def _cursor(url: str, name: str, env: str | None) -> Snippet:
    entry = _with_headers({"url": url}, f"${{env:{env}}}" if env else None)
    return Snippet(
        "cursor", "json", "~/.cursor/mcp.json, or .cursor/mcp.json in a project", _json({"mcpServers": {name: entry}})
    )


def _vscode(url: str, name: str, env: str | None) -> Snippet:
    entry = _with_headers({"type": "http", "url": url}, "${input:postern-api-token}" if env else None)
    document: dict[str, Json] = {"servers": {name: entry}}
    if env is not None:
        asked = {"type": "promptString", "id": "postern-api-token", "description": f"API token ({env})"}
        document["inputs"] = [{**asked, "password": True}]
    notes = ("VS Code asks for the API token once and keeps it in its secret storage.",) if env else ()
    return Snippet(
        "vscode", "json", ".vscode/mcp.json, or the file behind MCP: Open User Configuration", _json(document), notes
    )


def _windsurf(url: str, name: str, env: str | None) -> Snippet:
    entry = _with_headers({"serverUrl": url}, f"${{env:{env}}}" if env else None)
    return Snippet("windsurf", "json", "~/.codeium/windsurf/mcp_config.json", _json({"mcpServers": {name: entry}}))


def _cline(url: str, name: str, env: str | None) -> Snippet:
    entry = _with_headers({"type": "streamableHttp", "url": url}, PLACEHOLDER if env else None)
    return Snippet(
        "cline",
        "json",
        "cline_mcp_settings.json (MCP Servers, Configure, Configure MCP Servers)",
        _json({"mcpServers": {name: {**entry, "disabled": False}}}),
        _placeholder_note(env),
    )


def _continue(url: str, name: str, env: str | None) -> Snippet:
    lines = [
        f"name: {json_text.spaced(name)}",
        "version: 0.0.1",
        "schema: v1",
        "mcpServers:",
        f"  - name: {json_text.spaced(name)}",
        "    type: streamable-http",
        f"    url: {json_text.spaced(url)}",
    ]
    if env is not None:
        lines += [
            "    requestOptions:",
            "      headers:",
            f'        Authorization: "Bearer ${{{{ secrets.{env} }}}}"',
        ]
    notes = (f"Continue reads {env} from .env or .continue/.env in the workspace, or ~/.continue/.env.",) if env else ()
    return Snippet("continue", "yaml", ".continue/mcpServers/postern.yaml in a workspace", "\n".join(lines), notes)


def _codex(url: str, name: str, env: str | None) -> Snippet:
    lines = [f"[mcp_servers.{name}]", f"url = {json_text.spaced(url)}"]
    if env is not None:
        lines.append(f"bearer_token_env_var = {json_text.spaced(env)}")
    return Snippet("codex", "toml", "~/.codex/config.toml", "\n".join(lines))


def _zed(url: str, name: str, env: str | None) -> Snippet:
    entry = _with_headers({"url": url}, PLACEHOLDER if env else None)
    return Snippet(
        "zed",
        "json",
        "settings.json (zed: open settings file)",
        _json({"context_servers": {name: entry}}),
        _placeholder_note(env),
    )


def _chatgpt(url: str, name: str, env: str | None) -> Snippet:
    notes: list[str] = []
    if not is_public(url):
        notes.append(
            "ChatGPT connects from OpenAI's servers, to public https addresses only; this URL is not one. Deploy the "
            "endpoint, or open a tunnel to its port (cloudflared tunnel --url, ngrok http, or OpenAI's Secure MCP "
            "Tunnel), start it with POSTERN_PUBLIC_URL set to the tunnel's https address, and use the URL it prints."
        )
    if env is not None:
        notes.append(
            "ChatGPT cannot send the API token in a header. Choose OAuth as its authentication: it opens a page where "
            "you give the API token. Where the deployment has no OAuth, a server with require_api_token_auth does not "
            "work there: mint one without it that expires soon."
        )
    text = "\n".join(
        [
            "In ChatGPT on the web: Plugins, +, Add custom MCP server (in earlier versions: Settings, Apps, Advanced "
            "settings, Developer mode, then Create app).",
            f"  Name            {name}",
            f"  Server URL      {url}",
            "  Authentication  No authentication (the URL is the secret)",
            "When the tools of the server change, press Refresh there: ChatGPT keeps the list that it read first.",
        ]
    )
    return Snippet("chatgpt", "text", "ChatGPT's settings", text, tuple(notes))


def _inspector(url: str, _name: str, env: str | None) -> Snippet:
    command = f"npx -y @modelcontextprotocol/inspector --cli {shlex.quote(url)} --transport http --method tools/list"
    if env is not None:
        command += f' --header "Authorization: Bearer ${env}"'
    return Snippet(
        "inspector",
        "shell",
        "a shell",
        command,
        ("Needs Node.js 22.19 or newer. --protocol-era auto speaks the newest revision.",),
    )


def _mcp_remote(url: str, name: str, env: str | None) -> Snippet:
    return Snippet(
        "mcp-remote",
        "json",
        "the configuration of any client that only starts local MCP servers",
        _json({"mcpServers": {name: _bridge_entry(url, env)}}),
        ("Needs Node.js.", *_placeholder_note(env)),
    )


def _langchain(url: str, name: str, env: str | None) -> Snippet:
    lines = ["import asyncio"]
    header = ""
    if env is not None:
        lines.append("import os")
        header = f'            "headers": {{"Authorization": f"Bearer {{os.environ[{env!r}]}}"}},\n'
    text = "\n".join(lines) + (
        "\n\nfrom langchain_mcp_adapters.client import MultiServerMCPClient\n\n\n"
        "async def main():\n"
        "    client = MultiServerMCPClient(\n"
        f"        {{{name!r}: {{\n"
        '            "transport": "http",\n'
        f'            "url": {url!r},\n'
        f"{header}"
        "        }}\n"
        "    )\n"
        "    tools = await client.get_tools()\n"
        "    print([tool.name for tool in tools])  # hand them to create_agent(model, tools)\n\n\n"
        "asyncio.run(main())"
    )
    return Snippet("langchain", "python", "pip install langchain-mcp-adapters", text)


def _openai_agents(url: str, name: str, env: str | None) -> Snippet:
    lines = ["import asyncio"]
    parameters = f'{{"url": {url!r}}}'
    if env is not None:
        lines.append("import os")
        parameters = f'{{"url": {url!r}, "headers": {{"Authorization": f"Bearer {{os.environ[{env!r}]}}"}}}}'
    text = "\n".join(lines) + (
        "\n\nfrom agents.mcp import MCPServerStreamableHttp\n\n\n"
        "async def main():\n"
        "    async with MCPServerStreamableHttp(\n"
        f"        name={name!r},\n"
        f"        params={parameters},\n"
        "        cache_tools_list=True,\n"
        "    ) as server:\n"
        "        tools = await server.list_tools()\n"
        "        print([tool.name for tool in tools])  # hand the server to Agent(mcp_servers=[server])\n\n\n"
        "asyncio.run(main())"
    )
    return Snippet("openai-agents", "python", "pip install openai-agents", text)


def is_public(url: str) -> bool:
    """True for an https address that is not this machine, i.e. one that a hosted assistant can reach."""
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.hostname not in (None, "127.0.0.1", "localhost", "::1")


CLIENTS: Mapping[str, Callable[[str, str, str | None], Snippet]] = {
    "claude-desktop": _claude_desktop,
    "claude-code": _claude_code,
    "cursor": _cursor,
    "vscode": _vscode,
    "windsurf": _windsurf,
    "cline": _cline,
    "continue": _continue,
    "codex": _codex,
    "zed": _zed,
    "chatgpt": _chatgpt,
    "inspector": _inspector,
    "mcp-remote": _mcp_remote,
    "langchain": _langchain,
    "openai-agents": _openai_agents,
}
"""Clients by the name that --client accepts."""
