"""What counts as HTTP, against h11: the same answers are taken, to the byte, and the same ones refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.gateway import http_framing
from functions.gateway.content_coding import OverLimit
from functions.gateway.http_connection import MAX_INTERIM, Answer, Broken, Connection, Progress
from functions.gateway.http_framing import MAX_HEAD_BYTES, NotHttp, Outgoing, Unsendable
from functions.gateway.waits.event_loop import EventLoopWire

LIMIT = 10_000
HEADERS = (("Host", "upstream"), ("Content-Length", "2"))

PARTS = (
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 204\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 099 \r\n", b"HTTP/1.1 304 Not\tModified\r\n", b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 200\x01\r\n",
    b"HTTP/2.0 200 OK\n", b"Content-Length: 3\r\n", b"content-length:3, 3\r\n", b"Content-Length: 4\r\n",
    b"Content-Length: +3\r\n", b"Content-Length: \xb2\r\n", b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding: Chunked\n", b"Transfer-Encoding: gzip\r\n", b"X-A: \tb c \r\n", b"X-A:\r\n", b" folded\r\n",
    b"\tfolded\n", b"Bad Name: x\r\n", b"X-B\r\n", b": x\r\n", b"X-C: \xff\x01\r\n", b"X-D: a\x00b\r\n",
    b"X-E: a\x0bb\r\n", b"X-F: a\rb\r\n", b"Connection: close\r\n", b"Connection: keep-alive, Close\r\n", b"\r\n",
    b"\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nX-T: 1\r\n\r\n", b"3;ext=1 \r\nabc\r\n", b"3\nabc\r\n", b"abc",
    b"g\r\n", b"0x3\r\nabc\r\n", b"1" * 21 + b"\r\n", b"\r\nabc",
)  # fmt: skip


class Given(EventLoopWire):
    """A wire whose bytes are all there already, in pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if piece]
        self.transport = Transport()

    async def receive(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def is_quiet(self) -> bool:
        return not self._pieces


class Transport(asyncio.Transport):
    def write(self, data: Any) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def resume_reading(self) -> None: ...


def ours(verb: str, pieces: Sequence[bytes]) -> tuple[Answer, bool] | str:
    connection = Connection(Given(pieces))
    try:
        answer = asyncio.run(connection.exchange(Outgoing(verb, "/", HEADERS, b"{}"), Progress(), LIMIT))
    except Broken:
        return "broken"
    except OverLimit:
        return "over"
    return answer, connection.is_reusable()


def theirs(verb: str, pieces: Sequence[bytes]) -> tuple[Answer, bool] | str:
    """The answer as h11 reads it, and whether another exchange may follow."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    connection.send(h11.Request(method=verb, target="/", headers=list(HEADERS)))
    connection.send(h11.Data(data=b"{}"))
    connection.send(h11.EndOfMessage())
    waiting, status, body, interim = [*filter(None, pieces), b""], 0, b"", 0
    headers: dict[str, str] = {}
    try:
        while True:
            match connection.next_event():
                case h11.NEED_DATA:
                    connection.receive_data(waiting.pop(0))
                case h11.InformationalResponse():
                    interim += 1
                    if interim > MAX_INTERIM:
                        return "broken"
                case h11.Response() as found:
                    status = found.status_code
                    for name, value in found.headers:
                        key, text = name.decode(), value.decode("latin-1")
                        headers[key] = f"{headers[key]}, {text}" if key in headers else text
                case h11.Data() as found:
                    body += bytes(found.data)
                    if len(body) > LIMIT:
                        return "over"
                case h11.EndOfMessage():
                    break
                case _:
                    return "broken"
        again = not connection.trailing_data[0] and waiting == [b""]
        connection.start_next_cycle()
    except h11.RemoteProtocolError:
        return "broken"
    except h11.LocalProtocolError:
        again = False
    return Answer(status, headers, body), again


def cut(content: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(content) + 1) for place in places})
    return [content[start:end] for start, end in zip([0, *ends], [*ends, len(content)], strict=True)]


@given(
    verb=st.sampled_from(["GET", "POST", "HEAD"]),
    parts=st.lists(st.sampled_from(PARTS), max_size=12),
    first=st.sampled_from(PARTS[:3]),
    places=st.lists(st.integers(0, 400), max_size=6),
)
@example(verb="GET", first=PARTS[0], parts=[b"\r\n"], places=[])
@example(verb="GET", first=PARTS[0], parts=[b"Content-Length: 3\r\n", b"\r\n", b"abc"], places=[3, 19, 38])
@example(
    verb="GET", first=PARTS[0], parts=[PARTS[14], b"\r\n", *[b"3\r\nabc\r\n"] * 3, b"0\r\nX-T: 1\r\n\r\n"], places=[9]
)
@example(verb="GET", first=PARTS[0], parts=[PARTS[14], b"Content-Length: 3\r\n\r\n", b"0\r\n\r\n"], places=[])
@example(verb="GET", first=PARTS[0], parts=[PARTS[15], b"\r\n", b"0\r\n\r\n"], places=[])
@example(verb="GET", first=PARTS[0], parts=[b"X-A: b\r\n", b" folded\r\n", b"Content-Length: 0\r\n\r\n"], places=[])
@example(verb="GET", first=b"HTTP/1.1 101 Switching\r\n\r\n", parts=[], places=[])
@example(verb="GET", first=b"HTTP/1.1 099 \r\n\r\n", parts=[], places=[])
def test_an_answer_is_read_as_h11_reads_it(verb: str, parts: list[bytes], first: bytes, places: list[int]) -> None:
    pieces = cut(first + b"".join(parts), places)
    assert ours(verb, pieces) == theirs(verb, pieces)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_any_bytes_are_read_as_h11_reads_them(content: bytes, places: list[int]) -> None:
    pieces = cut(content, places)
    assert ours("GET", pieces) == theirs("GET", pieces)


@given(
    verb=st.sampled_from(["GET", "P T", "", "GE\r\nT"]),
    target=st.sampled_from(["/", "/a b", "/\r\n", "/ü", "", "*"]),
    lines=st.lists(
        st.tuples(
            st.sampled_from(["X-A", "x b", "", "X:", "Host", "ü", "Content-Length"]),
            st.text(alphabet="ab \t\r\n\x00\x01\x0bü\ud800,", max_size=4),
        ),
        max_size=3,
    ),
)
@example(verb="GET", target="/", lines=[("Content-Length", "")])
@example(verb="GET", target="/", lines=[("Content-Length", "a")])
def test_a_request_is_written_as_h11_writes_it(verb: str, target: str, lines: list[tuple[str, str]]) -> None:
    headers = [("Host", "upstream"), *lines]
    connection = h11.Connection(h11.CLIENT)
    try:
        encoded = [(name.encode("ascii"), value.encode()) for name, value in headers]
        expected = connection.send(h11.Request(method=verb, target=target, headers=encoded))
        connection.send(h11.EndOfMessage())
    except (h11.LocalProtocolError, UnicodeError):
        expected = None
    try:
        written = http_framing.request(Outgoing(verb, target, headers, b""))
    except Unsendable:
        assert expected is None
    else:
        assert written == expected


@pytest.mark.parametrize("length", ["", "a", ",", "1", "3", "02", "2,2", "+2"])
def test_the_length_of_a_request_is_that_of_its_body(length: str) -> None:
    """Another one would make the rest of the body, or the next request, part of this one."""
    with pytest.raises(Unsendable):
        http_framing.request(Outgoing("POST", "/", (("Host", "upstream"), ("Content-Length", length)), b"{}"))
    with pytest.raises(Unsendable):
        http_framing.request(Outgoing("POST", "/", (("Host", "upstream"),), b"{}"))
    assert http_framing.request(Outgoing("POST", "/", HEADERS, b"{}")).endswith(b"Content-Length: 2\r\n\r\n{}")


def test_a_request_names_its_host_and_its_length_once() -> None:
    for headers in ([], [("Host", "a"), ("host", "b")], [*HEADERS, ("content-length", "2")]):
        with pytest.raises(Unsendable):
            http_framing.request(Outgoing("POST", "/", headers, b"{}"))
    with pytest.raises(Unsendable):
        http_framing.request(Outgoing("POST", "/", [*HEADERS, ("Transfer-Encoding", "chunked")], b"{}"))


def test_no_error_shows_bytes_of_what_it_refuses() -> None:
    for content in (b"HTTP/1.1 200 s3cret\x00\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: s3cret\r\n\r\n"):
        with pytest.raises(NotHttp) as refused:
            http_framing.head(content)
        assert "s3cret" not in str(refused.value)
    with pytest.raises(Unsendable) as unsendable:
        http_framing.request(Outgoing("GET", "/", [("Host", "a"), ("X-Key", "s3cret\ud800")], b""))
    assert "s3cret" not in repr(unsendable.value)
    assert unsendable.value.__suppress_context__


@pytest.mark.parametrize("pieces", [1, 40_000])
def test_a_head_is_bounded_however_it_comes(pieces: int) -> None:
    content = b"HTTP/1.1 200 OK\r\n" + b"X-Filler: y\r\n" * 9_000
    size = max(1, len(content) // pieces)
    assert ours("GET", [content[at : at + size] for at in range(0, len(content), size)]) == "broken"


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: http_framing.head(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"
        ),
        lambda: http_framing.chunk_size(b"two\r\n"),
        lambda: http_framing.check_fields(b"no header\r\n"),
    ],
    ids=["two codings", "a size in words", "a trailer without a name"],
)
def test_what_could_be_read_in_two_ways_is_not_http(refuse: Callable[[], object]) -> None:
    with pytest.raises(NotHttp):
        refuse()


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = [b"X-A: " + b"a" * 993 + b"\r\n"] * (MAX_HEAD_BYTES // 1_000 + 3)


def refusal(pieces: Sequence[bytes], error: str = "") -> str:
    wire = Given(pieces)
    wire.error = error
    with pytest.raises(Broken) as broken:
        asyncio.run(Connection(wire).exchange(Outgoing("GET", "/", HEADERS, b"{}"), Progress(), LIMIT))
    assert broken.value.answered
    return str(broken.value)


def test_an_answer_that_ends_with_its_connection_is_broken_where_that_was_cut_off() -> None:
    assert ours("GET", [HEAD + b"\r\n", b"all of it"]) == (Answer(200, {}, b"all of it"), False)
    assert refusal([HEAD + b"\r\n", b"a part"], "ConnectionResetError") == "ConnectionResetError"


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([CHUNKED, b"3\r\nabcd\r\n0\r\n\r\n"], "not HTTP: a chunk without an end"),
        ([CHUNKED, b"3\r\nabc", b"\n0\r\n\r\n"], "not HTTP: a chunk without an end"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], "not HTTP: a head without an end"),
        ([HEAD + b"X-A: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n"], "not HTTP: a head without an end"),
        ([HEAD, *LONG], "not HTTP: a head without an end"),
        ([CHUNKED, b"0\r\n", *LONG], "not HTTP: trailers without an end"),
    ],
    ids=["longer chunk", "bare end", "another protocol", "long head at once", "long head", "long trailers"],
)
def test_what_is_not_http_is_told_by_what_is_missing(pieces: list[bytes], words: str) -> None:
    assert refusal(pieces) == words


def test_what_stands_around_the_chunks_counts_against_the_limit_too() -> None:
    around = b"1;ext=" + b"x" * 2_000 + b"\r\na\r\n"
    assert ours("GET", [CHUNKED, *[around] * 10, b"0\r\n\r\n"]) == (
        Answer(200, {"transfer-encoding": "chunked"}, b"a" * 10),
        True,
    )
    assert ours("GET", [CHUNKED, *[around] * (MAX_HEAD_BYTES // 2_000 + 20), b"0\r\n\r\n"]) == "over"


def test_a_wire_that_has_ended_gives_what_came_before_and_then_nothing() -> None:
    async def go() -> list[bytes]:
        wire = EventLoopWire()
        wire.transport = Transport()
        wire.get_buffer(3)[:3] = b"abc"
        wire.buffer_updated(3)
        wire.connection_lost(None)
        return [await wire.receive() for _ in range(3)]

    assert asyncio.run(go()) == [b"abc", b"", b""]
