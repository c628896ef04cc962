"""Adding memories: verbatim at once, or inferred from messages by the worker.

The work queue is the table of events. An event is written before its add is answered, and one transaction writes the
memories and ends the event. An add therefore survives a crash at any moment and stores its memories once.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine import texts, times, words
from functions.memory_engine.core import Core
from functions.memory_engine.search import filters, lexical
from functions.memory_engine.storage.word_index import ENTITY_FIELDS
from functions.memory_engine.work import (
    categories,
    deliveries,
    events,
    extraction,
    memories,
    messages,
    project,
    secrets,
)
from functions.memory_engine.work.extraction import Fact
from functions.memory_engine.work.statements import NotStored

KNOWN_SHOWN = 20
"""Existing memories that a language model is given for each role, so that it does not repeat them."""
NOT_STORED_SHOWN = 100
NOT_STORED_CHARS = 200
"""Texts that were not stored which an event lists, and characters shown of each; the rest is counted."""

NOTHING_STORED = "No memory was stored; not_stored names each text and the reason"


def add_verbatim(core: Core, body: dict[str, Any]) -> dict[str, Any]:
    """`infer=false`: store the text of every message except system messages and exact repeats. Durable on return."""
    scope = {name: body[name] for name in ENTITY_FIELDS if body.get(name)}
    spoken = messages.read(body["messages"])
    custom = project.custom_categories(body) or project.custom_categories(project.options_of(core))

    def change(connection: sqlite3.Connection) -> dict[str, Any]:
        event_id = core.new_id()
        added = _Added()
        for message in spoken:
            added.skip(*(NotStored(kind, "only text is stored") for kind in message.media))
            if texts.is_blank(message.text):
                continue
            if message.role == "system":
                added.skip(NotStored(message.text, "it is a system message"))
                continue
            known = memories.known_as(core, connection, message.text, scope, exactly=True)
            if known:
                added.skip(NotStored(message.text, f"memory {known} has this text"))
                continue
            chosen = categories.of(message.text, custom)
            new = _new(core, body, message.text, scope, chosen=chosen, event_id=event_id)
            added.store(memories.insert(core, connection, new), message.text)
        events.create(
            core,
            connection,
            "ADD",
            body,
            event_id=event_id,
            status="SUCCEEDED",
            results=added.results,
            metadata=added.metadata(),
        )
        complete = len(added.results) == sum(message.role != "system" for message in spoken)
        return {
            "message": "Memories stored successfully" if added.results else NOTHING_STORED,
            "status": "SUCCEEDED",
            "event_id": event_id,
            "results": added.results,
            **({} if complete else added.metadata() or {}),
        }

    return core.database.write(change)


def add_later(core: Core, body: dict[str, Any]) -> str:
    """`infer=true`: queue the add durably for the worker. Returns the event's id.

    Card numbers, keys and passwords are removed first, unless `includes` asks for them by name.
    """
    wanted = words.stems_of(body.get("includes") or "") & words.stems_of("card key password pin secret")
    if not wanted:
        body = {**body, "messages": [_without_secrets(message) for message in body["messages"]]}
    return core.database.write(lambda connection: events.create(core, connection, "ADD", body))


def work(core: Core, queued: list[sqlite3.Row]) -> None:
    """Extract facts from each event's messages. Then store the new ones and end the events, all in one write."""
    bodies = [json.loads(event["payload"]) for event in queued]
    extracted = [_extract(core, body) for body in bodies]

    def change(connection: sqlite3.Connection) -> None:
        for event, body, found in zip(queued, bodies, extracted, strict=True):
            if not events.exists(connection, event["id"]):
                continue  # its project was deleted in the meantime
            added = _Added()
            for item in found:
                if isinstance(item, NotStored):
                    added.skip(item)
                    continue
                scope = _scope_for(body, item.role)
                known = memories.known_as(core, connection, item.text, scope, exactly=False)
                if known:
                    added.skip(NotStored(item.text, f"memory {known} has this text"))
                    continue
                new = _new(core, body, item.text, scope, chosen=item.categories, event_id=event["id"])
                added.store(memories.insert(core, connection, new), item.text)
            events.finish(core, connection, event["id"], added.results, metadata=added.metadata())
            deliveries.enqueue_job(core, connection, event["id"], succeeded=True)

    core.database.write(change)


def _without_secrets(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    parts = [
        secrets.removed(part)
        if isinstance(part, str)
        else {**part, "text": secrets.removed(part["text"])}
        if part["type"] == "text"
        else part
        for part in (content if isinstance(content, list) else [content])
    ]
    return {**message, "content": parts if isinstance(content, list) else parts[0]}


class _Added:
    """What one add stored, and what it did not."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []
        self._not_stored: list[NotStored] = []

    def store(self, memory_id: str, text: str) -> None:
        self.results.append({"id": memory_id, "data": {"memory": text}, "event": "ADD"})

    def skip(self, *items: NotStored) -> None:
        self._not_stored += items

    def metadata(self) -> dict[str, Any] | None:
        """The texts that were not stored, each with its reason; None when all were stored."""
        shown = [
            {"text": item.text[:NOT_STORED_CHARS], "reason": item.reason}
            for item in self._not_stored[:NOT_STORED_SHOWN]
        ]
        more = len(self._not_stored) - len(shown)
        if not shown:
            return None
        return {"not_stored": shown, **({"not_stored_further": more} if more else {})}


def _extract(core: Core, body: dict[str, Any]) -> list[Fact | NotStored]:
    options = project.options_of(core)
    guidance = extraction.Guidance(
        instructions=body.get("custom_instructions") or options.get("custom_instructions"),
        agent_instructions=body.get("agent_custom_instructions") or options.get("agent_custom_instructions"),
        includes=body.get("includes"),
        excludes=body.get("excludes"),
        categories=project.custom_categories(body) or project.custom_categories(options),
    )
    roles, spoken = _roles(body), messages.read(body["messages"])
    if core.settings.llm is None:
        return extraction.by_rule(spoken, roles, guidance)
    with core.database.read() as connection:
        asked = " ".join(message.text for message in spoken)
        known = [text for role in roles for text in _nearby(connection, asked, _scope_for(body, role))]
    observed = body.get("observation_datetime") or body.get("observation_date") or times.iso(_created_at(core, body))
    return extraction.by_model(core.settings.llm, spoken, roles, guidance, known=known, observed_at=observed)


def _roles(body: dict[str, Any]) -> tuple[str, ...]:
    """The roles whose statements are stored: the user, and with an agent id the assistant too."""
    return ("user", "assistant") if body.get("agent_id") else ("user",)


def _scope_for(body: dict[str, Any], role: str) -> dict[str, str]:
    """The entities of one fact. With both a user and an agent, each fact belongs to its speaker; app and run always."""
    scope = {name: body[name] for name in ENTITY_FIELDS if body.get(name)}
    if "user_id" in scope and "agent_id" in scope:
        scope.pop("agent_id" if role == "user" else "user_id")
    return scope


def _nearby(connection: sqlite3.Connection, text: str, scope: dict[str, str]) -> list[str]:
    """The memories of exactly these entities that share words with a text, those with most shared words first."""
    tree = filters.AllOf(tuple(filters.Condition(name, "eq", scope.get(name)) for name in ENTITY_FIELDS))
    found = lexical.candidates(connection, text, filters.required_entities(tree), filters.to_sql(tree), KNOWN_SHOWN)
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
