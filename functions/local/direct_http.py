"""Requests of the MCP endpoint, from the parser of HTTP straight to their answer.

uvicorn serves everything. The protocol of a connection answers a whole, plain request of `/mcp` itself: one with a body
of a known and moderate length. Whatever is not plain goes the way of all others: other methods and paths, chunked and
large bodies, pipelined requests, `Expect`, upgrades, headers of proxies, and clients that do not read.

uvicorn's task, events and flow control, the applications in between and a second write to the socket take a tenth of
the CPU time of a call, and 0.09 million instructions of a listing and 0.13 million of a call.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Coroutine, Hashable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from functions.gateway import errors
from functions.gateway.events import within
from functions.local.turns import HOLD_SECONDS, Caller, Endpoint, Turns, caller_of, in_turn
from functions.mcp_endpoint.http import BODILESS, Request, Response

MAX_HEAD_BYTES = 65_536
"""Bytes of a request's line and headers, as with h11, uvicorn's other reader of HTTP."""

MAX_PATH_BYTES = 1_000
"""Bytes of a path that is served here; with a token it has some 50. uvicorn bounds paths in its own way."""

MAX_BODY_BYTES = 65_536
"""Bytes of a body that is kept here. uvicorn lets the sender of a larger one wait while it is read."""

LENGTH_DIGITS = 5
"""Digits of the length of a body that is kept here."""

NOT_PLAIN = frozenset({"expect", "transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-proto"})
"""Headers of requests that uvicorn serves."""


_PLAIN_URL = re.compile(rb"/[!-\"$&-\x3e@-~]*")
"""A path of visible characters without an encoding, a query or a fragment."""

logger = logging.getLogger(__name__)


class Exchange:
    """One request and its answer, in place of uvicorn's RequestResponseCycle.

    `caller`  what tells callers apart. `first`: the first value of each header.
    The protocol of uvicorn reads `response_complete`, writes `disconnected` and `keep_alive`, and sets `message_event`.
    """

    def __init__(self, path: str, headers: list[tuple[bytes, bytes]], caller: Hashable) -> None:
        self._path = path
        self._lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        self.first = dict(reversed(self._lines))
        self.caller = caller
        self.body = b""
        self.keep_alive = True
        self.response_complete = False
        self.disconnected = False
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for a part of a request here."""

    def request(self) -> Request:
        """The request, which has come whole."""
        return Request("POST", self._path, self._lines, {"scheme": "http"}, self._whole)

    async def _whole(self) -> AsyncIterator[bytes]:
        yield self.body


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP on a parser in C, which takes heads of any size, with a bound on them.

    It takes a third less CPU time of a listing than uvicorn on h11, and a sixth less of a call.
    """

    _head_bytes = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is too large and has not ended."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        """The body follows."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The head of the next request follows."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()


class DirectHttp(BoundedHttp):
    """BoundedHttp with the plain requests of `endpoint` answered here, in turn. `base_path`: what it is mounted at."""

    _answered = False

    def __init__(self, *arguments: Any, endpoint: Endpoint, turns: Turns, base_path: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._endpoint = endpoint
        self._turns = turns
        self._base_path = base_path
        self._exchange: Exchange | None = None

    def data_received(self, data: bytes) -> None:
        """Read what came. It gets one answer here: other connections have their turn before a second."""
        self._answered = False
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Keep a plain request here, and give any other to uvicorn."""
        self._exchange = exchange = self._plain()
        if exchange is None:
            super().on_headers_complete()
        else:
            self._in_head = False
            self.cycle = exchange  # type: ignore[assignment] # it has what the protocol reads of one

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        if self._exchange is None:
            super().on_body(body)
        else:
            self._exchange.body += body

    def on_message_complete(self) -> None:
        """The request has ended: answer it."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            super().on_message_complete()
            return
        self._in_head, self._head_bytes, self._answered = True, 0, True
        caller = self._turns.begun(exchange.caller)
        if caller is None:
            self._work(exchange, in_turn(self._endpoint, exchange.request(), self._turns, exchange.caller))
            return
        answering = self._endpoint.answer(exchange.request())
        try:
            answering.send(None)
        except StopIteration as ended:
            self._turns.end(caller)
            self._give(exchange, ended.value)
        except BaseException:  # a defect, for which uvicorn ends the connection
            self._turns.end(caller)
            raise
        else:
            self._work(exchange, answering, caller)

    def _plain(self) -> Exchange | None:
        """The request whose head has come, if it is one to be answered here."""
        url, before = self.url, self.cycle
        if (
            self.parser.get_method() != b"POST"
            or self._answered
            or not (before is None or before.response_complete)
            or self.flow.write_paused
            or self.parser.get_http_version() != "1.1"
            or len(url) > MAX_PATH_BYTES
            or _PLAIN_URL.fullmatch(url) is None
        ):
            return None
        path = url.decode("ascii")
        inner = within(path, self._base_path)
        if inner is None:  # a proxy took the base path off
            path, inner = self._base_path + path, path
        if inner != "/mcp" and not inner.startswith("/mcp/"):
            return None
        exchange = Exchange(inner, self.headers, caller_of(path, self.headers))
        length = exchange.first.get("content-length", "")
        if not NOT_PLAIN.isdisjoint(exchange.first) or not 0 < len(length) <= LENGTH_DIGITS:
            return None
        exchange.keep_alive = self.parser.should_keep_alive()
        return exchange if int(length) <= MAX_BODY_BYTES else None

    def _work(self, exchange: Exchange, answering: Coroutine[Any, Any, Response], caller: Caller | None = None) -> None:
        """Give the answer when it is there. A task takes a coroutine that has begun, too."""

        def ended(task: asyncio.Task[Response]) -> None:
            self.tasks.discard(cast(Any, task))
            if caller is not None:
                self._turns.end(caller)
            if task.cancelled() or task.exception() is not None:
                self.transport.abort()  # the endpoint refuses, and does not fail
            else:
                self._give(exchange, task.result())

        task = self.loop.create_task(answering)
        self.tasks.add(cast(Any, task))  # which the server waits for when it stops
        task.add_done_callback(ended)

    def _give(self, exchange: Exchange, response: Response) -> None:
        if "retry-after" in response.headers:
            self.loop.call_later(HOLD_SECONDS, self._write, exchange, response)
        else:
            self._write(exchange, response)

    def _write(self, exchange: Exchange, response: Response) -> None:
        """Head and body in one piece. What would be two headers ends the connection."""
        exchange.response_complete = True
        if self.transport.is_closing():
            return
        body = response.body.encode()
        lines = list(response.headers.items())
        if response.status not in BODILESS:
            lines.append(("content-length", str(len(body))))
        if not exchange.keep_alive:
            lines.append(("connection", "close"))
        written = "".join(map("%s: %s\r\n".__mod__, lines))
        if written.count("\n") != len(lines) or not written.isascii():
            logger.error("an answer of the MCP endpoint has a header of no valid form")
            self.transport.abort()
            return
        before = b"".join(b"%b: %b\r\n" % line for line in self.server_state.default_headers)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%b%b\r\n%b"
            % (response.status, errors.phrase(response.status).encode(), before, written.encode(), body)
        )
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()
