"""`postern console`: open the web console, signed in."""

from __future__ import annotations

import argparse
import webbrowser
from typing import Any

from functions.cli.invocation import Invocation
from functions.cli.management_api import open_api


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add the command."""
    one = commands.add_parser("console", parents=[remote], help="open the web console in the browser, signed in")
    one.add_argument("--print", action="store_true", dest="only_print", help="print the link and open nothing")
    one.set_defaults(run=_console)


def _console(invocation: Invocation) -> None:
    terminal = invocation.terminal
    with open_api(invocation) as api:
        made = api.post("/console/sign-in-link", {})
    opened = not invocation.options.only_print and webbrowser.open(made["url"])
    terminal.result(made, made["url"])
    if opened:
        terminal.note("The console is open in the browser.")
    terminal.note(f"The link signs one person in, once, until {made['expires_at']}. It is a secret.")
