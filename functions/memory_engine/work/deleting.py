"""Deleting many memories in the background: queued durably, worked off in batches."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.search import filters
from functions.memory_engine.storage.word_index import ENTITY_FIELDS
from functions.memory_engine.work import events, memories

DELETE_BATCH = 500
"""Memories deleted per write, so that other writes get their turn."""


def queue(core: Core, event_type: str, payload: dict[str, Any]) -> str:
    """Queue, durably, the deletion of everything acknowledged so far, queued adds included. Returns the event's id.

    The payload is {"entity_type", "entity_id"}, or the filters of delete-all: entity ids ("*" is any) and "metadata".
    """

    def change(connection: sqlite3.Connection) -> str:
        event_id = events.create(core, connection, event_type, payload)
        last = connection.execute("SELECT coalesce(max(row), 0) FROM memories").fetchone()[0]
        connection.execute("UPDATE events SET metadata = ? WHERE id = ?", (encode({"last_row": last}), event_id))
        return event_id

    return core.database.write(change)


def work(core: Core, event: sqlite3.Row) -> None:
    """Delete what the event names, batch by batch. After an interruption the deletion continues where it stopped.

    A memory is older than the deletion if its row was there at the request, or if its add was queued before. Adds that
    were acknowledged later keep their memories.
    """
    payload = json.loads(event["payload"])
    where, values = _condition(payload)
    last = json.loads(event["metadata"])["last_row"]

    def batch(connection: sqlite3.Connection) -> int:
        rows = connection.execute(
            f"SELECT m.* FROM memories m WHERE ({where}) AND (m.row <= ? OR EXISTS"  # noqa: S608 - compiled
            " (SELECT 1 FROM events e WHERE e.id = m.event_id AND e.seq < ?)) LIMIT ?",
            [*values, last, event["seq"], DELETE_BATCH],
        ).fetchall()
        for row in rows:
            memories.delete(core, connection, row)
        return len(rows)

    while core.database.write(batch):
        pass

    def end(connection: sqlite3.Connection) -> None:
        if "entity_type" in payload:
            _forget_entity(connection, payload["entity_type"], payload["entity_id"])
        events.finish(core, connection, event["id"], [])

    core.database.write(end)


def _condition(payload: dict[str, Any]) -> filters.Sql:
    if "entity_type" in payload:
        return filters.to_sql(filters.parse({f"{payload['entity_type']}_id": {"in": [payload["entity_id"]]}}))
    if all(payload.get(name) == "*" for name in ENTITY_FIELDS):
        payload = {name: value for name, value in payload.items() if name == "metadata"}
    return filters.to_sql(filters.parse(payload)) if payload else ("1", [])


def _forget_entity(connection: sqlite3.Connection, entity_type: str, entity_id: str) -> None:
    """Delete an entity without memories, together with its profile."""
    held = f"SELECT 1 FROM memories WHERE {entity_type}_id = ? LIMIT 1"  # noqa: S608 - one of the entity types
    if connection.execute(held, (entity_id,)).fetchone() is not None:
        return
    connection.execute("DELETE FROM entities WHERE type = ? AND entity_id = ?", (entity_type, entity_id))
    if entity_type == "user":
        connection.execute("DELETE FROM profiles WHERE entity_id = ?", (entity_id,))
