"""Webhook deliveries: queued inside the write that causes them, sent by a thread of their own.

Each delivery is attempted at least once, in order. Redirects are not followed.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

import httpx

from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.work.background import Background

logger = logging.getLogger(__name__)

MAX_QUEUED = 1_000
"""Deliveries waiting at one time. More are dropped and logged, so that a dead receiver cannot fill the disk."""
TIMEOUT_SECONDS = 10.0
"""Seconds for one attempt."""
IDLE_SECONDS = 60.0
"""Seconds without a signal after which the queue is looked at again."""

_EVENT_NAMES = {"memory_add": "ADD", "memory_update": "UPDATE", "memory_delete": "DELETE"}


# Queueing, inside the write that causes it


def enqueue_memory(core: Core, connection: sqlite3.Connection, event_type: str, memory_id: str, memory: str) -> None:
    details = {"id": memory_id, "data": {"memory": memory}, "event": _EVENT_NAMES[event_type]}
    _enqueue(core, connection, event_type, details)


def enqueue_categories(core: Core, connection: sqlite3.Connection, memory_id: str, names: list[str]) -> None:
    details = {"event": "CATEGORIZE", "memory_id": memory_id, "categories": names}
    _enqueue(core, connection, "memory_categorize", details)


def enqueue_job(core: Core, connection: sqlite3.Connection, event_id: str, succeeded: bool) -> None:
    event_type = "ingest_job_completed" if succeeded else "ingest_job_failed"
    _enqueue(core, connection, event_type, {"event": event_type.upper(), "event_id": event_id})


def _enqueue(core: Core, connection: sqlite3.Connection, event_type: str, details: dict[str, Any]) -> None:
    hooks = connection.execute(
        "SELECT webhook_id FROM webhooks WHERE is_active AND project_id = ?"
        " AND EXISTS (SELECT 1 FROM json_each(event_types) t WHERE t.value = ?)",
        (core.settings.project_id, event_type),
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
            (hook["webhook_id"], encode({"event_details": details}), core.now()),
        )
        waiting += 1
    core.database.after_commit(core.deliveries.give)


# Delivering


class Deliverer(Background):
    """The thread that sends deliveries."""

    def __init__(self, core: Core) -> None:
        super().__init__("memory-engine-webhooks", core.deliveries)
        self._core = core

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as self._client:
            super()._run()

    def _turn(self) -> float:
        try:
            return self._deliver_next()
        except Exception:
            logger.exception("webhook delivery stopped; it continues in %g s", IDLE_SECONDS)
            return IDLE_SECONDS

    def _deliver_next(self) -> float:
        """Send the delivery that is due first. Returns the seconds until the next one is due."""
        core = self._core
        with core.database.read() as connection:
            row = connection.execute(
                "SELECT d.*, w.url FROM deliveries d"
                " LEFT JOIN webhooks w ON w.webhook_id = d.webhook_id AND w.is_active ORDER BY d.due_at, d.seq LIMIT 1"
            ).fetchone()
        if row is None:
            return IDLE_SECONDS
        wait: float = (row["due_at"] - core.now()) / 1_000_000
        if wait > 0:
            return min(wait, IDLE_SECONDS)
        problem = None if row["url"] is None else self._send(row["url"], row["body"])
        retries = core.settings.webhook_retry_seconds
        if problem is None or row["attempts"] >= len(retries):
            if problem is not None:
                attempts = row["attempts"] + 1
                logger.warning("webhook %s: dropped after %d attempts: %s", row["webhook_id"], attempts, problem)
            core.database.write(lambda c: c.execute("DELETE FROM deliveries WHERE seq = ?", (row["seq"],)) and None)
        else:
            due = core.now() + int(retries[row["attempts"]] * 1_000_000)
            core.database.write(
                lambda c: (
                    c.execute(
                        "UPDATE deliveries SET attempts = attempts + 1, due_at = ? WHERE seq = ?", (due, row["seq"])
                    )
                    and None
                )
            )
        return 0.0

    def _send(self, url: str, body: str) -> str | None:
        """Send one delivery once. Returns the problem, or None."""
        try:
            response = self._client.post(url, content=body.encode(), headers={"Content-Type": "application/json"})
        except httpx.HTTPError as problem:
            return type(problem).__name__
        return None if response.is_success else f"status {response.status_code}"
