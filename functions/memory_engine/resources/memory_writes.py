"""Adding, changing and deleting memories, and feedback: what each request may hold, and Mem0's answer."""

from __future__ import annotations

import sqlite3
from typing import Any

from functions.memory_engine import texts, times
from functions.memory_engine.core import Core
from functions.memory_engine.resources.calls import (
    Answer,
    Call,
    Refusal,
    as_uuid,
    entity_id_problem,
    flag,
    memory_id_of,
    query_options,
)
from functions.memory_engine.search import filters
from functions.memory_engine.storage.word_index import ENTITY_FIELDS
from functions.memory_engine.work import adding, categories, deleting, memories, project
from functions.memory_engine.work.messages import MEDIA

MAX_BATCH = 1_000
"""Memories in one batch."""
MAX_MESSAGES = 1_000
"""Messages in one add."""

_INVALID_ADD = (
    "Invalid input data. Please refer to the memory creation documentation at "
    "https://docs.mem0.ai/platform/quickstart#4-1-create-memories for correct formatting and required fields."
)


# Adding


def add(core: Core, call: Call) -> Answer:
    body = _checked_add(call)
    if body.get("infer", True) is False:
        return Answer(adding.add_verbatim(core, body))
    return Answer({"event_id": adding.add_later(core, body), "status": "PENDING"})


def add_v1(core: Core, call: Call) -> Answer:
    """The deprecated add. Returns an array, or `{results, relations}` with `output_format` v1.1."""
    body = _checked_add(call)
    not_stored: list[dict[str, Any]] = []
    if body.get("infer", True) is False:
        added = adding.add_verbatim(core, body)
        items, not_stored = added["results"], added.get("not_stored", [])
    else:
        message = "Memory processing has been queued for background execution"
        items = [{"message": message, "status": "PENDING", "event_id": adding.add_later(core, body)}]
    if body.get("output_format") == "v1.1":
        return Answer({"results": items, "relations": [], **({"not_stored": not_stored} if not_stored else {})})
    # A bare array has no other place for the texts that were not stored.
    skipped = [
        {"id": None, "data": {"memory": item["text"]}, "event": "NONE", "reason": item["reason"]} for item in not_stored
    ]
    return Answer([*items, *skipped])


def _checked_add(call: Call) -> dict[str, Any]:
    """The add as it is queued, without nulls. Refusal 400 with all reasons at once."""
    body = {name: value for name, value in call.fields().items() if value is not None}
    wrong = categories.wrong_entries(body.get("custom_categories"))
    if wrong:
        raise Refusal(400, {"custom_categories": wrong})
    # The SDK's `AddMemoryOptions` sends ids in `filters`.
    nested = body.get("filters")
    if isinstance(nested, dict):
        body = {**{name: nested[name] for name in ENTITY_FIELDS if nested.get(name)}, **body}
    reasons = [*_message_problems(body.get("messages")), *_option_problems(body)]
    if reasons:
        details = {"message": _INVALID_ADD, "reasons": reasons[:20]}
        raise Refusal(400, {"error": "400 Bad Request", "details": details})
    if "expiration_date" in body:
        body["expiration_date"] = times.parse_day(body["expiration_date"])
    return body


def _message_problems(messages: Any) -> list[str]:
    if not isinstance(messages, list) or not messages:
        return ['messages is required: a non-empty list such as [{"role": "user", "content": "I like tea."}]']
    if len(messages) > MAX_MESSAGES:
        return [f"messages holds {len(messages)} messages; at most {MAX_MESSAGES} in one request"]
    problems = []
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            problems.append(f"messages[{place}] must be an object with role and content")
            continue
        if message.get("role") not in ("user", "assistant", "system"):
            problems.append(f"messages[{place}].role must be user, assistant or system")
        content = message.get("content")
        parts = content if isinstance(content, list) else [content]
        if not parts or not all(_is_part(part) for part in parts):
            problems.append(
                f"messages[{place}].content must be text, or an object of type {', '.join(('text', *MEDIA))}, "
                "or a list of these; a text must not be empty"
            )
    return problems


def _is_part(part: Any) -> bool:
    if isinstance(part, dict):
        if part.get("type") in MEDIA:
            return True
        part = part.get("text") if part.get("type") == "text" else None
    return isinstance(part, str) and not texts.is_blank(part)


def _option_problems(body: dict[str, Any]) -> list[str]:
    problems = []
    if not any(body.get(name) for name in ENTITY_FIELDS):
        problems.append("at least one of user_id, agent_id, app_id, run_id is required")
    for name in ENTITY_FIELDS:
        value = body.get(name)
        problem = None if value is None else entity_id_problem(value)
        if problem:
            problems.append(f"{name} {problem}")
    if "metadata" in body and not isinstance(body["metadata"], dict):
        problems.append("metadata must be an object")
    kinds = {
        **dict.fromkeys(("infer", "immutable"), (bool, "true or false")),
        **dict.fromkeys(
            ("custom_instructions", "agent_custom_instructions", "includes", "excludes"), (str, "a string")
        ),
    }
    problems += [
        f"{name} must be {expected}"
        for name, (kind, expected) in kinds.items()
        if not isinstance(body.get(name, kind()), kind)
    ]
    if "custom_categories" in body and not isinstance(body["custom_categories"], list):
        problems.append('custom_categories must be a list of objects such as [{"food": "what they eat"}]')
    if "expiration_date" in body:
        try:
            times.parse_day(body["expiration_date"])
        except ValueError as problem:
            problems.append(str(problem))
    if "timestamp" in body:
        try:
            if isinstance(body["timestamp"], bool) or not isinstance(body["timestamp"], (int, float)):
                raise ValueError
            times.parse_epoch(body["timestamp"])
        except (ValueError, OverflowError):
            problems.append("timestamp must be Unix seconds, a number")
    return problems


# One memory


def update(core: Core, call: Call) -> Answer:
    """`text`, `metadata` (replaces), `expiration_date` and `replaced_by` (null clears), `timestamp`.

    Absent fields stay as they are. `replaced_by` is the id of the memory that made this one out of date.
    """
    memory_id, body = memory_id_of(call), call.fields()
    changes = _changes(core, body)
    if not changes:
        raise Refusal(
            400, {"error": "Nothing to update: give text, metadata, expiration_date, timestamp or replaced_by"}
        )

    def change(connection: sqlite3.Connection) -> sqlite3.Row:
        row = memories.by_id(connection, memory_id)
        if row is None:
            raise Refusal(404, memories.NOT_FOUND)
        _mutable(row)
        if changes.get("replaced_by") is not None:
            _may_replace(connection, row["id"], changes["replaced_by"])
        return memories.change(core, connection, row, **changes)

    return Answer(memories.single(core.database.write(change)))


def _changes(core: Core, body: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    text = body.get("text")
    if text is not None:
        if not isinstance(text, str) or texts.is_blank(text):
            raise Refusal(400, {"error": "text must be a non-empty string"})
        changes["text"] = text
        changes["categories"] = categories.of(text, project.custom_categories(project.options_of(core)))
    if body.get("metadata") is not None:
        if not isinstance(body["metadata"], dict):
            raise Refusal(400, {"error": "metadata must be an object"})
        changes["metadata"] = body["metadata"]
    if "expiration_date" in body:
        try:
            day = body["expiration_date"]
            changes["expiration_date"] = None if day is None else times.parse_day(day)
        except ValueError as problem:
            raise Refusal(400, {"error": str(problem)}) from None
    if "replaced_by" in body:
        newer = body["replaced_by"]
        changes["replaced_by"] = None if newer is None else as_uuid(newer)
        if newer is not None and changes["replaced_by"] is None:
            raise Refusal(400, {"error": "replaced_by should be a valid UUID, or null"})
    stamp = body.get("timestamp")
    if stamp is not None:
        try:
            numeric = isinstance(stamp, (int, float)) and not isinstance(stamp, bool)
            changes["created_at"] = times.parse_epoch(stamp) if numeric else times.parse_moment(str(stamp))
        except (ValueError, OverflowError):
            raise Refusal(400, {"error": "timestamp must be Unix seconds or an ISO 8601 date-time"}) from None
    return changes


def _may_replace(connection: sqlite3.Connection, memory_id: str, newer: str) -> None:
    if newer == memory_id or newer in {old["id"] for old in memories.superseded_by(connection, memory_id)}:
        raise Refusal(400, {"error": f"Memory {memory_id} cannot be replaced by itself or by a memory it replaced"})
    if memories.by_id(connection, newer) is None:
        raise Refusal(400, {"error": f"replaced_by: no memory has the id {newer}"})


def _mutable(row: sqlite3.Row) -> None:
    if row["immutable"]:
        raise Refusal(400, {"error": f"Memory {row['id']} is immutable and cannot be updated; it can be deleted"})


def delete(core: Core, call: Call) -> Answer:
    memory_id = memory_id_of(call)
    linked = flag(call.first("delete_linked"))

    def change(connection: sqlite3.Connection) -> int:
        row = memories.by_id(connection, memory_id)
        if row is None:
            raise Refusal(404, memories.NOT_FOUND)
        older = [old for old in memories.superseded_by(connection, memory_id) if linked and old["id"] != memory_id]
        for old in (row, *older):
            memories.delete(core, connection, old)
        return len(older)

    cascade = core.database.write(change)
    message = {"message": "Memory deleted successfully!"}
    return Answer({**message, "cascade_count": cascade} if linked else message)


def feedback(core: Core, call: Call) -> Answer:
    body = call.fields()
    memory_id = as_uuid(body.get("memory_id"))
    if memory_id is None:
        raise Refusal(400, {"error": "Invalid memory_id"})
    given, reason = body.get("feedback"), body.get("feedback_reason")
    if given not in ("POSITIVE", "NEGATIVE", "VERY_NEGATIVE", None):
        raise Refusal(400, {"feedback": [f'"{str(given)[:40]}" is not a valid choice.']})
    if not isinstance(reason, (str, type(None))):
        raise Refusal(400, {"feedback_reason": ["Not a valid string."]})

    def change(connection: sqlite3.Connection) -> None:
        changed = connection.execute(
            "UPDATE memories SET feedback = ?, feedback_reason = ? WHERE id = ?", (given, reason, memory_id)
        ).rowcount
        if not changed:
            # Mem0 answers 500 here (its MEM-5745). The engine does too, and adds the reason.
            raise Refusal(500, {"error": f"No memory has the id {memory_id}"})

    core.database.write(change)
    return Answer({"id": memory_id, "feedback": given, "feedback_reason": reason})


# Many memories


def delete_all(core: Core, call: Call) -> Answer:
    """Asynchronous. The filters are query parameters: `*` is any id of its kind, and four times `*` is everything."""
    options = query_options(call)
    payload = {name: options[name] for name in (*ENTITY_FIELDS, "metadata") if options.get(name)}
    if not payload:
        raise Refusal(
            400,
            {
                "error": "At least one of the filters: user_id, agent_id, app_id, run_id, metadata is required as a "
                "query parameter, e.g. DELETE /v1/memories/?user_id=alice; '*' matches any"
            },
        )
    try:
        filters.parse(payload)
    except filters.FilterError as problem:
        raise Refusal(400, {"error": str(problem)}) from None
    event_id = deleting.queue(core, "DELETE_ALL", payload)
    return Answer({"message": "Delete in progress. This may take some time.", "event_id": event_id})


def batch_update(core: Core, call: Call) -> Answer:
    """All or none."""
    items = _batch(call, "updated")
    given: list[dict[str, Any]] = [
        {name: item[name] for name in ("text", "metadata") if name in item} for item in items
    ]
    prepared = [(item, _changes(core, part)) for item, part in zip(items, given, strict=True)]
    for item, changes in prepared:
        if not changes:
            raise Refusal(400, {"error": f"Nothing to update for memory {item['memory_id']}: give text or metadata"})

    def change(connection: sqlite3.Connection) -> None:
        for item, changes in prepared:
            row = _one_of_batch(connection, item)
            _mutable(row)
            memories.change(core, connection, row, **changes)

    core.database.write(change)
    return Answer({"message": f"Successfully updated {len(items)} memories"})


def batch_delete(core: Core, call: Call) -> Answer:
    """All or none."""
    items = _batch(call, "deleted")

    def change(connection: sqlite3.Connection) -> None:
        for item in items:
            memories.delete(core, connection, _one_of_batch(connection, item))

    core.database.write(change)
    return Answer({"message": f"Successfully deleted {len(items)} memories"})


def _batch(call: Call, done: str) -> list[dict[str, Any]]:
    items = call.fields().get("memories")
    if not isinstance(items, list) or not items:
        raise Refusal(400, {"error": 'memories is required: a non-empty list such as [{"memory_id": "<uuid>"}]'})
    if len(items) > MAX_BATCH:
        raise Refusal(400, {"error": f"Maximum of {MAX_BATCH} memories can be {done} in a single request"})
    checked: dict[str, dict[str, Any]] = {}
    for item in items:
        memory_id = as_uuid(item.get("memory_id")) if isinstance(item, dict) else None
        if memory_id is None:
            raise Refusal(400, {"error": "memory_id should be a valid UUID"})
        if memory_id in checked:
            raise Refusal(400, {"error": f"Memory {memory_id} is named twice; name each memory once"})
        checked[memory_id] = {**item, "memory_id": memory_id}
    return list(checked.values())


def _one_of_batch(connection: sqlite3.Connection, item: dict[str, Any]) -> sqlite3.Row:
    row = memories.by_id(connection, item["memory_id"])
    if row is None:
        raise Refusal(
            404, {"error": f"Memory not found! No memory has the id {item['memory_id']}; nothing was changed"}
        )
    return row
