"""`postern status`: what this endpoint holds; `postern doctor`: what is wrong with it, and what to do."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from functions.cli.command import Remote, declaration
from functions.cli.connection import local_file
from functions.cli.invocation import Failed, Invocation, UsageError
from functions.cli.management_api import ANY_ACCOUNT, open_api, path
from functions.cli.tables import Details, count
from functions.cli.terminal import printable

STATUS = declaration("status")
DOCTOR = declaration("doctor")

SOON = "24h"
"""Servers that expire within this time are counted apart."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, and how it is. `text` says what to do where something is wrong."""

    state: Literal["ok", "look", "wrong"]
    what: str
    text: str


@STATUS.alone(Remote)
def _status(invocation: Invocation[Remote]) -> None:
    with open_api(invocation) as api:
        me = api.get("/me")
        shown: dict[str, Any] = {"endpoint": api.connection.base_url, "API token": me["name"], "scopes": me["scopes"]}
        if "listServers" in me["operations"]:
            accounts = api.all("/integrated-account")
            servers = api.all(path("integrated-account", ANY_ACCOUNT, "mcp"))
            soon = api.all(path("integrated-account", ANY_ACCOUNT, "mcp"), {"expires_within": SOON})
            shown |= {
                "accounts": {account["name"]: account["status"] for account in accounts},
                "servers": len(servers),
                f"expire within {SOON}": len(soon),
            }
    invocation.terminal.result(shown, Details(list(shown.items())))


@DOCTOR.alone(Remote)
def _doctor(invocation: Invocation[Remote]) -> int:
    terminal = invocation.terminal
    found = list(_findings(invocation))
    signs = {"ok": "ok", "look": "look", "wrong": "WRONG"}
    lines = [f"{signs[one.state].ljust(5)}  {one.what}: {printable(one.text)}" for one in found]
    shown = [{"state": one.state, "what": one.what, "text": one.text} for one in found]
    terminal.result(shown, "\n".join(lines))
    wrong = sum(one.state == "wrong" for one in found)
    terminal.note(f"{count(len(found), 'check')}, {wrong} wrong")
    return 1 if wrong else 0


def _findings(invocation: Invocation[Remote]) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok" if sys.version_info >= (3, 11) else "wrong", "Python", f"{version}; 3.11 or newer is needed")
    local = local_file(invocation.environment)
    if local.exists() and stat.S_IMODE(local.stat().st_mode) & 0o077:
        yield Finding("wrong", "state folder", f"{local} can be read by other users; run: chmod 600 {local}")
    elif local.exists():
        yield Finding("ok", "state folder", str(local.parent))
    try:
        with open_api(invocation) as api:
            yield Finding("ok", "endpoint", api.connection.base_url)
            me = api.get("/me")
            yield Finding("ok", "API token", f"{me['name']}, with {', '.join(me['scopes'])}")
            if "listServers" not in me["operations"]:
                yield Finding("look", "accounts", "this API token may not see them; use one with the scope read")
                return
            for account in api.all("/integrated-account"):
                yield _of_account(account)
            soon = api.all(path("integrated-account", ANY_ACCOUNT, "mcp"), {"expires_within": SOON})
            names = ", ".join(server["name"] for server in soon[:5]) + (" ..." if len(soon) > 5 else "")
            hint = f"{names}; `postern server extend --expires-in 30d SERVER` keeps them" if soon else "none"
            yield Finding("look" if soon else "ok", f"servers that expire within {SOON}", hint)
    except (Failed, UsageError) as problem:
        yield Finding("wrong", "endpoint", str(problem))


def _of_account(account: dict[str, Any]) -> Finding:
    what, update = f"account {account['name']}", f"`postern account update {account['id']} --credential ...`"
    if account["status"] == "needs_reauth":
        return Finding("wrong", what, f"the upstream refuses its credential since {account['status_since']}; {update}")
    if account["status"] == "unverified":
        return Finding("look", what, f"nothing has verified its credential; {update} gives another one")
    return Finding("ok", what, account["status"])
