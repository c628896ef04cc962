"""The line: one tools/call, from arguments to a result. MCP and the REST proxy both use it.

Find, check, pin, build, attach, send, shape: one step after the other. Nothing here retries, and nothing below it calls
back up. One value goes in and one comes out; what happened on the way is in its trace, whatever the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from functions.gateway import (
    answers,
    arguments,
    corrected,
    credentials,
    errors,
    forced,
    offered_texts,
    paging,
    pins,
    rate_limits,
    requests,
    results,
    selection,
    settle,
    wording,
)
from functions.gateway.answers import Answer
from functions.gateway.collector import collector
from functions.gateway.errors import (
    CallLimited,
    EventFailed,
    LostResult,
    OutsidePins,
    ToolFailure,
    Unconfirmable,
    UpstreamRefused,
    WrongArguments,
)
from functions.gateway.expressions import Fields
from functions.gateway.grants import Target
from functions.gateway.json_text import Json
from functions.gateway.paging import Position
from functions.gateway.prepared import PreparedTool
from functions.gateway.rate_limits import RateLimit
from functions.gateway.redaction import Secrets
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.gateway.value_classes import dataclass
from tool_catalog.catalog import Catalog, Tool

if TYPE_CHECKING:
    from functions.gateway import waiting
    from functions.gateway.confirmation import Confirmer
    from functions.gateway.tracing import Span

READS_AT_ONCE = 50
"""Objects that one call of a pinned server may read beforehand; a longer batch is refused with this number."""


LARGE_BYTES = 100_000
"""Bytes of a request or an answer that are read between two turns of the event loop, in some milliseconds; a larger one
goes to a thread."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a client asks for.

    `now`       the present in UTC.
    `deadline`  when the call must have ended, in seconds on the event loop's clock (`loop.time()`).
    `span`      takes the requests to the upstream; None where nothing is traced.
    """

    name: str
    arguments: Mapping[str, Json] = field(repr=False)
    now: datetime
    deadline: float
    span: Span | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Trace:
    """What one call did upstream.

    `requests`, `seconds`   how many requests were made, and how long they took together.
    `status`, `rate_limit`  those of the last answer, None where there was none.
    `sent`                  the call's own request may have reached the upstream; the reads before it do not count.
    """

    requests: int = 0
    seconds: float = 0.0
    status: int | None = None
    rate_limit: RateLimit | None = None
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The call succeeded; `body` is its result, and `settled` says what was put right in its arguments. `event_id` is
    that of an event which has not ended yet."""

    tool: Tool
    body: dict[str, Json] = field(repr=False)
    trace: Trace
    settled: tuple[str, ...] = ()
    event_id: str | None = None
    may_have_acted = True

    @property
    def status(self) -> int:
        """HTTP status that stands for it: the upstream's own, as far as that goes with a body."""
        return self.trace.status if self.trace.status in (200, 201, 202) else 200


@dataclass(frozen=True, slots=True)
class Failed:
    """The call did not succeed."""

    tool: Tool
    failure: ToolFailure
    trace: Trace

    @property
    def status(self) -> int:
        """HTTP status that stands for it: the upstream's own where the upstream refused."""
        return self.failure.status_code

    @property
    def message(self) -> str:
        """What was wrong, and what became of a write, each line under the tool's name: a client may have several calls
        under way."""
        return "\n".join(f"{self.tool.name}: {line}" for line in (*self.failure.lines, *self._became()))

    def _became(self) -> tuple[str, ...]:
        """A line that says of a write that it was carried out, where only its answer cannot be passed on and the
        failure does not speak of it."""
        status = self.trace.status
        if self.tool.access == "read" or not self.trace.sent or status is None or status >= HTTPStatus.MULTIPLE_CHOICES:
            return ()
        spoken_of = (
            isinstance(self.failure, LostResult | EventFailed)
            or errors.effect(changes_nothing=False) in self.failure.message
        )
        return () if spoken_of else (_carried_out(status),)

    @property
    def may_have_acted(self) -> bool:
        """False only when it is certain that the upstream changed nothing, so that the call may simply be repeated."""
        refused = isinstance(self.failure, UpstreamRefused) and not answers.refused_unsure(self.failure.status_code)
        return self.trace.sent and self.tool.access != "read" and not refused

    def envelope(self) -> dict[str, Json]:
        """What stands for the call in a result or in a body."""
        limit = self.trace.rate_limit
        return {
            **errors.envelope(self.failure),
            "message": self.message,
            "rate_limit": limit.to_json() if limit else None,
        }


@dataclass(frozen=True, slots=True)
class UnknownTool:
    """This server has no tool of that name; nothing was sent."""

    message: str
    status = 404
    may_have_acted = False

    @property
    def trace(self) -> Trace:
        """Nothing was done."""
        return Trace()


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
        upstream = _Upstream(call, target, catalog, sender, until_the_end)
        return await _outcome(prepared, upstream, settings, admit, confirmer)


async def _outcome(
    prepared: PreparedTool,
    upstream: _Upstream,
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
        body = await in_turn(answer.size, results.shape, prepared, answer, pinned, projection, settings)
        body, hinting, event_id = await _outcome_of_event(upstream, prepared, body, pinned, settings)
        body = results.with_hints(hinting, body, lambda name: _offers(upstream.catalog, target, name))
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
    upstream: _Upstream, prepared: PreparedTool, body: dict[str, Json], given: Mapping[str, Json], settings: Settings
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
    now = asyncio.get_running_loop().time()
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
        upstream = _Upstream(call, target, catalog, sender, until_the_end)
        state = await waiting.look(upstream, queued, call.deadline)
        if state.kind == "done":
            offered = partial(_offers, catalog, target)
            state = replace(state, body=results.with_hints(queued.reader.tool, dict(state.body), offered))
        return state, upstream.trace()


async def act_on_event(
    tool: Tool, call: ToolCall, target: Target, catalog: Catalog, *, sender: Sender
) -> Done | Failed:
    """Carry out a tool that acts on an event of an earlier call, e.g. ends it. Its answer is not looked at."""
    with ExitStack() as until_the_end:
        upstream = _Upstream(call, target, catalog, sender, until_the_end)
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
    upstream: _Upstream, prepared: PreparedTool, given: Mapping[str, Json], code: Json, confirmer: Confirmer | None
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


def _offers(catalog: Catalog, target: Target, name: str) -> bool:
    tool = catalog.tools.get(name)
    return tool is not None and selection.shows(tool, target.config)


def _lost(tool: Tool, error: Exception, trace: Trace) -> LostResult:
    """What the caller must know of a call whose result a fault of ours lost."""
    if tool.access != "read" and trace.status is not None and trace.status < HTTPStatus.BAD_REQUEST:
        happened = _carried_out(trace.status)
    else:
        happened = errors.effect(changes_nothing=tool.access == "read")
    return LostResult(
        f"the result could not be read because of a fault of this endpoint, whose log names the place; {happened}",
        detail=f"unexpected {type(error).__name__} at {errors.place(error)}",
    )


def _carried_out(status: int) -> str:
    """What the status of a success says about a write."""
    if status == HTTPStatus.ACCEPTED:
        return "the upstream answered 202, so it accepted the request; look whether it was carried out"
    return f"the upstream answered {status}, so it was carried out; do not repeat it"


def _checked_and_pinned(
    catalog: Catalog, prepared: PreparedTool, target: Target, given: Mapping[str, Json]
) -> dict[str, Json]:
    """The arguments as they will be sent. Raises WrongArguments or OutsidePins."""
    problems = arguments.check(prepared, given)
    if problems:
        # Pinned ids are put in later, so on a pinned server the record's rules would report false problems here.
        wrong = _wrong(catalog, prepared, target, given, problems)
        if wrong.corrected is None and not target.config.pins:
            # What the record's rules say of arguments that are no call yet helps only where nothing is corrected.
            rules = arguments.check_record_rules(prepared, given)
            wrong = _wrong(catalog, prepared, target, given, [*rules, *problems])
        raise wrong
    try:
        pinned = _pinned(prepared, target, given)
    except OutsidePins as refusal:
        raise _with_a_way(prepared, target, given, refusal) from None
    problems = arguments.check_record_rules(prepared, pinned)
    if problems:
        raise _wrong(catalog, prepared, target, given, problems)
    return pinned


def _with_a_way(prepared: PreparedTool, target: Target, given: Mapping[str, Json], refusal: OutsidePins) -> OutsidePins:
    """The refusal with the call that works: without the ids that the server fills in. A call that destroys something
    was meant for other objects, so none is suggested for it."""
    if prepared.tool.destructive:
        return refusal
    without = pins.without(prepared.tool, target.config.pins, given)
    try:
        _pinned(prepared, target, without)
    except OutsidePins:
        return refusal
    return OutsidePins(refusal.message, corrected=corrected.checked(prepared, without))


def _wrong(
    catalog: Catalog, prepared: PreparedTool, target: Target, given: Mapping[str, Json], problems: Sequence[str]
) -> WrongArguments:
    """The problems, with the corrected arguments where they can be computed."""

    def refused(arguments_: Mapping[str, Json]) -> bool:
        try:
            return bool(arguments.check_record_rules(prepared, _pinned(prepared, target, arguments_)))
        except OutsidePins:
            return True

    hidden = selection.hidden(catalog, target.config)
    said = [text for text in (offered_texts.without(problem, hidden) for problem in problems) if text] or problems
    correction = corrected.arguments(prepared, given, refused)
    if correction is not None:
        # The correction shows the form and the names, so the fault alone is left to say.
        said = [wording.fault(problem) for problem in said]
    return WrongArguments(said, correction)


def _pinned(prepared: PreparedTool, target: Target, given: Mapping[str, Json]) -> dict[str, Json]:
    merged = forced.merged(prepared.tool, target.config, given)
    return pins.apply(prepared.tool, target.config.pins, merged, write_ids=target.config.write_ids)


def _position(prepared: PreparedTool, given: Mapping[str, Json], pinned: Mapping[str, Json]) -> Position | None:
    try:
        return paging.start(prepared.tool, pinned)
    except paging.BadCursor:
        without = {name: value for name, value in given.items() if name != "next_cursor"}
        raise WrongArguments(
            [
                '"next_cursor" was not issued by this tool; pass back the next_cursor of the previous answer '
                "unchanged, or leave it out to start from the first page"
            ],
            corrected.checked(prepared, without),
        ) from None


def _projection(prepared: PreparedTool, given: Mapping[str, Json], pinned: Mapping[str, Json]) -> Fields | None:
    try:
        return results.fields(prepared.tool, pinned)
    except WrongArguments as wrong:
        example = {**given, "fields": prepared.tool.result.fields}
        raise WrongArguments(wrong.problems, corrected.checked(prepared, example)) from None


async def _check_objects(upstream: _Upstream, tool: Tool, target: Target, given: Mapping[str, Json]) -> None:
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


async def _answer(upstream: _Upstream, tool: Tool, given: Mapping[str, Json], position: Position | None) -> Answer:
    """What the upstream answers: one document, or the objects of a page (of several, where the tool collects them)."""
    objects: list[Json] = []
    at, size = position, 0
    for _ in range(tool.pagination.collect if tool.pagination else 1):
        response = await upstream.send(tool, given, at)
        size += len(response.body)
        page = await in_turn(len(response.body), _page, upstream, tool, response)
        if page.objects is None:
            return Answer(response.status, page.document, size=size)
        objects += page.objects
        at = answers.following(tool, at, page.more, len(page.objects))
        if at is None:
            break
    return Answer(response.status, page.document, objects, position, after=at, size=size, total=page.total)


class _Page(NamedTuple):
    """One answer: mapped; its objects, None for a tool that is not list-like; what it says about a next page and about
    the number of all objects."""

    document: Json
    objects: list[Json] | None = None
    more: Json = None
    total: int | None = None


def _page(upstream: _Upstream, tool: Tool, response: UpstreamResponse) -> _Page:
    document = upstream.read(tool, response)
    if tool.result.items is None or isinstance(document, answers.Foreign):
        return _Page(answers.mapped(tool, document, upstream.target.base_url))
    more, total = answers.next_page(tool, document), answers.total(tool, document)
    document = answers.mapped(tool, document, upstream.target.base_url)
    return _Page(document, answers.objects(tool, document), more, total)


async def in_turn(size: int, work: Callable[..., Found], *about: Any) -> Found:
    """Work on a request or an answer of `size` bytes: on a thread for a large one, so that other calls get their
    turn."""
    if size <= LARGE_BYTES:
        return work(*about)
    await asyncio.sleep(0)  # from here on there is an event loop: on Lambda the handler runs one after the first wait
    return await asyncio.to_thread(work, *about)


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


class _Upstream:
    """The upstream as one call sees it: sends its requests and keeps the trace of them."""

    def __init__(
        self, call: ToolCall, target: Target, catalog: Catalog, sender: Sender, until_the_end: ExitStack
    ) -> None:
        self.call = call
        self.target = target
        self.catalog = catalog
        self._sender = sender
        self._until_the_end = until_the_end
        self._large = False
        self._trace = Trace()

    def trace(self) -> Trace:
        """What was done so far."""
        return self._trace

    async def read_beforehand(self, reader: Tool, given: Mapping[str, Json]) -> Json:
        """An object that a pin must admit before the call."""
        return answers.mapped(reader, await self.read_before(reader, given), self.target.base_url)

    async def read_before(self, reader: Tool, given: Mapping[str, Json], position: Position | None = None) -> Json:
        """What a read before the call finds, as the upstream wrote it."""
        return self.read(reader, await self._exchange(reader, given, position, own=False))

    async def read_after(self, tool: Tool, given: Mapping[str, Json], deadline: float) -> UpstreamResponse:
        """An answer about what the call queued, asked for after the call's own request."""
        return await self._exchange(tool, given, None, own=False, deadline=deadline)

    async def send(self, tool: Tool, given: Mapping[str, Json], position: Position | None = None) -> UpstreamResponse:
        """One request of the call itself. Raises a ToolFailure for anything but a 2xx answer."""
        return await self._exchange(tool, given, position, own=True)

    def read(self, tool: Tool, response: UpstreamResponse) -> Json:
        """The document of an answer, without the credential. Raises UpstreamUnreadable."""
        return answers.read(tool, response, self._secrets(tool))

    def _secrets(self, tool: Tool) -> Secrets:
        auths = [auth for auth in (self.catalog.auth, tool.request.auth) if auth is not None]
        return Secrets(self.target.credential, self.catalog.credentials, *auths)

    async def _exchange(
        self,
        tool: Tool,
        given: Mapping[str, Json],
        position: Position | None,
        *,
        own: bool,
        deadline: float | None = None,
    ) -> UpstreamResponse:
        """One request and its answer; `own`: it is the call's own, not one that reads an object before or after it.
        What is read after it leaves the call's own status as it is."""
        request = requests.build(
            tool,
            given,
            self.target.base_url,
            self.target.context,
            position,
            account_id=self.target.account_id,
        )
        request = credentials.attach(request, self.catalog.auth, self.target.credential, tool.request.auth)
        deadline = self.call.deadline if deadline is None else deadline
        sending = (
            self._sender.send(request, deadline)
            if self.call.span is None
            else self.call.span.sending(tool.request, self.target.base_url, request, deadline, self._sender)
        )
        clock = asyncio.get_running_loop().time
        started = clock()
        status, rate_limit, sent = None, self._trace.rate_limit, True
        try:
            response = await sending
            status = response.status
            if len(response.body) > LARGE_BYTES and not self._large:
                self._large = True
                self._until_the_end.enter_context(collector.waiting())
            rate_limit = rate_limits.read(response.headers, self.catalog.rate_limits, status, self.call.now)
        except ToolFailure as failure:
            status, sent = failure.upstream_status, failure.sent
            raise
        finally:
            self._trace = Trace(
                requests=self._trace.requests + 1,
                seconds=self._trace.seconds + clock() - started,
                status=self._trace.status if self._trace.sent and not own else status,
                rate_limit=rate_limit,
                sent=self._trace.sent or (own and sent),
            )
        if not answers.is_result(tool, response):
            raise answers.refusal(tool, self.catalog, response, rate_limit, self._secrets(tool))
        return response
