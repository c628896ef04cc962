"""Clients that people use, against the whole product over HTTP: normal use, a dead URL, a server that ends in mid-use,
a missing API token. `tests/clients/install` installs them; docs/clients.md publishes what each one shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.gateway.json_text import Json
from functions.mcp_endpoint.admission import DEAD
from tests.clients.product import ADD, FILTERS, LIST, NO_API_TOKEN, Product

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NODE = ROOT / ".cache" / "node"
MODULES = NODE / "node_modules"
NODE_PROGRAM = MODULES / "node" / "bin" / "node"
PYTHON_OF_CLIENTS = ROOT / ".cache" / "clients" / "bin" / "python"
PYTHON_OF_TESTS = ROOT / ".venv" / "bin" / "python"

STEP_SECONDS = 60
"""Longest wait for one step; a usual one takes well under a second."""

FORBIDDEN = "the server denied access (HTTP 403)"
"""What the TypeScript client 2 makes of a 403 while it finds out the era; it keeps our words in the error's data."""


@dataclass(frozen=True)
class Client:
    """One client, and the words it shows on a dead URL, on a server that ended, and without an API token."""

    label: str
    library: str
    mode: str
    dead: str
    ended: str
    no_api_token: str


CLIENTS = (
    Client("TypeScript SDK 1.x", "sdk", "", DEAD, DEAD, NO_API_TOKEN),
    Client("TypeScript client 2.4, legacy", "client", "legacy", DEAD, DEAD, NO_API_TOKEN),
    Client("TypeScript client 2.4, auto", "client", "auto", DEAD, DEAD, FORBIDDEN),
    Client(
        "TypeScript client 2.4, 2026-07-28 only",
        "client",
        "2026-07-28",
        "the server did not offer pinned protocol version 2026-07-28",
        DEAD,
        FORBIDDEN,
    ),
    Client("mcp-remote", "mcp-remote", "", DEAD, DEAD, NO_API_TOKEN),
    Client("FastMCP client", "fastmcp", "", DEAD, DEAD, "403 Forbidden"),
    Client("LangChain MCP adapters", "langchain", "", DEAD, DEAD, "403 Forbidden"),
    Client("OpenAI Agents SDK", "openai-agents", "", DEAD, DEAD, "HTTP error 403"),
)

each_client = pytest.mark.parametrize("client", [pytest.param(client, id=client.label) for client in CLIENTS])


class Session:
    """A client in a process of its own, told step by step."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def step(self, step: str, **told: Json) -> Json:
        """The value of a step that must work."""
        answer = self._told({"step": step, **told})
        assert "value" in answer, answer
        return answer["value"]

    def failure(self, step: str, **told: Json) -> str:
        """Everything a person could read about a step that must fail: the client's error, and its program's log."""
        answer = self._told({"step": step, **told})
        assert "error" in answer, answer
        return f"{answer['error']} {self._log.read_text()}"

    def _told(self, message: Json) -> Json:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        impatience = threading.Timer(STEP_SECONDS, self._process.kill)
        impatience.start()
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        impatience.cancel()
        assert line, f"the client gave no answer to {message['step']}: {self._log.read_text()}"
        return json.loads(line)


@contextmanager
def _session(client: Client, folder: Path, url: str, headers: dict[str, str] | None = None) -> Iterator[Session]:
    told: dict[str, Json] = {"library": client.library, "mode": client.mode, "url": url, "headers": headers or {}}
    if client.library in ("sdk", "client"):
        shutil.copy(HERE / "session.mjs", NODE)  # packages are looked for from where the script is
        program = [NODE_PROGRAM, NODE / "session.mjs"]
    else:
        program = [PYTHON_OF_TESTS if client.library == "mcp-remote" else PYTHON_OF_CLIENTS, HERE / "session.py"]
        told["program"] = [str(NODE_PROGRAM), str(MODULES / "mcp-remote" / "dist" / "proxy.js")]
        told["environment"] = {"HOME": str(folder), "MCP_REMOTE_CONFIG_DIR": str(folder)}
    log = folder / "log.txt"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*map(str, program), json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Session(process, log)
        finally:
            process.communicate(timeout=STEP_SECONDS)


@each_client
def test_it_lists_and_calls(product: Product, tmp_path: Path, client: Client) -> None:
    with _session(client, tmp_path, product.mint()) as session:
        session.step("connect")
        listed = session.step("list")
        names = [tool if isinstance(tool, str) else tool["name"] for tool in listed]
        assert LIST in names
        said = {"messages": [{"role": "user", "content": "I prefer tea."}], "user_id": "usr_98765"}
        assert "event_id" in json.loads(_text(session.step("call", name=ADD, arguments=said)))
        found = json.loads(_text(session.step("call", name=LIST, arguments=FILTERS)))
        assert found["result_count"] == len(found["result"])


@each_client
def test_a_wrong_argument_reaches_the_model_in_words_it_can_use(
    product: Product, tmp_path: Path, client: Client
) -> None:
    with _session(client, tmp_path, product.mint()) as session:
        session.step("connect")
        wrong = {**FILTERS, "user_id": "usr_98765"}
        told = json.loads(_text(session.step("call", name=LIST, arguments=wrong)))
        assert 'nest it: {"filters": {"user_id": "usr_98765"}}' in told["message"]


@each_client
def test_it_shows_a_dead_url(product: Product, tmp_path: Path, client: Client) -> None:
    with _session(client, tmp_path, product.dead_url) as session:
        assert client.dead in session.failure("connect")


@each_client
def test_it_shows_that_a_server_ended_in_mid_use(product: Product, tmp_path: Path, client: Client) -> None:
    with _session(client, tmp_path, product.mint(minutes=15)) as session:
        session.step("connect")
        session.step("call", name=LIST, arguments=FILTERS)
        product.clock.move(minutes=15)
        assert client.ended in session.failure("call", name=LIST, arguments=FILTERS)


@each_client
def test_it_shows_that_a_required_api_token_is_missing(product: Product, tmp_path: Path, client: Client) -> None:
    with _session(client, tmp_path, product.mint(require_api_token_auth=True, oauth=False)) as session:
        assert client.no_api_token in session.failure("connect")


@each_client
def test_it_sends_a_required_api_token(product: Product, tmp_path: Path, client: Client) -> None:
    headers = {"Authorization": f"Bearer {product.issue_api_token()}"}
    with _session(client, tmp_path, product.mint(require_api_token_auth=True), headers) as session:
        session.step("connect")
        session.step("call", name=LIST, arguments=FILTERS)


@pytest.mark.parametrize("client", CLIENTS[:4], ids=lambda client: client.label)
def test_it_asks_for_a_dead_url_once_in_each_era_and_for_nothing_else(
    product: Product, tmp_path: Path, client: Client
) -> None:
    """A 404 with a JSON-RPC body: no event stream is tried, no OAuth discovery."""
    with _session(client, tmp_path, product.dead_url) as session:
        session.failure("connect")
        assert session.step("asked") == ["POST mcp"] * (2 if client.mode == "auto" else 1)


def _text(result: Json) -> str:
    return str(result if isinstance(result, str) else result["content"][0]["text"])


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


# What is published.

OURS = {DEAD: "our words", NO_API_TOKEN: "our words"}


@each_client
def test_the_documentation_says_what_is_seen(client: Client) -> None:
    seen = (client.dead, client.ended, client.no_api_token)
    cells = [OURS.get(words, f'"{words}"') for words in seen]
    lines = (ROOT / "docs" / "clients.md").read_text().splitlines()
    assert f"| {client.label} | {' | '.join(cells)} |" in lines
