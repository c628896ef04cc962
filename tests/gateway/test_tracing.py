"""The span of a request and those of its requests to upstreams: what their line holds, and what goes upstream."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from functions.gateway.call import run
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Failed, ToolCall
from functions.gateway.trace_context import Caller, Sampling
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.tracing import MAX_EXCHANGES, Span, Tracer
from functions.gateway.upstream import Sender
from tests.gateway.calling import NOON, SETTINGS, call_once, catalog_of, target, tool
from tests.gateway.loopback import Told, Upstream, answer, unused_origin
from tool_catalog.request_template import Parameter

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
SECOND = 1_000_000_000
AT = 1_795_000_000 * SECOND

THINGS = catalog_of(
    tool(),
    tool("GET", "/things/{id}/", Parameter("path", "id", "id"), name="get_a_thing", method="get", required=("id",)),
    tool(
        "POST",
        "/things/",
        Parameter("body", "text", "text"),
        name="create_a_thing",
        method="create",
        access="write",
        required=("text",),
    ),
)


def ticking(step: int = SECOND) -> Callable[[], int]:
    """A clock that goes one step further each time that it is read, from 0."""
    times: Iterator[int] = iter(range(0, 10_000 * step, step))
    return lambda: next(times)


def counting() -> Callable[[int], bytes]:
    """Bytes that are never twice the same."""
    numbers = iter(range(1, 10_000))
    return lambda size: next(numbers).to_bytes(size, "big")


class Traced:
    """A tracer whose clocks and randomness are known, and its lines."""

    def __init__(self, **settings: Any) -> None:
        self.stream = io.StringIO()
        chosen = TraceSettings(**{"endpoint": "http://127.0.0.1:4318/v1/traces", **settings})
        self.tracer = Tracer(chosen, self.stream, random=counting(), wall=lambda: AT, clock=ticking())

    def begin(self, *lines: tuple[str, str], meta: dict[str, str] | None = None) -> Span:
        return self.tracer.begin(lines, meta or {}, self.tracer.clock())

    @property
    def lines(self) -> list[dict[str, Json]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def several(upstream: str, span: Span | None, *calls: tuple[str, dict[str, Json]]) -> list[Any]:
    """Calls one after the other over one sender."""

    async def go() -> list[Any]:
        sender = Sender(SETTINGS)
        deadline = asyncio.get_running_loop().time() + 20
        try:
            return [
                await run(
                    ToolCall(name, arguments, NOON, deadline, span),
                    target(upstream),
                    THINGS,
                    sender=sender,
                    settings=SETTINGS,
                )
                for name, arguments in calls
            ]
        finally:
            await sender.close()

    return asyncio.run(go())


def sent(upstream: Upstream, name: str) -> list[str | None]:
    return [found.decode() if (found := one.headers.get(name)) else None for one in upstream.requests]


def test_a_line_holds_the_span_of_the_request_and_those_of_its_requests_to_the_upstream(upstream: Upstream) -> None:
    traced = Traced()
    span = traced.begin(("traceparent", PARENT), ("tracestate", "a=1"))
    upstream.answers(answer(200, {"id": "1"}), answer(404, {"detail": "the thing sécret is not there"}))
    several(upstream.origin, span, ("list_all_things", {}), ("get_a_thing", {"id": "usr_secret"}))
    traced.tracer.write(span, {"method": "tools/call", "client_name": "c" * 500, "nothing": ""})
    [line] = traced.lines
    port = int(upstream.origin.rpartition(":")[2])
    common = {"verb": "GET", "scheme": "http", "host": "127.0.0.1", "port": port, "error": "", "resent": 0}
    assert line == {
        "kind": "span",
        "method": "tools/call",
        "client_name": "c" * 128,
        "trace_id": TRACE,
        "span_id": f"{1:016x}",
        "parent_id": SPAN,
        "state": "a=1",
        "at": AT - SECOND,  # the request came one tick before its span began
        "ns": 6 * SECOND,
        "upstream": [
            {**common, "span_id": f"{2:016x}", "path": "/things/", "at": 2 * SECOND, "ns": SECOND, "status": 200},
            {**common, "span_id": f"{3:016x}", "path": "/things/{id}/", "at": 4 * SECOND, "ns": SECOND, "status": 404},
        ],
    }
    assert "secret" not in traced.stream.getvalue()


def test_what_went_wrong_on_the_way_is_named_by_its_class(upstream: Upstream) -> None:
    traced = Traced()
    span = traced.begin()
    upstream.answers(Told(b"HTTP/1.1 200 OK\r\n", "reset"))
    [broken] = several(upstream.origin, span, ("list_all_things", {}))
    [away] = several(unused_origin(), span, ("list_all_things", {}))
    span.note(away)
    traced.tracer.write(span, {})
    [line] = traced.lines
    assert [one["error"] for one in line["upstream"]] == ["UpstreamUnreachable"] * 2
    assert [one["status"] for one in line["upstream"]] == [None, None]
    assert isinstance(broken, Failed)
    assert (line["error"], line["tool"]) == ("UpstreamUnreachable", "list_all_things")


def test_a_request_that_is_sent_once_more_says_so(upstream: Upstream) -> None:
    traced = Traced()
    span = traced.begin()
    upstream.answers(answer(200, {}), Told(b"", "reset"), answer(200, {}))
    several(upstream.origin, span, ("list_all_things", {}), ("list_all_things", {}))
    traced.tracer.write(span, {})
    [line] = traced.lines
    assert [one["resent"] for one in line["upstream"]] == [0, 1]
    assert len(upstream.requests) == 3


def test_a_line_describes_at_most_so_many_requests_and_counts_the_rest(upstream: Upstream) -> None:
    traced = Traced()
    span = traced.begin()
    several(upstream.origin, span, *[("list_all_things", {})] * (MAX_EXCHANGES + 2))
    traced.tracer.write(span, {})
    [line] = traced.lines
    assert (len(line["upstream"]), line["left_out"]) == (MAX_EXCHANGES, 2)
    assert len(upstream.requests) == MAX_EXCHANGES + 2


def test_an_upstream_gets_the_trace_only_where_it_is_named(upstream: Upstream) -> None:
    for upstreams, told in (((), None), (("api.example.com",), None), (("127.0.0.1",), TRACE), (("*",), TRACE)):
        upstream.requests.clear()
        span = Traced(upstreams=upstreams).begin(("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "user=7"))
        call_once(THINGS, upstream.origin, "list_all_things", {}, span=span)
        assert sent(upstream, "traceparent") == [f"00-{told}-{2:016x}-01" if told else None]
        assert sent(upstream, "tracestate") == ["a=1" if told else None]
        assert sent(upstream, "baggage") == [None]


def test_each_request_to_an_upstream_is_a_parent_of_its_own_and_the_one_that_is_recorded(upstream: Upstream) -> None:
    traced = Traced(upstreams=("*",))
    span = traced.begin()
    several(upstream.origin, span, ("list_all_things", {}), ("list_all_things", {}))
    traced.tracer.write(span, {})
    [line] = traced.lines
    assert sent(upstream, "traceparent") == [f"00-{line['trace_id']}-{one['span_id']}-01" for one in line["upstream"]]
    assert "parent_id" not in line


def test_a_trace_that_is_not_recorded_goes_upstream_as_one(upstream: Upstream) -> None:
    traced = Traced(upstreams=("*",), sampling=Sampling("always_off"))
    span = traced.begin(("traceparent", PARENT))
    call_once(THINGS, upstream.origin, "list_all_things", {}, span=span)
    traced.tracer.write(span, {})
    assert traced.lines == []
    assert sent(upstream, "traceparent") == [f"00-{TRACE}-{2:016x}-00"]
    assert span.trace_id == TRACE, "the log entry names the trace all the same"


def test_without_a_collector_the_caller_s_trace_goes_on_unchanged_and_none_begins(upstream: Upstream) -> None:
    traced = Traced(endpoint="", upstreams=("*",))
    for lines in ([("traceparent", PARENT), ("tracestate", "a=1")], [], [("x-amzn-trace-id", f"Root=1-{TRACE}")]):
        span = traced.begin(*lines)
        call_once(THINGS, upstream.origin, "list_all_things", {}, span=span)
        traced.tracer.write(span, {})
    assert traced.lines == []
    assert sent(upstream, "traceparent") == [PARENT, None, None]
    assert sent(upstream, "tracestate") == ["a=1", None, None]


XRAY = ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
OTHER = f"00-{'1' * 32}-{'2' * 16}-01"


@pytest.mark.parametrize(
    ("lines", "meta", "trace_id", "parent", "link"),
    [
        ([], {}, f"{1:032x}", None, None),
        ([("traceparent", PARENT)], {}, TRACE, SPAN, None),
        ([], {"traceparent": PARENT, "tracestate": "a=1"}, TRACE, SPAN, None),
        # The message names its own trace; that of the HTTP request is linked.
        ([("traceparent", OTHER)], {"traceparent": PARENT}, TRACE, SPAN, ["1" * 32, "2" * 16]),
        ([("traceparent", PARENT)], {"traceparent": PARENT}, TRACE, SPAN, None),
        ([("traceparent", OTHER), XRAY], {"traceparent": "00-broken"}, "1" * 32, "2" * 16, None),
        ([("traceparent", "00-broken"), XRAY], {}, "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8", None),
        ([("traceparent", PARENT), ("traceparent", OTHER)], {}, f"{1:032x}", None, None),
        ([("x-amzn-trace-id", "Root=1-x")], {"traceparent": ""}, f"{1:032x}", None, None),
    ],
)
def test_the_message_s_trace_comes_before_the_request_s_and_that_before_aws_s(
    lines: Sequence[tuple[str, str]], meta: dict[str, str], trace_id: str, parent: str | None, link: Json
) -> None:
    traced = Traced()
    traced.tracer.write(traced.begin(*lines, meta=meta), {})
    [line] = traced.lines
    assert (line["trace_id"], line.get("parent_id"), line.get("link")) == (trace_id, parent, link)


def test_an_id_is_never_the_forbidden_one() -> None:
    tracer = Tracer(TraceSettings(), io.StringIO(), random=bytes)
    span = tracer.begin((), {}, 0)
    assert (span.trace_id, span.span_id) == (f"{1:032x}", f"{1:016x}")


def test_a_stream_that_fails_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError("no space left")

    tracer = Tracer(TraceSettings(endpoint="http://127.0.0.1:4318"), Full())
    for _ in range(3):
        tracer.write(tracer.begin((), {}, tracer.clock()), {})
    assert [record.message for record in caplog.records] == ["a span could not be written: OSError"] * 3


def test_a_tracer_is_made_only_where_there_is_something_to_trace() -> None:
    assert Tracer.of({}, io.StringIO()) is None
    assert Tracer.of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, io.StringIO()) is None
    for variables in ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, {"POSTERN_TRACE_UPSTREAMS": "*"}):
        assert Tracer.of(variables, io.StringIO()) is not None


def test_a_caller_s_state_is_in_no_repr() -> None:
    assert "private" not in repr(Caller(TRACE, SPAN, True, "vendor=private"))
