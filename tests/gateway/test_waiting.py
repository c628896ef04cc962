"""`wait_seconds`: what a caller gets of a write that is queued, whatever the event says or does not say."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, cast

import pytest

from functions.gateway import waiting
from functions.gateway.call import run
from functions.gateway.errors import EventFailed, UpstreamTimeout
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from tests.gateway.calling import MEM0, NOON, AdvancingLoop, target, tool
from tool_catalog.catalog import Catalog, Event

CREATE = "create_a_mem_0_memory"
DELETE_ALL = "mem_0_memories_bulk_delete_by_filter"
EVENT = "2c4d1f44-4f7b-4b2f-9f6e-7b5b4f5a1234"
MESSAGES = [{"role": "user", "content": "I prefer window seats."}]
QUEUED = {"event_id": EVENT, "status": "PENDING"}
PENDING = {"id": EVENT, "event_type": "ADD", "status": "PENDING", "results": None}
DONE = {**PENDING, "status": "SUCCEEDED", "results": [{"id": "m-1", "event": "ADD"}]}
FAILED = {**PENDING, "status": "FAILED", "error": "no model"}


class Upstream(Sender):
    """Answers the write, and then each read of the event in turn; the last answer repeats. Each read takes a second."""

    def __init__(self, *events: Any, write: Any = QUEUED) -> None:
        super().__init__(Settings())
        self.events = list(events)
        self.write = write
        self.sent: list[UpstreamRequest] = []
        self.deadlines: list[float] = []

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        self.sent.append(request)
        self.deadlines.append(deadline)
        if request.verb != "GET":
            return self._answer(self.write)
        cast(AdvancingLoop, asyncio.get_running_loop()).advance(1)
        return self._answer(self.events.pop(0) if len(self.events) > 1 else self.events[0])

    def _answer(self, what: Any) -> UpstreamResponse:
        if isinstance(what, Exception):
            raise what
        status, body = what if isinstance(what, tuple) else (200, what)
        return UpstreamResponse(status, {"content-type": "application/json"}, json.dumps(body).encode())


def called(
    upstream: Upstream,
    name: str = CREATE,
    *,
    catalog: Catalog = MEM0,
    config: ServerConfig | None = None,
    seconds: float = 25,
    **given: Json,
) -> Done | Failed | UnknownTool:
    """One call, on a loop whose clock goes forward while the upstream is asked."""
    own: dict[str, Json] = {"messages": MESSAGES, "user_id": "usr_1"} if name == CREATE else {}

    async def go() -> Done | Failed | UnknownTool:
        loop = cast(AdvancingLoop, asyncio.get_running_loop())
        ticking = asyncio.create_task(_tick(loop))
        deadline = loop.time() + seconds
        call = ToolCall(name, {**own, **given}, NOON, deadline)
        try:
            to = target("https://api.mem0.ai", config)
            return await run(call, to, catalog, sender=upstream, settings=Settings())
        finally:
            ticking.cancel()

    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        return runner.run(go())


async def _tick(loop: AdvancingLoop) -> None:
    """Let every wait end at once: the clock goes forward a tenth of a second with each turn of the loop."""
    while True:
        loop.advance(0.1)
        await asyncio.sleep(0)


def body_of(outcome: Done | Failed | UnknownTool) -> dict[str, Json]:
    assert isinstance(outcome, Done), outcome
    return outcome.body


def test_without_a_wait_nothing_is_read_after_the_write() -> None:
    for wait in (None, 0):
        upstream = Upstream(DONE)
        outcome = called(upstream) if wait is None else called(upstream, wait_seconds=wait)
        assert body_of(outcome)["status"] == "PENDING"
        assert len(upstream.sent) == 1
        assert isinstance(outcome, Done)
        assert outcome.event_id == EVENT


def test_the_end_of_the_event_is_the_result() -> None:
    upstream = Upstream(PENDING, PENDING, DONE)
    outcome = called(upstream, wait_seconds=20)
    assert body_of(outcome) == {
        "event_id": EVENT,
        "status": "SUCCEEDED",
        "event_type": "ADD",
        "results": [{"id": "m-1", "event": "ADD"}],
    }
    assert isinstance(outcome, Done)
    assert outcome.event_id is None
    assert [request.verb for request in upstream.sent] == ["POST", "GET", "GET", "GET"]
    assert b"wait_seconds" not in (upstream.sent[0].body or b"")
    assert (outcome.trace.requests, outcome.trace.status) == (4, 200)


def test_an_end_without_results_says_what_that_means() -> None:
    body = body_of(called(Upstream({**DONE, "results": []}), wait_seconds=5))
    assert body["results"] == []
    assert body["_postern"] == {"next": "Nothing was stored: nothing new was found in the messages."}


def test_a_wait_that_is_over_says_that_the_work_still_runs() -> None:
    outcome = called(Upstream(PENDING), wait_seconds=5)
    body = body_of(outcome)
    assert (body["status"], body["event_id"]) == ("PENDING", EVENT)
    assert body["_postern"]["waited"] == "Not finished after 5 s."
    assert "Queued, not done yet: call get_single_mem_0_event_by_id" in body["_postern"]["next"]
    assert isinstance(outcome, Done)
    assert outcome.event_id == EVENT


def test_an_event_that_failed_is_a_failed_call() -> None:
    outcome = called(Upstream(PENDING, FAILED), wait_seconds=20)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.failure, EventFailed)
    assert outcome.message == (
        f"{CREATE}: the upstream accepted the call and then failed to carry it out; raw_response is its event {EVENT}"
    )
    assert outcome.failure.raw_response["error"] == "no model"
    assert (outcome.status, outcome.may_have_acted, outcome.envelope()["is_remote_error"]) == (502, True, True)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ((500, {"detail": "down"}), "The outcome is not known: "),
        ((404, {"detail": "no"}), "The outcome is not known: "),
        ((401, {"detail": "no"}), "The outcome is not known: "),
        ((429, {"detail": "slow"}), "The outcome is not known: "),
        (UpstreamTimeout("no answer in 1 s"), "The outcome is not known: no answer in 1 s."),
    ],
)
def test_no_answer_about_the_event_makes_a_failure_of_a_write(event: Any, said: str) -> None:
    outcome = called(Upstream(event), wait_seconds=3)
    body = body_of(outcome)
    assert body["status"] == "PENDING"
    assert body["_postern"]["waited"].startswith(said)
    assert isinstance(outcome, Done)
    assert outcome.trace.status == 200, "the status of the write, not of the read after it"


@pytest.mark.parametrize("event", [[], "x", None, 5, {"status": 5}])
def test_an_event_of_another_shape_leaves_the_write_s_own_members(event: Json) -> None:
    assert body_of(called(Upstream((200, event)), wait_seconds=3))["event_id"] == EVENT


def test_an_event_that_cannot_be_read_for_a_moment_is_asked_for_again() -> None:
    body = body_of(called(Upstream((503, {}), UpstreamTimeout("no answer"), DONE), wait_seconds=20))
    assert body["status"] == "SUCCEEDED"


def test_a_write_that_is_done_at_once_is_not_waited_for() -> None:
    upstream = Upstream(DONE, write={"event_id": EVENT, "status": "SUCCEEDED", "results": []})
    assert body_of(called(upstream, wait_seconds=20, infer=False))["status"] == "SUCCEEDED"
    assert len(upstream.sent) == 1


def test_the_wait_is_within_the_time_of_the_call() -> None:
    upstream = Upstream(PENDING)
    outcome = called(upstream, wait_seconds=20, seconds=6)
    assert isinstance(outcome, Done)
    assert 1 < len(upstream.sent) < 8
    own, *reads = upstream.deadlines
    assert all(deadline < own for deadline in reads)


@pytest.mark.parametrize("asked", [-1, 21, 1.5, "x", True])
def test_another_wait_is_refused_before_anything_is_sent(asked: Json) -> None:
    upstream = Upstream(DONE)
    outcome = called(upstream, wait_seconds=asked)
    assert isinstance(outcome, Failed)
    assert (outcome.status, upstream.sent) == (400, [])


def test_a_wait_is_no_argument_of_a_deletion() -> None:
    """A pinned deletion needs no id, and then needs `all`: a wait must not stand for it."""
    pinned = ServerConfig(pins={"user_id": "usr_1"})
    upstream = Upstream(DONE)
    refused = called(upstream, DELETE_ALL, config=pinned, wait_seconds=5)
    assert isinstance(refused, Failed)
    assert upstream.sent == []
    assert body_of(called(upstream, DELETE_ALL, config=pinned, wait_seconds=5, all=True))["status"] == "SUCCEEDED"


def test_the_reader_need_not_be_a_tool_of_the_server() -> None:
    config = ServerConfig(methods=("create",))
    assert body_of(called(Upstream(DONE), config=config, wait_seconds=5))["status"] == "SUCCEEDED"


def test_a_catalogue_without_the_reader_leaves_the_write_as_it_is() -> None:
    tool = replace(MEM0.tools[CREATE], event=Event("event_id", "nowhere"))
    outcome = called(Upstream(DONE), catalog=replace(MEM0, tools={CREATE: tool}), wait_seconds=5)
    assert body_of(outcome)["status"] == "PENDING"


def test_a_result_whose_type_contradicts_the_write_stands_beside_it() -> None:
    odd = {**DONE, "message": {"not": "a text"}}
    body = body_of(called(Upstream(odd), wait_seconds=5))
    assert body["status"] == "PENDING"
    assert body["_postern"]["event"]["status"] == "SUCCEEDED"


@pytest.mark.parametrize("expression", ["length(status, status)", "length(`1`)", "missing", "results"])
def test_a_result_that_names_no_event_is_the_result(expression: str) -> None:
    """A write that was carried out is never lost over what would follow it."""
    entry = MEM0.tools[CREATE]
    assert entry.event is not None
    other = replace(entry, event=replace(entry.event, id=expression))
    upstream = Upstream(DONE)
    outcome = called(upstream, catalog=replace(MEM0, tools={**MEM0.tools, CREATE: other}), wait_seconds=5)
    assert isinstance(outcome, Done)
    assert (outcome.body["event_id"], outcome.event_id) == (EVENT, None)
    assert len(upstream.sent) == 1


def test_a_tool_without_events_queues_nothing() -> None:
    assert waiting.queued(tool(), {"event_id": EVENT}, MEM0, "https://api.mem0.ai", Settings()) is None


def test_an_event_whose_id_is_a_number_is_followed() -> None:
    upstream = Upstream({**DONE, "id": "7"}, write={"event_id": EVENT, "status": "PENDING", "job": 7})
    entry = MEM0.tools[CREATE]
    assert entry.event is not None
    other = replace(entry, event=replace(entry.event, id="job"))
    called(upstream, catalog=replace(MEM0, tools={**MEM0.tools, CREATE: other}), wait_seconds=5)
    assert [request.path.rstrip("/").rpartition("/")[2] for request in upstream.sent[1:]] == ["7"]


def test_an_event_whose_state_cannot_be_read_leaves_the_outcome_unknown() -> None:
    entry = MEM0.tools[CREATE]
    assert entry.event is not None
    reader = MEM0.tools[entry.event.read]
    assert reader.states is not None
    other = replace(reader, states=replace(reader.states, running="length(`1`)"))
    upstream = Upstream(DONE)
    outcome = called(upstream, catalog=replace(MEM0, tools={**MEM0.tools, reader.name: other}), wait_seconds=3)
    assert isinstance(outcome, Done)
    assert "The outcome is not known: the upstream's answer is not of the kind its API documents" in str(outcome.body)
