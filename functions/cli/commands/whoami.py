"""`postern whoami`: what the API token in use may do; `postern integrations`: what can be connected."""

from __future__ import annotations

import argparse
from typing import Any

from functions.cli.invocation import Invocation
from functions.cli.management_api import open_api, path
from functions.cli.tables import details, table


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add the commands."""
    one = commands.add_parser("whoami", parents=[remote], help="show the API token in use and what it may do")
    one.set_defaults(run=_whoami)
    one = commands.add_parser(
        "integrations", parents=[remote], help="list the integrations, or show the fields that connect one"
    )
    one.add_argument("name", nargs="?", metavar="INTEGRATION")
    one.set_defaults(run=_integrations)


def _whoami(invocation: Invocation) -> None:
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
    invocation.terminal.result(me, details(list(shown.items())))


def _integrations(invocation: Invocation) -> None:
    name = invocation.options.name
    with open_api(invocation) as api:
        if name is None:
            found = api.get("/integration")["result"]
            columns = ("name", "label", "tool_count", "base_url")
            text = table(columns, [[entry[column] for column in columns] for entry in found])
            invocation.terminal.result(found, text)
            return
        one = api.get(path("integration", name))
    fields = [
        [option, field["name"], field["description"]]
        for option, listed in (("--credential", one["credentials"]), ("--context", one["context"]))
        for field in listed
    ]
    about = details([(name, one[name]) for name in ("name", "label", "base_url", "methods", "tags", "pinnable")])
    invocation.terminal.result(one, f"{about}\n\n{table(('option', 'field', 'description'), fields)}")
