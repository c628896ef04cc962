"""The waits of a process that serves many requests at once, on asyncio's event loop."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import Any, cast

from functions.gateway.large_documents import LARGE_BYTES
from functions.gateway.waits import Found, Timer
from functions.gateway.waits.resolver import RESOLVER

READ_AHEAD = 262_144
"""Bytes that are received before anybody reads them; beyond, the sender of them has to wait."""

BUFFER_BYTES = 65_536
"""Bytes that are received at once. A connection holds as many for as long as it is open."""


class EventLoop:
    """The waits on whichever event loop runs."""

    @property
    def home(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def until(self, deadline: float) -> asyncio.Timeout:
        return asyncio.timeout_at(deadline)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def turn(self) -> None:
        await asyncio.sleep(0)

    async def in_turn(self, size: int, work: Callable[..., Found], *about: Any) -> Found:
        """On a thread for a large document."""
        if size <= LARGE_BYTES:
            return work(*about)
        await asyncio.sleep(0)
        return await asyncio.to_thread(work, *about)

    def later(self, seconds: float, act: Callable[..., None], *about: Any) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, act, *about)

    async def addresses(self, host: str, port: int) -> list[str]:
        return await RESOLVER.addresses(host, port)

    async def open(self, address: str, port: int, tls: ssl.SSLContext | None, host: str) -> EventLoopWire:
        _, wire = await asyncio.get_running_loop().create_connection(
            EventLoopWire, address, port, ssl=tls, server_hostname=host if tls is not None else None
        )
        return wire


class EventLoopWire(asyncio.BufferedProtocol):
    """The bytes of one connection, received up to READ_AHEAD ahead of their reader.

    They come into one buffer. For the other kind of protocol, asyncio maps 256 kB of memory for each piece that comes
    and gives it back at once, which took a third of the CPU time of a warm call and none of its instructions.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._received = bytearray()
        self._arrival: asyncio.Future[None] | None = None
        self._ended = False
        self.error = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # that of a stream, as create_connection makes it
        self._poll = select.poll()
        socket = transport.get_extra_info("socket")
        self._poll.register(socket.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio names it
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received += self._buffer[:nbytes]
        if len(self._received) > READ_AHEAD:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self.error = type(error).__name__ if error else ""
        self._wake()

    @property
    def is_closed(self) -> bool:
        return self.transport.is_closing()

    @property
    def has_unsent(self) -> bool:
        return self.transport.get_write_buffer_size() > 0

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end."""
        if self._received:
            await asyncio.sleep(0)  # a flood must keep neither the event loop from others nor the deadline from us
        elif not self._ended:
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

    async def turn(self) -> None:
        await asyncio.sleep(0)

    def is_quiet(self) -> bool:
        """Not even bytes or an end that the event loop has not seen yet count as quiet."""
        if self._ended or self._received or self.transport.is_closing():
            return False
        return not self._poll.poll(0)

    def close(self) -> None:
        self.transport.abort()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
