"""`postern api-token`: create, list and revoke API tokens."""

from __future__ import annotations

from dataclasses import dataclass

from functions.cli import completers
from functions.cli.command import Remote, argument, declaration, flag, option, repeated
from functions.cli.commands.account import pairs
from functions.cli.durations import Expiry, duration, expiry, until
from functions.cli.invocation import Invocation, UsageError
from functions.cli.management_api import open_api, path
from functions.cli.tables import Details, Table
from functions.gateway.json_text import Json

API_TOKEN = declaration("api-token")


@dataclass(frozen=True, kw_only=True)
class Create(Expiry, Remote):
    """The words of `api-token create`."""

    name: str = option("any text, for people", required=True)
    scopes: str = option(
        "connect (default: opens servers that require an API token), read, call, mint, manage (all)",
        "S,...",
        default="connect",
    )
    accounts: str = option("limit the token to these accounts", "ID,...", default="", completer=completers.accounts)
    servers: str = option("limit the token to these servers", "ID,...", default="", completer=completers.servers)
    mint_methods: str = option("with mint: at most these methods", "M,...", default="")
    mint_tags: str = option("with mint: at most tools with these tags", "T,...", default="", completer=completers.tags)
    mint_pin: tuple[str, ...] = repeated("with mint: always this pin", "ID=VALUE")
    mint_for: str | None = option("with mint: the longest life of a server, e.g. 1h", "DURATION")
    quiet: bool = flag("print only the token", "-q")


@dataclass(frozen=True, kw_only=True)
class Revoke(Remote):
    """The words of `api-token revoke`."""

    id: str = argument("API_TOKEN_ID", completer=completers.api_tokens)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@API_TOKEN.verb("create", Create, "create an API token; it is shown once")
def _create(invocation: Invocation[Create]) -> None:
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
    terminal.result(minted, Details([*shown.items(), ("token", minted["token"])]))
    terminal.note("The token is a secret and is shown only once.")


@API_TOKEN.verb("list", Remote, "list every live API token, without its secret")
def _list(invocation: Invocation[Remote]) -> None:
    with open_api(invocation) as api:
        tokens = api.all("/api-token")
    now = invocation.clock()
    shown = ("id", "name", "scopes", "account_ids", "server_ids")
    rows = [[*(token[name] for name in shown), until(token["expires_at"], now)] for token in tokens]
    invocation.terminal.result(tokens, Table(("id", "name", "scopes", "accounts", "servers", "expires"), rows))


@API_TOKEN.verb("revoke", Revoke, "revoke an API token; it stops working immediately")
def _revoke(invocation: Invocation[Revoke]) -> None:
    with open_api(invocation) as api:
        gone = api.delete(path("api-token", invocation.options.id))
    invocation.terminal.result(gone, f"API token {gone['id']} is revoked")
