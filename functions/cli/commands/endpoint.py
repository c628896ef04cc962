"""`postern endpoint`: names for several endpoints."""

from __future__ import annotations

import argparse
from typing import Any

from functions.cli import endpoints
from functions.cli.commands.account import secret
from functions.cli.connection import origin
from functions.cli.invocation import Invocation, UsageError
from functions.cli.tables import table


def add(commands: Any, shaped: argparse.ArgumentParser) -> None:
    """Add the command and its verbs."""
    verbs = commands.add_parser("endpoint", help="give endpoints names, for --endpoint").add_subparsers(
        metavar="VERB", required=True
    )
    one = verbs.add_parser("add", parents=[shaped], help="name an endpoint, or change what a name stands for")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--url", required=True, metavar="URL", help="its address, e.g. https://postern.example.com")
    one.add_argument(
        "--api-token",
        required=True,
        metavar="SOURCE",
        help="env:NAME reads a variable, @FILE a file, - standard input; the token itself works too, but `ps` shows it",
    )
    one.set_defaults(run=_add)
    one = verbs.add_parser("list", parents=[shaped], help="list the named endpoints, without their API tokens")
    one.set_defaults(run=_list)
    one = verbs.add_parser("remove", parents=[shaped], help="forget a name; the endpoint stays as it is")
    one.add_argument("name", metavar="NAME")
    one.set_defaults(run=_remove)


def _add(invocation: Invocation) -> None:
    options, environment = invocation.options, invocation.environment
    if not endpoints.NAME.fullmatch(options.name):
        raise UsageError(f'the name is "{options.name}"; it must be 1 to 64 letters, digits, - and _')
    api_token = secret("--api-token", options.api_token, invocation)
    if not api_token:
        raise UsageError("--api-token is empty")
    made = endpoints.Named(origin(options.url), api_token)
    endpoints.write(environment, {**endpoints.read(environment), options.name: made})
    shown = {"name": options.name, "endpoint": made.endpoint}
    invocation.terminal.result(shown, f"{options.name} is {made.endpoint}; use it with --endpoint {options.name}")


def _list(invocation: Invocation) -> None:
    known = endpoints.read(invocation.environment)
    rows = [{"name": name, "endpoint": one.endpoint} for name, one in sorted(known.items())]
    text = table(("name", "endpoint"), [list(row.values()) for row in rows])
    invocation.terminal.result(rows, text if rows else "no names; add one with: postern endpoint add")


def _remove(invocation: Invocation) -> None:
    name, environment = invocation.options.name, invocation.environment
    endpoints.one(environment, name)
    left = {known: one for known, one in endpoints.read(environment).items() if known != name}
    endpoints.write(environment, left)
    invocation.terminal.result({"name": name}, f"{name} is forgotten")
