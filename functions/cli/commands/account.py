"""`postern account`: connect, list, get, update and remove integrated accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from functions.cli import completers
from functions.cli.command import Remote, Shared, argument, declaration, option, repeated
from functions.cli.invocation import Invocation, UsageError
from functions.cli.management_api import open_api, path
from functions.cli.tables import Details, Table, count
from functions.gateway.json_text import Json

CREDENTIAL = (
    "a field of the credential: api_key=env:MEM0_API_KEY reads a variable, api_key=@FILE a file, api_key=- "
    "standard input; api_key=VALUE works too, but `ps` and the shell history show it"
)


ACCOUNT = declaration("account")


@dataclass(frozen=True, kw_only=True)
class Fields(Remote):
    """What an account is made of."""

    name: str | None = option("any text, for people")
    credential: tuple[str, ...] = repeated(CREDENTIAL, "FIELD=SOURCE")
    context: tuple[str, ...] = repeated("an id in the paths of the upstream, e.g. org_id=...", "NAME=VALUE")
    base_url: str | None = option("another base URL of the upstream")


@dataclass(frozen=True, kw_only=True)
class Add(Fields):
    """The words of `account add`."""

    integration: str = option("mem0 (default), mem0_oss, ...", default="mem0", completer=completers.integrations)
    id: str | None = option("an id that you choose")


@dataclass(frozen=True, kw_only=True)
class Get(Remote):
    """The words of `account get`."""

    id: str | None = argument("ACCOUNT", optional=True, completer=completers.accounts)


@dataclass(frozen=True, kw_only=True)
class Update(Fields):
    """The words of `account update`."""

    id: str = argument("ACCOUNT", completer=completers.accounts)


@dataclass(frozen=True, kw_only=True)
class Remove(Remote):
    """The words of `account remove`."""

    id: str = argument("ACCOUNT", completer=completers.accounts)


def _body(invocation: Invocation[Fields]) -> dict[str, Json]:
    options = invocation.options
    body: dict[str, Json] = {}
    if options.name:
        body["name"] = options.name
    if options.base_url:
        body["base_url"] = options.base_url
    if options.context:
        body["context"] = pairs("--context", options.context)
    if options.credential:
        body["credentials"] = {
            field: secret(f"--credential {field}", source, invocation)
            for field, source in pairs("--credential", options.credential).items()
        }
    return body


def pairs(option: str, words: Sequence[str]) -> dict[str, str]:
    """`name=value` words as an object. Raises UsageError without the value, which may be a secret."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise UsageError(f"{option} must be NAME=VALUE; the text given has no name followed by =")
        if name in found:
            raise UsageError(f"{option} {name} is given twice")
        found[name] = value
    return found


def secret(where: str, source: str, invocation: Invocation[Shared]) -> str:
    """The value that a source refers to. Raises UsageError."""
    if source == "-":
        return invocation.terminal.stdin.read().strip()
    if source.startswith("env:"):
        variable = source.removeprefix("env:")
        if variable not in invocation.environment:
            raise UsageError(f"{where}: the variable {variable} is not set")
        return invocation.environment[variable]
    if source.startswith("@"):
        try:
            return Path(source[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise UsageError(f"{where}: {source[1:]} cannot be read ({type(error).__name__})") from None
    return source


def _show(invocation: Invocation[Remote], account: Json) -> None:
    invocation.terminal.result(account, Details([(name, value) for name, value in account.items()]))


@ACCOUNT.verb("add", Add, "connect an account; its credential is tested immediately")
def _add(invocation: Invocation[Add]) -> None:
    options = invocation.options
    body = {"integration": options.integration, "credentials": {}, **_body(invocation)}
    if options.id:
        body["id"] = options.id
    with open_api(invocation) as api:
        account = api.post("/integrated-account", body)
    _show(invocation, account)
    invocation.terminal.note(f"Connected. Mint an MCP URL with: postern server create --account {account['id']}")


@ACCOUNT.verb("list", Remote, "list every account")
def _list(invocation: Invocation[Remote]) -> None:
    with open_api(invocation) as api:
        accounts = api.all("/integrated-account")
    shown = ("id", "integration", "name", "status", "base_url")
    text = Table(shown, [[account[name] for name in shown] for account in accounts])
    invocation.terminal.result(accounts, text if accounts else "no accounts; connect one with: postern account add")


@ACCOUNT.verb("get", Get, "show one account; without an id, the default account")
def _get(invocation: Invocation[Get]) -> None:
    with open_api(invocation) as api:
        _show(invocation, api.get(path("integrated-account", api.account_id(invocation.options.id))))


@ACCOUNT.verb("update", Update, "change an account; its servers use the change immediately")
def _update(invocation: Invocation[Update]) -> None:
    body = _body(invocation)
    if not body:
        raise UsageError("nothing to change; give --name, --credential, --context or --base-url")
    with open_api(invocation) as api:
        _show(invocation, api.patch(path("integrated-account", invocation.options.id), body))


@ACCOUNT.verb("remove", Remove, "remove an account and its servers; their URLs stop working")
def _remove(invocation: Invocation[Remove]) -> None:
    with open_api(invocation) as api:
        gone = api.delete(path("integrated-account", invocation.options.id))
        removed = gone["removed"]
        while gone["next_cursor"] is not None:
            gone = api.delete(path("integrated-account", gone["id"]), {"next_cursor": gone["next_cursor"]})
            removed = {kind: [*ids, *gone["removed"][kind]] for kind, ids in removed.items()}
    gone["removed"] = removed
    invocation.terminal.result(
        gone,
        f"account {gone['id']} is removed, with {count(len(removed['mcp_servers']), 'MCP server')} and "
        f"{count(len(removed['api_tokens']), 'API token')}",
    )
