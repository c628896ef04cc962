"""A fresh engine for each test, in this process, and one behind a real loopback server."""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from functions.memory_engine.app import create_app
from functions.memory_engine.engine import Engine
from functions.memory_engine.settings import EngineSettings
from tests.patience import STUCK_SECONDS, until

# Read by the mem0 package when it is imported.
_mem0_folder = tempfile.TemporaryDirectory(prefix="mem0-")
atexit.register(_mem0_folder.cleanup)
os.environ["MEM0_TELEMETRY"] = "False"
os.environ.setdefault("MEM0_DIR", _mem0_folder.name)

KEY = "m0-test-key"


@dataclass
class Clock:
    """The present, as tests set it."""

    moment: datetime = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class Bench:
    """One engine with a client that has a key."""

    app: Starlette
    client: TestClient
    clock: Clock

    @property
    def engine(self) -> Engine:
        engine: Engine = self.app.state.engine
        return engine

    def call(self, method: str, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        """The decoded answer to a request that must have the status."""
        answer = self.client.request(method, path, json=body, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def remember(self, *texts: str, **options: Any) -> list[str]:
        """Store texts verbatim; their ids."""
        body = {"messages": [{"role": "user", "content": text} for text in texts], "infer": False, **options}
        if not {"user_id", "agent_id", "app_id", "run_id"} & set(options):
            body["user_id"] = "alice"
        return [item["id"] for item in self.call("POST", "/v3/memories/add/", body)["results"]]

    def event(self, event_id: str) -> Any:
        """The event, once it has ended."""

        def ended() -> Any:
            event = self.call("GET", f"/v1/event/{event_id}/")
            return event if event["status"] in ("SUCCEEDED", "FAILED") else None

        return until(ended, f"event {event_id} ends")

    def add(self, text: str, **options: Any) -> str:
        """Queue one message of the user; the event's id."""
        body = {"messages": [{"role": "user", "content": text}], **options}
        event_id: str = self.call("POST", "/v3/memories/add/", body)["event_id"]
        return event_id

    def infer(self, *messages: tuple[str, str], **options: Any) -> list[str]:
        """Add a conversation of (role, text) and wait; the texts that were remembered."""
        body = {"messages": [{"role": role, "content": text} for role, text in messages], **options}
        event = self.event(self.call("POST", "/v3/memories/add/", body)["event_id"])
        assert event["status"] == "SUCCEEDED", event
        return [item["data"]["memory"] for item in event["results"]]

    def search(self, query: str, filters: Any = None, **options: Any) -> list[Any]:
        body = {"query": query, "filters": filters or {"user_id": "alice"}, **options}
        found: list[Any] = self.call("POST", "/v3/memories/search/", body)["results"]
        return found

    def texts(self, filters: Any = None, **options: Any) -> list[str]:
        """The memories of a list, in its order."""
        listed = self.call("POST", "/v3/memories/", {"filters": filters or {"user_id": "alice"}, **options})
        return [item["memory"] for item in listed["results"]]


@dataclass
class Counter:
    """Ids that repeat from run to run."""

    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, length: int) -> bytes:
        with self.lock:
            self.count += 1
            return self.count.to_bytes(length, "big")


@contextlib.contextmanager
def bench(clock: Clock | None = None, **options: Any) -> Iterator[Bench]:
    clock = clock or Clock()
    app = create_app(EngineSettings(**{"api_keys": (KEY,), "clock": clock, "random_bytes": Counter(), **options}))
    with TestClient(app, headers={"Authorization": f"Token {KEY}"}) as client:
        yield Bench(app, client, clock)


@pytest.fixture(name="memory")
def _memory() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The app behind uvicorn on a free loopback port; its URL."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started and server.servers, "the server starts")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STUCK_SECONDS)
