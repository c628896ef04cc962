"""`postern install`: put an MCP URL into a client, or let an agent send its finished turns to the memory; undo both."""

from __future__ import annotations

from dataclasses import dataclass

from functions.cli import client_install
from functions.cli.capture.agents import AGENTS
from functions.cli.capture.outbox import Outbox, Settings
from functions.cli.client_files import replace
from functions.cli.command import declaration, option, repeated
from functions.cli.commands.capture import command
from functions.cli.connection import local_file
from functions.cli.invocation import Failed, Invocation, Misuse

INSTALL = declaration("install")


@dataclass(frozen=True, kw_only=True)
class Install(client_install.Entry):
    """The words of `install`."""

    client: str | None = option(
        f"write the settings of this client: {', '.join(client_install.CLIENTS)}",
        "CLIENT",
        choices=tuple(client_install.CLIENTS),
        either="what",
    )
    capture: str | None = option(
        f"send its finished turns to the memory (off until you do): {', '.join(AGENTS)}",
        "AGENT",
        choices=tuple(AGENTS),
        either="what",
    )
    user_id: str = option("with --capture: whose memories they become", "ID", default="me")
    ignore: tuple[str, ...] = repeated("with --capture: folders to leave out, e.g. '~/work/*'; repeatable", "PATTERN")


@INSTALL.alone(Install)
def _install(invocation: Invocation[Install]) -> None:
    options = invocation.options
    if options.capture is not None:
        _capture(invocation, options.capture)
    elif options.client is not None:
        client_install.install(invocation, options.client)
    else:
        raise Misuse("--client or --capture is missing")


def _capture(invocation: Invocation[Install], name: str) -> None:
    options, terminal = invocation.options, invocation.terminal
    agent = AGENTS[name]
    file, state = agent.config(invocation.environment), local_file(invocation.environment).parent
    before = file.read_text("utf-8") if file.exists() else ""
    try:
        after = agent.remove(before) if options.remove else agent.add(before, command(name, state))
    except ValueError as error:
        raise Failed(f"{file} was left as it is: {error}") from None
    if after.strip() in ("", "{}") and not before.strip():
        after = before
    if after != before:
        replace(file, after)
    Outbox(state).configure(name, None if options.remove else Settings(options.user_id, options.ignore))
    if options.remove:
        terminal.result({"agent": name, "file": str(file), "captured": False}, f"{name} sends no turns ({file})")
        return
    ignored = f", except from {', '.join(options.ignore)}" if options.ignore else ""
    terminal.result(
        {
            "agent": name,
            "file": str(file),
            "captured": True,
            "ignored": list(options.ignore),
            "user_id": options.user_id,
        },
        f"{name} sends each finished turn to the memory of {options.user_id}{ignored} ({file})",
    )
    terminal.note(
        "Card numbers, keys and passwords are removed first. Restart the agent; to stop, run: "
        f"postern install --capture {name} --remove"
    )
