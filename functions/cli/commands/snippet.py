"""`postern snippet`: print the lines that make a client use an MCP URL."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from functions.cli.connection import read_local
from functions.cli.invocation import Invocation, UsageError
from functions.client_formats import CLIENTS, SnippetError, snippet


def add(commands: Any, shaped: argparse.ArgumentParser) -> None:
    """Add the command."""
    one = commands.add_parser("snippet", parents=[shaped], help="print the lines to paste into a client")
    one.add_argument("--client", required=True, choices=list(CLIENTS), metavar="CLIENT", help=", ".join(CLIENTS))
    one.add_argument("--url", metavar="MCP_URL", help="the MCP URL (default: POSTERN_MCP_URL, then the local one)")
    one.add_argument("--name", default="postern", help="the name of the server in the client")
    one.add_argument(
        "--api-token-env",
        metavar="VARIABLE",
        help="the variable that holds the API token, for a server that requires one",
    )
    one.set_defaults(run=_snippet)


def _snippet(invocation: Invocation) -> None:
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
