"""`postern install --capture`: let an agent send its finished turns to the memory, and stop it again."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from functions.cli.capture.agents import AGENTS
from functions.cli.capture.outbox import Outbox, Settings
from functions.cli.commands.capture import command
from functions.cli.connection import local_file
from functions.cli.invocation import Failed, Invocation


def add(commands: Any, shaped: argparse.ArgumentParser) -> None:
    """Add the command."""
    one = commands.add_parser(
        "install", parents=[shaped], help="let an agent send its finished turns to the memory (off until you do)"
    )
    one.add_argument("--capture", required=True, choices=list(AGENTS), metavar="AGENT", help=", ".join(AGENTS))
    one.add_argument("--user-id", default="me", metavar="ID", help="whose memories they become (default: me)")
    one.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="folders to leave out, e.g. '~/work/*'; repeatable",
    )
    one.add_argument("--remove", action="store_true", help="take the hook out again, with what has not been sent")
    one.set_defaults(run=_install)


def _install(invocation: Invocation) -> None:
    options, terminal = invocation.options, invocation.terminal
    name, agent = options.capture, AGENTS[options.capture]
    file, state = agent.config(invocation.environment), local_file(invocation.environment).parent
    before = file.read_text("utf-8") if file.exists() else ""
    try:
        after = agent.remove(before) if options.remove else agent.add(before, command(name, state))
    except ValueError as error:
        raise Failed(f"{file} was left as it is: {error}") from None
    if after.strip() in ("", "{}") and not before.strip():
        after = before
    if after != before:
        _replace(file, after)
    Outbox(state).configure(name, None if options.remove else Settings(options.user_id, tuple(options.ignore)))
    if options.remove:
        terminal.result({"agent": name, "file": str(file), "captured": False}, f"{name} sends no turns ({file})")
        return
    ignored = f", except from {', '.join(options.ignore)}" if options.ignore else ""
    terminal.result(
        {"agent": name, "file": str(file), "captured": True, "ignored": options.ignore, "user_id": options.user_id},
        f"{name} sends each finished turn to the memory of {options.user_id}{ignored} ({file})",
    )
    terminal.note(
        "Card numbers, keys and passwords are removed first. Restart the agent; to stop, run: "
        f"postern install --capture {name} --remove"
    )


def _replace(file: Path, text: str) -> None:
    """Replace a file as a whole, with the permissions it had; only its owner may read a new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file = file.resolve()
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
        out.write(text)
    aside.replace(file)
