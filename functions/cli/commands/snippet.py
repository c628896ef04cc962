"""`postern snippet`: print the lines that make a client use an MCP URL."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from functions.cli.command import Shared, declaration, option
from functions.cli.connection import read_local
from functions.cli.invocation import Invocation, UsageError
from functions.client_formats import CLIENTS, SnippetError, snippet

SNIPPET = declaration("snippet")


@dataclass(frozen=True, kw_only=True)
class Snippet(Shared):
    """The words of `snippet`."""

    client: str = option(", ".join(CLIENTS), "CLIENT", choices=tuple(CLIENTS), required=True)
    url: str | None = option("the MCP URL (default: POSTERN_MCP_URL, then the local one)", "MCP_URL")
    name: str = option("the name of the server in the client", default="postern")
    api_token_env: str | None = option(
        "the variable that holds the API token, for a server that requires one", "VARIABLE"
    )


@SNIPPET.alone(Snippet)
def _snippet(invocation: Invocation[Snippet]) -> None:
    options, terminal = invocation.options, invocation.terminal
    url = options.url or invocation.environment.get("POSTERN_MCP_URL")
    if not url:
        local = read_local(invocation.environment)
        url = local.mcp_url if local else None
    if not url:
        raise UsageError("no MCP URL: give --url, set POSTERN_MCP_URL, or start a local endpoint with `postern serve`")
    try:
        made = snippet(options.client, url, options.name, options.api_token_env)
    except SnippetError as error:
        raise UsageError(str(error)) from None
    terminal.note(f"# for {made.where}")
    terminal.result(asdict(made), made.text)
    for note in (
        *made.notes,
        "The URL is a secret: anyone who has it can use its tools. Keep it out of version control.",
    ):
        terminal.note(f"# {note}")
