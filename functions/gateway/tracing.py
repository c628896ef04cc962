"""The spans of a request: one for the request, and one for each request to an upstream; and the line that holds them.

Three ways were weighed. The SDK of OpenTelemetry takes 132 modules and 55 ms of CPU of each start, its exporter as many
again, and the data plane starts in 150 ms. Spans that this process sent itself would wait for a collector in a function
that is frozen as soon as it has answered. So a request writes one line, as it does for its log entry. The reader of the
lines sends the spans: a function of its own in a deployment, a thread on a laptop (functions/trace_exporter).

The line is not that of the log entry: a listing has no entry, and a subscription that asks for lines of this kind gets
the requests that are sampled and no others. Attributes get their names where the line is read (trace_exporter/otlp.py).

A line holds names, ids, times and statuses. It never holds a value: no argument, no path of a URL that was filled in,
no pin, no text of an upstream.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from functions.gateway import trace_context
from functions.gateway.http_connection import Progress
from functions.gateway.json_text import Json, sendable
from functions.gateway.log_entry import TEXT_CHARS
from functions.gateway.metrics import Stream
from functions.gateway.trace_context import NO_SPAN, NO_TRACE, Caller
from functions.gateway.trace_settings import TraceSettings

if TYPE_CHECKING:
    from functions.gateway.requests import UpstreamRequest
    from functions.gateway.upstream import Sender, UpstreamResponse
    from tool_catalog.request_template import Request

KIND = "span"
"""The member `kind` of a line."""

HEADERS = frozenset({"traceparent", "tracestate", "x-amzn-trace-id"})
"""Headers of a request that name its trace."""

MAX_EXCHANGES = 100
"""Requests to upstreams that one line describes, some 250 bytes each; the line counts further ones."""

logger = logging.getLogger(__name__)


class Tracer:
    """Begins spans and writes their lines. One per process.

    `random(n)`  n unpredictable bytes. `wall`: the present in nanoseconds since 1970; `clock`: nanoseconds that never
    go back, which measure how long something took.
    """

    def __init__(
        self,
        settings: TraceSettings,
        stream: Stream,
        *,
        random: Callable[[int], bytes] = os.urandom,
        wall: Callable[[], int] = time.time_ns,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.settings = settings
        self._stream = stream
        self._random = random
        self._wall = wall
        self.clock = clock

    @classmethod
    def of(cls, environment: Mapping[str, str], stream: Stream) -> Tracer | None:
        """The tracer that the environment asks for, None for none. Raises SettingsError."""
        settings = TraceSettings.from_environment(environment)
        return cls(settings, stream) if settings.endpoint or settings.upstreams else None

    def begin(self, lines: Sequence[tuple[str, str]], meta: Mapping[str, str], started: int) -> Span:
        """The span of a request with these header lines. `meta` is the trace in its message, which wins; `started` is
        what the clock said when the request came."""

        told = [line for line in lines if line[0] in HEADERS]
        inner = trace_context.caller([meta["traceparent"]], [meta.get("tracestate", "")]) if meta else None
        outer = trace_context.caller(_values(told, "traceparent"), _values(told, "tracestate")) if told else None
        caller = inner or outer
        if caller is None and told and (of_aws := _values(told, "x-amzn-trace-id")):
            caller = trace_context.caller_of_aws(of_aws[0])
        trace_id = caller.trace_id if caller is not None else self.id(16, NO_TRACE)
        sampled = bool(self.settings.endpoint) and self.settings.sampling.takes(trace_id, caller)
        # The message and its HTTP request may belong to two traces (GenAI conventions, MCP, "Context propagation").
        link = outer if inner is not None and outer is not None and outer != inner else None
        at = self._wall() - (self.clock() - started)
        return Span(self, trace_id, caller, link, sampled=sampled, at=at, started=started)

    def id(self, size: int, none: str) -> str:
        """A random id of `size` bytes in hexadecimal, and never the forbidden one."""
        made = self._random(size).hex()
        return made if made != none else f"{none[1:]}1"

    def write(self, span: Span, about: Mapping[str, Json]) -> None:
        """Write the line of a span that has ended, if its trace is recorded. It never raises: the request has its
        answer."""
        if not span.sampled:
            return
        try:
            line = span.to_json()
            for name, value in about.items():
                line[name] = value[:TEXT_CHARS] if isinstance(value, str) else value
            self._stream.write(f"{sendable({name: value for name, value in line.items() if value})}\n")
            self._stream.flush()
        except Exception as error:
            logger.error("a span could not be written: %s", type(error).__name__)


class Span:
    """The span of one request, as it goes.

    `sampled`  its line is written. Set on the way: `tool` and `prompt`, names of this deployment and not of the caller;
               `error`, the class of the error; `code`, that of a JSON-RPC error.
    """

    __slots__ = (
        *("_at", "_caller", "_exchanges", "_left_out", "_link", "_started", "_tracer"),
        *("code", "error", "prompt", "sampled", "span_id", "tool", "trace_id"),
    )

    def __init__(
        self,
        tracer: Tracer,
        trace_id: str,
        caller: Caller | None,
        link: Caller | None,
        *,
        sampled: bool,
        at: int,
        started: int,
    ) -> None:
        self._tracer = tracer
        self._caller = caller
        self._link = link
        self._at = at
        self._started = started
        self._exchanges: list[Exchange] = []
        self._left_out = 0
        self.trace_id = trace_id
        self.span_id = tracer.id(8, NO_SPAN)
        self.sampled = sampled
        self.tool = self.prompt = self.error = ""
        self.code = 0

    def note(self, outcome: object) -> None:
        """Note how a call ended, by one of the outcomes of outcomes.py. The name of a tool that is not there is the
        caller's own text, and left out."""
        tool, failure = getattr(outcome, "tool", None), getattr(outcome, "failure", None)
        if tool is not None:
            self.tool = tool.name
        if failure is not None:
            self.error = type(failure).__name__

    async def sending(
        self, described: Request, base_url: str, request: UpstreamRequest, deadline: float, sender: Sender
    ) -> UpstreamResponse:
        """Send a request to an upstream, as `sender` does, and note how it went. `described` is what the catalogue says
        of it."""
        exchange = self._exchange(described, base_url)
        if exchange is None:
            return await sender.send(request, deadline)
        if exchange.headers:
            request = request.with_headers((*request.headers, *exchange.headers.items()))
        try:
            response = await sender.watched(request, deadline, exchange.progress)
        except BaseException as error:
            exchange.end(getattr(error, "upstream_status", None), type(error).__name__)
            raise
        exchange.end(response.status, "")
        return response

    def _exchange(self, request: Request, base_url: str) -> Exchange | None:
        """The span of a request to an upstream; None where it is neither recorded nor told of."""
        parts = urlsplit(base_url)
        passed = self._tracer.settings.passes_to(parts.hostname or "")
        recorded = self.sampled
        if recorded and len(self._exchanges) == MAX_EXCHANGES:
            self._left_out += 1
            recorded = False
        if not recorded and not passed:
            return None
        span_id = self._tracer.id(8, NO_SPAN)
        headers = self._passed(span_id) if passed else {}
        exchange = Exchange(self._tracer.clock, self._started, request, parts, span_id=span_id, headers=headers)
        if recorded:
            self._exchanges.append(exchange)
        return exchange

    def _passed(self, span_id: str) -> Mapping[str, str]:
        """The trace headers of a request to an upstream. Where no spans are recorded at all, the caller's go on
        unchanged, and there are none without a caller."""
        caller = self._caller
        state = caller.state if caller is not None else ""
        if self._tracer.settings.endpoint:
            return trace_context.headers(self.trace_id, span_id, state, sampled=self.sampled)
        if caller is None or not caller.span_id:
            return {}
        return trace_context.headers(caller.trace_id, caller.span_id, state, sampled=caller.sampled)

    def to_json(self) -> dict[str, Json]:
        """The members of the line that describe this span. Times are in nanoseconds."""
        return {
            "kind": KIND,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_id": self._caller.span_id if self._caller is not None else "",
            "state": self._caller.state if self._caller is not None else "",
            "link": [self._link.trace_id, self._link.span_id] if self._link is not None else [],
            "at": self._at,
            "ns": self._tracer.clock() - self._started,
            "tool": self.tool,
            "prompt": self.prompt,
            "error": self.error,
            "code": self.code,
            "upstream": [exchange.to_json() for exchange in self._exchanges],
            "left_out": self._left_out,
        }


class Exchange:
    """The span of one request to an upstream, as it goes. `headers` tell the upstream of it."""

    __slots__ = (
        *("_base", "_began", "_clock", "_error", "_ns", "_offset", "_request", "_status"),
        *("headers", "progress", "span_id"),
    )

    def __init__(
        self,
        clock: Callable[[], int],
        started: int,
        request: Request,
        base: SplitResult,
        *,
        span_id: str,
        headers: Mapping[str, str],
    ) -> None:
        self._clock = clock
        self._began = clock()
        self._offset = self._began - started
        self._ns = 0
        self._request = request
        self._base = base
        self._status: int | None = None
        self._error = ""
        self.span_id = span_id
        self.headers = headers
        self.progress = Progress()

    def end(self, status: int | None, error: str) -> None:
        """It ended with this status, or with an error of this class."""
        self._ns = self._clock() - self._began
        self._status = status
        self._error = error

    def to_json(self) -> dict[str, Json]:
        """Its object in the line. `at` counts from the start of the request that it is for."""
        return {
            "span_id": self.span_id,
            "verb": self._request.verb,
            "scheme": self._base.scheme,
            "host": self._base.hostname,
            "port": self._base.port or (443 if self._base.scheme == "https" else 80),
            "path": self._request.path,
            "at": self._offset,
            "ns": self._ns,
            "status": self._status,
            "error": self._error,
            "resent": self.progress.resent,
        }


def _values(lines: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for header, value in lines if header == name]
