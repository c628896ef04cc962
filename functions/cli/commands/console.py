"""`postern console` and `postern open`: the web console in the browser, signed in, at its start or at a server."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass

from functions.cli import completers
from functions.cli.command import Remote, argument, declaration, flag, option
from functions.cli.invocation import Invocation
from functions.cli.management_api import open_api, path

CONSOLE = declaration("console")
OPEN = declaration("open")


@dataclass(frozen=True, kw_only=True)
class Console(Remote):
    """The words of `console`."""

    only_print: bool = flag("print the link and open nothing", name="--print")


@dataclass(frozen=True, kw_only=True)
class Open(Console):
    """The words of `open`."""

    server: str | None = argument("SERVER", "an id or a name", optional=True, completer=completers.servers)
    account: str | None = option("the account of the server", "ACCOUNT", completer=completers.accounts)


@CONSOLE.alone(Console)
def _console(invocation: Invocation[Console]) -> None:
    with open_api(invocation) as api:
        made = api.post("/console/sign-in-link", {})
    _show(invocation, made["url"], made["expires_at"])


@OPEN.alone(Open)
def _open(invocation: Invocation[Open]) -> None:
    options = invocation.options
    with open_api(invocation) as api:
        place = ""
        if options.server is not None:
            server = api.get(api.server(options.account, options.server))
            place = path("servers", server["integrated_account_id"], server["id"])
        made = api.post("/console/sign-in-link", {})
    _show(invocation, made["url"] + place, made["expires_at"])


def _show(invocation: Invocation[Console], url: str, expires_at: str) -> None:
    terminal = invocation.terminal
    opened = not invocation.options.only_print and webbrowser.open(url)
    terminal.result({"url": url, "expires_at": expires_at}, url)
    if opened:
        terminal.note("The console is open in the browser.")
    terminal.note(f"The link signs one person in, once, until {expires_at}. It is a secret.")
