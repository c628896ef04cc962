"""How the command line explains itself: commands in groups, examples, and plain text where there is no terminal.

On a terminal the help is the library's own, in panels and colours. Elsewhere it is plain text in aligned columns.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Run it here": {
        "run": ("run:RUN", "a memory for your agents on this machine; Ctrl-C stops it"),
        "service": ("service:SERVICE", "start `postern run` whenever you sign in"),
        "serve": ("serve:SERVE", "run the whole endpoint on this machine; Ctrl-C stops it"),
        "demo": ("demo:DEMO", "run the main job once, through the official MCP client"),
        "status": ("status:STATUS", "show the endpoint in use and what it holds"),
        "doctor": ("status:DOCTOR", "look for what is wrong, and say what to do"),
    },
    "MCP URLs": {
        "server": ("server:SERVER", "manage MCP servers, i.e. the URLs that agents use"),
        "apply": ("apply:APPLY", "make servers and trusts those of a YAML file"),
        "export": ("apply:EXPORT", "print servers and trusts as a file for apply; no secrets"),
    },
    "Put a URL into a client": {
        "install": ("install:INSTALL", "put an MCP URL into a client, or let an agent fill the memory"),
        "snippet": ("snippet:SNIPPET", "print the lines to paste into a client"),
    },
    "Upstreams and operators": {
        "account": ("account:ACCOUNT", "manage integrated accounts, i.e. connected upstreams"),
        "integrations": ("whoami:INTEGRATIONS", "list the integrations, or show the fields that connect one"),
        "api-token": ("api_token:API_TOKEN", "manage API tokens, for operators and for servers that require one"),
        "trust": ("trust:TRUST", "let CI workflows mint servers without a stored secret"),
        "whoami": ("whoami:WHOAMI", "show the API token in use and what it may do"),
        "endpoint": ("endpoint:ENDPOINT", "give endpoints names, for --endpoint"),
        "console": ("console:CONSOLE", "open the web console in the browser, signed in"),
        "open": ("console:OPEN", "open the page of a server in the web console, signed in"),
    },
    "Tools and calls": {
        "tools": ("tools:TOOLS", "list the tools of a server or an account"),
        "call": ("tools:CALL", "call a tool"),
        "log": ("log:LOG", "list recent calls and decisions, oldest first"),
        "memory": ("memory:MEMORY", "export or import the embedded memory"),
        "capture": ("capture:CAPTURE", "what an agent runs after each turn (see install)"),
    },
    "This program": {
        "completion": ("completion:COMPLETION", "print a completion script for your shell"),
    },
}
"""Heading -> its commands, in the order of the help. A command is the declaration that is loaded when the command is
used, and one line about it. Every command is in one group."""

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
    "trust": """\
postern trust create --name ci --repository octo/agent --accounts acc_1 --mint-methods read --mint-for 1h
postern trust create --name ci --issuer https://ci.example --claim project=7 --accounts acc_1 --mint-for 1h""",
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
    "open": "postern open agent-7",
    "endpoint": """\
postern endpoint add prod --url https://postern.example.com --api-token env:PROD_TOKEN
postern status --endpoint prod""",
}
"""Command -> examples under its help."""

ANY_WIDTH = 10_000
"""Columns of a line that is not broken."""

NAME_COLUMNS = 30
"""The widest column of names in plain text. A longer name has its text on the next line."""


def epilogue(name: str, more: str) -> str:
    """What stands under the help of a command; empty where it has nothing of its own."""
    parts = [more.rstrip()] if more else []
    if name in EXAMPLES:
        parts.append("examples:\n" + textwrap.indent(EXAMPLES[name], "  "))
    return "\n\n".join(parts)


class Plain:
    """Help as plain text. See cyclopts.help.protocols.HelpFormatter."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one part: a heading, then names and texts in two columns."""
        rows = [(_label(entry), _text(console, entry)) for entry in panel.entries]
        if not rows:
            return
        width = min(max(len(label) for label, _ in rows), NAME_COLUMNS)
        indent = " " * (width + 4)
        lines = [f"{panel.title}:"]
        for label, text in rows:
            wrapped = textwrap.wrap(text, max(options.max_width - len(indent), NAME_COLUMNS)) or [""]
            if len(label) > width:
                lines += [f"  {label}", *(indent + line for line in wrapped)]
            else:
                lines += [f"  {label.ljust(width)}  {wrapped[0]}".rstrip(), *(indent + line for line in wrapped[1:])]
        _print(console, "\n" + "\n".join(lines))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the first line."""
        _print(console, f"usage: {_plain(console, usage)}")

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what the program or the command is for."""
        if text := _plain(console, description):
            _print(console, "\n" + text)


def _print(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _label(entry: HelpEntry) -> str:
    if entry.positional_label:
        return entry.positional_label
    names = [*entry.positive_shorts, *entry.positive_names]
    return ", ".join([*names[:-1], f"{names[-1]} {entry.metavar or ''}".strip(), *entry.negative_names])


def _text(console: Console, entry: HelpEntry) -> str:
    text = _plain(console, entry.description)
    return f"{text} [{', '.join(entry.choices)}]".strip() if entry.choices else text


def _plain(console: Console, value: Any) -> str:
    """What the library would draw, as text on lines of any length."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    unbroken = console.options.update(width=ANY_WIDTH, max_width=ANY_WIDTH)
    lines = "".join(segment.text for segment in console.render(value, unbroken)).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()
