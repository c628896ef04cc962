"""The waits of a function: as those of an event loop, except that nobody else has a turn."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from functions.gateway import upstream_tls
from functions.gateway.connections import IDLE_SECONDS
from functions.gateway.errors import UpstreamTimeout, UpstreamUnreachable
from functions.gateway.http_connection import Connection
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.gateway.waits.blocking import Blocking, BlockingWire, finished
from functions.gateway.waits.names import NAMES_AT_ONCE
from tests.certificates import authority
from tests.gateway.calling import SETTINGS, AdvancingBlocking
from tests.gateway.loopback import Told, Upstream, answer
from tests.patience import STUCK_SECONDS


def get(origin: str, path: str = "/") -> UpstreamRequest:
    return UpstreamRequest("GET", origin, path)


def post(origin: str, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest("POST", origin, "/", body=body)


class Function:
    """One sender with waits that block."""

    def __init__(self, settings: Settings = SETTINGS, **how: Any) -> None:
        self.waits = AdvancingBlocking(**how)
        self.sender = Sender(settings, self.waits)

    def send(self, request: UpstreamRequest, seconds: float = 20) -> UpstreamResponse:
        return finished(self.sender.send(request, self.waits.now() + seconds))

    def kept(self) -> list[Connection]:
        """The idle connections."""
        assert self.sender._pool is not None
        return [one.connection for of_origin in self.sender._pool._idle.values() for one in of_origin]

    def close(self) -> None:
        finished(self.sender.close())


@pytest.fixture
def function() -> Iterator[Function]:
    made = Function()
    yield made
    made.close()


def test_a_connection_is_kept_from_request_to_request_and_made_anew_after_an_end(
    upstream: Upstream, function: Function
) -> None:
    upstream.answers(answer(200, {"ok": True}))
    assert [function.send(get(upstream.origin)).status for _ in range(3)] == [200] * 3
    upstream.close_connections()
    assert [function.send(post(upstream.origin)).status for _ in range(3)] == [200] * 3
    assert [received.connection for received in upstream.requests] == [1, 1, 1, 2, 2, 2]


def test_an_idle_connection_is_closed_once_another_is_opened(upstream: Upstream, function: Function) -> None:
    function.send(get(upstream.origin))
    assert len(function.kept()) == 1
    function.waits.advance(IDLE_SECONDS + 0.1)
    with pytest.raises(UpstreamUnreachable):
        function.send(get("http://127.0.0.1:1"))
    assert function.kept() == []


def test_the_deadline_ends_a_wait_for_an_answer(upstream: Upstream, function: Function) -> None:
    upstream.answers(Told(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "hang"))
    upstream.silent = lambda: function.waits.advance(3_600)
    host = upstream.origin.removeprefix("http://")
    with pytest.raises(UpstreamTimeout) as late:
        function.send(post(upstream.origin))
    assert late.value.message.startswith(f"{host} did not answer within 20 s; ")
    assert late.value.sent


def test_without_time_nothing_is_sent(upstream: Upstream, function: Function) -> None:
    with pytest.raises(UpstreamTimeout, match="no time was left"):
        function.send(get(upstream.origin), seconds=0)
    assert upstream.connections == 0


@contextmanager
def never_accepting() -> Iterator[str]:
    """The origin of a listener whose queue is full, so that a connection to it stays half open."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        waiting = []
        while True:
            one = socket.socket()
            one.setblocking(False)
            waiting.append(one)
            one.connect_ex(place)
            poll = select.poll()
            poll.register(one, select.POLLOUT)
            if not poll.poll(200):
                break
        try:
            yield f"http://127.0.0.1:{place[1]}"
        finally:
            for one in waiting:
                one.close()


def test_the_deadline_ends_a_wait_for_a_connection(function: Function) -> None:
    with never_accepting() as origin, ThreadPoolExecutor(1) as others:
        sent = others.submit(function.send, post(origin))
        while function.waits.deadline == float("inf"):
            time.sleep(0)
        function.waits.advance(3_600)
        with pytest.raises(UpstreamTimeout, match=r"no connection to .* within 20 s; nothing was sent"):
            sent.result(STUCK_SECONDS)


def test_a_connection_that_is_refused_says_so(function: Function) -> None:
    with pytest.raises(UpstreamUnreachable, match="refused or unreachable"):
        function.send(get("http://127.0.0.1:1"))


# Names.


def look_up(*addresses: str) -> Callable[..., Any]:
    return lambda host, port, **how: [(socket.AF_INET, how["type"], 6, "", (one, port)) for one in addresses]


def test_the_next_address_of_a_name_is_tried(upstream: Upstream) -> None:
    function = Function(look_up=look_up("127.1.2.3", "127.0.0.1", "127.0.0.1"))
    upstream.answers(answer(200, {}))
    port = upstream.origin.rsplit(":", 1)[1]
    assert function.send(get(f"http://api.example:{port}")).status == 200
    function.close()


def test_a_name_that_does_not_resolve_says_so(function: Function) -> None:
    with pytest.raises(UpstreamUnreachable, match="the name does not resolve"):
        function.send(get("http://a..b"))


def test_the_deadline_ends_a_look_up_that_hangs_and_few_may_hang() -> None:
    asked, released = threading.Semaphore(0), threading.Event()

    def hanging(*_: Any, **__: Any) -> Any:
        asked.release()
        released.wait()
        return []

    function = Function(look_up=hanging)
    with ThreadPoolExecutor(1) as others:
        for number in range(NAMES_AT_ONCE):
            sent = others.submit(function.send, get(f"http://{number}.example"), 0.01)
            asked.acquire()
            function.waits.advance(0.01)
            with pytest.raises(UpstreamTimeout, match="nothing was sent"):
                sent.result(STUCK_SECONDS)
        with pytest.raises(UpstreamUnreachable, match="too many names are being looked up"):
            function.send(get("http://one-more.example"))
    released.set()
    function.close()


# What is sent while an answer comes.


@contextmanager
def serving(serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that gives each connection to `serve`, on a thread."""

    def accept() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted, suppress(OSError):
                if tls is None:
                    serve(accepted)
                    continue
                with tls.wrap_socket(accepted, server_side=True) as secured:
                    serve(secured)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


LARGE = b"x" * 20_000_000
"""More than the buffers of two sockets hold."""


def head(connection: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read and (piece := connection.recv(65_536)):
        read += piece
    return read


def test_a_refusal_that_comes_before_the_whole_request_went_out_is_read() -> None:
    answered = threading.Event()

    def early(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        answered.wait(60)

    function = Function()
    with serving(early) as port:
        assert function.send(post(f"http://127.0.0.1:{port}", LARGE)).status == 413
        answered.set()
        assert function.kept() == [], "what was not sent would be the beginning of the next request"
    function.close()


def test_a_large_request_goes_out_piece_by_piece() -> None:
    received = 0

    def count(connection: socket.socket) -> None:
        nonlocal received
        received = len(head(connection).partition(b"\r\n\r\n")[2])
        while received < len(LARGE) and (piece := connection.recv(1_000_000)):
            received += len(piece)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    function = Function()
    with serving(count) as port:
        assert function.send(post(f"http://127.0.0.1:{port}", LARGE)).status == 200
    assert received == len(LARGE)
    function.close()


def test_an_end_while_a_request_goes_out_leaves_its_outcome_unknown() -> None:
    def leave(connection: socket.socket) -> None:
        head(connection)

    function = Function()
    with serving(leave) as port, pytest.raises(UpstreamUnreachable, match="broke before the answer") as broken:
        function.send(post(f"http://127.0.0.1:{port}", LARGE))
    assert broken.value.sent
    function.close()


# TLS.


@pytest.fixture(scope="module")
def certificates() -> Iterator[tuple[Path, Path, Path]]:
    with authority() as files:
        yield files


@pytest.fixture
def trusted(certificates: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, which the gateway trusts."""
    root, leaf, key = certificates
    monkeypatch.setattr(upstream_tls, "context", lambda: ssl.create_default_context(cafile=str(root)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, key)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [2, len(LARGE)], ids=["small", "large"])
def test_tls_carries_requests_over_a_kept_connection(
    trusted: ssl.SSLContext, version: ssl.TLSVersion, size: int
) -> None:
    trusted.minimum_version = trusted.maximum_version = version
    connections = 0

    def serve(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        while read := head(connection):
            left = size - len(read.partition(b"\r\n\r\n")[2])
            while left > 0:
                left -= len(connection.recv(1_000_000))
            body = b"y" * size
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body[: size // 2])
            connection.sendall(body[size // 2 :])

    function = Function(Settings(private_upstreams=True, max_upstream_bytes=len(LARGE)))
    with serving(serve, trusted) as port:
        for _ in range(3):
            found = function.send(post(f"https://localhost:{port}", LARGE[:size]))
            assert found.body == b"y" * size
        function.close()
    assert connections == 1


def test_a_certificate_that_is_not_trusted_is_told(certificates: tuple[Path, Path, Path], function: Function) -> None:
    _, leaf, key = certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, key)
    untrusted = pytest.raises(UpstreamUnreachable, match=r"\(its certificate is not valid: .*\); nothing was done")
    with serving(lambda connection: None, context) as port, untrusted:
        function.send(get(f"https://localhost:{port}"))


def test_the_deadline_ends_a_handshake(trusted: ssl.SSLContext, function: Function) -> None:
    asked, over = threading.Event(), threading.Event()

    def silent(connection: socket.socket) -> None:
        connection.recv(1_000)
        asked.set()
        function.waits.advance(3_600)
        over.wait(60)

    with serving(silent) as port:
        with pytest.raises(UpstreamTimeout, match="nothing was sent"):
            function.send(post(f"https://localhost:{port}"))
        over.set()
    assert asked.is_set()


def test_a_server_that_ends_tls_between_two_requests_gets_the_second_on_a_new_connection(
    trusted: ssl.SSLContext, function: Function
) -> None:
    connections = 0

    def once(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        assert isinstance(connection, ssl.SSLSocket)
        with suppress(OSError):
            connection.unwrap()

    with serving(once, trusted) as port:
        for _ in range(3):
            assert function.send(post(f"https://localhost:{port}")).status == 200
            for kept in function.kept():
                while kept.is_quiet():  # until the end has come
                    time.sleep(0)
    assert connections == 3


# What the operating system and OpenSSL may say at any call.


class ScriptedTls:
    """A socket with TLS: each call first raises the next error of its script, if there is one."""

    def __init__(self, plain: socket.socket, script: dict[str, list[Exception]]) -> None:
        self.plain = plain
        self.script = script

    def fileno(self) -> int:
        return self.plain.fileno()

    def do_handshake(self) -> None:
        self._next("do_handshake")

    def send(self, data: bytes) -> int:
        self._next("send")
        return self.plain.send(data)

    def recv(self, size: int) -> bytes:
        self._next("recv")
        return self.plain.recv(size)

    def close(self) -> None:
        self.plain.close()

    def _next(self, name: str) -> None:
        if left := self.script.get(name):
            raise left.pop(0)


@contextmanager
def wired(**script: list[Exception]) -> Iterator[tuple[BlockingWire, socket.socket]]:
    """A connection, and its other end. With a script it has TLS."""

    class Context:
        def wrap_socket(self, plain: socket.socket, **_: Any) -> ScriptedTls:
            return ScriptedTls(plain, script)

    here, there = socket.socketpair()
    with there:
        wire = BlockingWire(Blocking(), here)
        try:
            if script:
                wire.secure(Context(), "api.example")  # type: ignore[arg-type]
            yield wire, there
        finally:
            wire.close()


def test_an_address_that_cannot_be_reached_at_all_is_refused_at_once() -> None:
    with pytest.raises(OSError, match=r"unreachable|denied|route"):
        finished(Blocking().open("255.255.255.255", 9, None, ""))


def test_a_handshake_waits_for_what_openssl_wants() -> None:
    wants: list[Exception] = [ssl.SSLWantWriteError(), ssl.SSLWantWriteError(), ssl.SSLError("no")]
    with pytest.raises(ssl.SSLError, match="no"), wired(do_handshake=wants):
        pass
    assert wants == []


def test_what_openssl_does_not_send_before_it_has_read_goes_out_afterwards() -> None:
    with wired(send=[ssl.SSLWantReadError()]) as (wire, there):
        wire.send(b"request")
        assert (wire.has_unsent, wire.is_closed) == (True, False)
        there.sendall(b"answer")
        assert finished(wire.receive()) == b"answer"
        assert (there.recv(100), wire.has_unsent) == (b"request", False)


def test_a_connection_that_took_nothing_is_closed_and_one_that_took_something_is_read() -> None:
    with wired() as (wire, there):
        there.close()
        wire.send(b"request")
        assert (wire.error, wire.is_closed) == ("BrokenPipeError", True)
        assert not wire.is_quiet()
        assert finished(wire.receive()) == b""
    with wired() as (wire, there):
        wire.send(b"one")
        there.sendall(b"answer")
        there.shutdown(socket.SHUT_RD)
        wire.send(b"two")
        assert (wire.error, wire.is_closed) == ("BrokenPipeError", False)
        assert not wire.is_quiet()
        assert finished(wire.receive()) == b"answer"


def test_an_error_instead_of_an_answer_ends_the_connection() -> None:
    with wired(recv=[ConnectionResetError()]) as (wire, there):
        there.sendall(b"x")
        assert [finished(wire.receive()) for _ in range(3)] == [b"", b"", b""]
        assert (wire.error, wire.is_closed, wire.is_quiet()) == ("ConnectionResetError", True, False)


@pytest.mark.parametrize(
    ("script", "quiet"),
    [([ssl.SSLWantReadError()], True), ([ssl.SSLEOFError()], False), ([ConnectionResetError()], False), ([], False)],
    ids=["a session ticket", "the end of TLS", "a reset", "bytes that nobody asked for"],
)
def test_a_kept_connection_with_tls_is_quiet_where_what_came_holds_no_answer(
    script: list[Exception], quiet: bool
) -> None:
    with wired(recv=script, send=[]) as (wire, there):
        assert wire.is_quiet()
        there.sendall(b"record")
        assert wire.is_quiet() is quiet


def test_a_kept_connection_without_tls_is_quiet_until_anything_comes() -> None:
    with wired() as (wire, there):
        assert wire.is_quiet()
        there.close()
        assert not wire.is_quiet()


def test_a_wait_of_the_operating_system_ends_at_the_deadline() -> None:
    with wired() as (wire, _):
        waits = wire._waits

        async def go() -> None:
            async with waits.until(waits.now() + 0.01):
                await wire.receive()

        for _ in range(3):
            with pytest.raises(TimeoutError):
                finished(go())
        assert waits.deadline == float("inf")


# Time.


def test_a_deadline_inside_another_ends_what_is_in_it() -> None:
    waits = AdvancingBlocking()

    async def go() -> list[str]:
        ended = []
        async with waits.until(waits.now() + 100):
            try:
                async with waits.until(waits.now() + 10):
                    await waits.sleep(50)
            except TimeoutError:
                ended.append("inner")
            await waits.sleep(50)
            ended.append("between")
        try:
            async with waits.until(waits.now() + 10), waits.until(waits.now() + 100):
                await waits.sleep(50)
        except TimeoutError:
            ended.append("outer")
        await waits.sleep(1_000)
        return ended

    assert finished(go()) == ["inner", "between", "outer"]


def test_an_error_of_its_own_passes_through_a_deadline() -> None:
    waits = AdvancingBlocking()

    async def go() -> None:
        async with waits.until(waits.now() + 10):
            waits.advance(20)
            raise OSError(errno.EIO, "of its own")

    with pytest.raises(OSError, match="of its own"):
        finished(go())
    assert waits.deadline == float("inf")


def test_what_waits_for_an_event_loop_is_told_and_not_left_half_done() -> None:
    with pytest.raises(RuntimeError, match="does not block"):
        finished(asyncio.sleep(0))


def test_the_clock_of_a_function_is_the_monotonic_one() -> None:
    waits = Blocking()
    before = time.monotonic()
    finished(waits.sleep(0.001))
    assert before < waits.now() <= time.monotonic()
