"""The laptop's web server bounds what it holds of a request before an application sees it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from functions.local.direct_http import MAX_HEAD_BYTES
from functions.local.web_server import HOST, listen, serving
from tests.local.counting import counted
from tests.patience import STUCK_SECONDS


@contextmanager
def connected() -> Iterator[socket.socket]:
    """A connection to the application."""
    with (
        listen(0) as listener,
        serving(counted, listener),
        socket.create_connection((HOST, listener.getsockname()[1]), timeout=STUCK_SECONDS) as client,
    ):
        yield client


def received(client: socket.socket, end: bytes) -> bytes:
    """What comes until `end`, or until the server closes."""
    content = b""
    while not content.endswith(end) and (data := client.recv(65_536)):
        content += data
    return content


@pytest.mark.parametrize("line", [b"x: " + b"a" * 8_000 + b"\r\n", b"a" * 8_000])
def test_a_head_without_an_end_is_refused(line: bytes) -> None:
    with connected() as client:
        sent = client.send(b"GET / HTTP/1.1\r\nhost: a\r\n" + (b"" if line.startswith(b"x: ") else b"x: "))
        try:
            while sent < 100 * MAX_HEAD_BYTES:
                sent += client.send(line)
        except OSError:
            pass  # the server closed while we were sending
        assert sent < 100 * MAX_HEAD_BYTES


def test_a_head_counts_alone_and_anew_for_each_request() -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\nx: " + b"a" * 40_000 + b"\r\n\r\n"
    with connected() as client:
        for _ in range(3):
            client.sendall(head + b"b" * 200_000)
            assert received(client, b"200000").startswith(b"HTTP/1.1 200 ")
