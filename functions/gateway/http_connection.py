"""One connection to an upstream, and one HTTP/1.1 exchange at a time on it.

h11 frames the messages without input or output; asyncio moves the bytes. What an upstream may send is bounded while it
comes: heads, interim answers, pieces and bytes.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from functions.gateway.content_coding import Body, OverLimit

MAX_HEAD_BYTES = 102_400
"""Bytes of one answer's status line and headers; servers refuse far less in a request, e.g. 8 kB."""

MAX_INTERIM = 20
"""Interim answers (1xx) before the final one; more are not HTTP as anybody uses it."""

MAX_PIECES = 100_000
"""Pieces in which a body may come. 5 MB in chunks of 50 bytes fit; in chunks of one byte each kilobyte takes 6 ms of
CPU."""

PIECES_PER_TURN = 1_000
"""Pieces after which the event loop turns once: about 6 ms, so that a flood of small chunks delays nobody."""

READ_AHEAD = 262_144
"""Bytes that are received before anybody reads them; beyond, the sender of them has to wait."""


class Unsendable(Exception):
    """The request has no valid form in HTTP, so nothing was sent."""


class Broken(Exception):
    """The connection ended, or stopped being HTTP, before the answer was complete.

    `answered`  a part of an answer had come. `accepted`: the upstream may have taken a byte of the request.
    """

    def __init__(self, detail: str, *, answered: bool, accepted: bool = True) -> None:
        super().__init__(detail)
        self.answered = answered
        self.accepted = accepted


WAITING = "waiting for a free connection"


@dataclass(slots=True)
class Progress:
    """How far an exchange has come, for the error of one that runs out of time.

    `step`    what is under way, for the log. `sending`: bytes of the request may have left us.
    `status`  that of the answer, once it has come.
    """

    step: str = WAITING
    sending: bool = False
    status: int | None = None

    @property
    def waiting(self) -> bool:
        """True while the exchange has no place yet."""
        return self.step == WAITING


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request as it goes over the wire; `target` is path and query, percent-encoded."""

    verb: str
    target: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: names of headers in lower case, the body decoded."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Wire(asyncio.Protocol):
    """The bytes of one connection, received up to READ_AHEAD ahead of their reader."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = bytearray()
        self._arrival: asyncio.Future[None] | None = None
        self.ended = False
        self.error = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # that of a stream, as create_connection makes it

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > READ_AHEAD:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self.error = type(error).__name__ if error else ""
        self._wake()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end."""
        if self._received:
            await asyncio.sleep(0)  # a flood must keep neither the event loop from others nor the deadline from us
        elif not self.ended:
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        data = bytes(self._received)
        self._received.clear()
        if not self.transport.is_closing():
            self.transport.resume_reading()
        return data

    def is_quiet(self) -> bool:
        """True when the connection is open and the upstream has sent nothing since: neither an end nor stray bytes,
        not even ones that the event loop has not seen yet because it was not running."""
        if self.ended or self._received or self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class Connection:
    """One connection and the state of HTTP on it."""

    def __init__(self, wire: Wire) -> None:
        import h11

        self.kept_at = (0.0, 0.0)
        self.expiry: asyncio.TimerHandle
        self._wire = wire
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._answered = False

    async def exchange(self, request: Outgoing, progress: Progress, limit: int) -> Answer:
        """One request and its answer. Raises Unsendable, Broken, BadCoding or OverLimit."""
        import h11

        self._answered = False
        wire_bytes = 2 * limit + MAX_HEAD_BYTES  # chunks of one byte each would be five times the body
        self._send(request, progress)
        progress.step = "waiting for the answer"
        status, headers, body = 0, {}, Body("", limit)
        interim = pieces = 0
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise Broken(f"not HTTP: {type(error).__name__}", answered=self._answered) from None
            match event:
                case h11.NEED_DATA:
                    data = await self._wire.receive()
                    self._answered = self._answered or bool(data)
                    wire_bytes -= len(data)
                    if wire_bytes < 0:
                        raise OverLimit
                    if not data and not self._answered:
                        raise Broken(self._wire.error or "closed", answered=False)
                    self._http.receive_data(data)
                case h11.InformationalResponse():
                    interim += 1
                    if interim > MAX_INTERIM:
                        raise Broken("too many interim answers", answered=True)
                case h11.Response():
                    progress.step, progress.status = "reading the answer", event.status_code
                    status, headers = event.status_code, _joined(event.headers)
                    body = Body(headers.get("content-encoding", ""), limit)
                case h11.Data():
                    body.feed(bytes(event.data))
                    pieces += 1
                    if pieces > MAX_PIECES:
                        raise OverLimit
                    if pieces % PIECES_PER_TURN == 0:
                        await asyncio.sleep(0)
                case h11.EndOfMessage():
                    return Answer(status, headers, body.end())
                case _:
                    raise Broken("closed", answered=self._answered)

    def is_reusable(self) -> bool:
        """True when another exchange can follow; prepares for it."""
        import h11

        if self._wire.transport.get_write_buffer_size() or self._http.trailing_data[0]:
            return False
        try:
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            return False
        return self._wire.is_quiet()

    def is_quiet(self) -> bool:
        """True when the connection is open and the upstream has sent nothing since the last exchange."""
        return self._wire.is_quiet()

    def close(self) -> None:
        """Close at once."""
        self._wire.transport.abort()

    def _send(self, request: Outgoing, progress: Progress) -> None:
        import h11

        progress.step = "sending the request"
        try:
            lines = [(name.encode("ascii"), value.encode()) for name, value in request.headers]
            head = self._http.send(h11.Request(method=request.verb, target=request.target, headers=lines))
            body = self._http.send(h11.Data(data=request.body)) if request.body else b""
            end = self._http.send(h11.EndOfMessage())
        except (h11.LocalProtocolError, UnicodeError):
            # Their texts quote what could not be sent, a credential maybe: not to be shown by a traceback either.
            raise Unsendable from None
        self._wire.send((head or b"") + (body or b"") + (end or b""))
        if self._wire.transport.is_closing():  # the kernel refused the first byte
            raise Broken("closed while idle", answered=False, accepted=False)
        progress.sending = True


def _joined(lines: Any) -> dict[str, str]:
    """Headers by their names; the values of repeated ones are one list."""
    headers: dict[str, str] = {}
    for name, value in lines:
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
