"""Webhooks: registered as at Mem0, really delivered, tried again, bounded."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions.memory_engine.resources import webhooks
from functions.memory_engine.storage.database import Database
from functions.memory_engine.work import deliveries
from tests.memory_engine.conftest import Bench, bench
from tests.patience import until

PATH = "/api/v1/webhooks/projects/proj_local/"
ALL = ["memory_add", "memory_update", "memory_delete", "memory_categorize", "ingest_job_completed", "ingest_job_failed"]


class Receiver:
    """What was posted, and the statuses to answer with: the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.received: list[Any] = []
        self.statuses = list(statuses) or [200]
        self.url = ""

    def answer(self, body: bytes) -> int:
        self.received.append(json.loads(body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def details(self) -> list[Any]:
        return [item["event_details"] for item in self.received]


@contextmanager
def receiver(*statuses: int) -> Iterator[Receiver]:
    made = Receiver(*statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            status = made.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Location", "http://192.0.2.1/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _register(memory: Bench, url: str, events: list[str] | None = None) -> Any:
    return memory.call("POST", PATH, {"url": url, "name": "hook", "event_types": events or ALL}, 201)


def test_a_webhook_is_registered_listed_changed_and_deleted(memory: Bench) -> None:
    made = _register(memory, "https://example.com/hook", ["memory_add"])
    assert set(made) == {
        *("webhook_id", "name", "url", "event_types", "owner", "is_active", "project", "created_at", "updated_at"),
    }
    assert (made["is_active"], made["project"]) == (True, "proj_local")
    path = f"/api/v1/webhooks/{made['webhook_id']}/"
    assert memory.call("PUT", path, {"event_types": ["memory_delete"]}) == {"message": "Webhook updated successfully"}
    assert [hook["event_types"] for hook in memory.call("GET", PATH)] == [["memory_delete"]]
    assert memory.call("DELETE", path) == {"message": "Webhook deleted successfully"}
    assert memory.call("DELETE", path, status=404) == {"error": "Webhook not found"}
    assert memory.call("PUT", path, {"name": "x"}, 404) == {"error": "Webhook not found"}
    assert memory.call("GET", "/api/v1/webhooks/projects/other/", status=403) == {
        "error": "You don't have access to this project"
    }


def test_what_cannot_be_registered_is_refused_field_by_field(memory: Bench) -> None:
    assert memory.call("POST", PATH, {}, 400) == {
        name: ["This field is required."] for name in ("url", "name", "event_types")
    }
    answer = memory.call("POST", PATH, {"url": "http://10.0.0.1/", "name": "", "event_types": ["x"]}, 400)
    assert answer == {
        "name": ["This field may not be blank."],
        "url": ["Enter a valid URL: https, or http on a loopback address, e.g. http://127.0.0.1:9000/."],
        "event_types": [
            '"x" is not a valid choice; use memory_add, memory_update, memory_delete, memory_categorize, '
            "ingest_job_completed, ingest_job_partially_completed, ingest_job_failed, ingest_job_cancelled."
        ],
    }


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.com/a", True),
        ("http://127.0.0.1:9000/", True),
        ("http://localhost/", True),
        ("http://[::1]:9000/", True),
        ("http://example.com/", False),
        ("http://127.0.0.1.example.com/", False),
        ("http://169.254.169.254/", False),
        ("https://user:secret@example.com/", False),
        ("ftp://example.com/", False),
        ("https://", False),
        ("https://example.com:99999999/", False),
        ("http://[::1", False),
        ("nonsense", False),
    ],
)
def test_webhooks_go_to_https_or_this_machine_only(url: str, allowed: bool) -> None:
    assert webhooks.deliverable(url) is allowed


def test_every_kind_of_change_is_delivered_in_mem0s_shape(memory: Bench) -> None:
    with receiver() as target:
        _register(memory, target.url)
        (memory_id,) = memory.remember("Likes pizza")
        memory.call("PUT", f"/v1/memories/{memory_id}/", {"text": "Likes flights to Rome"})
        memory.call("DELETE", f"/v1/memories/{memory_id}/")
        body = {"messages": [{"role": "user", "content": "Hello?"}], "user_id": "alice"}
        event_id = memory.call("POST", "/v3/memories/add/", body)["event_id"]
        until(lambda: len(target.received) == 6, "six deliveries")
        assert target.details() == [
            {"id": memory_id, "data": {"memory": "Likes pizza"}, "event": "ADD"},
            {"event": "CATEGORIZE", "memory_id": memory_id, "categories": ["food", "user_preferences"]},
            {"id": memory_id, "data": {"memory": "Likes flights to Rome"}, "event": "UPDATE"},
            {"event": "CATEGORIZE", "memory_id": memory_id, "categories": ["travel", "user_preferences"]},
            {"id": memory_id, "data": {"memory": "Likes flights to Rome"}, "event": "DELETE"},
            {"event": "INGEST_JOB_COMPLETED", "event_id": event_id},
        ]


def test_only_what_was_asked_for_is_delivered_and_nothing_when_inactive(memory: Bench) -> None:
    with receiver() as target:
        hook = _register(memory, target.url, ["memory_delete"])
        first, second = memory.remember("One", "Two")
        memory.call("DELETE", f"/v1/memories/{first}/")
        until(lambda: len(target.received) == 1, "the delivery")
        memory.call("PUT", f"/api/v1/webhooks/{hook['webhook_id']}/", {"is_active": False})
        memory.call("DELETE", f"/v1/memories/{second}/")
        with memory.engine.core.database.read() as connection:
            assert connection.execute("SELECT count(*) FROM deliveries").fetchone()[0] == 0
        assert [details["id"] for details in target.details()] == [first]


def test_a_failed_delivery_is_tried_again_and_then_given_up() -> None:
    with receiver(500, 302, 200) as target, bench(webhook_retry_seconds=(0.0, 0.0)) as memory:
        _register(memory, target.url, ["memory_add"])
        memory.remember("One")
        until(lambda: len(target.received) == 3, "three attempts")
        assert len({json.dumps(item) for item in target.received}) == 1
        target.statuses = [500]
        memory.remember("Two")
        until(lambda: len(target.received) == 6, "three more attempts")
        until(lambda: _waiting(memory) == 0, "it is given up")
        assert len(target.received) == 6


def test_a_retry_waits_for_its_time() -> None:
    with receiver(500, 200) as target, bench(webhook_retry_seconds=(60.0,)) as memory:
        _register(memory, target.url, ["memory_add"])
        memory.remember("One")
        until(lambda: _waiting(memory, "attempts = 1") == 1, "the first attempt is noted")
        memory.engine.core.deliveries.give()
        assert len(target.received) == 1
        memory.clock.forward(seconds=60)
        memory.engine.core.deliveries.give()
        until(lambda: len(target.received) == 2, "the second attempt")


def test_deliveries_survive_a_restart(file: Path) -> None:
    with receiver() as target:
        with bench(path=file) as memory:
            memory.engine.stop()
            _register(memory, target.url, ["memory_add"])
            memory.remember("One")
            assert target.received == []
        with bench(path=file):
            until(lambda: len(target.received) == 1, "the delivery")


def test_a_delivery_wakes_its_thread_after_the_commit_and_not_before(memory: Bench) -> None:
    memory.engine.stop()
    signal = memory.engine.core.deliveries
    _register(memory, "http://127.0.0.1:9/", ["memory_add"])
    signal.clear()

    def change(connection: sqlite3.Connection) -> None:
        deliveries.enqueue_memory(memory.engine.core, connection, "memory_add", "id", "text")
        assert not signal.given()

    def fails(connection: sqlite3.Connection) -> None:
        change(connection)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        memory.engine.core.database.write(fails)
    assert not signal.given()
    memory.engine.core.database.write(change)
    assert signal.given()


def test_the_queue_is_bounded(memory: Bench, caplog: pytest.LogCaptureFixture) -> None:
    memory.engine.stop()
    _register(memory, "http://127.0.0.1:9/", ["memory_add"])
    for start in range(0, 1002, 501):
        memory.remember(*[f"Memory {start + n}" for n in range(501)])
    assert _waiting(memory) == deliveries.MAX_QUEUED
    assert "webhook queue is full (1000): a memory_add delivery was dropped" in caplog.text


def _waiting(memory: Bench, where: str = "1") -> int:
    database: Database = memory.engine.core.database
    with database.read() as connection:
        return int(connection.execute(f"SELECT count(*) FROM deliveries WHERE {where}").fetchone()[0])
