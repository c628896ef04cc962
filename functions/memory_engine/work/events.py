"""Events: what was requested, how far it is, and what it stored. The unfinished events are the engine's work queue."""

from __future__ import annotations

import sqlite3
from typing import Any

from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode

KEPT_SEARCHES = 10_000
"""SEARCH events kept. Older ones are deleted, so that reading does not grow the file for ever; the count in the stats
stays."""
PRUNED_EVERY = 100
"""Searches between two deletions of old SEARCH events."""


def create(
    core: Core,
    connection: sqlite3.Connection,
    event_type: str,
    payload: dict[str, Any],
    *,
    event_id: str | None = None,
    status: str = "PENDING",
    results: list[Any] | None = None,
    metadata: dict[str, Any] | None = None,
    started_at: int | None = None,
) -> str:
    """Store an event. A PENDING one wakes the worker as soon as the write is durable."""
    event_id, now = event_id or core.new_id(), core.now()
    done = now if status in ("SUCCEEDED", "FAILED") else None
    connection.execute(
        "INSERT INTO events (id, event_type, status, payload, metadata, results, created_at, updated_at,"
        " started_at, completed_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            *(event_id, event_type, status, encode(payload), None if metadata is None else encode(metadata)),
            *(encode(results or []), started_at or now, now, started_at or (now if done else None), done),
        ),
    )
    count(connection, event_type)
    if done is None:
        core.database.after_commit(core.work.give)
    return event_id


def exists(connection: sqlite3.Connection, event_id: str) -> bool:
    return connection.execute("SELECT 1 FROM events WHERE id = ?", (event_id,)).fetchone() is not None


def finish(
    core: Core,
    connection: sqlite3.Connection,
    event_id: str,
    results: list[Any],
    error: str | None = None,
    *,
    metadata: dict[str, Any] | None = None,
) -> None:
    """End an event: FAILED with an error, otherwise SUCCEEDED. Without `metadata` the event keeps its own."""
    now = core.now()
    connection.execute(
        "UPDATE events SET status = ?, results = ?, error = ?, metadata = coalesce(?, metadata), updated_at = ?,"
        " completed_at = ? WHERE id = ?",
        (
            *("FAILED" if error else "SUCCEEDED", encode(results), error),
            *(None if metadata is None else encode(metadata), now, now, event_id),
        ),
    )


def count(connection: sqlite3.Connection, name: str) -> None:
    """Add one to a counter of the stats."""
    connection.execute("INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1", (name,))


def add_search(core: Core, payload: dict[str, Any], results: list[dict[str, Any]], started_at: int) -> None:
    """Store a search with the ids and scores it found. The search does not wait for the disk."""
    found = [{"id": item["id"], "score": item.get("score")} for item in results]

    def change(connection: sqlite3.Connection) -> None:
        create(core, connection, "SEARCH", payload, status="SUCCEEDED", results=found, started_at=started_at)
        made = connection.execute("SELECT value FROM counters WHERE name = 'SEARCH'").fetchone()[0]
        if made % PRUNED_EVERY:
            return
        connection.execute(
            "DELETE FROM events WHERE event_type = 'SEARCH' AND seq <="
            " (SELECT seq FROM events WHERE event_type = 'SEARCH' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (KEPT_SEARCHES,),
        )

    core.database.write_later(change)
