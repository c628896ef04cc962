"""The additive add, and the thread that works off what was acknowledged.

The queue is the table of events: an event is written before its add is answered, and the memories it makes are
written in the same transaction that ends it. So an add survives a crash at any moment, and makes its memories once.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import (
    categories,
    embeddings,
    entities,
    events,
    exports,
    extraction,
    filters,
    lexical,
    memories,
    profiles,
    times,
    webhooks,
    words,
)
from .background import Background
from .filters import ENTITY_FIELDS

if TYPE_CHECKING:
    from .engine import Engine

logger = logging.getLogger(__name__)

ADDS_TOGETHER = 32
"""Adds without a model that share one write, and so one flush of the disk."""
MAX_ATTEMPTS = 3
"""Tries at one event, counting those that a crash cut short, before it is FAILED."""
PAUSE_SECONDS = 1.0
"""The pause after trouble of the engine's own: a locked file, a full disk."""
IDLE_SECONDS = 30.0
DELETE_BATCH = 500
"""Memories deleted per write, so that other writes get their turn."""
NEARBY = 500
"""Existing memories a new one is compared with."""
KNOWN_SHOWN = 20
"""Of those, how many a language model is shown, so that it does not repeat them."""


class Worker(Background):
    """The thread of the pipeline."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("memory-engine-pipeline")
        self._engine = engine
        self._troubled = False

    def _turn(self) -> float:
        engine = self._engine
        try:
            worked = self.work_next() or exports.work_next(engine) or bool(embeddings.embed_missing(engine))
            return 0.0 if worked else IDLE_SECONDS
        except embeddings.EmbeddingFailed as problem:
            logger.warning("vectors wait: %s", problem)
            return IDLE_SECONDS
        except Exception:
            logger.exception("the memory pipeline stopped; it goes on in %g s", PAUSE_SECONDS)
            return PAUSE_SECONDS

    def work_next(self) -> bool:
        """Work on the oldest unfinished event, or on adds in a row that need no model. False when there is none."""
        engine = self._engine
        found = self._oldest()
        if not found:
            return False
        if found[0]["attempts"] >= MAX_ATTEMPTS:
            self._fail(found[0], f"interrupted {found[0]['attempts']} times")
            return True
        try:
            engine.database.write(lambda connection: _begin(engine, connection, found, counted=not self._troubled))
            if len(found) == 1 or not self._add_together(found):
                for event in found:
                    self._work_on(event)
        except sqlite3.OperationalError:
            # The file is locked or the disk full: no fault of the event, so the try does not count.
            self._troubled = True
            raise
        self._troubled = False
        return True

    def _oldest(self) -> list[sqlite3.Row]:
        with self._engine.database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM events WHERE status IN ('PENDING', 'RUNNING') ORDER BY seq LIMIT ?", (ADDS_TOGETHER,)
            ).fetchall()
        fresh = [row["event_type"] == "ADD" and row["attempts"] == 0 for row in rows]
        together = fresh.index(False) if False in fresh else len(fresh)
        return rows[: max(1, together if self._engine.settings.llm is None else 1)]

    def _add_together(self, found: list[sqlite3.Row]) -> bool:
        """Many adds, one write. False when one of them spoils it; then each is worked on by itself."""
        try:
            _add(self._engine, found)
        except sqlite3.OperationalError:
            raise
        except Exception:
            logger.exception("%d adds failed together; each is tried by itself", len(found))
            return False
        return True

    def _work_on(self, event: sqlite3.Row) -> None:
        engine, attempt = self._engine, event["attempts"] + 1
        try:
            _WORK[event["event_type"]](engine, event)
        except extraction.ExtractionFailed as problem:
            if attempt >= MAX_ATTEMPTS:
                self._fail(event, str(problem))
            else:
                self._stopping.wait(engine.settings.model_retry_seconds * attempt)
        except sqlite3.OperationalError:
            raise
        except Exception as problem:
            logger.exception("event %s failed", event["id"])
            self._fail(event, f"internal error: {type(problem).__name__}")

    def _fail(self, event: sqlite3.Row, reason: str) -> None:
        engine = self._engine

        def change(connection: sqlite3.Connection) -> None:
            events.finish(engine, connection, event["id"], [], reason)
            webhooks.enqueue_job(engine, connection, event["id"], succeeded=False)

        engine.database.write(change)


def _begin(engine: Engine, connection: sqlite3.Connection, found: list[sqlite3.Row], *, counted: bool) -> None:
    connection.executemany(
        "UPDATE events SET status = 'RUNNING', attempts = attempts + ?, started_at = ?, updated_at = ? WHERE id = ?",
        [(int(counted), engine.now(), engine.now(), event["id"]) for event in found],
    )


# Adding


def add_verbatim(engine: Engine, body: dict[str, Any]) -> dict[str, Any]:
    """`infer=false`: every message that is not a system message is stored as it is, exact repeats apart. Durable."""
    scope = {name: body[name] for name in ENTITY_FIELDS if body.get(name)}
    texts = [m["content"] for m in body["messages"] if m["role"] != "system" and isinstance(m["content"], str)]
    custom = custom_categories(body) or custom_categories(engine.project_options())

    def change(connection: sqlite3.Connection) -> dict[str, Any]:
        event_id = engine.new_id()
        results: list[dict[str, Any]] = []
        for text in texts:
            if memories.exists_exactly(connection, text, scope):
                continue
            new = _new(engine, body, text, scope, chosen=categories.of(text, custom), event_id=event_id)
            results.append(_added(memories.insert(engine, connection, new), text))
        events.create(engine, connection, "ADD", body, event_id=event_id, status="SUCCEEDED", results=results)
        return {
            "message": "Memories stored successfully",
            "status": "SUCCEEDED",
            "event_id": event_id,
            "results": results,
        }

    return engine.database.write(change)


def add_later(engine: Engine, body: dict[str, Any]) -> str:
    """`infer=true`: record the add, durably, and let the worker do it. Returns the event's id."""
    event_id = engine.database.write(lambda connection: events.create(engine, connection, "ADD", body))
    engine.wake()
    return event_id


def _work_add(engine: Engine, event: sqlite3.Row) -> None:
    _add(engine, [event])


def _add(engine: Engine, found: list[sqlite3.Row]) -> None:
    """Extract from each event's messages; then, in one write, store what is new and end the events."""
    bodies = [json.loads(event["payload"]) for event in found]
    extracted = [_extract(engine, body) for body in bodies]

    def change(connection: sqlite3.Connection) -> None:
        for event, body, facts in zip(found, bodies, extracted, strict=True):
            results = []
            for fact in facts:
                scope = _scope_for(body, fact.role)
                if _is_known(connection, fact.text, scope):
                    continue
                new = _new(engine, body, fact.text, scope, chosen=fact.categories, event_id=event["id"])
                results.append(_added(memories.insert(engine, connection, new), fact.text))
            events.finish(engine, connection, event["id"], results)
            webhooks.enqueue_job(engine, connection, event["id"], succeeded=True)

    engine.database.write(change)


def _extract(engine: Engine, body: dict[str, Any]) -> list[extraction.Fact]:
    project = engine.project_options()
    guidance = extraction.Guidance(
        instructions=body.get("custom_instructions") or project.get("custom_instructions"),
        agent_instructions=body.get("agent_custom_instructions") or project.get("agent_custom_instructions"),
        includes=body.get("includes"),
        excludes=body.get("excludes"),
        categories=custom_categories(body) or custom_categories(project),
    )
    roles = _roles(body)
    if engine.settings.llm is None:
        return extraction.by_rule(body["messages"], roles, guidance)
    with engine.database.read() as connection:
        asked = " ".join(m["content"] for m in body["messages"] if isinstance(m["content"], str))
        known = [text for role in roles for text in _nearby(connection, asked, _scope_for(body, role))]
    observed = body.get("observation_datetime") or body.get("observation_date") or times.iso(_created_at(engine, body))
    return extraction.by_model(
        engine.settings.llm, body["messages"], roles, guidance, known=known[:KNOWN_SHOWN], observed_at=observed
    )


def _roles(body: dict[str, Any]) -> tuple[str, ...]:
    """Whose statements count: the user's; the assistant's too when an agent's memory is written."""
    return ("user", "assistant") if body.get("agent_id") else ("user",)


def _scope_for(body: dict[str, Any], role: str) -> dict[str, str]:
    """With both a user and an agent, each fact belongs to the one who said it; app and run are on every memory."""
    scope = {name: body[name] for name in ENTITY_FIELDS if body.get(name)}
    if "user_id" in scope and "agent_id" in scope:
        scope.pop("agent_id" if role == "user" else "user_id")
    return scope


def _is_known(connection: sqlite3.Connection, text: str, scope: dict[str, str]) -> bool:
    if memories.exists_exactly(connection, text, scope):
        return True
    # Two texts that say the same differ in a fifth of their words at most, so any of them one longer than that holds
    # a word they share; the longest words are the rarest.
    asked = sorted(words.content_words(text), key=len, reverse=True)
    few = asked[: int(len(asked) * (1 - extraction.SAME_SHARE)) + 1]
    return any(extraction.says_the_same(text, other) for other in _nearby(connection, " ".join(few), scope))


def _nearby(connection: sqlite3.Connection, text: str, scope: dict[str, str]) -> list[str]:
    """The memories of exactly these entities that share words with a text, those that share most first."""
    tree = filters.AllOf(tuple(filters.Condition(name, "eq", scope.get(name)) for name in ENTITY_FIELDS))
    found = lexical.candidates(
        connection, text, filters.required_entities(tree), filters.to_sql(tree), NEARBY, tolerant=False
    )
    found.sort(key=lambda item: -item.bm25)
    return [memories.by_row(connection, item.row)["memory"] for item in found]


def _new(
    engine: Engine,
    body: dict[str, Any],
    text: str,
    scope: dict[str, str],
    *,
    chosen: tuple[str, ...],
    event_id: str,
) -> memories.NewMemory:
    return memories.NewMemory(
        memory=text,
        scope=scope,
        created_at=_created_at(engine, body),
        metadata=body.get("metadata"),
        categories=chosen,
        immutable=bool(body.get("immutable")),
        expiration_date=body.get("expiration_date"),
        event_id=event_id,
    )


def _created_at(engine: Engine, body: dict[str, Any]) -> int:
    return times.parse_epoch(body["timestamp"]) if body.get("timestamp") is not None else engine.now()


def custom_categories(holder: dict[str, Any]) -> dict[str, str] | None:
    """The categories an add or a project brings, name to description; None leaves the default ones."""
    listed = holder.get("custom_categories")
    if not listed:
        return None
    return {name: str(told) for item in listed for name, told in item.items()}


def _added(memory_id: str, text: str) -> dict[str, Any]:
    return {"id": memory_id, "data": {"memory": text}, "event": "ADD"}


# Deleting in the background


def _deleted_by(payload: dict[str, Any]) -> filters.Sql:
    if "entity_type" in payload:
        return filters.to_sql(filters.parse({f"{payload['entity_type']}_id": {"in": [payload["entity_id"]]}}))
    if all(payload.get(name) == "*" for name in ENTITY_FIELDS):
        payload = {name: value for name, value in payload.items() if name == "metadata"}
    return filters.to_sql(filters.parse(payload)) if payload else ("1", [])


def _work_delete(engine: Engine, event: sqlite3.Row) -> None:
    """Delete what the event names, batch by batch. Cut short, it goes on where it was."""
    payload = json.loads(event["payload"])
    where, values = _deleted_by(payload)
    last = json.loads(event["metadata"])["last_row"]

    def batch(connection: sqlite3.Connection) -> int:
        rows = connection.execute(
            f"SELECT m.* FROM memories m WHERE m.row <= ? AND ({where}) LIMIT ?",  # noqa: S608 - compiled
            [last, *values, DELETE_BATCH],
        ).fetchall()
        for row in rows:
            memories.delete(engine, connection, row)
        return len(rows)

    while engine.database.write(batch):
        pass

    def end(connection: sqlite3.Connection) -> None:
        if "entity_type" in payload:
            entities.forget(connection, payload["entity_type"], payload["entity_id"])
        events.finish(engine, connection, event["id"], [])

    engine.database.write(end)


_WORK: dict[str, Callable[[Engine, sqlite3.Row], None]] = {
    "ADD": _work_add,
    "DELETE_ALL": _work_delete,
    "DELETE_USER": _work_delete,
    "PROFILE": profiles.work,
}
