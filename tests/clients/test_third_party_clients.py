"""Clients that people use, against the whole product over HTTP: normal use, an error, a dead URL, a server that ends in
mid-use, a missing API token."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from functions.mcp_endpoint.admission import DEAD
from tests.clients.driving import CACHE, CLIENTS, FORBIDDEN, STEP_SECONDS, Client, session, text
from tests.clients.product import ADD, FILTERS, LIST, NO_API_TOKEN, Product

pytestmark = pytest.mark.clients

MODULES = CACHE / "node" / "node_modules"
NODE_PROGRAM = MODULES / "node" / "bin" / "node"

each_client = pytest.mark.parametrize("client", [pytest.param(client, id=client.label) for client in CLIENTS])


@each_client
def test_it_lists_and_calls(product: Product, tmp_path: Path, client: Client) -> None:
    with session(client, tmp_path, product.mint()) as driven:
        driven.step("connect")
        listed = driven.step("list")
        names = [tool if isinstance(tool, str) else tool["name"] for tool in listed]
        assert LIST in names
        said = {"messages": [{"role": "user", "content": "I prefer tea."}], "user_id": "usr_98765"}
        assert "event_id" in json.loads(text(driven.step("call", name=ADD, arguments=said)))
        found = json.loads(text(driven.step("call", name=LIST, arguments=FILTERS)))
        assert found["result_count"] == len(found["result"])


@each_client
def test_a_wrong_argument_reaches_the_model_in_words_it_can_use(
    product: Product, tmp_path: Path, client: Client
) -> None:
    with session(client, tmp_path, product.mint()) as driven:
        driven.step("connect")
        shown = driven.failure("call", name=LIST, arguments={**FILTERS, "user_id": "usr_98765"}).replace("\\", "")
        assert 'nest it: {"filters": {"user_id": "usr_98765"}}' in shown


@each_client
def test_it_shows_a_dead_url(product: Product, tmp_path: Path, client: Client) -> None:
    with session(client, tmp_path, product.dead_url) as driven:
        assert client.dead in driven.failure("connect")


@each_client
def test_it_shows_that_a_server_ended_in_mid_use(product: Product, tmp_path: Path, client: Client) -> None:
    with session(client, tmp_path, product.mint(minutes=15)) as driven:
        driven.step("connect")
        driven.step("call", name=LIST, arguments=FILTERS)
        product.clock.move(minutes=15)
        assert client.ended in driven.failure("call", name=LIST, arguments=FILTERS)


@each_client
def test_it_shows_that_a_required_api_token_is_missing(product: Product, tmp_path: Path, client: Client) -> None:
    with session(client, tmp_path, product.mint(require_api_token_auth=True, oauth=False)) as driven:
        assert client.no_api_token in driven.failure("connect")


@each_client
def test_it_sends_a_required_api_token(product: Product, tmp_path: Path, client: Client) -> None:
    headers = {"Authorization": f"Bearer {product.issue_api_token()}"}
    with session(client, tmp_path, product.mint(require_api_token_auth=True), headers) as driven:
        driven.step("connect")
        driven.step("call", name=LIST, arguments=FILTERS)


@pytest.mark.parametrize("client", CLIENTS[:4], ids=lambda client: client.label)
def test_it_asks_for_a_dead_url_once_in_each_era_and_for_nothing_else(
    product: Product, tmp_path: Path, client: Client
) -> None:
    """A 404 with a JSON-RPC body: no event stream is tried, no OAuth discovery."""
    with session(client, tmp_path, product.dead_url) as driven:
        driven.failure("connect")
        assert driven.step("asked") == ["POST mcp"] * (2 if client.mode == "auto" else 1)


# The inspector's command line.

ERAS = ("legacy", "auto", "modern")


def _inspector(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
    return subprocess.run(
        [NODE_PROGRAM, launcher, "--cli", url, "--transport", "http", "--format", "json", *arguments],
        env={**os.environ, "HOME": str(folder), "PATH": f"{NODE_PROGRAM.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_finds_every_schema_portable_enough(product: Product, tmp_path: Path, era: str) -> None:
    """`--strict` is a lint of schema portability; it exits with 6 on errors."""
    run = _inspector(tmp_path, product.mint(), "--method", "tools/list", "--protocol-era", era, "--strict", "-q")
    assert run.returncode == 0, run.stderr[-2000:]
    assert LIST in [tool["name"] for tool in json.loads(run.stdout)["result"]["tools"]]


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_calls(product: Product, tmp_path: Path, era: str) -> None:
    call = ("--method", "tools/call", "--tool-name", LIST, "--tool-args-json", json.dumps(FILTERS))
    run = _inspector(tmp_path, product.mint(), *call, "--protocol-era", era)
    assert run.returncode == 0, run.stderr[-2000:]
    assert json.loads(run.stdout)["result"]["isError"] is False


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_finds_the_pages_when_it_says_that_it_shows_them(
    product: Product, tmp_path: Path, era: str
) -> None:
    listing = ("--method", "tools/list", "--app-info", "--protocol-era", era, "-q")
    plain = _inspector(tmp_path, product.mint(), *listing)
    shown = _inspector(tmp_path, product.mint(), *listing, "--advertise-apps")
    assert (plain.returncode, shown.returncode) == (0, 0), plain.stderr + shown.stderr
    assert "ui://" not in plain.stdout
    found = [json.loads(line) for line in shown.stdout.splitlines() if "ui://" in line]
    assert [app["resourceUri"] for app in found] == [f"ui://mem0/{app['toolName']}" for app in found]
    assert len(found) == 4
    assert {app["resourceMimeType"] for app in found} == {"text/html;profile=mcp-app"}
    assert [hosts for app in found for hosts in app["csp"].values()] == [[]] * 16


@pytest.mark.parametrize(
    ("era", "words"), [("legacy", DEAD), ("auto", DEAD), ("modern", "the server did not offer pinned protocol version")]
)
def test_the_inspector_shows_a_dead_url(product: Product, tmp_path: Path, era: str, words: str) -> None:
    run = _inspector(tmp_path, product.dead_url, "--method", "tools/list", "--protocol-era", era)
    assert run.returncode == 1
    assert words in run.stderr


@pytest.mark.parametrize(("era", "words"), [("legacy", NO_API_TOKEN), ("auto", FORBIDDEN), ("modern", FORBIDDEN)])
def test_the_inspector_shows_that_a_required_api_token_is_missing(
    product: Product, tmp_path: Path, era: str, words: str
) -> None:
    url = product.mint(require_api_token_auth=True, oauth=False)
    run = _inspector(tmp_path, url, "--method", "tools/list", "--protocol-era", era)
    assert run.returncode == 3
    assert words in run.stderr
    header = ("--header", f"Authorization: Bearer {product.issue_api_token()}")
    assert _inspector(tmp_path, url, "--method", "tools/list", "--protocol-era", era, *header).returncode == 0
