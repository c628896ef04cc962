"""Whatever an upstream does, a call ends in an answer or in a ToolFailure whose words a model can act on.

The words are reviewed in tests/golden/messages/upstream.json; UPDATE_GOLDEN=1 rewrites it.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import socket
from collections.abc import Mapping
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast

import pytest

from functions.gateway import errors
from functions.gateway.call import run
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.tracing import Tracer
from functions.gateway.upstream import Sender, UpstreamResponse
from tests.gateway.calling import (
    API_KEY,
    MEM0,
    NOON,
    SETTINGS,
    AdvancingLoop,
    call_once,
    catalog_of,
    failure_of,
    result_of,
    target,
    tool,
)
from tests.gateway.loopback import Received, Told, Upstream, answer, unused_origin
from tool_catalog.catalog import PinAnswer, Result
from tool_catalog.request_template import Pagination, Parameter

GOLDEN = Path(__file__).parents[1] / "golden" / "messages" / "upstream.json"

READ = tool(
    "GET",
    "/things/",
    Parameter("query", "q", "q"),
    Parameter("result", "fields", "fields"),
    Parameter("result", "max_tokens", "max_tokens"),
    result=Result(items="results", fields="{id: id, text: text}"),
    properties={"q": {"type": "string"}, "fields": {"type": "string"}, "max_tokens": {"type": "integer"}},
)
WRITE = tool(
    "POST",
    "/things/",
    Parameter("body", "text", "text"),
    name="create_a_thing",
    method="create",
    access="write",
    output={"type": "object", "properties": {"id": {"type": "string"}}},
)
THINGS = catalog_of(READ, WRITE)

HTML = b"<!DOCTYPE html><html><body>Internal stack trace at line 4</body></html>"
AS_HTML = ("content-type", "text/html; charset=utf-8")

ANSWERS: dict[str, Told] = {
    "401 with the words under detail": answer(401, {"detail": "Invalid API key."}),
    "401 that repeats the key": answer(401, {"detail": f"Key {API_KEY} is not valid."}),
    "403 with the words under message": answer(403, {"message": "Unauthorized"}),
    "404 with the words under error": answer(404, {"error": "Thing not found!"}),
    "404 without a body": answer(404),
    "409 with field errors": answer(409, {"name": ["is taken", "is short"]}),
    "422 with nested details": answer(422, {"error": "400 Bad Request", "details": {"message": "text is empty"}}),
    "400 with a bare array": answer(400, ["One of the filters is required!"]),
    "429 with seconds": answer(
        429,
        {"detail": "Request was throttled."},
        ("retry-after", "17"),
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "17"),
    ),
    "429 with an epoch": answer(429, {"detail": "Slow down."}, ("x-ratelimit-reset", str(int(NOON.timestamp()) + 42))),
    "429 with an epoch in milliseconds": answer(
        429, {"detail": "Slow down."}, ("x-ratelimit-reset", str(int(NOON.timestamp() * 1000) + 42_000))
    ),
    "429 with an HTTP date": answer(429, None, ("retry-after", format_datetime(NOON.replace(minute=1), usegmt=True))),
    "429 without a time": answer(429, {"detail": "Slow down."}),
    "500 with HTML": answer(500, HTML, AS_HTML),
    "502 with text": answer(502, b"upstream connect error", ("content-type", "text/plain")),
    "503 with JSON and a retry": answer(503, {"error": {"message": "busy"}}, ("retry-after", "3")),
    "408": answer(408),
    "599 with 40,000 bytes": answer(599, {"error": "x" * 40_000}),
    "a status HTTP does not have": answer(799, {"error": "odd"}),
    "a redirect": answer(302, None, ("location", "http://169.254.169.254/latest/meta-data/")),
    "200 with HTML": answer(200, HTML, AS_HTML),
    "200 with half of the JSON": answer(200, b'{"results": [{"id": '),
    "200 with NaN": answer(200, b'{"results": [NaN]}'),
    "200 with Latin-1": answer(200, '{"results": ["é"]}'.encode("latin-1")),
    "200 with an object of another kind": answer(200, {"data": []}),
    "200 with a string": answer(200, "ok"),
    "200 with nothing where a list is due": answer(200, b""),
    "200 nested 5,000 deep": answer(200, b'{"results": [' + b"[" * 5_000 + b"]" * 5_000 + b"]}"),
    "200 of 6 MB": answer(200, {"results": ["x" * 6_000_000]}),
    "gzip that is none": answer(200, b"not gzip", ("content-encoding", "gzip")),
    "a reset in the middle of the body": answer(200, b'{"results": [', ("content-length", "1000"), then="reset"),
    "a close before any byte": Told(b"", "close"),
    "no HTTP at all": Told(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "close"),
    "no answer": Told(b"", "hang"),
    "half an answer": answer(200, b'{"results": [', ("content-length", "1000"), then="hang"),
}


def fails(upstream_origin: str, name: str, arguments: Mapping[str, Json], **how: Any) -> dict[str, Json]:
    """The envelope of the failure that a call ends in."""
    failed = failure_of(THINGS, upstream_origin, name, arguments, **how)
    envelope = failed.envelope()
    envelope["message"] = envelope["message"].replace(upstream_origin.removeprefix("http://"), "HOST")
    envelope["message"] = re.sub(r"within (19|20) s", "within 20 s", envelope["message"])
    json.dumps(envelope, ensure_ascii=False, allow_nan=False).encode()
    assert API_KEY not in repr(failed) + json.dumps(envelope, ensure_ascii=False)
    return {"class": type(failed.failure).__name__, **envelope}


def reviewed(name: str) -> Json:
    return json.loads(GOLDEN.read_text("utf-8")).get(name)


def check_reviewed(name: str, told: Json) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        kept = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}
        kept[name] = told
        GOLDEN.write_text(json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert told == reviewed(name)


@pytest.mark.parametrize("case", ANSWERS)
def test_a_bad_answer_to_a_read_is_told_in_reviewed_words(upstream: Upstream, case: str) -> None:
    upstream.answers(ANSWERS[case])
    told = fails(upstream.origin, "list_all_things", {"q": "x"}, stalled=upstream)
    check_reviewed(f"read: {case}", told)
    assert len(upstream.requests) == 1, "never retried"


WRITES = (
    "401 with the words under detail",
    "422 with nested details",
    "429 with seconds",
    "500 with HTML",
    "200 with HTML",
    "a reset in the middle of the body",
    "a close before any byte",
    "no answer",
)


@pytest.mark.parametrize("case", WRITES)
def test_a_bad_answer_to_a_write_says_whether_it_may_have_happened(upstream: Upstream, case: str) -> None:
    upstream.answers(ANSWERS[case])
    told = fails(upstream.origin, "create_a_thing", {"text": "x"}, stalled=upstream)
    check_reviewed(f"write: {case}", told)
    assert len(upstream.requests) == 1, "never retried"


def test_an_upstream_that_is_down_is_told_in_reviewed_words() -> None:
    check_reviewed("write: down", fails(unused_origin(), "create_a_thing", {"text": "x"}))


def test_a_name_that_does_not_resolve_is_told_in_reviewed_words() -> None:
    told = fails("http://does-not-exist.invalid", "create_a_thing", {"text": "x"})
    told["message"] = told["message"].replace("does-not-exist.invalid", "HOST")
    assert told["class"] == "UpstreamUnreachable"
    assert told["message"] == "create_a_thing: no connection to HOST (the name does not resolve); nothing was done"


def test_no_request_is_sent_when_no_time_is_left(upstream: Upstream) -> None:
    told = fails(upstream.origin, "create_a_thing", {"text": "x"}, seconds=-1)
    check_reviewed("write: no time left", told)
    assert upstream.requests == []


def test_an_answer_of_another_kind_than_documented_is_told_with_what_it_said(upstream: Upstream) -> None:
    upstream.answers(answer(201, {"id": 7, "text": "x"}))
    told = fails(upstream.origin, "create_a_thing", {"text": "x"})
    check_reviewed("write: an id of another type", told)
    assert told["raw_response"] == {"id": 7, "text": "x"}


def test_the_failure_of_an_unreadable_answer_carries_the_rate_limit_too(upstream: Upstream) -> None:
    upstream.answers(answer(200, HTML, AS_HTML, ("x-ratelimit-remaining", "3")))
    assert fails(upstream.origin, "list_all_things", {})["rate_limit"]["remaining"] == 3


def test_a_gzip_answer_of_5_mb_is_read_and_cut_to_the_cap(upstream: Upstream) -> None:
    import gzip

    records = [{"id": str(number), "text": "y" * 1000} for number in range(4_800)]
    upstream.answers(
        answer(200, gzip.compress(json.dumps({"results": records}).encode()), ("content-encoding", "gzip"))
    )
    body = result_of(THINGS, upstream.origin, "list_all_things", {})
    assert len(json.dumps(body)) <= SETTINGS.max_result_bytes
    assert len(body["result"]) + body["_postern"]["truncated"]["items_left_out"] == 4_800
    assert body["result"] == records[: len(body["result"])]


@pytest.mark.parametrize(
    ("told", "acted"),
    [
        (answer(201, {"id": 7}), True),
        (answer(200, HTML, AS_HTML), True),
        (answer(302), True),
        (answer(400), False),
        (answer(404), False),
        (answer(408), True),
        (answer(429), False),
        (answer(500), True),
        (answer(799), True),
        (Told(b"", "hang"), True),
        (Told(b"", "close"), True),
    ],
)
def test_a_failed_write_says_whether_it_may_have_acted(upstream: Upstream, told: Told, acted: bool) -> None:
    upstream.answers(told)
    failed = failure_of(THINGS, upstream.origin, "create_a_thing", {"text": "x"}, stalled=upstream)
    assert failed.trace.sent
    assert failed.may_have_acted is acted


def test_a_failed_read_never_acted_and_neither_did_a_write_that_was_not_sent(upstream: Upstream) -> None:
    upstream.answers(answer(500))
    assert not failure_of(THINGS, upstream.origin, "list_all_things", {}).may_have_acted
    for wrong in ({"text": "x", "nonsense": 1}, {"nonsense": 1}):
        refused = failure_of(THINGS, upstream.origin, "create_a_thing", wrong)
        assert (refused.trace.sent, refused.may_have_acted) == (False, False)
    down = failure_of(THINGS, unused_origin(), "create_a_thing", {"text": "x"})
    assert (down.trace.requests, down.trace.sent, down.may_have_acted) == (1, False, False)


class Instant(Sender):
    """A sender that answers at once, without a turn of the event loop."""

    def __init__(self, body: bytes) -> None:
        super().__init__(SETTINGS)
        self.body = body

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        return UpstreamResponse(200, {"content-type": "application/json"}, self.body)


@pytest.mark.slow
@pytest.mark.parametrize(("members", "waits"), [(10, True), (200_000, False)])
def test_other_calls_get_their_turn_while_a_large_answer_is_read_and_shaped(members: int, waits: bool) -> None:
    """20,000 members of one object kept every other caller waiting for 5 s."""
    body = json.dumps({"results": [{f"k{n}": n for n in range(members)}]}).encode()

    async def go() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        busy = asyncio.create_task(other())
        asked = ToolCall("list_all_things", {}, NOON, 0.0)
        outcome = await run(asked, target("http://a"), THINGS, sender=Instant(body), settings=SETTINGS)
        busy.cancel()
        assert isinstance(outcome, Done)
        return turns

    assert (asyncio.run(go()) == 0) is waits


def test_a_204_is_an_empty_list_to_a_read_and_no_result_to_a_write(upstream: Upstream) -> None:
    upstream.answers(answer(204))
    assert result_of(THINGS, upstream.origin, "list_all_things", {}) == {
        "result": [],
        "next_cursor": None,
        "result_count": 0,
    }
    assert result_of(THINGS, upstream.origin, "create_a_thing", {"text": "x"}) == {
        "result": None,
        "_postern": {"status_code": 204},
    }


async def listed(upstream: Upstream, sender: Sender) -> Done:
    """One call of a list, which succeeds."""
    asked = ToolCall("list_all_things", {}, NOON, asyncio.get_running_loop().time() + 20)
    outcome = await run(asked, target(upstream.origin), THINGS, sender=sender, settings=SETTINGS)
    assert isinstance(outcome, Done), outcome
    return outcome


def test_a_kept_connection_is_used_again_and_one_the_upstream_closed_is_not(upstream: Upstream) -> None:
    upstream.answers(
        answer(200, {"results": []}), answer(200, {"results": []}, then="close"), answer(200, {"results": [1]})
    )

    async def go() -> list[Json]:
        sender = Sender(SETTINGS)
        found = [(await listed(upstream, sender)).body["result"] for _ in range(3)]
        await sender.close()
        return found

    assert asyncio.run(go()) == [[], [], [1]]
    assert [received.connection for received in upstream.requests] == [1, 1, 2]


def test_one_sender_serves_event_loop_after_event_loop(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"results": []}, then="close"))
    sender = Sender(SETTINGS)
    for _ in range(3):

        async def go() -> None:
            await listed(upstream, sender)
            await sender.close()

        asyncio.run(go())
    assert len(upstream.requests) == 3


def test_a_cookie_of_one_call_is_not_sent_with_the_next(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"results": []}, ("set-cookie", "session=of-another-account; Path=/")))

    async def go() -> None:
        sender = Sender(SETTINGS)
        for _ in range(2):
            await listed(upstream, sender)
        await sender.close()

    asyncio.run(go())
    assert all("cookie" not in received.headers for received in upstream.requests)


def test_a_credential_is_sent_as_utf_8(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"results": []}))
    call_once(THINGS, upstream.origin, "list_all_things", {})
    assert upstream.requests[0].headers["authorization"] == f"Token {API_KEY}".encode()


@pytest.mark.parametrize("api_key", ["two\nlines", "null\0", "\r\nX-Injected: 1", "half \ud83d", "bell\a"])
def test_a_credential_that_no_header_can_hold_is_never_sent_nor_shown(upstream: Upstream, api_key: str) -> None:
    told = fails(upstream.origin, "create_a_thing", {"text": "x"}, api_key=api_key)
    assert told["message"] == (
        "create_a_thing: this account's credential holds a character that cannot be sent, as a line break; nothing was "
        "sent. An operator must reconnect the account"
    )
    assert upstream.requests == []


def test_only_the_headers_of_the_call_reach_the_upstream(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"id": "1"}))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    tracer = Tracer(TraceSettings(upstreams=("*",)), io.StringIO())
    lines = [("traceparent", parent), ("tracestate", "a=1\r\nx-injected: 1"), ("baggage", "é")]
    span = tracer.begin(lines, {}, tracer.clock())
    call_once(THINGS, upstream.origin, "create_a_thing", {"text": "x"}, span=span)
    assert upstream.requests[0].headers == {
        "host": upstream.origin.removeprefix("http://").encode(),
        "accept": b"application/json",
        "accept-encoding": b"gzip, deflate",
        "connection": b"keep-alive",
        "user-agent": b"postern",
        "traceparent": parent.encode(),
        "content-type": b"application/json",
        "content-length": b"12",
        "authorization": f"Token {API_KEY}".encode(),
    }


def test_what_an_upstream_took_is_counted_also_when_it_never_answers(upstream: Upstream) -> None:
    upstream.answers(Told(b"", "hang"))
    failed = failure_of(THINGS, upstream.origin, "list_all_things", {}, stalled=upstream)
    assert isinstance(failed.failure, errors.UpstreamTimeout)
    assert (failed.trace.requests, failed.trace.status) == (1, None)
    assert failed.trace.seconds >= 3_600, "the time that the test puts forward"


@pytest.mark.parametrize(
    ("told", "causes"),
    [
        # The time ends as soon as the upstream has read the request: we may not have begun to wait yet.
        (Told(b"", "hang"), ("timeout while waiting for the answer", "timeout while sending the request")),
        (ANSWERS["a close before any byte"], ("waiting for the answer: closed",)),
    ],
)
def test_the_cause_of_a_failure_is_there_for_the_log_and_not_for_the_caller(
    upstream: Upstream, told: Told, causes: tuple[str, ...]
) -> None:
    upstream.answers(told)
    failed = failure_of(THINGS, upstream.origin, "list_all_things", {}, stalled=upstream)
    assert failed.failure.detail in causes
    assert failed.failure.detail not in json.dumps(failed.envelope())


def test_a_connection_that_is_not_made_in_time_says_that_nothing_was_sent() -> None:
    """A full backlog: the upstream's machine takes no more connections, and nobody answers."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (first, second):
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        origin = f"http://127.0.0.1:{full.getsockname()[1]}"
        with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
            loop = cast(AdvancingLoop, runner.get_loop())

            async def go() -> Done | Failed | UnknownTool:
                sender = Sender(SETTINGS)
                asked = ToolCall("create_a_thing", {"text": "x"}, NOON, loop.time() + 20)
                loop.call_soon(lambda: loop.advance(3_600))
                try:
                    return await run(asked, target(origin), THINGS, sender=sender, settings=SETTINGS)
                finally:
                    await sender.close()

            failed = runner.run(go())
    assert isinstance(failed, Failed)
    assert failed.message.endswith("s; nothing was sent, try again later")
    assert failed.failure.detail == "timeout while connecting"
    assert not failed.may_have_acted


def test_a_hidden_tool_and_one_that_is_not_there_are_told_apart_by_nothing(upstream: Upstream) -> None:
    config = ServerConfig(methods=("read",))
    for loaded in (THINGS, catalog_of(READ)):
        unknown = call_once(loaded, upstream.origin, "create_a_thing", {"text": "x"}, config=config)
        assert isinstance(unknown, UnknownTool)
        assert (
            unknown.message == 'no tool "create_a_thing" on this server; call tools/list for the tools of this server'
        )
    assert upstream.requests == []


def test_a_tool_name_of_a_megabyte_is_repeated_in_80_characters(upstream: Upstream) -> None:
    unknown = call_once(THINGS, upstream.origin, "x" * 1_000_000, {})
    assert isinstance(unknown, UnknownTool)
    assert unknown.message == (f'no tool "{"x" * 80}..." on this server; call tools/list for the tools of this server')


def test_a_records_own_rule_is_told_although_the_schema_refuses_too(upstream: Upstream) -> None:
    search = {"query": "invoice", "filters": {"user_id": "usr_1", "keywords": {"contains": "due"}}}
    refused = failure_of(MEM0, upstream.origin, "mem_0_memories_search", search)
    assert isinstance(refused.failure, errors.WrongArguments)
    rule, schema = refused.failure.problems
    assert rule.startswith(
        '"keywords" inside the filters of a search makes Mem0 return status 500. Put the words into "query"'
    )
    assert schema.startswith('"filters" has no member "keywords"; valid: ')
    assert not refused.trace.sent
    assert upstream.requests == []


def test_fields_that_cannot_be_read_are_refused_before_anything_is_sent(upstream: Upstream) -> None:
    told = fails(upstream.origin, "list_all_things", {"fields": "{id: "})
    check_reviewed("read: fields that end early", told)
    assert upstream.requests == []


def test_fields_that_find_nothing_are_refused_with_what_there_is(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"results": [{"id": 1, "text": "x"}]}))
    told = fails(upstream.origin, "list_all_things", {"fields": "{name: nmae}"})
    assert told[
        "message"
    ] == 'list_all_things: "fields" finds nothing in any object; raw_response lists the members of ' + ("the first one")
    assert told["raw_response"] == ["id", "text"]


BOOKS = tool(
    "GET",
    "/books/",
    Parameter("result", "limit", "limit"),
    Parameter("result", "next_cursor", "next_cursor"),
    name="list_all_books",
    pagination=Pagination("cursor", Parameter("query", "after"), Parameter("query", "n"), 2, 5, next="next"),
    result=Result(items="books"),
)


@pytest.mark.parametrize("cursor", ["1", "0.0.x", "2.0", "-1.0.x", "6.0.x", "٢.0.x", "2.0." + "x" * 2001])
def test_a_cursor_that_was_never_given_is_refused_before_anything_is_sent(upstream: Upstream, cursor: str) -> None:
    wrong = failure_of(catalog_of(BOOKS), upstream.origin, "list_all_books", {"next_cursor": cursor})
    assert isinstance(wrong.failure, errors.WrongArguments)
    assert wrong.message == (
        'list_all_books: "next_cursor" was not issued by this tool; pass back the next_cursor of the previous answer '
        "unchanged, or leave it out to start from the first page\n"
        "list_all_books: corrected: {}"
    )
    assert upstream.requests == []


@pytest.mark.parametrize("next_cursor", ["x" * 2_001, {"page": 2}, ["x"], "\ud800"])
def test_an_upstream_cursor_that_cannot_be_handed_on_is_told(upstream: Upstream, next_cursor: Json) -> None:
    upstream.answers(answer(200, {"books": [1], "next": next_cursor}))
    failure = failure_of(catalog_of(BOOKS), upstream.origin, "list_all_books", {})
    assert isinstance(failure.failure, errors.UpstreamUnreadable)
    assert failure.message == (
        "list_all_books: the upstream returned an invalid next-page cursor (not a string of at most 2000 characters); "
        "this list cannot be paged further"
    )


MEMORY = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"
PINNED = ServerConfig(pins={"user_id": "usr_1"})


def owned(owner: str) -> Told:
    return answer(200, {"id": MEMORY, "memory": "x", "user_id": owner})


def test_a_pinned_get_reads_the_record_once_and_withholds_a_foreign_one(upstream: Upstream) -> None:
    upstream.answers(owned("usr_1"), owned("usr_2"))
    arguments = {"id": MEMORY}
    body = result_of(MEM0, upstream.origin, "get_single_mem_0_memory_by_id", arguments, config=PINNED)
    assert body["user_id"] == "usr_1"
    foreign = failure_of(MEM0, upstream.origin, "get_single_mem_0_memory_by_id", arguments, config=PINNED)
    assert isinstance(foreign.failure, errors.OutsidePins)
    assert "usr_2" not in foreign.message
    assert foreign.message == (
        'get_single_mem_0_memory_by_id: what it found is outside the pins of this server (user_id="usr_1"); only '
        "objects that carry the pinned ids can be read or changed here"
    )
    assert [received.verb for received in upstream.requests] == ["GET", "GET"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("update_a_mem_0_memory_by_id", {"id": MEMORY, "text": "y"}),
        ("delete_a_mem_0_memory_by_id", {"id": MEMORY}),
        ("list_all_mem_0_memory_history", {"memory_id": MEMORY}),
        ("mem_0_memories_bulk_update", {"memories": [{"memory_id": MEMORY, "text": "y"}]}),
        ("mem_0_memories_bulk_delete", {"memories": [{"memory_id": MEMORY}]}),
    ],
)
def test_a_pinned_server_reads_a_record_before_it_touches_it(
    upstream: Upstream, name: str, arguments: dict[str, Json]
) -> None:
    upstream.answers(owned("usr_2"))
    foreign = failure_of(MEM0, upstream.origin, name, arguments, config=PINNED)
    assert isinstance(foreign.failure, errors.OutsidePins)
    assert foreign.message == (
        f'{name}: {MEMORY} is outside the pins of this server (user_id="usr_1"); only objects that carry the '
        "pinned ids can be read or changed here"
    )
    assert [received.verb for received in upstream.requests] == ["GET"]


def test_more_records_than_a_pinned_server_reads_at_once_are_refused_unread(upstream: Upstream) -> None:
    memories = [{"memory_id": f"9f1c2b7e-4a51-4a6e-9d4e-{number:012d}"} for number in range(51)]
    many = failure_of(MEM0, upstream.origin, "mem_0_memories_bulk_delete", {"memories": memories}, config=PINNED)
    assert isinstance(many.failure, errors.OutsidePins)
    assert many.message == (
        "mem_0_memories_bulk_delete: 51 objects in one call; a pinned server reads each of them first and takes at "
        "most 50. Split the call"
    )
    assert upstream.requests == []


def test_a_record_that_is_not_there_is_told_by_the_upstreams_own_404(upstream: Upstream) -> None:
    upstream.answers(answer(404, {"error": "Memory not found!"}))
    refused = failure_of(MEM0, upstream.origin, "delete_a_mem_0_memory_by_id", {"id": MEMORY}, config=PINNED)
    assert isinstance(refused.failure, errors.UpstreamRefused)
    assert refused.message == (
        "delete_a_mem_0_memory_by_id: Mem0 found nothing under these ids (404), and raw_response holds what it said. "
        "Check the ids; list or search to find valid ones"
    )
    assert refused.envelope()["raw_response"] == {"error": "Memory not found!"}
    assert [received.verb for received in upstream.requests] == ["GET"]


def test_a_list_judged_by_its_answer_holds_the_pinned_records_only(upstream: Upstream) -> None:
    events = tool(
        "GET", "/events/", name="list_all_events", result=Result(items="results"), pin=PinAnswer(at="payload")
    )
    records = [{"id": n, "payload": {"user_id": f"usr_{n % 2}"}} for n in range(4)] + [
        {"id": 4},
        {"id": 5, "payload": None},
    ]
    upstream.answers(answer(200, {"results": records}))
    body = result_of(catalog_of(events), upstream.origin, "list_all_events", {}, config=PINNED)
    assert [record["id"] for record in body["result"]] == [1, 3]


def test_pages_that_one_answer_collects_are_sorted_as_one_and_cut_without_a_gap(upstream: Upstream) -> None:
    """Sorting and cutting the same pages again must continue where the last answer stopped."""
    story = tool(
        "GET",
        "/story/",
        Parameter("result", "next_cursor", "next_cursor"),
        name="list_all_lines",
        pagination=Pagination("page", Parameter("query", "page"), None, 3, 3, next="next", collect=3),
        result=Result(items="lines", sort="at"),
    )
    lines = [{"at": (n * 7) % 9, "text": "z" * 300} for n in range(9)]

    def script(received: Received) -> Told:
        page = int(received.target.split("page=")[1])
        return answer(200, {"lines": lines[3 * page - 3 : 3 * page], "next": "more" if page < 3 else None})

    upstream.script = script
    seen: list[int] = []
    cursor = None
    while True:
        arguments: dict[str, Json] = {"next_cursor": cursor} if cursor else {}
        settings = Settings(private_upstreams=True, max_result_bytes=1_400)
        body = result_of(catalog_of(story), upstream.origin, "list_all_lines", arguments, settings=settings)
        assert body["result"], "each answer gets on"
        seen += [line["at"] for line in body["result"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(9))


def test_a_page_that_fails_fails_the_whole_collection(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"results": [{"id": "1", "created_at": "x"}], "next": "more"}), answer(429))
    refused = failure_of(MEM0, upstream.origin, "mem_0_memories_get_conversation", {"run_id": "r"})
    assert isinstance(refused.failure, errors.UpstreamRefused)
    assert refused.status == 429


def test_a_fault_of_ours_is_raised_while_nothing_was_sent(upstream: Upstream) -> None:
    """Nothing has happened that a caller must know of, and the frame around the request logs the place."""

    def broken() -> None:
        raise ZeroDivisionError

    async def go() -> None:
        sender = Sender(SETTINGS)
        call = ToolCall("list_all_things", {}, NOON, asyncio.get_running_loop().time() + 20)
        here = target(upstream.origin)
        with pytest.raises(ZeroDivisionError):
            await run(call, here, catalog_of(READ), sender=sender, settings=SETTINGS, admit=broken)
        await sender.close()

    asyncio.run(go())
    assert upstream.requests == []


def test_a_call_that_nobody_can_confirm_is_not_sent(upstream: Upstream) -> None:
    id = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"
    for _ in range(3):
        refused = failure_of(
            MEM0,
            upstream.origin,
            "delete_a_mem_0_memory_by_id",
            {"id": id},
            config=ServerConfig(confirm=("destructive",)),
        )
        assert isinstance(refused.failure, errors.Unconfirmable)
        assert "a confirmation, which cannot be given here; nothing was sent" in refused.message
    assert upstream.requests == []
