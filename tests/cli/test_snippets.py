"""Each snippet has the format of its client, contains the URL, and never an API token."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib

import pytest
import yaml

from functions.client_formats import CLIENTS, PLACEHOLDER, snippet
from functions.gateway.json_text import Json
from tests.cli.conftest import Local, run

URL = "https://postern.example/mcp/" + "t" * 43
LOCAL_URL = "http://127.0.0.1:8765/mcp/" + "t" * 43
ENV = "POSTERN_SECOND_API_TOKEN"
BRIDGE = ["-y", "mcp-remote", URL, "--transport", "http-only"]
BRIDGE_AUTH = ["--header", "Authorization:${POSTERN_AUTHORIZATION}"]
BRIDGE_ENV = {"POSTERN_AUTHORIZATION": f"Bearer {PLACEHOLDER}"}


def _document(client: str, env: str | None = None) -> Json:
    """The snippet's text, parsed as what it says it is."""
    made = snippet(client, URL, "my-memory", env)
    match made.kind:
        case "json":
            return json.loads(made.text)
        case "toml":
            return tomllib.loads(made.text)
        case "yaml":
            return yaml.safe_load(made.text)
        case "shell":
            return shlex.split(made.text)
        case _:
            raise AssertionError(made.kind)


FORMATS: dict[str, tuple[Json, Json]] = {
    "claude-desktop": (
        {"mcpServers": {"my-memory": {"command": "npx", "args": BRIDGE}}},
        {"mcpServers": {"my-memory": {"command": "npx", "args": [*BRIDGE, *BRIDGE_AUTH], "env": BRIDGE_ENV}}},
    ),
    "claude-code": (
        ["claude", "mcp", "add", "--transport", "http", "my-memory", URL],
        ["claude", "mcp", "add", "--transport", "http", "my-memory", URL, "--header", f"Authorization: Bearer ${ENV}"],
    ),
    "cursor": (
        {"mcpServers": {"my-memory": {"url": URL}}},
        {"mcpServers": {"my-memory": {"url": URL, "headers": {"Authorization": f"Bearer ${{env:{ENV}}}"}}}},
    ),
    "vscode": (
        {"servers": {"my-memory": {"type": "http", "url": URL}}},
        {
            "servers": {
                "my-memory": {
                    "type": "http",
                    "url": URL,
                    "headers": {"Authorization": "Bearer ${input:postern-api-token}"},
                }
            },
            "inputs": [
                {
                    "type": "promptString",
                    "id": "postern-api-token",
                    "description": f"API token ({ENV})",
                    "password": True,
                }
            ],
        },
    ),
    "windsurf": (
        {"mcpServers": {"my-memory": {"serverUrl": URL}}},
        {"mcpServers": {"my-memory": {"serverUrl": URL, "headers": {"Authorization": f"Bearer ${{env:{ENV}}}"}}}},
    ),
    "cline": (
        {"mcpServers": {"my-memory": {"type": "streamableHttp", "url": URL, "disabled": False}}},
        {
            "mcpServers": {
                "my-memory": {
                    "type": "streamableHttp",
                    "url": URL,
                    "headers": {"Authorization": f"Bearer {PLACEHOLDER}"},
                    "disabled": False,
                }
            }
        },
    ),
    "continue": (
        {
            "name": "my-memory",
            "version": "0.0.1",
            "schema": "v1",
            "mcpServers": [{"name": "my-memory", "type": "streamable-http", "url": URL}],
        },
        {
            "name": "my-memory",
            "version": "0.0.1",
            "schema": "v1",
            "mcpServers": [
                {
                    "name": "my-memory",
                    "type": "streamable-http",
                    "url": URL,
                    "requestOptions": {"headers": {"Authorization": f"Bearer ${{{{ secrets.{ENV} }}}}"}},
                }
            ],
        },
    ),
    "codex": (
        {"mcp_servers": {"my-memory": {"url": URL}}},
        {"mcp_servers": {"my-memory": {"url": URL, "bearer_token_env_var": ENV}}},
    ),
    "zed": (
        {"context_servers": {"my-memory": {"url": URL}}},
        {"context_servers": {"my-memory": {"url": URL, "headers": {"Authorization": f"Bearer {PLACEHOLDER}"}}}},
    ),
    "inspector": (
        [
            *("npx", "-y", "@modelcontextprotocol/inspector", "--cli", URL),
            "--transport",
            "http",
            "--method",
            "tools/list",
        ],
        [
            *("npx", "-y", "@modelcontextprotocol/inspector", "--cli", URL),
            *("--transport", "http", "--method", "tools/list", "--header", f"Authorization: Bearer ${ENV}"),
        ],
    ),
    "mcp-remote": (
        {"mcpServers": {"my-memory": {"command": "npx", "args": BRIDGE}}},
        {"mcpServers": {"my-memory": {"command": "npx", "args": [*BRIDGE, *BRIDGE_AUTH], "env": BRIDGE_ENV}}},
    ),
}
"""Client -> its document without and with an API token."""


@pytest.mark.parametrize("client", FORMATS)
def test_a_snippet_is_the_clients_own_document(client: str) -> None:
    without, with_factor = FORMATS[client]
    assert _document(client) == without
    assert _document(client, ENV) == with_factor


@pytest.mark.parametrize("client", ["langchain", "openai-agents"])
@pytest.mark.parametrize("env", [None, ENV])
def test_a_snippet_for_a_framework_is_a_python_program(client: str, env: str | None) -> None:
    made = snippet(client, URL, "my-memory", env)
    tree = ast.parse(made.text)
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {URL, "my-memory"} <= strings
    assert (ENV in strings) == (env is not None)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert ("os" in imported) == (env is not None)


def test_every_client_is_covered_here() -> None:
    assert set(CLIENTS) == {*FORMATS, "chatgpt", "langchain", "openai-agents"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_snippet_says_where_it_goes_and_holds_the_url(client: str) -> None:
    made = snippet(client, URL)
    assert made.where
    assert URL in made.text


def test_chatgpt_is_told_what_it_cannot_reach_and_cannot_send() -> None:
    assert snippet("chatgpt", URL).notes == ()
    [tunnel] = snippet("chatgpt", LOCAL_URL).notes
    assert "this URL is not one" in tunnel
    assert "POSTERN_PUBLIC_URL" in tunnel
    [no_header] = snippet("chatgpt", URL, api_token_env=ENV).notes
    assert "a server with require_api_token_auth does not work there" in no_header


def test_a_bridge_to_plain_http_is_allowed_to_use_it() -> None:
    [entry] = json.loads(snippet("mcp-remote", LOCAL_URL).text)["mcpServers"].values()
    assert entry["args"][-1] == "--allow-http"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "my memory"], 'the name is "my memory"; it must be 1 to 64 letters, digits, - and _'),
        (
            ["--api-token-env", "pst_x y"],
            "the variable for the API token is not the name of a variable; give its name and not the token, e.g. "
            "POSTERN_SECOND_API_TOKEN",
        ),
    ],
)
def test_a_name_that_a_format_could_not_hold_is_wrong_usage(options: list[str], message: str) -> None:
    ran = run("snippet", "--client", "codex", "--url", URL, *options)
    assert (ran.code, ran.out, ran.err) == (2, "", f"postern: {message}\n")


def test_a_url_that_is_none_is_wrong_usage_and_not_repeated() -> None:
    ran = run("snippet", "--client", "codex", "--url", "t" * 43)
    assert (ran.code, ran.err) == (
        2,
        "postern: the URL is not an http or https address; give the MCP URL that was printed when the server was "
        "minted\n",
    )


def test_the_text_alone_is_on_standard_output(empty: dict[str, str]) -> None:
    ran = run("snippet", "--client", "codex", environment={"POSTERN_MCP_URL": URL, **empty})
    assert ran.out == f'[mcp_servers.postern]\nurl = "{URL}"\n'
    assert ran.err == (
        "# for ~/.codex/config.toml\n"
        "# The URL is a secret: anyone who has it can use its tools. Keep it out of version control.\n"
    )
    as_json = run("snippet", "--client", "codex", "--url", URL, "--json", environment=empty)
    assert as_json.json["kind"] == "toml"
    assert as_json.err == ""


def test_without_a_url_the_local_one_is_taken_and_without_that_it_is_wrong_usage(
    local: Local, empty: dict[str, str]
) -> None:
    assert local.ready.mcp_url in local("snippet", "--client", "cursor").out
    ran = run("snippet", "--client", "cursor", environment=empty)
    assert ran.code == 2
    assert re.match(r"postern: no MCP URL: give --url, set POSTERN_MCP_URL, or start a local endpoint", ran.err)
