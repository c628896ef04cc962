"""An MCP URL in the settings of a client: where each client keeps them, and what changes there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from functions.cli.client_files import replace, with_json_entry, with_toml_table
from functions.cli.command import Shared, flag, option
from functions.cli.connection import read_local
from functions.cli.invocation import Invocation, UsageError
from functions.client_formats import SnippetError, snippet
from functions.gateway import json_text
from functions.gateway.json_text import Json

TOKEN = re.compile(r"(/mcp/)[A-Za-z0-9_-]{43}")
"""The secret of an MCP URL, which a shown difference leaves out."""


@dataclass(frozen=True)
class Client:
    """Where a client keeps its servers. `file` gets the home folder and the platform (`sys.platform`)."""

    file: Callable[[Path, str], Path]
    container: str
    restart: str


@dataclass(frozen=True, kw_only=True)
class Entry(Shared):
    """The words that say what the entry of a client is."""

    url: str | None = option("the MCP URL (default: POSTERN_MCP_URL, then the local one)", "MCP_URL")
    name: str = option("the name of the server in the client", default="postern")
    file: str | None = option("another file than the client's own, e.g. of a project", "FILE")
    api_token_env: str | None = option("the variable that holds the API token, for a server that needs one", "VARIABLE")
    remove: bool = flag("take it out again; with --capture, what has not been sent too")
    yes: bool = flag("with --client: do not ask before the file is written", "-y")


def _settings(linux: str, mac: str, windows: str) -> Callable[[Path, str], Path]:
    return lambda home, platform: home / {"darwin": mac, "win32": windows}.get(platform, linux)


def _at(place: str) -> Callable[[Path, str], Path]:
    return lambda home, _: home / place


CLIENTS: Mapping[str, Client] = {
    "cursor": Client(_at(".cursor/mcp.json"), "mcpServers", "Cursor reads the file by itself"),
    "claude-code": Client(_at(".claude.json"), "mcpServers", "start a new session of Claude Code"),
    "claude-desktop": Client(
        _settings(
            ".config/Claude/claude_desktop_config.json",
            "Library/Application Support/Claude/claude_desktop_config.json",
            "AppData/Roaming/Claude/claude_desktop_config.json",
        ),
        "mcpServers",
        "restart Claude Desktop",
    ),
    "vscode": Client(
        _settings(
            ".config/Code/User/mcp.json",
            "Library/Application Support/Code/User/mcp.json",
            "AppData/Roaming/Code/User/mcp.json",
        ),
        "servers",
        "start the server in VS Code: MCP: List Servers",
    ),
    "codex": Client(_at(".codex/config.toml"), "mcp_servers", "start a new session of Codex"),
    "windsurf": Client(_at(".codeium/windsurf/mcp_config.json"), "mcpServers", "refresh the MCP servers in Windsurf"),
    "zed": Client(
        _settings(".config/zed/settings.json", ".config/zed/settings.json", "AppData/Roaming/Zed/settings.json"),
        "context_servers",
        "Zed reads the file by itself",
    ),
    "gemini": Client(_at(".gemini/settings.json"), "mcpServers", "start a new session of Gemini CLI"),
}
"""Clients by the name that --client accepts. The places were checked in November 2026."""


def install(invocation: Invocation[Entry], name: str) -> None:
    """Put the URL into the settings of the client, or take it out, after showing what changes."""
    options, terminal = invocation.options, invocation.terminal
    client = CLIENTS[name]
    home = Path(invocation.environment.get("HOME") or Path.home())
    file = Path(options.file) if options.file else client.file(home, sys.platform)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    try:
        after = _changed(invocation, name, before)
    except SnippetError as error:
        raise UsageError(str(error)) from None
    if after == before:
        terminal.result({"file": str(file), "changed": False}, f"{file} is already so; nothing was changed")
        return
    for line in _difference(before, after):
        terminal.note(line)
    if not options.yes:
        terminal.confirm(f"Write {file}?", "--yes")
    replace(file, after)
    terminal.result({"file": str(file), "changed": True}, f"{file} is written; {client.restart}")
    if not options.remove:
        terminal.note("The URL in it is a secret: anyone who has it can use its tools.")


def _changed(invocation: Invocation[Entry], name: str, before: str) -> str:
    """The text of the file with or without the entry."""
    options, client = invocation.options, CLIENTS[name]
    if options.remove:
        if name == "codex":
            return with_toml_table(before, f"{client.container}.{options.name}", None)
        return with_json_entry(before, client.container, options.name, None)
    url = _url(invocation)
    if name == "codex":
        made = snippet("codex", url, options.name, options.api_token_env)
        return with_toml_table(before, f"{client.container}.{options.name}", made.text)
    entry, others = _entry(name, client.container, url, options.name, options.api_token_env)
    return with_json_entry(before, client.container, options.name, entry, others)


def _url(invocation: Invocation[Entry]) -> str:
    url = invocation.options.url or invocation.environment.get("POSTERN_MCP_URL")
    if not url and (local := read_local(invocation.environment)) is not None:
        url = local.mcp_url
    if not url:
        raise UsageError("no MCP URL: give --url, set POSTERN_MCP_URL, or start a local endpoint with `postern serve`")
    return str(url)


def _entry(client: str, container: str, url: str, name: str, env: str | None) -> tuple[Json, dict[str, Json]]:
    """The entry of the server, and what the root of the file needs with it. Raises UsageError."""
    if client in ("claude-code", "gemini"):
        snippet("cursor", url, name, env)  # checks the URL, the name and the variable
        shape: dict[str, Json] = {"type": "http", "url": url} if client == "claude-code" else {"httpUrl": url}
        reference = f"${{{env}}}" if client == "claude-code" else f"${env}"
        return shape | ({"headers": {"Authorization": f"Bearer {reference}"}} if env else {}), {}
    document = json_text.decode(snippet(client, url, name, env).text)
    entry = document.pop(container)[name]
    return entry, document


def _difference(before: str, after: str) -> list[str]:
    """The changed lines alone: other lines may hold secrets of other servers. Tokens are left out."""
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [TOKEN.sub(r"\1***", line) for line in lines if not line.startswith(("---", "+++", "@@"))]
