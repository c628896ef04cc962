"""`postern`: the command line of a local or a deployed endpoint. The same commands work on both.

Rule of the room: a client of the HTTP contracts, through httpx and the official MCP client. cyclopts parses: only
`command`, where words are declared, and `parser` know it. rich draws: only `terminal` and `tables` know it. The room
may also import `gateway.settings`, `gateway.grants` (how a time is read and written), `gateway.json_text` and
`gateway.wording`. The command that needs them may import `local` (run, serve, demo) and the memory engine's `jsonl`,
`database` and `settings` (export, import, serve), and `work.secrets`, which removes secrets from what agents say
(capture). Nothing imports this room. `commands/` holds one file per command; the other files are what commands share.

Exit codes: 0 success; 1 refused or failed, with the reason on standard error; 2 usage error; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO

from functions.cli.invocation import Failed, Invocation, Misuse, UsageError
from functions.cli.parser import Call, parse
from functions.cli.terminal import PATIENCE, Declined, Terminal

logger = logging.getLogger(__name__)


def main(
    arguments: Sequence[str] | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    patience: float = PATIENCE,
) -> int:
    """Run one command and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    is_plain = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
    terminal = Terminal(stdin or sys.stdin, stdout or sys.stdout, stderr or sys.stderr, as_json, is_plain, patience)
    try:
        call = parse(words, terminal)
        if not isinstance(call, Call):
            call()
            return 0
        return int(call.command.run(Invocation(call.options, environment, terminal, clock)) or 0)
    except Misuse as error:
        terminal.failure(str(error), usage=error.usage)
        return 2
    except UsageError as error:
        terminal.failure(str(error))
        return 2
    except Declined as error:
        terminal.failure(str(error))
        return 1
    except Failed as error:
        terminal.failure(str(error), error.body)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away, e.g. `postern log | head`. Without another target, Python reports an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        terminal.failure(f"{error.filename or 'the operating system'}: {error.strerror or type(error).__name__}")
        return 1
    except Exception as error:  # one line whatever happens; the text of an unknown error may hold a secret
        logger.debug("the command failed", exc_info=True)
        [*_, frame] = traceback.extract_tb(error.__traceback__)
        terminal.failure(
            f"unexpected {type(error).__name__} at {frame.filename}:{frame.lineno}; this is a defect of Postern; "
            "please report this line"
        )
        return 1
