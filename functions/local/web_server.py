"""The listening socket, and uvicorn on a background thread."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from functions.local.direct_http import BoundedHttp
from functions.local.errors import LocalError

HOST = "127.0.0.1"
"""Where this process, and every other of this machine, reaches the endpoint."""

MAX_PORT = 65_535
"""The highest port of TCP."""

START_SECONDS = 30
"""A start that takes longer has failed; it normally takes well under two seconds."""


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
def serving(app: ASGIApp, listener: socket.socket, http: Callable[..., BoundedHttp] = BoundedHttp) -> Iterator[None]:
    """Serve the app on a background thread while the context is open. `http` makes the protocol of a connection.
    Raises LocalError when the start fails."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, http=cast(Any, http), log_config=None, access_log=False, server_header=False, lifespan="on", ws="none"
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
