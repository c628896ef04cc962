"""`postern console`: open the web console, signed in."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass

from functions.cli.command import Remote, declaration, flag
from functions.cli.invocation import Invocation
from functions.cli.management_api import open_api

CONSOLE = declaration("console")


@dataclass(frozen=True, kw_only=True)
class Console(Remote):
    """The words of `console`."""

    only_print: bool = flag("print the link and open nothing", name="--print")


@CONSOLE.alone(Console)
def _console(invocation: Invocation[Console]) -> None:
    terminal = invocation.terminal
    with open_api(invocation) as api:
        made = api.post("/console/sign-in-link", {})
    opened = not invocation.options.only_print and webbrowser.open(made["url"])
    terminal.result(made, made["url"])
    if opened:
        terminal.note("The console is open in the browser.")
    terminal.note(f"The link signs one person in, once, until {made['expires_at']}. It is a secret.")
