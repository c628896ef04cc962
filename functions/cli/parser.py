"""The words of the command line. What each does is in the file of its noun."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from functions.cli import account, api_token, completion, demo, log, memory, serve, server, snippet_command, tool
from functions.cli.management_api import version

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


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of one run. Leaves through SystemExit for wrong usage and `--help`."""
    parser = build_parser()
    options, left = parser.parse_known_args(arguments)
    if any(word.startswith("-") for word in left) or (left and "words" not in options):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        options.words += left  # argparse takes the words before the first option only
    return options


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; every leaf sets `run`, and all have `--json`."""
    parser = argparse.ArgumentParser(
        prog="postern", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"postern {version()}")
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
    memory.add(commands, shaped)
    snippet_command.add(commands, shaped)
    demo.add(commands, remote)
    completion.add(commands, shaped)
    return parser
