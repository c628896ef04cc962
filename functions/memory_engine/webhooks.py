"""Webhooks: kept in the file with what they still have to deliver, sent by a thread of their own.

Delivery is at least once, in order per engine, without following redirects, to https or loopback addresses only.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from . import times
from .background import Background
from .calls import Answer, Call, Refusal, encode

if TYPE_CHECKING:
    from .engine import Engine

logger = logging.getLogger(__name__)

EVENT_TYPES = (
    *("memory_add", "memory_update", "memory_delete", "memory_categorize"),
    *("ingest_job_completed", "ingest_job_partially_completed", "ingest_job_failed", "ingest_job_cancelled"),
)
MAX_QUEUED = 1_000
"""Deliveries waiting at one time; what comes beyond is dropped and logged, so that a dead receiver costs no disk."""
TIMEOUT_SECONDS = 10.0
IDLE_SECONDS = 60.0

_EVENT_NAMES = {"memory_add": "ADD", "memory_update": "UPDATE", "memory_delete": "DELETE"}


# Queueing, inside the write that causes it


def enqueue_memory(
    engine: Engine, connection: sqlite3.Connection, event_type: str, memory_id: str, memory: str
) -> None:
    details = {"id": memory_id, "data": {"memory": memory}, "event": _EVENT_NAMES[event_type]}
    _enqueue(engine, connection, event_type, details)


def enqueue_categories(engine: Engine, connection: sqlite3.Connection, memory_id: str, names: list[str]) -> None:
    details = {"event": "CATEGORIZE", "memory_id": memory_id, "categories": names}
    _enqueue(engine, connection, "memory_categorize", details)


def enqueue_job(engine: Engine, connection: sqlite3.Connection, event_id: str, succeeded: bool) -> None:
    event_type = "ingest_job_completed" if succeeded else "ingest_job_failed"
    _enqueue(engine, connection, event_type, {"event": event_type.upper(), "event_id": event_id})


def _enqueue(engine: Engine, connection: sqlite3.Connection, event_type: str, details: dict[str, Any]) -> None:
    hooks = connection.execute(
        "SELECT webhook_id FROM webhooks WHERE is_active AND project_id = ?"
        " AND EXISTS (SELECT 1 FROM json_each(event_types) t WHERE t.value = ?)",
        (engine.settings.project_id, event_type),
    ).fetchall()
    if not hooks:
        return
    waiting = connection.execute("SELECT count(*) FROM deliveries").fetchone()[0]
    for hook in hooks:
        if waiting >= MAX_QUEUED:
            logger.warning("webhook queue is full (%d): a %s delivery was dropped", MAX_QUEUED, event_type)
            return
        connection.execute(
            "INSERT INTO deliveries (webhook_id, body, due_at) VALUES (?, ?, ?)",
            (hook["webhook_id"], encode({"event_details": details}), engine.now()),
        )
        waiting += 1
    engine.deliverer.wake()


# Delivering


class Deliverer(Background):
    """The thread that sends."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("memory-engine-webhooks")
        self._engine = engine

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as self._client:
            super()._run()

    def _turn(self) -> float:
        try:
            return self._deliver_next()
        except Exception:
            logger.exception("webhook delivery stopped; it goes on in %g s", IDLE_SECONDS)
            return IDLE_SECONDS

    def _deliver_next(self) -> float:
        """Send what is due first. Returns the seconds until the next is due."""
        engine = self._engine
        with engine.database.read() as connection:
            row = connection.execute(
                "SELECT d.*, w.url FROM deliveries d"
                " LEFT JOIN webhooks w ON w.webhook_id = d.webhook_id AND w.is_active ORDER BY d.due_at, d.seq LIMIT 1"
            ).fetchone()
        if row is None:
            return IDLE_SECONDS
        wait: float = (row["due_at"] - engine.now()) / 1_000_000
        if wait > 0:
            return min(wait, IDLE_SECONDS)
        problem = None if row["url"] is None else self._send(row["url"], row["body"])
        retries = engine.settings.webhook_retry_seconds
        if problem is None or row["attempts"] >= len(retries):
            if problem is not None:
                tries = row["attempts"] + 1
                logger.warning("webhook %s: given up after %d attempts: %s", row["webhook_id"], tries, problem)
            engine.database.write(lambda c: c.execute("DELETE FROM deliveries WHERE seq = ?", (row["seq"],)) and None)
        else:
            due = engine.now() + int(retries[row["attempts"]] * 1_000_000)
            engine.database.write(
                lambda c: (
                    c.execute(
                        "UPDATE deliveries SET attempts = attempts + 1, due_at = ? WHERE seq = ?", (due, row["seq"])
                    )
                    and None
                )
            )
        return 0.0

    def _send(self, url: str, body: str) -> str | None:
        """Deliver once. Returns what went wrong, or None."""
        try:
            response = self._client.post(url, content=body.encode(), headers={"Content-Type": "application/json"})
        except httpx.HTTPError as problem:
            return type(problem).__name__
        return None if response.is_success else f"status {response.status_code}"


# Operations


def list_all(engine: Engine, call: Call) -> Answer:
    _own_project(engine, call)
    with engine.database.read() as connection:
        rows = connection.execute(
            "SELECT * FROM webhooks WHERE project_id = ? ORDER BY seq", (call.path["project_id"],)
        ).fetchall()
    return Answer([_shape(engine, row) for row in rows])


def create(engine: Engine, call: Call) -> Answer:
    _own_project(engine, call)
    body = call.fields()
    problems: dict[str, list[str]] = {
        name: ["This field is required."] for name in ("url", "name", "event_types") if name not in body
    }
    problems.update(_problems(body))
    if problems:
        raise Refusal(400, problems)

    def change(connection: sqlite3.Connection) -> sqlite3.Row:
        now, webhook_id = engine.now(), f"wh_{engine.new_id()}"
        connection.execute(
            "INSERT INTO webhooks (webhook_id, project_id, name, url, event_types, is_active, created_at, updated_at)"
            " VALUES (?,?,?,?,?,?,?,?)",
            (
                *(webhook_id, call.path["project_id"], body["name"], body["url"], encode(body["event_types"])),
                *(int(body.get("is_active", True)), now, now),
            ),
        )
        row: sqlite3.Row = connection.execute("SELECT * FROM webhooks WHERE webhook_id = ?", (webhook_id,)).fetchone()
        return row

    return Answer(_shape(engine, engine.database.write(change)), 201)


def update(engine: Engine, call: Call) -> Answer:
    body = call.fields()
    problems = _problems(body)
    if problems:
        raise Refusal(400, problems)

    def change(connection: sqlite3.Connection) -> None:
        row = _existing(connection, call)
        connection.execute(
            "UPDATE webhooks SET name = ?, url = ?, event_types = ?, is_active = ?, updated_at = ? WHERE seq = ?",
            (
                *(body.get("name", row["name"]), body.get("url", row["url"])),
                encode(body["event_types"]) if "event_types" in body else row["event_types"],
                *(int(body.get("is_active", row["is_active"])), engine.now(), row["seq"]),
            ),
        )

    engine.database.write(change)
    return Answer({"message": "Webhook updated successfully"})


def delete(engine: Engine, call: Call) -> Answer:
    def change(connection: sqlite3.Connection) -> None:
        row = _existing(connection, call)
        connection.execute("DELETE FROM webhooks WHERE seq = ?", (row["seq"],))
        connection.execute("DELETE FROM deliveries WHERE webhook_id = ?", (row["webhook_id"],))

    engine.database.write(change)
    return Answer({"message": "Webhook deleted successfully"})


def _existing(connection: sqlite3.Connection, call: Call) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM webhooks WHERE webhook_id = ?", (call.path["webhook_id"],)
    ).fetchone()
    if row is None:
        raise Refusal(404, {"error": "Webhook not found"})
    return row


def _own_project(engine: Engine, call: Call) -> None:
    with engine.database.read() as connection:
        found = connection.execute("SELECT 1 FROM projects WHERE project_id = ?", (call.path["project_id"],)).fetchone()
    if found is None:
        raise Refusal(403, {"error": "You don't have access to this project"})


def _problems(body: dict[str, Any]) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = {}
    for name in ("name", "url"):
        if name in body and not isinstance(body[name], str):
            problems[name] = ["Not a valid string."]
        elif name in body and not body[name].strip():
            problems[name] = ["This field may not be blank."]
    if "url" in body and "url" not in problems and not deliverable(body["url"]):
        problems["url"] = ["Enter a valid URL: https, or http on a loopback address such as http://127.0.0.1:9000/."]
    if "event_types" in body:
        wanted = body["event_types"]
        if not isinstance(wanted, list) or not wanted:
            problems["event_types"] = ["Expected a non-empty list of event types."]
        else:
            unknown = [name for name in wanted if name not in EVENT_TYPES]
            if unknown:
                problems["event_types"] = [
                    f'"{str(name)[:60]}" is not a valid choice; use {", ".join(EVENT_TYPES)}.' for name in unknown[:10]
                ]
    if "is_active" in body and not isinstance(body["is_active"], bool):
        problems["is_active"] = ["Must be a valid boolean."]
    return problems


def deliverable(url: str) -> bool:
    """Whether a webhook may go there: https anywhere, http to this machine only."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return False
    if not host or parts.username or parts.password:
        return False
    if parts.scheme == "https":
        return True
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shape(engine: Engine, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "webhook_id": row["webhook_id"],
        "name": row["name"],
        "url": row["url"],
        "event_types": json.loads(row["event_types"]),
        "owner": engine.settings.user_email,
        "is_active": bool(row["is_active"]),
        "project": row["project_id"],
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
    }
