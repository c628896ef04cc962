"""What a memory is: its row, its history, the shapes Mem0 gives it. Everything here runs inside a write or a read."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import entities, lexical, times, webhooks
from .calls import encode
from .filters import ENTITY_FIELDS

if TYPE_CHECKING:
    from .engine import Engine

Row = sqlite3.Row

NOT_FOUND = {"error": "Memory not found!"}
"""Mem0's body of a 404 for a memory."""


@dataclass(frozen=True)
class NewMemory:
    """A memory to be stored. `scope` maps entity fields to ids; `created_at` is in stored microseconds."""

    memory: str
    scope: dict[str, str]
    created_at: int
    metadata: dict[str, Any] | None = None
    categories: tuple[str, ...] = ()
    immutable: bool = False
    expiration_date: str | None = None
    event_id: str | None = None


def digest(text: str) -> bytes:
    """What exact repeats share."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def exists_exactly(connection: sqlite3.Connection, text: str, scope: dict[str, str]) -> bool:
    """Whether this very text is already stored for exactly these entities."""
    same = " AND ".join(f"{name} IS ?" for name in ENTITY_FIELDS)
    values = [scope.get(name) for name in ENTITY_FIELDS]
    sql = f"SELECT 1 FROM memories WHERE hash = ? AND {same} LIMIT 1"  # noqa: S608 - fixed column names
    return connection.execute(sql, [digest(text), *values]).fetchone() is not None


def insert(engine: Engine, connection: sqlite3.Connection, new: NewMemory) -> str:
    """Store a memory with its first history entry. Returns its id."""
    memory_id, now = engine.new_id(), engine.now()
    scope = [new.scope.get(name) for name in ENTITY_FIELDS]
    metadata = None if new.metadata is None else encode(new.metadata)
    row = connection.execute(
        "INSERT INTO memories (id, memory, hash, user_id, agent_id, app_id, run_id, metadata, categories, immutable,"
        " expiration_date, created_at, updated_at, event_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(memory_id, new.memory, digest(new.memory), *scope, metadata, encode(list(new.categories))),
            *(int(new.immutable), new.expiration_date, new.created_at, new.created_at, new.event_id),
        ),
    ).lastrowid
    assert row is not None
    lexical.add(connection, row, new.memory)
    for name, entity_id in new.scope.items():
        entities.touch(connection, name.removesuffix("_id"), entity_id, now)
    _remember(engine, connection, "ADD", by_row(connection, row), old=None, new=new.memory)
    webhooks.enqueue_memory(engine, connection, "memory_add", memory_id, new.memory)
    if new.categories:
        webhooks.enqueue_categories(engine, connection, memory_id, list(new.categories))
    return memory_id


def change(
    engine: Engine,
    connection: sqlite3.Connection,
    old: Row,
    *,
    text: str | None = None,
    metadata: dict[str, Any] | None = None,
    categories: tuple[str, ...] | None = None,
    created_at: int | None = None,
    **expiration: str | None,
) -> Row:
    """Change a memory in place, with a history entry. Absent arguments stay; `expiration_date=None` clears it."""
    memory = old["memory"] if text is None else text
    if memory != old["memory"]:
        lexical.remove(connection, old["row"], old["memory"])
        connection.execute("DELETE FROM vectors WHERE row = ?", (old["row"],))
    connection.execute(
        "UPDATE memories SET memory = ?, hash = ?, metadata = ?, categories = ?, expiration_date = ?, created_at = ?,"
        " updated_at = ? WHERE row = ?",
        (
            memory,
            digest(memory),
            old["metadata"] if metadata is None else encode(metadata),
            old["categories"] if categories is None else encode(list(categories)),
            expiration.get("expiration_date", old["expiration_date"]),
            old["created_at"] if created_at is None else created_at,
            engine.now(),
            old["row"],
        ),
    )
    if memory != old["memory"]:
        lexical.add(connection, old["row"], memory)
    new = by_row(connection, old["row"])
    _remember(engine, connection, "UPDATE", new, old=old["memory"], new=memory)
    webhooks.enqueue_memory(engine, connection, "memory_update", old["id"], memory)
    if new["categories"] != old["categories"]:
        webhooks.enqueue_categories(engine, connection, old["id"], json.loads(new["categories"]))
    return new


def delete(engine: Engine, connection: sqlite3.Connection, old: Row) -> None:
    """Delete a memory; its history stays, with a last entry."""
    lexical.remove(connection, old["row"], old["memory"])
    connection.execute("DELETE FROM memories WHERE row = ?", (old["row"],))
    _remember(engine, connection, "DELETE", old, old=old["memory"], new=old["memory"])
    webhooks.enqueue_memory(engine, connection, "memory_delete", old["id"], old["memory"])


def superseded_by(connection: sqlite3.Connection, memory_id: str) -> list[Row]:
    """The older memories that this one replaced, and those that they replaced."""
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


def _remember(
    engine: Engine, connection: sqlite3.Connection, event: str, row: Row, *, old: str | None, new: str
) -> None:
    now = engine.now()
    connection.execute(
        "INSERT INTO history (id, memory_id, event, old_memory, new_memory, user_id, agent_id, app_id, run_id,"
        " categories, metadata, event_id, created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(engine.new_id(), row["id"], event, old, new, *(row[name] for name in ENTITY_FIELDS)),
            *(row["categories"], row["metadata"], row["event_id"], now if event != "ADD" else row["created_at"], now),
        ),
    )


def history_of(
    connection: sqlite3.Connection, where: str, values: Iterable[Any], tail: str = ""
) -> list[dict[str, Any]]:
    """History entries in Mem0's shape. `input` is what the add was given; the embeddings it has are never filled."""
    rows = connection.execute(
        "SELECT h.*, json_extract(e.payload, '$.messages') AS input FROM history h"  # noqa: S608 - fixed conditions
        f" LEFT JOIN events e ON e.id = h.event_id WHERE {where} ORDER BY h.seq {tail}",
        list(values),
    )
    return [
        {
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
        for row in rows
    ]


def _scope(row: Row, run_name: str) -> dict[str, Any]:
    return {"user_id": row["user_id"], "agent_id": row["agent_id"], "app_id": row["app_id"], run_name: row["run_id"]}


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def listed(row: Row) -> dict[str, Any]:
    """A memory as the v2 and v3 lists give it: the run is called `session_id`."""
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
    """A memory as get-one and update give it."""
    return {**listed(row), "lifecycle_state": "superseded" if row["replaced_by"] else "active"}


def found(row: Row, run_name: str = "run_id") -> dict[str, Any]:
    """A memory as search gives it, without its score: v3 says `run_id`, the older versions `session_id`."""
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
