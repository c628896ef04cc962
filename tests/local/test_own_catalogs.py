"""`postern serve` with catalogues of your own: served, and served again when a record changes."""

from __future__ import annotations

import queue
import shutil
from pathlib import Path

import httpx
import pytest

from functions import local
from functions.gateway.settings import Settings
from functions.local import LocalError, Ready
from tests.patience import STUCK_SECONDS
from tests.tool_catalog.conftest import BASE


def listed(url: str) -> list[str]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = httpx.post(url, json=body, timeout=STUCK_SECONDS, trust_env=False, verify=False)
    return [tool["description"] for tool in answer.json()["result"]["tools"]]


def minted(ready: Ready, integration: str) -> str:
    """The URL of a server for a new account of the integration."""
    with httpx.Client(
        base_url=ready.base_url,
        headers={"Authorization": f"Bearer {ready.api_token}"},
        timeout=STUCK_SECONDS,
        trust_env=False,
        verify=False,
    ) as api:
        body = {"integration": integration, "credentials": {"api_key": "k"}, "base_url": ready.memory_url}
        account = api.post("/integrated-account", json=body)
        assert account.status_code == 201, account.text
        server = api.post(f"/integrated-account/{account.json()['id']}/mcp", json={"name": "s"})
        assert server.status_code == 201, server.text
        return str(server.json()["url"])


def test_a_changed_record_is_served_without_a_restart_and_a_broken_one_is_not(tmp_path: Path) -> None:
    records = tmp_path / "own" / "records" / "library"
    shutil.copytree(BASE, records)
    books = records / "books.yaml"
    text = books.read_text()
    integration = records / "integration.yaml"
    probe = "probe:\n  request: GET /me\n  context: {branch: branch.id}\n"
    assert probe in integration.read_text()
    integration.write_text(integration.read_text().replace(probe, ""))
    lines: queue.Queue[str] = queue.Queue()
    settings = Settings(state_dir=str(tmp_path / "state"), catalogs=str(tmp_path / "own"))
    with local.start(settings, {}, tell=lines.put) as ready:
        assert lines.get(timeout=STUCK_SECONDS) == f"library: served from {tmp_path / 'own'}, 1 tool"
        url = minted(ready, "library")
        assert listed(url)[0].startswith("Pages through the books of a branch.")
        books.write_text(text.replace("Pages through the books", "Turns over the books"))
        assert lines.get(timeout=STUCK_SECONDS) == "library: reloaded, 1 tool"
        assert listed(url)[0].startswith("Turns over the books of a branch.")
        books.write_text(text.replace("title: List books", "titel: List books"))
        assert "books.yaml:5: methods.list.titel: unknown key" in lines.get(timeout=STUCK_SECONDS)
        assert listed(url)[0].startswith("Turns over the books of a branch.")


def test_a_folder_that_does_not_exist_stops_the_start_with_one_line(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "state"), catalogs=str(tmp_path / "nothing"))
    told = r"^POSTERN_CATALOGS: there is no folder .*nothing; make it with: "
    with pytest.raises(LocalError, match=told), local.start(settings, {}):
        pass
