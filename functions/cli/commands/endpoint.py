"""`postern endpoint`: names for several endpoints."""

from __future__ import annotations

from dataclasses import dataclass

from functions.cli import completers, endpoints
from functions.cli.command import Shared, argument, declaration, option
from functions.cli.commands.account import secret
from functions.cli.connection import origin
from functions.cli.invocation import Invocation, UsageError
from functions.cli.tables import Table

ENDPOINT = declaration("endpoint")


@dataclass(frozen=True, kw_only=True)
class Add(Shared):
    """The words of `endpoint add`."""

    name: str = argument("NAME")
    url: str = option("its address, e.g. https://postern.example.com", "URL", required=True)
    api_token: str = option(
        "env:NAME reads a variable, @FILE a file, - standard input; the token itself works too, but `ps` shows it",
        "SOURCE",
        required=True,
    )


@dataclass(frozen=True, kw_only=True)
class Remove(Shared):
    """The words of `endpoint remove`."""

    name: str = argument("NAME", completer=completers.endpoints)


@ENDPOINT.verb("add", Add, "name an endpoint, or change what a name stands for")
def _add(invocation: Invocation[Add]) -> None:
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


@ENDPOINT.verb("list", Shared, "list the named endpoints, without their API tokens")
def _list(invocation: Invocation[Shared]) -> None:
    known = endpoints.read(invocation.environment)
    rows = [{"name": name, "endpoint": one.endpoint} for name, one in sorted(known.items())]
    text = Table(("name", "endpoint"), [list(row.values()) for row in rows])
    invocation.terminal.result(rows, text if rows else "no names; add one with: postern endpoint add")


@ENDPOINT.verb("remove", Remove, "forget a name; the endpoint stays as it is")
def _remove(invocation: Invocation[Remove]) -> None:
    name, environment = invocation.options.name, invocation.environment
    endpoints.one(environment, name)
    left = {known: one for known, one in endpoints.read(environment).items() if known != name}
    endpoints.write(environment, left)
    invocation.terminal.result({"name": name}, f"{name} is forgotten")
