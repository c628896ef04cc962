"""Users, agents, apps and runs. An entity is created with its first memory, or by a request."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine import texts, times
from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.resources.calls import (
    Answer,
    Call,
    Refusal,
    behind,
    cut,
    entity_id_problem,
    envelope,
    page_of,
)
from functions.memory_engine.resources.events import TYPES as EVENT_TYPES
from functions.memory_engine.work import deleting

TYPES = ("user", "agent", "app", "run")
MAX_ENTITIES_PAGE = 10_000
"""Entities of one page. The SDK's `delete_users()` deletes what one call without a page size returns."""


def shape(core: Core, row: sqlite3.Row, total_memories: int) -> dict[str, Any]:
    """`name` is the id that filters and paths use. `display_name` is the name given in a request."""
    return {
        "id": str(row["seq"]),
        "name": row["entity_id"],
        "display_name": row["name"],
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
        "total_memories": total_memories,
        "owner": core.settings.user_email,
        "metadata": json.loads(row["metadata"]) if row["metadata"] else None,
        "type": row["type"],
    }


def list_all(core: Core, call: Call) -> Answer:
    page = page_of(call, default=MAX_ENTITIES_PAGE, maximum=MAX_ENTITIES_PAGE)
    with core.database.read() as connection:
        counts = dict.fromkeys(TYPES, 0)
        counts.update(connection.execute("SELECT type, count(*) FROM entities GROUP BY type").fetchall())
        after, position = behind(page, "seq", newest_first=False)
        rows = connection.execute(
            f"SELECT * FROM entities WHERE {after} ORDER BY seq LIMIT ? OFFSET ?",  # noqa: S608 - fixed condition
            (*position, page.size + 1, page.offset),
        ).fetchall()
        rows, last = cut(rows, page, "seq")
        if len(rows) > 100:
            sizes = {
                (kind, entity_id): size
                for kind in TYPES
                for entity_id, size in connection.execute(
                    f"SELECT {kind}_id, count(*) FROM memories WHERE {kind}_id IS NOT NULL GROUP BY {kind}_id"  # noqa: S608
                )
            }
        else:
            sizes = {(row["type"], row["entity_id"]): size(connection, row["type"], row["entity_id"]) for row in rows}
    results = [shape(core, row, sizes.get((row["type"], row["entity_id"]), 0)) for row in rows]
    totals = {f"total_{kind}s": counts[kind] for kind in TYPES}
    return Answer(envelope(call, page, sum(counts.values()), results, last, **totals))


def size(connection: sqlite3.Connection, entity_type: str, entity_id: str) -> int:
    """How many memories carry this entity."""
    sql = f"SELECT count(*) FROM memories WHERE {entity_type}_id = ?"  # noqa: S608 - one of TYPES
    return int(connection.execute(sql, (entity_id,)).fetchone()[0])


def read(core: Core, call: Call) -> Answer:
    """An array, as Mem0 returns it: the one entity, or nothing."""
    kind, entity_id = _type(call), call.path["entity_id"]
    with core.database.read() as connection:
        rows = connection.execute(
            "SELECT * FROM entities WHERE type = ? AND entity_id = ?", (kind, entity_id)
        ).fetchall()
        return Answer([shape(core, row, size(connection, kind, entity_id)) for row in rows])


def delete(core: Core, call: Call) -> Answer:
    return _queue_delete(core, _type(call), call.path["entity_id"])


def delete_by_number(core: Core, call: Call) -> Answer:
    """The v1 form, which names the entity by its number."""
    kind, number = call.path["entity_type"], call.path["entity_id"]
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise Refusal(400, {"error": "Invalid entity ID. Must be an integer."})
    with core.database.read() as connection:
        row = connection.execute("SELECT * FROM entities WHERE seq = ? AND type = ?", (int(number), kind)).fetchone()
    if row is None:
        raise Refusal(404, {"error": "Entity not found!"})
    return _queue_delete(core, kind, row["entity_id"])


def _queue_delete(core: Core, kind: str, entity_id: str) -> Answer:
    event_id = deleting.queue(core, "DELETE_USER", {"entity_type": kind, "entity_id": entity_id})
    return Answer({"message": "Delete in progress. This may take some time.", "event_id": event_id})


def create(core: Core, call: Call) -> Answer:
    """`POST /v1/users/`, and likewise for agents, apps and runs. Updates an entity that exists."""
    kind = call.path["kind"]
    body = call.fields()
    wanted = [f"{kind}_id"] if kind == "user" else [f"{kind}_id", "name"]
    problems: dict[str, list[str]] = {}
    for name in wanted:
        if name not in body:
            problems[name] = ["This field is required."]
        elif not isinstance(body[name], str):
            problems[name] = ["Not a valid string."]
        elif texts.is_blank(body[name]):
            problems[name] = ["This field may not be blank."]
        elif name == f"{kind}_id" and (problem := entity_id_problem(body[name])):
            problems[name] = [f"This field {problem}."]
    if not isinstance(body.get("metadata"), (dict, type(None))):
        problems["metadata"] = ["Must be an object."]
    if problems:
        raise Refusal(400, problems)
    entity_id, metadata = body[f"{kind}_id"], body.get("metadata")
    display = body["name"] if kind != "user" else entity_id

    def change(connection: sqlite3.Connection) -> sqlite3.Row:
        now = core.now()
        connection.execute(
            "INSERT INTO entities (type, entity_id, name, metadata, created_at, updated_at) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT (type, entity_id) DO UPDATE SET name = excluded.name, metadata = excluded.metadata,"
            " updated_at = excluded.updated_at",
            (kind, entity_id, display, None if metadata is None else encode(metadata), now, now),
        )
        row: sqlite3.Row = connection.execute(
            "SELECT * FROM entities WHERE type = ? AND entity_id = ?", (kind, entity_id)
        ).fetchone()
        return row

    row = core.database.write(change)
    return Answer(
        {
            "id": row["seq"],
            f"{kind}_id": entity_id,
            **({} if kind == "user" else {"name": display}),
            "metadata": metadata,
            "created_at": times.iso(row["created_at"]),
            "updated_at": times.iso(row["updated_at"]),
            "graph_entities": None,
            "is_deleted": False,
            "project": 1,
        },
        201,
    )


def filter_options(core: Core, _call: Call) -> Answer:
    """The values that a dashboard can filter by."""
    with core.database.read() as connection:
        categories = [
            row[0]
            for row in connection.execute(
                "SELECT DISTINCT c.value FROM memories m, json_each(m.categories) c ORDER BY c.value"
            )
        ]
        users = [
            row[0] for row in connection.execute("SELECT entity_id FROM entities WHERE type = 'user' ORDER BY seq")
        ]
    return Answer(
        {
            "event_type": list(EVENT_TYPES),
            "categories": categories,
            "users": users,
            "parameters": [
                {
                    "name": f"{kind}_id",
                    "label": f"{kind.capitalize()} ID",
                    "type": "text",
                    "placeholder": f"Filter by {kind} id",
                    "options": [],
                }
                for kind in TYPES
            ],
        }
    )


def _type(call: Call) -> str:
    kind = call.path["entity_type"]
    if kind not in TYPES:
        raise Refusal(400, {"message": "Invalid entity type"})
    return kind
