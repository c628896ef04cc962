"""How the command line explains itself: commands in groups, examples, and the nearest word for one that is unknown.

argparse parses. It is part of Python, the completion scripts are made from it (shtab), and it starts in no time. What
it lacks in comparison with newer libraries is here, through its public methods only.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from functions.gateway.wording import closest, did_you_mean

GROUPS: dict[str, tuple[str, ...]] = {
    "Run it here": ("run", "service", "serve", "demo", "status", "doctor"),
    "MCP URLs": ("server", "apply", "export"),
    "Put a URL into a client": ("install", "snippet"),
    "Upstreams and operators": ("account", "integrations", "api-token", "whoami", "endpoint", "console"),
    "Tools and calls": ("tools", "call", "log", "memory", "capture"),
    "This program": ("completion",),
}
"""Heading -> its commands, in the order of the help. Every command is in one group."""

EXAMPLES: dict[str, str] = {
    "server": """\
postern server create --name agent --methods read --expires-in 15m
postern server create --name agent --count 40 --label team=support --expires-in 8h -q
postern server list --label team=support --expires-within 24h
postern server extend --label team=support --expires-in 30d
postern server revoke agent-7""",
    "account": """\
postern account add --name Mem0 --credential api_key=env:MEM0_API_KEY
postern account update Mem0 --credential api_key=@new-key.txt""",
    "api-token": """\
postern api-token create --name desk --scopes read
postern api-token create --name pipeline --scopes mint --mint-methods read --mint-for 1h""",
    "apply": """\
postern export > servers.yaml
postern apply servers.yaml --dry-run
postern apply servers.yaml --secrets urls.jsonl""",
    "log": """\
postern log --follow --label team=support
postern log --kind decision --since 7d --who desk""",
    "install": """\
postern install --client cursor
postern install --client vscode --url https://postern.example.com/mcp/TOKEN --name crm
postern install --client codex --remove""",
    "call": "postern call mem_0_memories_search query=coffee filters.user_id=usr_98765",
    "endpoint": """\
postern endpoint add prod --url https://postern.example.com --api-token env:PROD_TOKEN
postern status --endpoint prod""",
}
"""Command -> examples under its help."""

_CHOICE = re.compile(r"^argument (?P<what>.+?): invalid choice: '(?P<word>.*?)' \(choose from (?P<valid>.*)\)$", re.S)


class Parser(argparse.ArgumentParser):
    """A parser whose errors suggest the nearest word."""

    def error(self, message: str) -> NoReturn:
        """See ArgumentParser. Exit code 2."""
        if found := _CHOICE.match(message):
            valid = [word.strip().strip("'") for word in found["valid"].split(",")]
            message = f'argument {found["what"]}: "{found["word"]}" is unknown{did_you_mean(found["word"], valid)}'
        super().error(message)


class Program(Parser):
    """The parser of the whole command line."""

    def __init__(self, *, description: str, epilog: str) -> None:
        super().__init__(prog="postern", description=description, epilog=epilog)
        self.commands = Commands(self)

    def format_help(self) -> str:
        """See ArgumentParser."""
        return overview(self.description or "", self.commands.lines, self.epilog or "")


class Commands:
    """The commands of the program, with what their help says in one line."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._added = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
        self.lines: dict[str, str] = {}

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """As in argparse, with the examples of the command under its help."""
        if name in EXAMPLES and "epilog" not in options:
            options |= {"epilog": _examples(EXAMPLES[name]), "formatter_class": argparse.RawDescriptionHelpFormatter}
        self.lines[name] = options["help"]
        parser: argparse.ArgumentParser = self._added.add_parser(name, **{"description": options["help"], **options})
        return parser


def overview(description: str, lines: dict[str, str], epilog: str) -> str:
    """The help of the whole program: every command in its group."""
    width = max(map(len, lines))
    parts = [f"usage: postern COMMAND [OPTIONS]\n\n{description.rstrip()}\n"]
    for heading, names in GROUPS.items():
        shown = [f"  {name.ljust(width)}  {lines[name]}" for name in names if name in lines]
        parts.append("\n".join([f"{heading}:", *shown]) + "\n")
    parts.append("`postern COMMAND --help` shows the options and examples of a command.\n")
    parts.append(epilog.rstrip() + "\n")
    return "\n".join(parts)


def unknown_options(left: Iterable[str], known: Iterable[str]) -> str:
    """The message for words that no option takes, each with the nearest option of the command."""
    options = sorted(known)
    shown = []
    for word in left:
        near = closest(word.partition("=")[0], options) if word.startswith("-") else None
        shown.append(f"{word} (did you mean {near}?)" if near else word)
    return f"unrecognized arguments: {' '.join(shown)}"


def _examples(text: str) -> str:
    return "examples:\n" + "\n".join(f"  {line}" for line in text.splitlines())
