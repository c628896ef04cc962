"""`postern account`: connect, list, get, update and remove integrated accounts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from functions.cli.invocation import Invocation, UsageError
from functions.cli.management_api import open_api, path
from functions.cli.tables import count, details, table
from functions.gateway.json_text import Json

CREDENTIAL = """a field of the credential: api_key=env:MEM0_API_KEY reads a variable, api_key=@FILE a file, api_key=-
standard input; api_key=VALUE works too, but `ps` and the shell history show it"""


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add the command and its verbs."""
    verbs = commands.add_parser("account", help="manage integrated accounts, i.e. connected upstreams").add_subparsers(
        metavar="VERB", required=True
    )
    one = verbs.add_parser("add", parents=[remote], help="connect an account; its credential is tested immediately")
    one.add_argument("--integration", default="mem0", help="mem0 (default), mem0_oss, ...")
    one.add_argument("--id", help="an id that you choose")
    _fields(one)
    one.set_defaults(run=_add)
    one = verbs.add_parser("list", parents=[remote], help="list every account")
    one.set_defaults(run=_list)
    one = verbs.add_parser("get", parents=[remote], help="show one account; without an id, the default account")
    one.add_argument("id", nargs="?", metavar="ACCOUNT")
    one.set_defaults(run=_get)
    one = verbs.add_parser("update", parents=[remote], help="change an account; its servers use the change immediately")
    one.add_argument("id", metavar="ACCOUNT")
    _fields(one)
    one.set_defaults(run=_update)
    one = verbs.add_parser(
        "remove", parents=[remote], help="remove an account and its servers; their URLs stop working"
    )
    one.add_argument("id", metavar="ACCOUNT")
    one.set_defaults(run=_remove)


def _fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="any text, for people")
    parser.add_argument("--credential", action="append", default=[], metavar="FIELD=SOURCE", help=CREDENTIAL)
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an id in the paths of the upstream, e.g. org_id=...",
    )
    parser.add_argument("--base-url", help="another base URL of the upstream")


def _body(invocation: Invocation) -> dict[str, Json]:
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


def secret(where: str, source: str, invocation: Invocation) -> str:
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


def _show(invocation: Invocation, account: Json) -> None:
    invocation.terminal.result(account, details([(name, value) for name, value in account.items()]))


def _add(invocation: Invocation) -> None:
    options = invocation.options
    body = {"integration": options.integration, "credentials": {}, **_body(invocation)}
    if options.id:
        body["id"] = options.id
    with open_api(invocation) as api:
        account = api.post("/integrated-account", body)
    _show(invocation, account)
    invocation.terminal.note(f"Connected. Mint an MCP URL with: postern server create --account {account['id']}")


def _list(invocation: Invocation) -> None:
    with open_api(invocation) as api:
        accounts = api.all("/integrated-account")
    shown = ("id", "integration", "name", "status", "base_url")
    text = table(shown, [[account[name] for name in shown] for account in accounts])
    invocation.terminal.result(accounts, text if accounts else "no accounts; connect one with: postern account add")


def _get(invocation: Invocation) -> None:
    with open_api(invocation) as api:
        _show(invocation, api.get(path("integrated-account", api.account_id(invocation.options.id))))


def _update(invocation: Invocation) -> None:
    body = _body(invocation)
    if not body:
        raise UsageError("nothing to change; give --name, --credential, --context or --base-url")
    with open_api(invocation) as api:
        _show(invocation, api.patch(path("integrated-account", invocation.options.id), body))


def _remove(invocation: Invocation) -> None:
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
