"""An upstream on a loopback socket that answers, byte for byte, what a test tells it to, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from functions.gateway.json_text import Json
from tests.patience import STUCK_SECONDS


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; `target` is the raw request target."""

    verb: str
    target: str
    lines: list[tuple[str, bytes]]
    body: bytes
    connection: int

    @property
    def headers(self) -> dict[str, bytes]:
        return dict(self.lines)

    @property
    def json(self) -> Json:
        return json.loads(self.body)


@dataclass(frozen=True)
class Told:
    """The bytes of an answer, and what becomes of the connection after them."""

    raw: bytes
    then: Literal["keep", "close", "reset", "hang"] = "keep"


def answer(status: int = 200, body: Json = None, *lines: tuple[str, str], then: Any = "keep") -> Told:
    """An HTTP answer. A body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    given = {name.lower() for name, _ in lines}
    head = [f"HTTP/1.1 {status} Status"]
    if "content-type" not in given and content:
        head.append("content-type: application/json")
    if "content-length" not in given and "transfer-encoding" not in given and status != 204:
        head.append(f"content-length: {len(content)}")
    head += [f"{name}: {value}" for name, value in lines]
    return Told("\r\n".join([*head, "", ""]).encode("latin-1") + content, then)


@dataclass
class Upstream:
    """`script` gives each request's answer; `before` is awaited before it, on the upstream's own loop; `silent` is
    called, on another thread, when an answer stops short."""

    origin: str = ""
    script: Callable[[Received], Told] = lambda received: answer(200, {})
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    silent: Callable[[], object] = lambda: None
    before: Callable[[Received], Awaitable[None]] | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, repr=False)
    writers: set[asyncio.StreamWriter] = field(default_factory=set, repr=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    def answers(self, *told: Told) -> None:
        """Answer with these in turn, the last one from then on."""
        left = list(told)
        self.script = lambda received: left.pop(0) if len(left) > 1 else left[0]

    def close_connections(self) -> None:
        """Close every connection, as a server does that finds them idle; returns when they are closed."""

        async def close() -> None:
            for writer in list(self.writers):
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(STUCK_SECONDS)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep the connection before its task begins: a task that is cancelled first would never close it."""
        self.writers.add(writer)
        self.tasks.add(self.loop.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while await self._exchange(reader, writer, connection):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        verb, target, _ = head[0].split(" ")
        lines = [
            (name.lower(), value.strip(" \t").encode("latin-1"))
            for name, _, value in (line.partition(":") for line in head[1:-2])
        ]
        body = await reader.readexactly(int(dict(lines).get("content-length", b"0")))
        received = Received(verb, target, lines, body, connection)
        self.requests.append(received)
        if self.before is not None:
            await self.before(received)
        told = self.script(received)
        writer.write(told.raw)
        await writer.drain()
        if told.then == "hang":
            self.silent()
            await reader.read()  # until the other side gives up
        if told.then == "reset":
            # Without lingering, close() discards what is unsent and resets the connection.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return told.then == "keep"


@contextmanager
def upstream() -> Iterator[Upstream]:
    """A running upstream."""
    made = Upstream()
    ready = threading.Event()
    loop = made.loop
    stopped = asyncio.Event()

    async def run() -> None:
        server = await asyncio.start_server(made.accept, "127.0.0.1", 0, limit=2**24)
        made.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stopped.wait()
        # A connection that has just come has its transport and its task a few rounds later. A server that is closed
        # before that gives it a transport that nobody can close.
        for _ in range(5):
            await asyncio.sleep(0)
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for writer in list(made.writers):
            writer.transport.abort()
        for _ in range(5):  # a transport that is told to close closes its socket in the next round
            await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(STUCK_SECONDS), "the upstream did not start"
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(STUCK_SECONDS)
        loop.close()


def unused_origin() -> str:
    """The origin of a port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"
