"""From the words of the command line to one command and its options. What each command does is in `commands/`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cyclopts import App, Group
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from functions.cli import commands
from functions.cli.help import GROUPS, Plain
from functions.cli.invocation import Misuse
from functions.gateway.wording import closest, did_you_mean

if TYPE_CHECKING:
    from functions.cli.command import Command, Shared
    from functions.cli.terminal import Terminal

DESCRIPTION = """\
Mint, list and revoke MCP URLs for AI agents. The same commands work on a laptop and on a deployed endpoint.

Start with:
  postern run                                            a memory for your agents on this machine
  postern serve                                          run the whole endpoint on this machine
  postern server create --methods read --expires-in 15m  mint an MCP URL
  postern install --client cursor                        put it into a client
"""

EPILOG = """\
`postern COMMAND --help` shows the options and examples of a command.

The endpoint and its API token come from --endpoint and --api-token, from POSTERN_ENDPOINT and POSTERN_API_TOKEN, or
from local.json in the state folder, which `postern serve` writes.
Exit codes: 0 success, 1 refused or failed, 2 usage error, 130 stopped with Ctrl-C.
"""


@dataclass(frozen=True)
class Call:
    """A command with the options of one run."""

    command: Command
    options: Shared


def build_parser() -> App:
    """The whole command line. A command is imported when it is used."""
    app = App(
        name="postern",
        help=DESCRIPTION,
        help_format="plaintext",
        help_epilogue=EPILOG,
        usage="postern COMMAND [OPTIONS]",
        version=_version,
    )
    for position, (heading, declared) in enumerate(GROUPS.items()):
        group = Group(heading, sort_key=position)
        for order, (name, (place, text)) in enumerate(declared.items()):
            app.command(f"{commands.__name__}.{place}", name=name, help=text, group=group, sort_key=order)
    for option in ("--help", "--version"):
        app[option].show = False
    return app


def parse(words: Sequence[str], terminal: Terminal | None = None) -> Call | Callable[[], Any]:
    """The command of these words, or the action that shows the help, the version or completions.

    Raises Misuse.
    """
    app = build_parser()
    try:
        action, bound, _ = app.parse_args(
            list(words) or ["--help"], print_error=False, exit_on_error=False, verbose=False
        )
        if (command := getattr(action, "declared", None)) is not None:
            return Call(command, command.read(bound.arguments))
        if action == app.help_print and _is_group(app, words):
            names = [name for name in app.parse_commands(list(words))[1][-1] if not name.startswith("-")]
            raise Misuse(f"a command is missing; valid: {', '.join(names)}")
    except CycloptsError as error:
        raise Misuse(_reason(error), _usage(app, words)) from None
    except Misuse as error:
        raise Misuse(str(error), _usage(app, words)) from None
    if terminal is not None and action in (app.help_print, app.version_print):
        app.help_formatter = "default" if terminal.is_rich else Plain()
        bound.arguments["console"] = terminal.console()
    return lambda: action(*bound.args, **bound.kwargs)


def _version() -> str:
    from functions.cli.management_api import version  # late: it imports an HTTP client

    return f"postern {version()}"


def _is_group(app: App, words: Sequence[str]) -> bool:
    """True for words that end at a group of commands, without --help."""
    return bool(words) and not {"--help", "-h"} & set(words) and app.parse_commands(list(words))[1][-1] is not app


def _reason(error: CycloptsError) -> str:
    """What is wrong with the words, in one line."""
    match error:
        case UnknownCommandError() if error.app is not None and error.unused_tokens:
            names = [name for name in error.app if not name.startswith("-")]
            return f'"{error.unused_tokens[0]}" is unknown{did_you_mean(error.unused_tokens[0], names)}'
        case UnknownOptionError():
            written = error.token.keyword or error.token.value
            known = [name for argument in error.argument_collection for name in argument.names if argument.show]
            near = closest(written, known) if written.startswith("-") else None
            return f"unrecognized arguments: {written}" + (f" (did you mean {near}?)" if near else "")
        case UnusedCliTokensError() if error.unused_tokens:
            return f"unrecognized arguments: {' '.join(error.unused_tokens)}"
        case MissingArgumentError() if error.argument is not None:
            return f"{error.keyword or error.argument.name} is missing"
        case RepeatArgumentError():
            return f"{error.token.keyword} is given twice"
        case CoercionError() if error.argument is not None and error.token is not None:
            where = f"{error.token.keyword}: " if error.token.keyword else ""
            choices = error.argument.get_choices(force=True)
            if choices:
                return f'{where}"{error.token.value}" is unknown{did_you_mean(error.token.value, choices)}'
    return str(error)


def _usage(app: App, words: Sequence[str]) -> str:
    """The usage of the command that the words name."""
    _, apps, _ = app.parse_commands(list(words))
    return str(apps[-1].usage)
