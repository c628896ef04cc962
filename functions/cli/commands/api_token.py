"""`postern api-token`: create, list and revoke API tokens."""

from __future__ import annotations

import argparse
from typing import Any

from functions.cli.commands.account import pairs
from functions.cli.commands.server import add_expiry
from functions.cli.durations import duration, expiry, until
from functions.cli.invocation import Invocation, UsageError
from functions.cli.management_api import open_api, path
from functions.cli.tables import details, table
from functions.gateway.json_text import Json


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
        help="connect (default: opens servers that require an API token), read, call, mint, manage (all)",
    )
    one.add_argument("--accounts", default="", metavar="ID,...", help="limit the token to these accounts")
    one.add_argument("--servers", default="", metavar="ID,...", help="limit the token to these servers")
    one.add_argument("--mint-methods", default="", metavar="M,...", help="with mint: at most these methods")
    one.add_argument("--mint-tags", default="", metavar="T,...", help="with mint: at most tools with these tags")
    one.add_argument("--mint-pin", action="append", default=[], metavar="ID=VALUE", help="with mint: always this pin")
    one.add_argument("--mint-for", metavar="DURATION", help="with mint: the longest life of a server, e.g. 1h")
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
    body: dict[str, Json] = {
        "name": options.name,
        "scopes": _words(options.scopes),
        "account_ids": _words(options.accounts),
        "server_ids": _words(options.servers),
        "expires_at": expiry(options, invocation.clock()),
    }
    limits = [options.mint_methods, options.mint_tags, options.mint_pin, options.mint_for]
    if any(limits):
        if options.mint_for is None:
            raise UsageError("--mint-for is missing; give the longest life of a server, e.g. --mint-for 1h")
        body["mint"] = {
            "methods": _words(options.mint_methods),
            "tags": _words(options.mint_tags),
            "pins": pairs("--mint-pin", options.mint_pin),
            "max_lifetime_seconds": int(duration(options.mint_for).total_seconds()),
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
