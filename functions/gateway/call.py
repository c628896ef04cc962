"""The line: one tools/call, from arguments to answer. MCP and the REST proxy both use it.

Find, check, pin, build, attach, send, shape; top to bottom, one thing after the other. Nothing here retries, and
nothing below it calls back up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from functions.gateway import arguments as argument_rules
from functions.gateway import credentials, forced, paging, pins, rate_limits, refusals, requests, results, selection
from functions.gateway.credentials import Credential
from functions.gateway.errors import OutOfScope, ToolFailure, UpstreamUnreadable, WrongArguments
from functions.gateway.expressions import Fields
from functions.gateway.grants import Grant
from functions.gateway.json_text import Json
from functions.gateway.paging import Position
from functions.gateway.prepared import PreparedTool
from functions.gateway.rate_limits import RateLimit
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from tool_catalog.catalog import Catalog, Tool

TRACE_CHARS = 8_192
"""Longest trace header passed upstream: the limit of W3C Baggage; traceparent and tracestate are shorter."""

READS_AT_ONCE = 50
"""Objects one call of a pinned server may read beforehand; a longer batch is refused with this number in the text."""


@dataclass(slots=True)
class Upstream:
    """What one call did upstream; filled while the call runs, so that it is there for the log when the call fails."""

    requests: int = 0
    seconds: float = 0.0
    status: int | None = None
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A call that succeeded: the result object, and the upstream's rate limit of its last answer."""

    body: dict[str, Json]
    rate_limit: RateLimit | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Everything a call needs beside the tool and its arguments.

    `deadline` is on the clock of `time.monotonic()`, in seconds. `trace` holds W3C trace headers passed upstream.
    """

    server: Grant
    catalog: Catalog
    credential: Credential
    sender: Sender
    settings: Settings
    now: datetime
    deadline: float
    trace: Mapping[str, str] = field(default_factory=dict)
    upstream: Upstream = field(default_factory=Upstream)


async def call(caller: Caller, name: str, arguments: Mapping[str, Json]) -> Answer:
    """Carry out one call. Raises UnknownTool, or a ToolFailure that says what was wrong; nothing else for bad input or
    a bad upstream."""
    prepared = selection.find(caller.catalog, caller.server.config, name)
    try:
        return await _call(caller, prepared, arguments)
    except ToolFailure as failure:
        failure.rate_limit = failure.rate_limit or caller.upstream.rate_limit
        raise


async def _call(caller: Caller, prepared: PreparedTool, arguments: Mapping[str, Json]) -> Answer:
    tool, config = prepared.tool, caller.server.config
    problems = argument_rules.check(prepared, arguments)
    if problems:
        # What a pin would put in is not there yet: only without one do the record's rules say something true here.
        rules = () if config.pins else argument_rules.check_record_rules(prepared, arguments)
        raise WrongArguments(tool.name, [*rules, *problems])
    pinned = pins.apply(tool, config.pins, forced.merged(tool, config, arguments))
    problems = argument_rules.check_record_rules(prepared, pinned)
    if problems:
        raise WrongArguments(tool.name, problems)
    position = _position(tool, pinned)
    projection = results.fields(tool, pinned)
    await _check_objects(caller, tool, pinned)
    if tool.result.items is None:
        return await _call_object(caller, prepared, pinned)
    return await _call_list(caller, prepared, pinned, position, projection)


async def _call_object(caller: Caller, prepared: PreparedTool, arguments: Mapping[str, Json]) -> Answer:
    tool, config = prepared.tool, caller.server.config
    response = await _send(caller, tool, arguments, None)
    document = results.mapped(tool, results.read(tool, response))
    if (at := pins.judged_at(tool, config.pins)) is not None:
        pins.check_object(tool, config.pins, results.look_up(tool, at, document), "what it found")
    body = results.shape_object(tool, document, response.status, caller.settings)
    results.check_documented(prepared, body, response.status)
    return Answer(body, caller.upstream.rate_limit)


async def _call_list(
    caller: Caller,
    prepared: PreparedTool,
    arguments: Mapping[str, Json],
    position: Position | None,
    projection: Fields | None,
) -> Answer:
    tool, config = prepared.tool, caller.server.config
    records: list[Json] = []
    at = position
    pages = tool.pagination.collect if tool.pagination else 1
    for _ in range(pages):
        response = await _send(caller, tool, arguments, at)
        answered = results.read(tool, response)
        more = (
            results.look_up(tool, tool.pagination.next, answered) if tool.pagination and tool.pagination.next else None
        )
        document = results.mapped(tool, answered)
        page = results.items(tool, document)
        records += page
        at = _following(tool, at, more, len(page)) if at is not None else None
        if at is None:
            break
    if (judged := pins.judged_at(tool, config.pins)) is not None:
        records = [record for record in records if pins.holds(config.pins, results.look_up(tool, judged, record))]
    body = results.shape_list(
        tool, document, records, arguments, caller.settings, projection=projection, position=position, after=at
    )
    results.check_documented(prepared, body, response.status)
    return Answer(body, caller.upstream.rate_limit)


def _position(tool: Tool, arguments: Mapping[str, Json]) -> Position | None:
    try:
        return paging.start(tool, arguments)
    except paging.BadCursor:
        raise WrongArguments(
            tool.name,
            [
                '"next_cursor" is not one this tool gave; pass back the next_cursor of the previous answer unchanged, '
                "or leave it out to start from the first page"
            ],
        ) from None


def _following(tool: Tool, at: Position, more: Json, count: int) -> Position | None:
    assert tool.pagination is not None
    try:
        return paging.following(tool.pagination, at, more, count)
    except paging.BadCursor:
        raise UpstreamUnreadable(
            f"{tool.name}: the upstream's cursor for the next page is no text of at most {paging.POSITION_CHARS} "
            "characters, so that there is no way on from here"
        ) from None


async def _check_objects(caller: Caller, tool: Tool, arguments: Mapping[str, Json]) -> None:
    """On a pinned server, read the objects a call is about first, and refuse the call if one is outside the pins."""
    config = caller.server.config
    reading = pins.reading(caller.catalog, tool, config.pins, arguments)
    if reading is None:
        return
    if len(reading.ids) > READS_AT_ONCE:
        raise OutOfScope(
            f"{tool.name}: {len(reading.ids)} objects in one call; a pinned server reads each of them first and takes "
            f"at most {READS_AT_ONCE}. Split the call"
        )
    reader = replace(reading.reader, name=tool.name)  # its failures are those of this call
    for object_id in reading.ids:
        response = await _send(caller, reader, {reading.argument: object_id}, None)
        document = results.mapped(reader, results.read(reader, response))
        pins.check_object(tool, config.pins, document, object_id)


async def _send(
    caller: Caller, tool: Tool, arguments: Mapping[str, Json], position: Position | None
) -> UpstreamResponse:
    """One upstream request. Raises a ToolFailure for anything but a 2xx answer."""
    request = requests.build(tool, arguments, caller.server.base_url, caller.server.context, position)
    trace = [(name, value) for name, value in caller.trace.items() if _sendable(value)]
    request = replace(request, headers=(*request.headers, *trace))
    request = credentials.attach(request, caller.catalog.auth, caller.credential)
    upstream = caller.upstream
    upstream.requests += 1
    upstream.status = None
    started = time.monotonic()
    try:
        response = await caller.sender.send(request, caller.deadline)
    except ToolFailure as failure:
        upstream.status = failure.upstream_status
        failure.message = f"{tool.name}: {failure.message}"
        raise
    finally:
        upstream.seconds += time.monotonic() - started
    upstream.status = response.status
    upstream.rate_limit = rate_limits.read(response.headers, caller.catalog.rate_limits, response.status, caller.now)
    body = credentials.redact(response.body, caller.credential, caller.catalog.credentials)
    response = replace(response, body=body)
    if response.status >= 300:
        raise refusals.explain(tool, caller.catalog, response, upstream.rate_limit)
    return response


def _sendable(value: str) -> bool:
    """False for a trace value that no header can hold; tracing is not worth failing a call."""
    return len(value) <= TRACE_CHARS and value.isascii() and value.isprintable()
