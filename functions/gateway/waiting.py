"""Waiting for what a write queued at the upstream.

A write may return the id of an event in place of its outcome. The record says where the id stands and which tool reads
the event. The reader's record says how its states are told apart. Nothing is kept here: the event is the upstream's.

The write has been carried out before any of this begins. So no fault of a read can make a failure of it: an event that
cannot be read leaves the outcome unknown, and the result says that.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, Protocol

from functions.gateway import answers, caps, results
from functions.gateway.answers import Answer
from functions.gateway.errors import ToolFailure
from functions.gateway.expressions import BadExpression, search
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import PreparedTool, prepare
from functions.gateway.settings import Settings
from functions.gateway.upstream import UpstreamResponse
from functions.gateway.value_classes import dataclass
from functions.gateway.waits import Waits
from tool_catalog.catalog import WAIT, Catalog, Event, EventStates, Tool

PAUSES = (0.3, 0.5, 0.8, 1.2, 2.0)
"""Seconds between two reads of an event; the last one repeats. Most events end within some seconds."""

MARGIN_SECONDS = 1.0
"""Kept back from the call's own time, so that its result is still written."""

ID_CHARS = 512
"""Longest id of an event that is followed: ids are UUIDs or names of resources."""

Kind = Literal["running", "done", "failed", "cancelled", "asking", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class State:
    """An event at one moment.

    `kind`      gone = the upstream no longer knows it; unknown = it could not be read. `why` says why, in our words.
    `body`      the reader's result, {} where it was not read. `asks`: the input that it waits for.
    """

    kind: Kind
    body: Mapping[str, Json]
    why: str = ""
    asks: Mapping[str, Json] | None = None


class Follows(Protocol):
    """The upstream, as far as a call may go on with it after its own request."""

    waits: Waits

    async def read_after(self, tool: Tool, given: Mapping[str, Json], deadline: float) -> UpstreamResponse: ...

    def read(self, tool: Tool, response: UpstreamResponse) -> Json: ...


def seconds(given: Mapping[str, Json]) -> float:
    """How long the caller wants to wait."""
    asked = given.get(WAIT, 0)
    return float(asked) if isinstance(asked, int | float) else 0.0


@dataclass(frozen=True, slots=True)
class Queued:
    """An event of a write, and the tool that reads it, which need not be one that the server shows."""

    event_id: str
    event: Event
    states: EventStates
    reader: PreparedTool
    base_url: str
    settings: Settings


def queued(tool: Tool, body: Mapping[str, Json], catalog: Catalog, base_url: str, settings: Settings) -> Queued | None:
    """The event that a write's result names; None where the write is done."""
    if tool.event is None:
        return None
    try:
        found = search(tool.event.id, body)
    except BadExpression:
        return None
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    return event_of(tool, found, catalog, base_url, settings) if isinstance(found, str) else None


def event_of(tool: Tool, event_id: str, catalog: Catalog, base_url: str, settings: Settings) -> Queued | None:
    """The event of this id that the tool queued; None for a tool or an id that cannot be followed."""
    reader = catalog.tools.get(tool.event.read) if tool.event is not None else None
    if tool.event is None or reader is None or reader.states is None or not 0 < len(event_id) <= ID_CHARS:
        return None
    return Queued(event_id, tool.event, reader.states, prepare(reader, ServerConfig()), base_url, settings)


async def look(upstream: Follows, queued: Queued, deadline: float) -> State:
    """Read an event once. Never raises for an upstream that does not answer as documented."""
    tool, states = queued.reader.tool, queued.states
    try:
        response = await upstream.read_after(tool, {queued.event.argument: queued.event_id}, deadline)
        document = answers.mapped(tool, upstream.read(tool, response), queued.base_url)
        kind = _kind(states, document)
        asks = search(states.asks, document) if states.asks is not None and kind == "running" else None
        found = Answer(response.status, document, size=len(response.body))
        body = results.shape(queued.reader, found, {}, None, queued.settings)
    except ToolFailure as failure:
        if failure.upstream_status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return State("gone", {}, failure.message)
        return State("unknown", {}, failure.message)
    except BadExpression as error:
        return State("unknown", {}, f"the upstream's answer is not of the kind its API documents ({error})")
    if isinstance(asks, Mapping) and asks:
        return State("asking", body, asks=asks)
    return State(kind, body)


def _kind(states: EventStates, document: Json) -> Kind:
    """What the answer says about the event; what is neither running nor ended badly is done."""
    meanings: tuple[tuple[str | None, Kind], ...] = (
        (states.running, "running"),
        (states.failed, "failed"),
        (states.cancelled, "cancelled"),
    )
    for expression, meaning in meanings:
        if expression is not None and search(expression, document) not in (None, False, [], {}, ""):
            return meaning
    return "done"


async def wait(upstream: Follows, queued: Queued, until: float) -> State:
    """Read an event until it has ended or the time `until` (on the clock of its waits) is over: its last state."""
    clock = upstream.waits.now
    state = State("running", {})
    pauses = iter(PAUSES)
    pause = PAUSES[0]
    while (left := until - clock()) > 0:
        pause = next(pauses, pause)
        await upstream.waits.sleep(min(pause, left))
        state = await look(upstream, queued, until + MARGIN_SECONDS / 2)
        if state.kind not in ("running", "asking", "unknown"):
            break
    return state


def told(
    prepared: PreparedTool, body: Mapping[str, Json], event_id: str, state: State, waited: float
) -> dict[str, Json]:
    """The write's result after a wait: with what the event says once it has ended, else with the truth about it."""
    if state.kind in ("done", "cancelled"):
        found = {key: value for key, value in state.body.items() if key != caps.OURS and value != event_id}
        both = {**body, **found}
        if prepared.answer_validator.is_valid(both):
            return both
        return _noted(body, {"event": found})
    if state.kind in ("gone", "unknown"):
        said = f"The outcome is not known: {state.why}."
    else:
        said = f"Not finished after {waited:g} s."
    return _noted(body, {"waited": said})


def _noted(body: Mapping[str, Json], note: Mapping[str, Json]) -> dict[str, Json]:
    return {**body, caps.OURS: {**body.get(caps.OURS, {}), **note}}
