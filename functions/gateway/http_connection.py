"""One connection to an upstream, and one HTTP/1.1 exchange at a time on it.

http_framing.py says what is HTTP; a wire (waits/) moves the bytes. What an upstream may send is bounded while it comes:
heads, interim answers, pieces and bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from functions.gateway import http_framing
from functions.gateway.content_coding import Body, OverLimit
from functions.gateway.http_framing import ANY_LINE_END, HEAD_END, LINE_END, MAX_HEAD_BYTES, Head, NotHttp, Outgoing
from functions.gateway.value_classes import dataclass, field

if TYPE_CHECKING:
    from functions.gateway.waits import Wire

MAX_INTERIM = 20
"""Interim answers (1xx) before the final one; more are not HTTP as anybody uses it."""

MAX_PIECES = 100_000
"""Pieces in which a body may come. 5 MB in chunks of 50 bytes fit."""

PIECES_PER_TURN = 1_000
"""Pieces after which others have their turn: about 6 ms, so that a flood of small chunks delays nobody."""

BODILESS = (204, 304)
"""Statuses of answers without a body, whatever their headers say."""


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
    `status`  that of the answer, once it has come. `resent`: how often the request was sent once more.
    """

    step: str = WAITING
    sending: bool = False
    status: int | None = None
    resent: int = 0

    @property
    def waiting(self) -> bool:
        """True while the exchange has no place yet."""
        return self.step == WAITING


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: names of headers in lower case, the body decoded."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Connection:
    """One connection and the state of HTTP on it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._received = bytearray()
        self._answered = False
        self._persistent = False
        self._wire_bytes = 0
        self._pieces = 0

    async def exchange(self, request: Outgoing, progress: Progress, limit: int) -> Answer:
        """One request and its answer. Raises Unsendable, Broken, BadCoding or OverLimit."""
        self._answered = self._persistent = False
        self._wire_bytes = 2 * limit + MAX_HEAD_BYTES  # chunks of one byte each would be five times the body
        self._pieces = 0
        self._send(request, progress)
        progress.step = "waiting for the answer"
        try:
            head = await self._final_head()
            progress.step, progress.status = "reading the answer", head.status
            body = Body(head.headers.get("content-encoding", ""), limit)
            await self._read_body(request.verb, head, body)
        except NotHttp as error:
            raise Broken(f"not HTTP: {error}", answered=self._answered) from None
        return Answer(head.status, head.headers, body.end())

    def is_reusable(self) -> bool:
        """True when another exchange can follow."""
        if self._wire.has_unsent or self._received:
            return False
        return self._persistent and self._wire.is_quiet()

    def is_quiet(self) -> bool:
        """True when the connection is open and the upstream has sent nothing since the last exchange."""
        return self._wire.is_quiet()

    def close(self) -> None:
        """Close at once."""
        self._wire.close()

    def _send(self, request: Outgoing, progress: Progress) -> None:
        progress.step = "sending the request"
        self._wire.send(http_framing.request(request))
        if self._wire.is_closed:  # the kernel refused the first byte
            raise Broken("closed while idle", answered=False, accepted=False)
        progress.sending = True

    async def _final_head(self) -> Head:
        """The head of the answer, after those of interim answers."""
        for _ in range(MAX_INTERIM + 1):
            head = http_framing.head(await self._taken(HEAD_END, "a head without an end", start=b"HTTP/"))
            if head.status >= 200:
                return head
        raise Broken("too many interim answers", answered=True)

    async def _read_body(self, verb: str, head: Head, body: Body) -> None:
        if verb == "HEAD" or head.status in BODILESS:
            pass
        elif head.chunked:
            await self._read_chunks(body)
        elif head.length is not None:
            await self._read_bytes(head.length, body)
        else:
            while self._received or await self._arrived():
                await self._feed(len(self._received), body)
            if self._wire.error:
                raise Broken(self._wire.error, answered=True)  # cut off, not ended
            return
        self._persistent = head.persistent

    async def _read_chunks(self, body: Body) -> None:
        while size := http_framing.chunk_size(await self._taken(LINE_END, "a chunk without a size")):
            await self._read_bytes(size, body)
            if await self._taken(LINE_END, "a chunk without an end") != b"\r\n":
                raise NotHttp("a chunk without an end")
        trailers = bytearray()
        while (line := await self._taken(ANY_LINE_END, "trailers without an end")) not in (b"\r\n", b"\n"):
            trailers += line
            if len(trailers) > MAX_HEAD_BYTES:
                raise NotHttp("trailers without an end")
        http_framing.check_fields(trailers)

    async def _read_bytes(self, count: int, body: Body) -> None:
        while count:
            if not self._received:
                await self._more()
            count -= await self._feed(count, body)

    async def _feed(self, most: int, body: Body) -> int:
        """Give the next piece to the body. Returns how many bytes it had."""
        piece = bytes(self._received[:most])
        del self._received[:most]
        body.feed(piece)
        self._pieces += 1
        if self._pieces > MAX_PIECES:
            raise OverLimit
        if self._pieces % PIECES_PER_TURN == 0:
            await self._wire.turn()
        return len(piece)

    async def _taken(self, end: re.Pattern[bytes], missing: str, *, start: bytes = b"") -> bytes:
        """What came, up to the first match of `end`. `start` is how it must begin. Raises NotHttp saying `missing`."""
        searched = 0
        while (found := end.search(self._received, searched)) is None:
            searched = max(0, len(self._received) - 2)
            if searched > MAX_HEAD_BYTES or not start.startswith(self._received[: len(start)]):
                raise NotHttp(missing)
            await self._more()
        taken = bytes(self._received[: found.end()])
        del self._received[: found.end()]
        if len(taken) > MAX_HEAD_BYTES:
            raise NotHttp(missing)
        return taken

    async def _more(self) -> None:
        """Wait for the next bytes. Raises Broken at the end of the connection, OverLimit for too many."""
        if not await self._arrived():
            raise Broken(self._wire.error or "closed", answered=self._answered)

    async def _arrived(self) -> bool:
        """Wait for the next bytes; False at the end of the connection. Raises OverLimit."""
        data = await self._wire.receive()
        self._wire_bytes -= len(data)
        if self._wire_bytes < 0:
            raise OverLimit
        self._received += data
        self._answered = self._answered or bool(data)
        return bool(data)
