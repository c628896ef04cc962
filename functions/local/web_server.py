"""The listening socket, and uvicorn on a background thread."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from functions.local.errors import LocalError

HOST = "127.0.0.1"
"""Where this process, and every other of this machine, reaches the endpoint."""

MAX_PORT = 65_535
"""The highest port of TCP."""

START_SECONDS = 30
"""A start that takes longer has failed; it normally takes well under two seconds."""

MAX_HEAD_BYTES = 65_536
"""Bytes of a request's line and headers, as with h11, uvicorn's other reader of HTTP."""


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


def listen(port: int, address: str = HOST) -> socket.socket:
    """A socket bound to a port of an IPv4 address; port 0 takes any free one. Raises LocalError."""
    # With the protocol named, asyncio switches Nagle's algorithm off. Otherwise each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE and address != HOST:
            raise LocalError(
                f"POSTERN_LISTEN is {address!r}, which cannot be listened on ({error.strerror}); valid: an IPv4 "
                "address of this machine, or 0.0.0.0 for all of them"
            ) from error
        raise LocalError(
            f"port {port} of {address} is taken ({error.strerror}); stop the program that listens there, or choose "
            f"another port: --port {port + 1 if port < MAX_PORT else port - 1}"
        ) from error
    return listener


@contextlib.contextmanager
def serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Serve the app on a background thread while the context is open. Raises LocalError when the start fails."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, http=BoundedHttp, log_config=None, access_log=False, server_header=False, lifespan="on", ws="none"
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="postern", daemon=True)
    thread.start()
    give_up = datetime.now(UTC).timestamp() + START_SECONDS
    pause = threading.Event()
    while not server.started:
        if not thread.is_alive() or datetime.now(UTC).timestamp() > give_up:
            raise LocalError("the endpoint did not start; the log above says why")
        pause.wait(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
