"""The words of the command line. What each command does is in its file in `commands/`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from functions.cli.commands import (
    account,
    api_token,
    apply,
    capture,
    completion,
    console,
    demo,
    endpoint,
    install,
    log,
    memory,
    run,
    serve,
    server,
    service,
    snippet,
    status,
    tools,
    whoami,
)
from functions.cli.help import Program, unknown_options
from functions.cli.management_api import version

DESCRIPTION = """\
Mint, list and revoke MCP URLs for AI agents. The same commands work on a laptop and on a deployed endpoint.

  postern run                                            a memory for your agents on this machine
  postern serve                                          run the whole endpoint on this machine
  postern server create --methods read --expires-in 15m  mint an MCP URL
  postern install --client cursor                        put it into a client
"""

EPILOG = """\
The endpoint and its API token come from --endpoint and --api-token, from POSTERN_ENDPOINT and POSTERN_API_TOKEN, or
from local.json in the state folder, which `postern serve` writes.
Exit codes: 0 success, 1 refused or failed, 2 usage error, 130 stopped with Ctrl-C.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of one run. Raises SystemExit for a usage error and for `--help`."""
    parser = build_parser()
    options, left = parser.parse_known_args(arguments)
    if any(word.startswith("-") for word in left) or (left and "words" not in options):
        parser.error(unknown_options(left, [f"--{name.replace('_', '-')}" for name in vars(options)]))
    if left:
        options.words += left  # argparse puts only the words before the first option there
    return options


def build_parser() -> Program:
    """The parser of the whole command line. Every command sets `run`, and all commands take `--json`."""
    parser = Program(description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"postern {version()}")
    commands = parser.commands
    shaped = argparse.ArgumentParser(add_help=False)
    shaped.add_argument("--json", action="store_true", help="print the result, and any error, as JSON")
    remote = argparse.ArgumentParser(add_help=False, parents=[shaped])
    remote.add_argument(
        "--endpoint",
        metavar="URL",
        help="the endpoint, by address or name (default: POSTERN_ENDPOINT, then the local endpoint)",
    )
    remote.add_argument(
        "--api-token",
        metavar="TOKEN",
        help="an API token that admits to the operation (default: POSTERN_API_TOKEN, which `ps` does not show)",
    )
    run.add(commands, shaped)
    serve.add(commands, shaped)
    account.add(commands, remote)
    server.add(commands, remote)
    apply.add(commands, remote)
    api_token.add(commands, remote)
    whoami.add(commands, remote)
    endpoint.add(commands, shaped)
    status.add(commands, remote)
    tools.add(commands, remote)
    log.add(commands, remote)
    memory.add(commands, shaped, remote)
    snippet.add(commands, shaped)
    service.add(commands, shaped)
    install.add(commands, shaped)
    capture.add(commands, remote)
    demo.add(commands, remote)
    console.add(commands, remote)
    completion.add(commands, shaped, parser)
    return parser
