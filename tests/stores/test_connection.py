"""One connection to one endpoint, byte for byte."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from functions.stores.connection import CONNECT_SECONDS, READ_SECONDS, Closed, Connection, NotAResponse
from tests.patience import STUCK_SECONDS

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def responding(*responses: bytes) -> Iterator[tuple[Connection, list[bytes]]]:
    """A connection to a peer that sends these bytes, one for each request, and then closes; and what it was sent."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                for response in responses:
                    seen.append(peer.recv(65_536))
                    peer.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        connection = Connection("127.0.0.1", listener.getsockname()[1], None)
        try:
            yield connection, seen
        finally:
            connection.close()
            thread.join(STUCK_SECONDS)


def test_a_request_is_one_packet_with_the_headers_and_the_length_of_its_body() -> None:
    with responding(OK) as (connection, seen):
        assert connection.exchange(b'{"a":1}', {"host": "h", "x-amz-target": "T"}) == (200, b"{}", True)
    assert seen == [
        b"POST / HTTP/1.1\r\nhost: h\r\nx-amz-target: T\r\naccept-encoding: identity\r\ncontent-length: 7\r\n\r\n"
        b'{"a":1}'
    ]


def test_exchanges_follow_one_another_and_the_end_shows() -> None:
    with responding(OK, OK.replace(b"200 OK", b"400 Bad Request"), OK) as (connection, _):
        assert [connection.exchange(b"", {})[0] for _ in range(3)] == [200, 400, 200]
        with pytest.raises(ConnectionError):  # Closed, or a reset, as the packets meet
            connection.exchange(b"", {})


def test_a_connection_that_the_other_side_closed_has_something_to_read() -> None:
    with responding(b"") as (connection, _):
        with pytest.raises(Closed):
            connection.exchange(b"", {})
        assert connection.has_something_to_read()


@pytest.mark.parametrize(
    ("response", "again"),
    [
        (b"HTTP/1.1 200\r\ncontent-length:2\r\nconnection: close\r\n\r\n{}", False),
        (b"HTTP/1.0 200 OK\r\nCONTENT-LENGTH: 2\r\n\r\n{}", True),
        (OK + b"HTTP/1.1 200 OK", False),
    ],
    ids=["close", "another spelling", "more than was asked for"],
)
def test_a_connection_is_used_again_only_if_the_response_is_its_last_word(response: bytes, again: bool) -> None:
    with responding(response) as (connection, _):
        assert connection.exchange(b"", {}) == (200, b"{}", again)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99000000\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n content-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}",
        b"<html>no</html>\r\n\r\n",
        b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ],
    ids=["none", "chunked", "two", "negative", "too long", "folded", "early end", "no http", "endless", "half a head"],
)
def test_what_is_not_a_response_with_a_length_is_refused(response: bytes) -> None:
    with responding(response) as (connection, _), pytest.raises(NotAResponse):
        connection.exchange(b"", {})


class Trickling:
    """A socket whose peer sends one byte at a time, and the limits that its user sets."""

    def __init__(self) -> None:
        self.limits: list[float] = []
        self.left = OK

    def setsockopt(self, *option: int) -> None: ...

    def settimeout(self, seconds: float) -> None:
        self.limits.append(seconds)

    def sendall(self, data: bytes) -> None: ...

    def recv(self, size: int) -> bytes:
        byte, self.left = self.left[:1], self.left[1:]
        return byte


def test_a_connection_and_each_wait_of_an_exchange_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait may take what is left of the exchange, so that a response that trickles ends in time."""
    made: list[Any] = []

    def create(address: tuple[str, int], timeout: float) -> Trickling:
        made.append((address, timeout, Trickling()))
        return made[-1][2]  # type: ignore[no-any-return]

    monkeypatch.setattr(socket, "create_connection", create)
    assert Connection("db.example", 443, None).exchange(b"{}", {}) == (200, b"{}", True)
    [(address, seconds, peer)] = made
    assert (address, seconds) == (("db.example", 443), CONNECT_SECONDS)
    assert peer.limits[0] == READ_SECONDS
    assert len(peer.limits) == 1 + len(OK)
    assert peer.limits[1:] == sorted(peer.limits[1:], reverse=True)
    assert peer.limits[1] < READ_SECONDS


class Deaf(Trickling):
    """A socket that takes no option."""

    closed = False

    def setsockopt(self, *option: int) -> None:
        raise OSError("no such option")

    def close(self) -> None:
        self.closed = True


def test_a_socket_that_cannot_be_set_up_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Deaf()
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: peer)
    with pytest.raises(OSError, match="no such option"):
        Connection("db.example", 443, None)
    assert peer.closed


def test_a_peer_that_speaks_no_tls_is_an_error_and_sees_the_end_of_its_connection() -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                with suppress(ConnectionError):  # a reset is an end, too
                    while peer.recv(65_536):
                        pass
                ended.set()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ssl.SSLError):
            Connection("127.0.0.1", listener.getsockname()[1], ssl.create_default_context())
        assert ended.wait(STUCK_SECONDS)
        thread.join()


def test_an_exchange_whose_time_is_over_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: Trickling())
    connection = Connection("db.example", 443, None)
    monkeypatch.setattr("functions.stores.connection.READ_SECONDS", -1.0)
    with pytest.raises(TimeoutError, match="the response did not end in time"):
        connection.exchange(b"{}", {})
