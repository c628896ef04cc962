"""Reading events."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine import times
from functions.memory_engine.core import Core
from functions.memory_engine.resources.calls import Answer, Call, Refusal, behind, cut, envelope, page_of

TYPES = ("ADD", "UPDATE", "DELETE", "SEARCH", "GET_ALL", "GET", "DELETE_ALL", "DELETE_USER")
STATUSES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED")


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


def list_all(core: Core, call: Call) -> Answer:
    """Newest first. `event_type` and `status` narrow the list."""
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
    after, position = behind(page, "seq")
    with core.database.read() as connection:
        total = connection.execute(f"SELECT count(*) FROM events WHERE {condition}", values).fetchone()[0]  # noqa: S608
        rows = connection.execute(
            f"SELECT * FROM events WHERE {condition} AND {after} ORDER BY seq DESC LIMIT ? OFFSET ?",  # noqa: S608
            [*values, *position, page.size + 1, page.offset],
        ).fetchall()
    shown, last = cut(rows, page, "seq")
    return Answer(envelope(call, page, total, [shape(row) for row in shown], last))


def read(core: Core, call: Call) -> Answer:
    with core.database.read() as connection:
        row = connection.execute("SELECT * FROM events WHERE id = ?", (call.path["event_id"],)).fetchone()
    if row is None:
        raise Refusal(404, {"error": "Event not found or you don't have permission to access it."})
    return Answer({**shape(row), "graph_status": None, "error": row["error"]})
