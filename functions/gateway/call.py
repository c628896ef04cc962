"""The call line: it takes one tools/call from its arguments to a result. MCP and the REST proxy both use it.

It finds the tool, checks the arguments, pins, confirms, exchanges and shapes, one step after the other. Nothing here
retries, and no step calls the line again. One value goes in (ToolCall) and one comes out: an outcome, with a trace of
what was done at the upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from functions.gateway import (
    answers,
    arguments,
    errors,
    forced,
    paging,
    pins,
    results,
    selection,
    settle,
)
from functions.gateway.answers import Answer
from functions.gateway.errors import (
    CallLimited,
    EventFailed,
    LostResult,
    OutsidePins,
    ToolFailure,
    Unconfirmable,
    WrongArguments,
)
from functions.gateway.exchanges import Exchanges
from functions.gateway.expressions import Fields
from functions.gateway.grants import Target
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Done, Failed, ToolCall, Trace, UnknownTool, carried_out
from functions.gateway.paging import Position
from functions.gateway.prepared import PreparedTool
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.gateway.value_classes import replace
from tool_catalog.catalog import Catalog, Tool

if TYPE_CHECKING:
    from functions.gateway import waiting
    from functions.gateway.confirmation import Confirmer

READS_AT_ONCE = 50
"""Objects that one call of a pinned server may read beforehand; a longer batch is refused with this number."""


async def run(
    call: ToolCall,
    target: Target,
    catalog: Catalog,
    *,
    sender: Sender,
    settings: Settings,
    admit: Callable[[], None] = lambda: None,
    confirmer: Confirmer | None = None,
) -> Done | Failed | UnknownTool:
    """Carry out one call. Nothing is raised for bad input or a bad upstream. `admit` raises CallLimited for a call that
    has to wait. `confirmer` is needed for a target whose config asks for confirmations."""
    try:
        prepared = selection.find(catalog, target.config, call.name)
    except errors.UnknownTool as unknown:
        return UnknownTool(unknown.message)
    with ExitStack() as until_the_end:
        upstream = Exchanges(call, target, catalog, sender, until_the_end)
        return await _outcome(prepared, upstream, settings, admit, confirmer)


async def _outcome(
    prepared: PreparedTool,
    upstream: Exchanges,
    settings: Settings,
    admit: Callable[[], None],
    confirmer: Confirmer | None,
) -> Done | Failed:
    call, target = upstream.call, upstream.target
    try:
        admit()
        settled = settle.arguments(prepared, call.arguments)
        given, code = _without_code(prepared, settled.arguments)
        pinned = _checked_and_pinned(upstream.catalog, prepared, target, given)
        position = _position(prepared, given, pinned)
        projection = _projection(prepared, given, pinned)
        await _check_objects(upstream, prepared.tool, target, pinned)
        await _confirm(upstream, prepared, pinned, code, confirmer)
        answer = await _answer(upstream, prepared.tool, pinned, position)
        answer = _within_pins(prepared.tool, target, answer)
        body = await upstream.waits.in_turn(answer.size, results.shape, prepared, answer, pinned, projection, settings)
        body, hinting, event_id = await _outcome_of_event(upstream, prepared, body, pinned, settings)
        body = results.with_hints(hinting, body, partial(selection.offers, upstream.catalog, target.config))
    except CallLimited as failure:
        return Failed(prepared.tool, failure, Trace(rate_limit=failure.rate_limit))
    except ToolFailure as failure:
        return Failed(prepared.tool, failure, upstream.trace())
    except Exception as error:
        # Once the upstream may have acted, a fault of ours must not hide it.
        if not upstream.trace().sent:
            raise
        return Failed(prepared.tool, _lost(prepared.tool, error, upstream.trace()), upstream.trace())
    return Done(prepared.tool, body, upstream.trace(), settled.notes, event_id)


async def _outcome_of_event(
    upstream: Exchanges, prepared: PreparedTool, body: dict[str, Json], given: Mapping[str, Json], settings: Settings
) -> tuple[dict[str, Json], Tool, str | None]:
    """The result after the caller's wait for what the call queued, the tool whose hints fit it, and the id of what has
    not ended. Raises EventFailed."""
    tool = prepared.tool
    if tool.event is None:
        return body, tool, None
    from functions.gateway import waiting  # other tools need none of it

    wanted = waiting.seconds(given)
    queued = waiting.queued(tool, body, upstream.catalog, upstream.target.base_url, settings)
    if queued is None or wanted <= 0:
        return body, tool, queued.event_id if queued is not None else None
    now = upstream.waits.now()
    state = await waiting.wait(upstream, queued, min(now + wanted, upstream.call.deadline - waiting.MARGIN_SECONDS))
    if state.kind == "failed":
        raise event_failed(state, queued.event_id)
    body = waiting.told(prepared, body, queued.event_id, state, wanted)
    if state.kind in ("done", "cancelled"):
        return body, queued.reader.tool, None
    return body, tool, None if state.kind == "gone" else queued.event_id


def event_failed(state: waiting.State, event_id: str) -> EventFailed:
    """What a caller must know of a call that was accepted and then failed."""
    return EventFailed(
        f"the upstream accepted the call and then failed to carry it out; raw_response is its event {event_id}",
        raw_response=dict(state.body),
    )


async def follow(
    queued: waiting.Queued, call: ToolCall, target: Target, catalog: Catalog, *, sender: Sender
) -> tuple[waiting.State, Trace]:
    """The present state of an event that an earlier call queued, and what reading it did upstream."""
    from functions.gateway import waiting

    with ExitStack() as until_the_end:
        upstream = Exchanges(call, target, catalog, sender, until_the_end)
        state = await waiting.look(upstream, queued, call.deadline)
        if state.kind == "done":
            offered = partial(selection.offers, catalog, target.config)
            state = replace(state, body=results.with_hints(queued.reader.tool, dict(state.body), offered))
        return state, upstream.trace()


async def act_on_event(
    tool: Tool, call: ToolCall, target: Target, catalog: Catalog, *, sender: Sender
) -> Done | Failed:
    """Carry out a tool that acts on an event of an earlier call, e.g. ends it. Its answer is not looked at."""
    with ExitStack() as until_the_end:
        upstream = Exchanges(call, target, catalog, sender, until_the_end)
        try:
            await upstream.send(tool, call.arguments)
        except ToolFailure as failure:
            return Failed(tool, failure, upstream.trace())
        return Done(tool, {}, upstream.trace())


def _without_code(prepared: PreparedTool, given: Mapping[str, Json]) -> tuple[Mapping[str, Json], Json]:
    """The arguments of the call itself, and the code that confirms it; None for no code."""
    if not prepared.confirmed:
        return given, None
    from functions.gateway import confirmation  # other servers need none of it

    name = confirmation.argument(prepared.tool)
    return {argument: value for argument, value in given.items() if argument != name}, given.get(name)


async def _confirm(
    upstream: Exchanges, prepared: PreparedTool, given: Mapping[str, Json], code: Json, confirmer: Confirmer | None
) -> None:
    """Raises ConfirmationNeeded for a call that needs a confirmation and has none."""
    if not prepared.confirmed:
        return
    if confirmer is None:
        raise Unconfirmable("this server asks for a confirmation, which cannot be given here; nothing was sent")
    reason = confirmer.take(prepared.tool, given, code) if code is not None else ""
    if code is None or reason:
        from functions.gateway import touched

        found = await touched.find(upstream, upstream.catalog, prepared.tool, given, upstream.target.base_url)
        raise confirmer.ask(prepared.tool, given, found, reason)


def _lost(tool: Tool, error: Exception, trace: Trace) -> LostResult:
    """What the caller must know of a call whose result a fault of ours lost."""
    if tool.access != "read" and trace.status is not None and trace.status < HTTPStatus.BAD_REQUEST:
        happened = carried_out(trace.status)
    else:
        happened = errors.effect(changes_nothing=tool.access == "read")
    return LostResult(
        f"the result could not be read because of a fault of this endpoint, whose log names the place; {happened}",
        detail=f"unexpected {type(error).__name__} at {errors.place(error)}",
    )


def _checked_and_pinned(
    catalog: Catalog, prepared: PreparedTool, target: Target, given: Mapping[str, Json]
) -> dict[str, Json]:
    """The arguments as they will be sent. Raises WrongArguments or OutsidePins."""
    problems = arguments.check(prepared, given)
    if problems:
        from functions.gateway import wrong_arguments  # here and below: a call that is right needs none of it

        raise wrong_arguments.unfit(catalog, prepared, target, given, problems)
    try:
        pinned = forced.pinned(prepared.tool, target.config, given)
    except OutsidePins as refusal:
        from functions.gateway import wrong_arguments

        raise wrong_arguments.outside(prepared, target, given, refusal) from None
    problems = arguments.check_record_rules(prepared, pinned)
    if problems:
        from functions.gateway import wrong_arguments

        raise wrong_arguments.refused(catalog, prepared, target, given, problems)
    return pinned


def _position(prepared: PreparedTool, given: Mapping[str, Json], pinned: Mapping[str, Json]) -> Position | None:
    try:
        return paging.start(prepared.tool, pinned)
    except paging.BadCursor:
        from functions.gateway import wrong_arguments

        raise wrong_arguments.foreign_cursor(prepared, given) from None


def _projection(prepared: PreparedTool, given: Mapping[str, Json], pinned: Mapping[str, Json]) -> Fields | None:
    try:
        return results.fields(prepared.tool, pinned)
    except WrongArguments as wrong:
        from functions.gateway import wrong_arguments

        raise wrong_arguments.unusable_fields(prepared, given, wrong.problems) from None


async def _check_objects(upstream: Exchanges, tool: Tool, target: Target, given: Mapping[str, Json]) -> None:
    """On a pinned server, read the objects that a call is about first. Raises OutsidePins if one is not of the pins."""
    reading = pins.reading(upstream.catalog, tool, target.config.pins, given)
    if reading is None:
        return
    if len(reading.ids) > READS_AT_ONCE:
        raise OutsidePins(
            f"{len(reading.ids)} objects in one call; a pinned server reads each of them first and takes at most "
            f"{READS_AT_ONCE}. Split the call"
        )
    for object_id in reading.ids:
        found = await upstream.read_beforehand(reading.reader, {reading.argument: object_id})
        pins.check_object(target.config.pins, found, object_id)


async def _answer(upstream: Exchanges, tool: Tool, given: Mapping[str, Json], position: Position | None) -> Answer:
    """The answer of the upstream: one document, or the objects of a page. A tool that collects reads several pages."""
    objects: list[Json] = []
    at, size = position, 0
    for _ in range(tool.pagination.collect if tool.pagination else 1):
        response = await upstream.send(tool, given, at)
        size += len(response.body)
        page = await upstream.waits.in_turn(len(response.body), _page, upstream, tool, response)
        if page.objects is None:
            return Answer(response.status, page.document, size=size)
        objects += page.objects
        at = answers.following(tool, at, page.more, len(page.objects))
        if at is None:
            break
    return Answer(response.status, page.document, objects, position, after=at, size=size, total=page.total)


class _Page(NamedTuple):
    """One answer of the upstream, mapped.

    `objects`  those of a list-like tool; None for any other tool.
    `more`     what the answer says about a next page. `total`: the number of all objects, if it says one.
    """

    document: Json
    objects: list[Json] | None = None
    more: Json = None
    total: int | None = None


def _page(upstream: Exchanges, tool: Tool, response: UpstreamResponse) -> _Page:
    document = upstream.read(tool, response)
    if tool.result.items is None or isinstance(document, answers.Foreign):
        return _Page(answers.mapped(tool, document, upstream.target.base_url))
    more, total = answers.next_page(tool, document), answers.total(tool, document)
    document = answers.mapped(tool, document, upstream.target.base_url)
    return _Page(document, answers.objects(tool, document), more, total)


def _within_pins(tool: Tool, target: Target, answer: Answer) -> Answer:
    """The answer of a tool whose answer itself shows what the pins admit: the admitted objects of a list. Raises
    OutsidePins for any other tool whose answer they do not admit."""
    at = pins.judged_at(tool, target.config.pins)
    if at is None:
        return answer
    if answer.objects is None:
        pins.check_object(target.config.pins, answers.look_up(at, answer.document), "what it found")
        return answer
    admitted = [found for found in answer.objects if pins.holds(target.config.pins, answers.look_up(at, found))]
    return replace(answer, objects=admitted, total=None)
