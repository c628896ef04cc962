"""A memory: its row, its history, and the shapes in which Mem0 returns it. All of it runs inside a write or a read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from functions.memory_engine import texts, times
from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.storage import word_index
from functions.memory_engine.storage.word_index import ENTITY_FIELDS
from functions.memory_engine.work import deliveries

Row = sqlite3.Row

NOT_FOUND = {"error": "Memory not found!"}
"""Mem0's body of a 404 for a memory."""


@dataclass(frozen=True)
class NewMemory:
    """A memory to store. `scope` maps entity fields to ids; `created_at` is in stored microseconds."""

    memory: str
    scope: dict[str, str]
    created_at: int
    metadata: dict[str, Any] | None = None
    categories: tuple[str, ...] = ()
    immutable: bool = False
    expiration_date: str | None = None
    event_id: str | None = None


def known_as(
    core: Core, connection: sqlite3.Connection, text: str, scope: dict[str, str], *, exactly: bool
) -> str | None:
    """The id of a memory of exactly these entities with this text, `exactly` or as `texts.sameness` compares it.

    Expired and replaced memories do not count: search and list do not show them.
    """
    same = " AND ".join(f"{name} IS ?" for name in ENTITY_FIELDS)
    rows = connection.execute(
        f"SELECT id, memory FROM memories WHERE hash = ? AND {same} AND replaced_by IS NULL"  # noqa: S608 - fixed names
        " AND (expiration_date IS NULL OR expiration_date >= ?)",
        [texts.sameness(text), *(scope.get(name) for name in ENTITY_FIELDS), core.today()],
    )
    return next((row["id"] for row in rows if not exactly or row["memory"] == text), None)


def insert(core: Core, connection: sqlite3.Connection, new: NewMemory) -> str:
    """Store a memory with its first history entry. Returns its id."""
    memory_id, now = core.new_id(), core.now()
    scope = [new.scope.get(name) for name in ENTITY_FIELDS]
    metadata = None if new.metadata is None else encode(new.metadata)
    row = connection.execute(
        "INSERT INTO memories (id, memory, hash, user_id, agent_id, app_id, run_id, metadata, categories, immutable,"
        " expiration_date, created_at, updated_at, event_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(memory_id, new.memory, texts.sameness(new.memory), *scope, metadata, encode(list(new.categories))),
            *(int(new.immutable), new.expiration_date, new.created_at, new.created_at, new.event_id),
        ),
    ).lastrowid
    assert row is not None
    word_index.add(connection, row, new.memory, new.scope)
    for name, entity_id in new.scope.items():
        _touch_entity(connection, name.removesuffix("_id"), entity_id, now)
    _add_history(core, connection, "ADD", by_row(connection, row), old=None, new=new.memory)
    deliveries.enqueue_memory(core, connection, "memory_add", memory_id, new.memory)
    if new.categories:
        deliveries.enqueue_categories(core, connection, memory_id, list(new.categories))
    return memory_id


def _touch_entity(connection: sqlite3.Connection, entity_type: str, entity_id: str, now: int) -> None:
    """Mark an entity as used now, and create it if it is new."""
    connection.execute(
        "INSERT INTO entities (type, entity_id, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (type, entity_id) DO UPDATE SET updated_at = excluded.updated_at",
        (entity_type, entity_id, entity_id, now, now),
    )


def change(
    core: Core,
    connection: sqlite3.Connection,
    old: Row,
    *,
    text: str | None = None,
    metadata: dict[str, Any] | None = None,
    categories: tuple[str, ...] | None = None,
    created_at: int | None = None,
    **nullable: str | None,
) -> Row:
    """Change a memory in place and add a history entry. Absent arguments change nothing.

    `nullable` may hold `expiration_date` and `replaced_by`; None clears them.
    """
    memory = old["memory"] if text is None else text
    if memory != old["memory"]:
        word_index.remove(connection, old["row"], old["memory"])
        connection.execute("DELETE FROM vectors WHERE row = ?", (old["row"],))
    connection.execute(
        "UPDATE memories SET memory = ?, hash = ?, metadata = ?, categories = ?, expiration_date = ?, created_at = ?,"
        " replaced_by = ?, updated_at = ? WHERE row = ?",
        (
            memory,
            texts.sameness(memory),
            old["metadata"] if metadata is None else encode(metadata),
            old["categories"] if categories is None else encode(list(categories)),
            nullable.get("expiration_date", old["expiration_date"]),
            old["created_at"] if created_at is None else created_at,
            nullable.get("replaced_by", old["replaced_by"]),
            core.now(),
            old["row"],
        ),
    )
    if memory != old["memory"]:
        word_index.add(connection, old["row"], memory, {name: old[name] for name in ENTITY_FIELDS})
    new = by_row(connection, old["row"])
    _add_history(core, connection, "UPDATE", new, old=old["memory"], new=memory)
    deliveries.enqueue_memory(core, connection, "memory_update", old["id"], memory)
    if new["categories"] != old["categories"]:
        deliveries.enqueue_categories(core, connection, old["id"], json.loads(new["categories"]))
    return new


def delete(core: Core, connection: sqlite3.Connection, old: Row) -> None:
    """Delete a memory. Its history stays and gets a last entry."""
    word_index.remove(connection, old["row"], old["memory"])
    connection.execute("DELETE FROM memories WHERE row = ?", (old["row"],))
    _add_history(core, connection, "DELETE", old, old=old["memory"], new=old["memory"])
    deliveries.enqueue_memory(core, connection, "memory_delete", old["id"], old["memory"])


def superseded_by(connection: sqlite3.Connection, memory_id: str) -> list[Row]:
    """The older memories that this one replaced, and in turn the memories that those replaced."""
    return connection.execute(
        "WITH RECURSIVE older (id) AS (SELECT id FROM memories WHERE replaced_by = ?"
        " UNION SELECT m.id FROM memories m JOIN older ON m.replaced_by = older.id)"
        " SELECT m.* FROM memories m JOIN older ON m.id = older.id",
        (memory_id,),
    ).fetchall()


def by_id(connection: sqlite3.Connection, memory_id: str) -> Row | None:
    row: Row | None = connection.execute("SELECT * FROM memories WHERE id = ?", (memory_id,)).fetchone()
    return row


def by_row(connection: sqlite3.Connection, row: int) -> Row:
    found: Row = connection.execute("SELECT * FROM memories WHERE row = ?", (row,)).fetchone()
    return found


def _add_history(
    core: Core, connection: sqlite3.Connection, event: str, row: Row, *, old: str | None, new: str
) -> None:
    now = core.now()
    connection.execute(
        "INSERT INTO history (id, memory_id, event, old_memory, new_memory, user_id, agent_id, app_id, run_id,"
        " categories, metadata, event_id, created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(core.new_id(), row["id"], event, old, new, *(row[name] for name in ENTITY_FIELDS)),
            *(row["categories"], row["metadata"], row["event_id"], now if event != "ADD" else row["created_at"], now),
        ),
    )


def history_rows(connection: sqlite3.Connection, where: str, values: Iterable[Any], tail: str = "") -> list[Row]:
    """History entries, oldest first, each with the messages of its add as `input`."""
    return connection.execute(
        "SELECT h.*, json_extract(e.payload, '$.messages') AS input FROM history h"  # noqa: S608 - fixed conditions
        f" LEFT JOIN events e ON e.id = h.event_id WHERE {where} ORDER BY h.seq {tail}",
        list(values),
    ).fetchall()


def history_entry(row: Row) -> dict[str, Any]:
    """A history entry in Mem0's shape. The embedding fields are always null."""
    return {
        "id": row["id"],
        "memory_id": row["memory_id"],
        "input": json.loads(row["input"]) if row["input"] else [],
        "old_memory": row["old_memory"],
        "new_memory": row["new_memory"],
        **_scope(row, "session_id"),
        "categories": json.loads(row["categories"]),
        "event": row["event"],
        "metadata": _json(row["metadata"]),
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
        "previous_embedding_qwen": None,
        "embedding_qwen": None,
    }


def _scope(row: Row, run_name: str) -> dict[str, Any]:
    return {"user_id": row["user_id"], "agent_id": row["agent_id"], "app_id": row["app_id"], run_name: row["run_id"]}


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def listed(row: Row) -> dict[str, Any]:
    """A memory as the v2 and v3 lists return it: the run is called `session_id`."""
    return {
        "id": row["id"],
        "memory": row["memory"],
        **_scope(row, "session_id"),
        "metadata": _json(row["metadata"]),
        "categories": json.loads(row["categories"]),
        "immutable": bool(row["immutable"]),
        "structured_attributes": times.structured_attributes(row["created_at"]),
        "replaced_by": row["replaced_by"],
        "synthesized": bool(row["synthesized"]),
        "expiration_date": row["expiration_date"],
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
    }


def single(row: Row) -> dict[str, Any]:
    """A memory as get-one and update return it."""
    return {**listed(row), "lifecycle_state": "superseded" if row["replaced_by"] else "active"}


def found(row: Row, run_name: str = "run_id") -> dict[str, Any]:
    """A memory as search returns it, without its score. The run is `run_id` in v3, `session_id` in older versions."""
    return {
        "id": row["id"],
        "memory": row["memory"],
        **_scope(row, run_name),
        "metadata": _json(row["metadata"]),
        "categories": json.loads(row["categories"]),
        "expiration_date": row["expiration_date"],
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
    }
