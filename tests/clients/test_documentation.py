"""docs/clients.md says what the tests of the clients hold them to, with the versions of the lock files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from functions.mcp_endpoint.admission import DEAD
from tests.clients.driving import CLIENTS, HERE, ROOT, Client
from tests.clients.product import NO_API_TOKEN

PAGE = ROOT / "docs" / "clients.md"
BLOCK = re.compile(r"(<!-- clients: [^\n]*-->\n)(.*?)(<!-- /clients -->)", re.DOTALL)
OURS = {DEAD: "our words", NO_API_TOKEN: "our words"}
LISTS_AND_CALLS = ("yes", "yes", "yes")
"""Every client lists and calls, and hands the model the text of an error; one that does not fails its test."""


def _version(room: str, package: str) -> str:
    """The pinned version of a package."""
    if room == "node":
        return str(json.loads((HERE / "package.json").read_text())["dependencies"].get(package, ""))
    lock = (ROOT / "infra" / "requirements" / f"{room}.txt").read_text()
    found = re.search(rf"^{re.escape(package)}==(\S+)", lock, re.MULTILINE)
    assert found is not None, f"{room}.txt does not lock {package}"
    return found[1]


def _row(client: Client) -> str:
    sdk = " ".join(filter(None, [client.sdk, _version(client.room, client.sdk) if client.room != "node" else ""]))
    shown = [OURS.get(words, f'"{words}"') for words in (client.dead, client.ended, client.no_api_token)]
    version = _version(client.room, client.package)
    return f"| {' | '.join([client.label, version, sdk or 'its own', *LISTS_AND_CALLS, *shown])} |"


def _table() -> str:
    head = ("client", "version", "SDK", "list", "call", "error text", "dead URL", "ended in use", "no API token")
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *map(_row, CLIENTS)]) + "\n"


def test_the_page_says_what_is_seen() -> None:
    page = PAGE.read_text()
    written = BLOCK.sub(lambda found: f"{found[1]}{_table()}{found[3]}", page)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(written)
    assert BLOCK.search(page) is not None
    assert PAGE.read_text() == written


def test_every_environment_of_a_client_is_installed() -> None:
    install = Path(HERE / "install").read_text()
    for room in {client.room for client in CLIENTS} - {"node"}:
        assert re.search(rf"^for name in .*\b{room}\b", install, re.MULTILINE), room
