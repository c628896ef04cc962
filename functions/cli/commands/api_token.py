"""`postern api-token`: create, list and revoke API tokens."""

from __future__ import annotations

import argparse
from typing import Any

from functions.cli.commands.server import add_expiry
from functions.cli.durations import expiry, until
from functions.cli.invocation import Invocation
from functions.cli.management_api import open_api, path
from functions.cli.tables import details, table


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add the command and its verbs."""
    verbs = commands.add_parser(
        "api-token", help="manage API tokens, for operators and for servers that require one"
    ).add_subparsers(metavar="VERB", required=True)
    one = verbs.add_parser("create", parents=[remote], help="create an API token; it is shown once")
    one.add_argument("--name", required=True, help="any text, for people")
    one.add_argument(
        "--scopes",
        default="connect",
        metavar="S,...",
        help="connect (default: opens servers that require an API token), read, call (tools), manage (all)",
    )
    one.add_argument("--accounts", default="", metavar="ID,...", help="limit the token to these accounts")
    one.add_argument("--servers", default="", metavar="ID,...", help="limit the token to these servers")
    add_expiry(one)
    one.add_argument("--quiet", "-q", action="store_true", help="print only the token")
    one.set_defaults(run=_create)
    one = verbs.add_parser("list", parents=[remote], help="list every live API token, without its secret")
    one.set_defaults(run=_list)
    one = verbs.add_parser("revoke", parents=[remote], help="revoke an API token; it stops working immediately")
    one.add_argument("id", metavar="API_TOKEN_ID")
    one.set_defaults(run=_revoke)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _create(invocation: Invocation) -> None:
    options, terminal = invocation.options, invocation.terminal
    body = {
        "name": options.name,
        "scopes": _words(options.scopes),
        "account_ids": _words(options.accounts),
        "server_ids": _words(options.servers),
        "expires_at": expiry(options, invocation.clock()),
    }
    with open_api(invocation) as api:
        minted = api.post("/api-token", body)
    if options.quiet:
        terminal.line(minted["token"])
        return
    shown = {**minted, "expires_at": until(minted["expires_at"], invocation.clock())}
    del shown["token"]
    terminal.result(minted, details([*shown.items(), ("token", minted["token"])]))
    terminal.note("The token is a secret and is shown only once.")


def _list(invocation: Invocation) -> None:
    with open_api(invocation) as api:
        tokens = api.all("/api-token")
    now = invocation.clock()
    shown = ("id", "name", "scopes", "account_ids", "server_ids")
    rows = [[*(token[name] for name in shown), until(token["expires_at"], now)] for token in tokens]
    invocation.terminal.result(tokens, table(("id", "name", "scopes", "accounts", "servers", "expires"), rows))


def _revoke(invocation: Invocation) -> None:
    with open_api(invocation) as api:
        gone = api.delete(path("api-token", invocation.options.id))
    invocation.terminal.result(gone, f"API token {gone['id']} is revoked")
