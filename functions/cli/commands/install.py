"""`postern install`: put an MCP URL into a client, or let an agent send its finished turns to the memory; undo both."""

from __future__ import annotations

import argparse
from typing import Any

from functions.cli import client_install
from functions.cli.capture.agents import AGENTS
from functions.cli.capture.outbox import Outbox, Settings
from functions.cli.client_files import replace
from functions.cli.commands.capture import command
from functions.cli.connection import local_file
from functions.cli.invocation import Failed, Invocation


def add(commands: Any, shaped: argparse.ArgumentParser) -> None:
    """Add the command."""
    one = commands.add_parser(
        "install", parents=[shaped], help="put an MCP URL into a client, or let an agent fill the memory"
    )
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--client",
        choices=list(client_install.CLIENTS),
        metavar="CLIENT",
        help=f"write the settings of this client: {', '.join(client_install.CLIENTS)}",
    )
    what.add_argument(
        "--capture",
        choices=list(AGENTS),
        metavar="AGENT",
        help=f"send its finished turns to the memory (off until you do): {', '.join(AGENTS)}",
    )
    one.add_argument("--url", metavar="MCP_URL", help="the MCP URL (default: POSTERN_MCP_URL, then the local one)")
    one.add_argument("--name", default="postern", help="the name of the server in the client")
    one.add_argument("--file", metavar="FILE", help="another file than the client's own, e.g. of a project")
    one.add_argument(
        "--api-token-env", metavar="VARIABLE", help="the variable that holds the API token, for a server that needs one"
    )
    one.add_argument("--user-id", default="me", metavar="ID", help="with --capture: whose memories they become")
    one.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="with --capture: folders to leave out, e.g. '~/work/*'; repeatable",
    )
    one.add_argument(
        "--remove", action="store_true", help="take it out again; with --capture, what has not been sent too"
    )
    one.add_argument("--yes", "-y", action="store_true", help="with --client: do not ask before the file is written")
    one.set_defaults(run=_install)


def _install(invocation: Invocation) -> None:
    if invocation.options.client:
        client_install.install(invocation)
    else:
        _capture(invocation)


def _capture(invocation: Invocation) -> None:
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
        replace(file, after)
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
