"""Adding memories: verbatim at once, or inferred from messages by the worker.

The work queue is the table of events. An event is written before its add is answered, and one transaction writes the
memories and ends the event. An add therefore survives a crash at any moment and stores its memories once.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine import times, words
from functions.memory_engine.core import Core
from functions.memory_engine.search import filters, lexical
from functions.memory_engine.search.filters import ENTITY_FIELDS
from functions.memory_engine.work import categories, deliveries, events, extraction, memories, project

NEARBY = 500
"""Existing memories that a new one is compared with."""
KNOWN_SHOWN = 20
"""Of those, how many a language model is given, so that it does not repeat them."""


def add_verbatim(core: Core, body: dict[str, Any]) -> dict[str, Any]:
    """`infer=false`: store the text of every message except system messages and exact repeats. Durable on return."""
    scope = {name: body[name] for name in ENTITY_FIELDS if body.get(name)}
    texts = [m["content"] for m in body["messages"] if m["role"] != "system" and isinstance(m["content"], str)]
    custom = project.custom_categories(body) or project.custom_categories(project.options_of(core))

    def change(connection: sqlite3.Connection) -> dict[str, Any]:
        event_id = core.new_id()
        results: list[dict[str, Any]] = []
        for text in texts:
            if memories.exists_exactly(connection, text, scope):
                continue
            new = _new(core, body, text, scope, chosen=categories.of(text, custom), event_id=event_id)
            results.append(_added(memories.insert(core, connection, new), text))
        events.create(core, connection, "ADD", body, event_id=event_id, status="SUCCEEDED", results=results)
        return {
            "message": "Memories stored successfully",
            "status": "SUCCEEDED",
            "event_id": event_id,
            "results": results,
        }

    return core.database.write(change)


def add_later(core: Core, body: dict[str, Any]) -> str:
    """`infer=true`: queue the add durably for the worker. Returns the event's id."""
    event_id = core.database.write(lambda connection: events.create(core, connection, "ADD", body))
    core.work.give()
    return event_id


def work(core: Core, queued: list[sqlite3.Row]) -> None:
    """Extract facts from each event's messages. Then store the new ones and end the events, all in one write."""
    bodies = [json.loads(event["payload"]) for event in queued]
    extracted = [_extract(core, body) for body in bodies]

    def change(connection: sqlite3.Connection) -> None:
        for event, body, facts in zip(queued, bodies, extracted, strict=True):
            results = []
            for fact in facts:
                scope = _scope_for(body, fact.role)
                if _is_known(connection, fact.text, scope):
                    continue
                new = _new(core, body, fact.text, scope, chosen=fact.categories, event_id=event["id"])
                results.append(_added(memories.insert(core, connection, new), fact.text))
            events.finish(core, connection, event["id"], results)
            deliveries.enqueue_job(core, connection, event["id"], succeeded=True)

    core.database.write(change)


def _extract(core: Core, body: dict[str, Any]) -> list[extraction.Fact]:
    options = project.options_of(core)
    guidance = extraction.Guidance(
        instructions=body.get("custom_instructions") or options.get("custom_instructions"),
        agent_instructions=body.get("agent_custom_instructions") or options.get("agent_custom_instructions"),
        includes=body.get("includes"),
        excludes=body.get("excludes"),
        categories=project.custom_categories(body) or project.custom_categories(options),
    )
    roles = _roles(body)
    if core.settings.llm is None:
        return extraction.by_rule(body["messages"], roles, guidance)
    with core.database.read() as connection:
        asked = " ".join(m["content"] for m in body["messages"] if isinstance(m["content"], str))
        known = [text for role in roles for text in _nearby(connection, asked, _scope_for(body, role))]
    observed = body.get("observation_datetime") or body.get("observation_date") or times.iso(_created_at(core, body))
    return extraction.by_model(
        core.settings.llm, body["messages"], roles, guidance, known=known[:KNOWN_SHOWN], observed_at=observed
    )


def _roles(body: dict[str, Any]) -> tuple[str, ...]:
    """The roles whose statements are stored: the user, and with an agent id the assistant too."""
    return ("user", "assistant") if body.get("agent_id") else ("user",)


def _scope_for(body: dict[str, Any], role: str) -> dict[str, str]:
    """The entities of one fact. With both a user and an agent, each fact belongs to its speaker; app and run always."""
    scope = {name: body[name] for name in ENTITY_FIELDS if body.get(name)}
    if "user_id" in scope and "agent_id" in scope:
        scope.pop("agent_id" if role == "user" else "user_id")
    return scope


def _is_known(connection: sqlite3.Connection, text: str, scope: dict[str, str]) -> bool:
    if memories.exists_exactly(connection, text, scope):
        return True
    # Two texts that say the same differ in at most a fifth of their words. So among any `share + 1` words of the text
    # there is a shared one; the longest words are the rarest.
    asked = sorted(words.content_words(text), key=len, reverse=True)
    few = asked[: int(len(asked) * (1 - extraction.SAME_SHARE)) + 1]
    return any(extraction.says_the_same(text, other) for other in _nearby(connection, " ".join(few), scope))


def _nearby(connection: sqlite3.Connection, text: str, scope: dict[str, str]) -> list[str]:
    """The memories of exactly these entities that share words with a text, those with most shared words first."""
    tree = filters.AllOf(tuple(filters.Condition(name, "eq", scope.get(name)) for name in ENTITY_FIELDS))
    found = lexical.candidates(
        connection, text, filters.required_entities(tree), filters.to_sql(tree), NEARBY, tolerant=False
    )
    found.sort(key=lambda item: -item.bm25)
    return [memories.by_row(connection, item.row)["memory"] for item in found]


def _new(
    core: Core,
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
        created_at=_created_at(core, body),
        metadata=body.get("metadata"),
        categories=chosen,
        immutable=bool(body.get("immutable")),
        expiration_date=body.get("expiration_date"),
        event_id=event_id,
    )


def _created_at(core: Core, body: dict[str, Any]) -> int:
    return times.parse_epoch(body["timestamp"]) if body.get("timestamp") is not None else core.now()


def _added(memory_id: str, text: str) -> dict[str, Any]:
    return {"id": memory_id, "data": {"memory": text}, "event": "ADD"}
