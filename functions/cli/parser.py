"""The words of the command line. What each does is in the file of its noun."""

from __future__ import annotations

import argparse

from functions.cli import account, api_token, completion, demo, log, serve, server, snippet_command, tool

DESCRIPTION = """\
Mint, list and revoke MCP URLs for AI agents, on a laptop or a deployed endpoint with the same words.

  postern serve                                       the whole endpoint on this machine
  postern server create --methods read --expires-in 15m
  postern snippet --client cursor
"""

EPILOG = """\
The endpoint and its API token come from --endpoint and --api-token, from POSTERN_ENDPOINT and POSTERN_API_TOKEN, or
from .postern/local.json, which `postern serve` writes. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; every leaf sets `run`, and all have `--json`."""
    parser = argparse.ArgumentParser(
        prog="postern", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    shaped = argparse.ArgumentParser(add_help=False)
    shaped.add_argument("--json", action="store_true", help="the result as JSON, and errors too")
    remote = argparse.ArgumentParser(add_help=False, parents=[shaped])
    remote.add_argument("--endpoint", metavar="URL", help="the endpoint (else POSTERN_ENDPOINT, else the local one)")
    remote.add_argument(
        "--api-token", metavar="TOKEN", help="an API token of the scope manage (else POSTERN_API_TOKEN; not in `ps`)"
    )
    serve.add(commands, shaped)
    account.add(commands, remote)
    server.add(commands, remote)
    api_token.add(commands, remote)
    tool.add(commands, remote)
    log.add(commands, remote)
    snippet_command.add(commands, shaped)
    demo.add(commands, remote)
    completion.add(commands, shaped)
    return parser
