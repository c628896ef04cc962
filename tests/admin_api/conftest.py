"""The management API in this process, with a scripted upstream or the memory engine behind it on the loopback."""

from __future__ import annotations

import io
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.api_tokens.root import bootstrap
from functions.admin_api.app import create_app
from functions.gateway.audit import Audit
from functions.gateway.credentials import Credential, token_key
from functions.gateway.grants import Grant, keys_of
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.memory_engine.app import create_app as create_engine
from functions.memory_engine.settings import EngineSettings
from functions.stores.sqlite import SqliteStore
from tests.patience import STUCK_SECONDS, until
from tool_catalog import compiled_file
from tool_catalog.catalog import Catalog

START = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
API_KEY = "m0-live-key-that-must-stay-hidden"


@dataclass
class Clock:
    """The present, moved by hand."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


@dataclass
class Schedules:
    """A scheduler that remembers what it was told."""

    at: dict[str, datetime] = field(default_factory=dict)

    def put(self, server_id: str, account_id: str, at: datetime) -> None:
        self.at[server_id] = at

    def delete(self, server_id: str) -> None:
        self.at.pop(server_id, None)


@dataclass
class Received:
    """One request as the upstream got it."""

    verb: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedUpstream:
    """A loopback HTTP server that answers what it is told, `(status, headers, body)` by verb and path."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = {}
        self.before_answer: Callable[[], None] = lambda: None
        self.valid_keys = {API_KEY}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.received.append(Received(self.command, self.path, headers, body))
                outer.before_answer()
                status, extra, content = outer.answer(self.command, self.path, headers)
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Connection": "close", **extra}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, verb: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        scripted = self.answers.get((verb, path.split("?")[0]))
        if scripted is not None:
            return scripted
        key = headers.get("authorization", "").removeprefix("Token ")
        if key not in self.valid_keys:
            return 401, {}, json.dumps({"detail": f"Invalid token {key}"}).encode()
        if path == "/v1/ping/":
            return 200, {}, b'{"status": "ok", "org_id": "org_1", "project_id": "proj_1"}'
        return 404, {}, b'{"detail": "Not found."}'

    def close(self) -> None:
        """Stop; a second time is harmless."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


@dataclass
class Plane:
    """The management API and what it stands on."""

    client: TestClient
    store: SqliteStore
    clock: Clock
    schedules: Schedules
    lines: io.StringIO
    decision_lines: io.StringIO
    root: str
    folder: Path

    def call(self, verb: str, path: str, body: Json = None, *, token: str | None = None, **more: Any) -> Any:
        """A request with the root API token, or another, or none ("")."""
        token = self.root if token is None else token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= more.pop("headers", {})
        if body is not None:
            more["json"] = body
        return self.client.request(verb, path, headers=headers, **more)

    def ok(self, verb: str, path: str, body: Json = None, **more: Any) -> Json:
        """The body of an answer that must be a success."""
        answer = self.call(verb, path, body, **more)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def refused(self, verb: str, path: str, body: Json = None, *, status: int, **more: Any) -> Json:
        """The body of an error, whose shape is checked."""
        answer = self.call(verb, path, body, **more)
        assert answer.status_code == status, answer.text
        document = answer.json()
        assert document["statusCode"] == status
        assert document["error"]
        assert document["message"]
        assert API_KEY not in answer.text
        assert self.root not in answer.text
        return document

    def behind(self, token: str) -> Grant | None:
        """What the data plane would read for a token, whatever its expiry."""
        item, account = self.store.get(keys_of(token))
        return Grant.from_json(item.body, account.body, item.version) if item is not None and account else None

    def opened(self, token: str) -> Credential:
        """The credential as the data plane would open it."""
        server = self.behind(token)
        assert server is not None
        return server.target(token_key(token)).credential


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path), private_upstreams=True)


@pytest.fixture
def catalogs() -> dict[str, Catalog]:
    return {"mem0": compiled_file.load("mem0")}


@pytest.fixture
def plane(tmp_path: Path, settings: Settings, catalogs: dict[str, Catalog]) -> Iterator[Plane]:
    clock, schedules, lines, decision_lines = Clock(), Schedules(), io.StringIO(), io.StringIO()
    draw = random.Random(7).randbytes
    store = SqliteStore(tmp_path / "postern.sqlite")
    root = bootstrap(store, START, draw)
    assert root is not None
    sender = Sender(settings)
    app = create_app(
        settings,
        store,
        catalogs,
        LocalKeys(tmp_path / "keys" / "account.key", draw),
        sender,
        audit=Audit(settings, store, lines),
        decision_lines=decision_lines,
        scheduler=schedules,
        clock=clock,
        random=draw,
    )
    with TestClient(app, base_url="https://postern.example") as client:
        yield Plane(client, store, clock, schedules, lines, decision_lines, root, tmp_path)
        assert client.portal is not None
        client.portal.call(sender.close)
    store.close()


@pytest.fixture
def account(plane: Plane, upstream: ScriptedUpstream) -> str:
    """Id of an account on the scripted upstream."""
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    account_id: str = plane.ok("POST", "/integrated-account", body)["id"]
    return account_id


@pytest.fixture(scope="session")
def engine_url() -> Iterator[str]:
    """A memory engine on the loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_engine(EngineSettings()), log_level="warning", lifespan="on", ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the memory engine starts")
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(STUCK_SECONDS)
    listener.close()


@pytest.fixture
def engine_account(plane: Plane, engine_url: str) -> str:
    """Id of an account on the memory engine, with a key of the test's own."""
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": engine_url}
    account_id: str = plane.ok("POST", "/integrated-account", body)["id"]
    return account_id
