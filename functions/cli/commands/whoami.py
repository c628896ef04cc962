"""`postern whoami`: what the API token in use may do; `postern integrations`: what can be connected."""

from __future__ import annotations

from dataclasses import dataclass

from functions.cli import completers
from functions.cli.command import Remote, argument, declaration
from functions.cli.invocation import Invocation
from functions.cli.management_api import open_api, path
from functions.cli.tables import Details, Table

WHOAMI = declaration("whoami")
INTEGRATIONS = declaration("integrations")


@dataclass(frozen=True, kw_only=True)
class Integrations(Remote):
    """The words of `integrations`."""

    name: str | None = argument("INTEGRATION", optional=True, completer=completers.integrations)


@WHOAMI.alone(Remote)
def _whoami(invocation: Invocation[Remote]) -> None:
    with open_api(invocation) as api:
        me = api.get("/me")
    shown = {
        "id": me["id"],
        "name": me["name"],
        "scopes": ", ".join(me["scopes"]),
        "accounts": ", ".join(me["account_ids"]) or "all",
        "expires_at": me["expires_at"] or "never",
        "operations": ", ".join(me["operations"]),
    }
    invocation.terminal.result(me, Details(list(shown.items())))


@INTEGRATIONS.alone(Integrations)
def _integrations(invocation: Invocation[Integrations]) -> None:
    name = invocation.options.name
    with open_api(invocation) as api:
        if name is None:
            found = api.get("/integration")["result"]
            columns = ("name", "label", "tool_count", "base_url")
            text = Table(columns, [[entry[column] for column in columns] for entry in found])
            invocation.terminal.result(found, text)
            return
        one = api.get(path("integration", name))
    fields = [
        [option, field["name"], field["description"]]
        for option, listed in (("--credential", one["credentials"]), ("--context", one["context"]))
        for field in listed
    ]
    about = Details([(name, one[name]) for name in ("name", "label", "base_url", "methods", "tags", "pinnable")])
    invocation.terminal.result(one, about, "", Table(("option", "field", "description"), fields))
