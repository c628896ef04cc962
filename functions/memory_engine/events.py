"""Events: what was asked for, how far it is, what came of it. Unfinished ones are the engine's queue of work."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from . import times
from .calls import Answer, Call, Refusal, encode, envelope, page_of

if TYPE_CHECKING:
    from .engine import Engine

TYPES = ("ADD", "UPDATE", "DELETE", "SEARCH", "GET_ALL", "GET", "DELETE_ALL", "DELETE_USER")
STATUSES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED")
KEPT_SEARCHES = 10_000
"""SEARCH events kept; older ones go, so that reading does not grow the file for ever. The count in stats stays."""

PRUNED_EVERY = 100


def create(
    engine: Engine,
    connection: sqlite3.Connection,
    event_type: str,
    payload: dict[str, Any],
    *,
    event_id: str | None = None,
    status: str = "PENDING",
    results: list[Any] | None = None,
    started_at: int | None = None,
) -> str:
    """Record an event. One that is PENDING is worked on as soon as the write is durable and `engine.wake()` called."""
    event_id, now = event_id or engine.new_id(), engine.now()
    done = now if status in ("SUCCEEDED", "FAILED") else None
    connection.execute(
        "INSERT INTO events (id, event_type, status, payload, results, created_at, updated_at, started_at,"
        " completed_at) VALUES (?,?,?,?,?,?,?,?,?)",
        (
            *(event_id, event_type, status, encode(payload), encode(results or []), started_at or now, now),
            *(started_at or (now if done else None), done),
        ),
    )
    count(connection, event_type)
    return event_id


def delete_later(engine: Engine, event_type: str, payload: dict[str, Any]) -> str:
    """Record a deletion of what is there now, durably, and let the worker do it. Returns the event's id.

    payload: {"entity_type", "entity_id"}, or the filters of delete-all: entity ids ("*" is any) and "metadata".
    """

    def change(connection: sqlite3.Connection) -> str:
        event_id = create(engine, connection, event_type, payload)
        last = connection.execute("SELECT coalesce(max(row), 0) FROM memories").fetchone()[0]
        connection.execute("UPDATE events SET metadata = ? WHERE id = ?", (encode({"last_row": last}), event_id))
        return event_id

    event_id = engine.database.write(change)
    engine.wake()
    return event_id


def finish(
    engine: Engine, connection: sqlite3.Connection, event_id: str, results: list[Any], error: str | None = None
) -> None:
    """The event ended: FAILED with an error, else SUCCEEDED."""
    now = engine.now()
    connection.execute(
        "UPDATE events SET status = ?, results = ?, error = ?, updated_at = ?, completed_at = ? WHERE id = ?",
        ("FAILED" if error else "SUCCEEDED", encode(results), error, now, now, event_id),
    )


def count(connection: sqlite3.Connection, name: str) -> None:
    """Add one to a counter of the stats."""
    connection.execute("INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1", (name,))


def note_search(engine: Engine, payload: dict[str, Any], results: list[dict[str, Any]], started_at: int) -> None:
    """Record a search, ids and scores only, without making it wait for the disk."""
    found = [{"id": item["id"], "score": item.get("score")} for item in results]

    def change(connection: sqlite3.Connection) -> None:
        create(engine, connection, "SEARCH", payload, status="SUCCEEDED", results=found, started_at=started_at)
        made = connection.execute("SELECT value FROM counters WHERE name = 'SEARCH'").fetchone()[0]
        if made % PRUNED_EVERY:
            return
        connection.execute(
            "DELETE FROM events WHERE event_type = 'SEARCH' AND seq <="
            " (SELECT seq FROM events WHERE event_type = 'SEARCH' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (KEPT_SEARCHES,),
        )

    engine.database.write_later(change)


def shape(row: sqlite3.Row) -> dict[str, Any]:
    started, completed = row["started_at"], row["completed_at"]
    return {
        "id": row["id"],
        "event_type": row["event_type"],
        "status": row["status"],
        "payload": json.loads(row["payload"]),
        "metadata": json.loads(row["metadata"]) if row["metadata"] else None,
        "results": json.loads(row["results"]),
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
        "started_at": times.iso(started),
        "completed_at": times.iso(completed),
        "latency": (completed - started) / 1000 if completed is not None and started is not None else None,
    }


def list_all(engine: Engine, call: Call) -> Answer:
    """Newest first; `event_type` and `status` narrow it."""
    page = page_of(call)
    where, values = ["1"], []
    for name, allowed in (("event_type", TYPES), ("status", STATUSES)):
        wanted = call.first(name)
        if wanted is None:
            continue
        if wanted not in allowed:
            raise Refusal(400, {name: [f'"{wanted[:40]}" is not a valid choice; use one of {", ".join(allowed)}.']})
        where.append(f"{name} = ?")
        values.append(wanted)
    condition = " AND ".join(where)
    with engine.database.read() as connection:
        total = connection.execute(f"SELECT count(*) FROM events WHERE {condition}", values).fetchone()[0]  # noqa: S608
        rows = connection.execute(
            f"SELECT * FROM events WHERE {condition} ORDER BY seq DESC LIMIT ? OFFSET ?",  # noqa: S608
            [*values, page.size, page.offset],
        ).fetchall()
    return Answer(envelope(call, page, total, [shape(row) for row in rows]))


def read(engine: Engine, call: Call) -> Answer:
    with engine.database.read() as connection:
        row = connection.execute("SELECT * FROM events WHERE id = ?", (call.path["event_id"],)).fetchone()
    if row is None:
        raise Refusal(404, {"error": "Event not found or you don't have permission to access it."})
    return Answer({**shape(row), "graph_status": None, "error": row["error"]})
