"""`postern`: the command line of a local or a deployed endpoint, with the same words for both.

Rule of the room: a client of the HTTP contracts, through httpx and the official MCP client. Of the rest it imports only
`gateway.settings`, `gateway.grants` (how a time is read and written), `gateway.json_text` and `gateway.wording`. The
command that needs them also imports `local` (serve, demo) and the memory engine's `jsonl`, `database` and `settings`
(export, import, serve). Nothing imports this room.

Exit codes: 0 done; 1 refused or failed, with the reason on standard error; 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO

from functions.cli.invocation import Failed, Invocation, Misuse
from functions.cli.parser import parse
from functions.cli.terminal import Terminal


def main(
    arguments: Sequence[str] | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Run one command; returns the exit code. Wrong usage and `--help` leave through SystemExit, as argparse does."""
    options = parse(arguments)
    terminal = Terminal(stdin or sys.stdin, stdout or sys.stdout, stderr or sys.stderr, options.json)
    try:
        return int(options.run(Invocation(options, environment, terminal, clock)) or 0)
    except Misuse as error:
        terminal.failure(str(error))
        return 2
    except Failed as error:
        terminal.failure(str(error), error.body)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`postern log | head`). Point the descriptor elsewhere, else Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
