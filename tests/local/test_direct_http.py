"""Plain requests of the MCP endpoint are answered without ASGI, all others by uvicorn, and no client can tell which."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import selectors
import socket
import threading
from collections.abc import AsyncIterator, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from functions import local
from functions.gateway import errors
from functions.gateway.settings import Settings
from functions.local import Ready
from functions.local.direct_http import MAX_BODY_BYTES, MAX_HEAD_BYTES, DirectHttp
from functions.local.planes import one_app
from functions.local.turns import AT_ONCE, FEW, QUEUE, Crowded, Turns, app_in_turn
from functions.local.web_server import HOST, listen, serving
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.http import Request, Response
from functions.stores.store import StoreError, StoreUnavailable
from tests.local.counting import counted
from tests.patience import STUCK_SECONDS


class Answering:
    """An endpoint that says how long the body was; `wait` in a body makes it wait until `go`."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Event()
        self.headers: dict[str, str] = {}

    async def answer(self, request: Request) -> Response:
        body = b"".join([piece async for piece in request.stream()])
        self.begun += 1
        if b"wait" in body:
            await asyncio.sleep(0)
            while not self.go.is_set():  # noqa: ASYNC110 - the test sets it on another thread
                await asyncio.sleep(0)
        if body == b"fail":
            raise ValueError
        headers = {name: value for name, value in request.lines if name.startswith("x-")} | self.headers
        if body == b"none":
            return Response(204)
        return Response(200, f"direct {request.path} {len(body)}", headers)

    def refusal(self, request: Request, refused: errors.Refused) -> Response:
        return Response(503, "crowded")


@pytest.fixture(name="endpoint")
def _endpoint() -> Answering:
    return Answering()


@pytest.fixture(name="client", params=[""])
def _client(endpoint: Answering, request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    http = partial(DirectHttp, endpoint=endpoint, turns=Turns(), base_path=request.param)
    with listen(0) as listener, serving(counted, listener, http):
        try:
            with socket.create_connection((HOST, listener.getsockname()[1]), timeout=STUCK_SECONDS) as client:
                yield client
        finally:
            endpoint.go.set()


def post(body: bytes = b"abc", path: str = "/mcp/t", *lines: str, version: str = "1.1") -> bytes:
    """A request as bytes."""
    head = [f"POST {path} HTTP/{version}", "host: a", f"content-length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


class Answers:
    """The answers on a connection, read one after the other."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._buffer = b""

    def next(self) -> tuple[int, dict[str, str], str]:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(lines[0].split(" ")[1]), headers, body.decode()

    def at_end(self) -> bool:
        return not self._buffer and not self._client.recv(1)

    def _more(self) -> None:
        data = self._client.recv(65_536)
        assert data, "the connection was closed"
        self._buffer += data


def test_a_plain_request_is_answered_without_asgi_again_and_again(client: socket.socket, endpoint: Answering) -> None:
    answers = Answers(client)
    for number in range(30):
        client.sendall(post(b"x" * number))
        status, headers, body = answers.next()
        assert (status, body) == (200, f"direct /mcp/t {number}")
        assert headers["date"]
        assert "connection" not in headers
    client.sendall(post(b"none"))
    assert answers.next()[::2] == (204, "")
    client.sendall(post(path="/mcp"))
    assert answers.next()[2] == "direct /mcp 3"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"GET /mcp/t HTTP/1.1\r\nhost: a\r\n\r\n", "uvicorn GET /mcp/t 0"),
        (b"OPTIONS /mcp/t HTTP/1.1\r\nhost: a\r\n\r\n", "uvicorn OPTIONS /mcp/t 0"),
        (post(path="/other"), "uvicorn POST /other 3"),
        (post(path="/mcpx"), "uvicorn POST /mcpx 3"),
        (post(path="/mcp/t?q=1"), "uvicorn POST /mcp/t 3"),
        (post(path="/mcp/%74"), "uvicorn POST /mcp/t 3"),
        (post(path="http://a/mcp/t"), "uvicorn POST /mcp/t 3"),
        (post(path="/mcp/" + "t" * 1_000), f"uvicorn POST /mcp/{'t' * 1_000} 3"),
        (post(b"x" * (MAX_BODY_BYTES + 1)), f"uvicorn POST /mcp/t {MAX_BODY_BYTES + 1}"),
        (post(b"x" * 300_000), "uvicorn POST /mcp/t 300000"),
        (post(b"abc", "/mcp/t", "x-forwarded-proto: https"), "uvicorn POST /mcp/t 3"),
        (post(b"abc", "/mcp/t", "upgrade: websocket", "sec-websocket-version: 13"), "uvicorn POST /mcp/t 3"),
        (
            b"POST /mcp/t HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
            "uvicorn POST /mcp/t 7",
        ),
        (b"POST /mcp/t HTTP/1.1\r\nhost: a\r\n\r\n", "uvicorn POST /mcp/t 0"),
    ],
)
def test_what_is_not_plain_is_given_to_uvicorn(
    client: socket.socket, endpoint: Answering, request_: bytes, said: str
) -> None:
    answers = Answers(client)
    for _ in range(3):
        client.sendall(request_)
        assert answers.next()[2] == said
        client.sendall(post())
        assert answers.next()[2] == "direct /mcp/t 3"
    assert endpoint.begun == 3


@pytest.mark.parametrize("client", ["/tools"], indirect=True)
def test_below_a_base_path_both_paths_are_served(client: socket.socket) -> None:
    answers = Answers(client)
    for path in ("/tools/mcp/t", "/mcp/t", "/tools/other", "/toolsx/mcp/t"):
        client.sendall(post(path=path))
    found = [answers.next()[2] for _ in range(4)]
    assert [re.sub("^[a-z]+ (?:POST )?", "", body) for body in found] == [
        *("/mcp/t 3", "/mcp/t 3", "/tools/other 3", "/toolsx/mcp/t 3")
    ]
    client.sendall(post(path="/tools/mcp/t"))
    assert answers.next()[2] == "direct /mcp/t 3"


def test_head_and_body_in_pieces_of_one_byte(client: socket.socket) -> None:
    answers = Answers(client)
    for _ in range(3):
        for byte in post():
            client.sendall(bytes([byte]))
        assert answers.next()[2] == "direct /mcp/t 3"


def test_expect_continue_is_answered_first(client: socket.socket) -> None:
    answers = Answers(client)
    for _ in range(3):
        request = post(b"abc", "/mcp/t", "expect: 100-continue")
        client.sendall(request[:-3])
        assert answers.next()[0] == 100
        client.sendall(request[-3:])
        assert answers.next()[2] == "uvicorn POST /mcp/t 3"


def test_pipelined_requests_are_answered_in_their_order_whoever_answers(
    client: socket.socket, endpoint: Answering
) -> None:
    answers = Answers(client)
    other = b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n"
    for _ in range(3):
        endpoint.go.clear()
        client.sendall(post(b"wait") + post(b"1") + other + post(b"22") + post(b"wait!") + other + post(b"333"))
        endpoint.go.set()
        found = [answers.next()[2] for _ in range(7)]
        assert [re.sub("direct|uvicorn POST", "", body) for body in found] == [
            *(" /mcp/t 4", " /mcp/t 1", "uvicorn GET /health 0", " /mcp/t 2"),
            *(" /mcp/t 5", "uvicorn GET /health 0", " /mcp/t 3"),
        ]
        assert found[0] == "direct /mcp/t 4"


def test_a_flood_on_one_connection_waits_for_its_reader(client: socket.socket, endpoint: Answering) -> None:
    endpoint.headers = {"x-padding": "p" * 60_000}
    flood = post() * 2_000
    sender = threading.Thread(target=client.sendall, args=(flood,), daemon=True)
    sender.start()
    answers = Answers(client)
    for _ in range(2_000):
        assert answers.next()[2] in ("direct /mcp/t 3", "uvicorn POST /mcp/t 3")
    sender.join(STUCK_SECONDS)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b"abc", "/mcp/t", "connection: close"), 200),
        (post(version="1.0"), 200),
        (b"POST /mcp/t HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc", 400),
        (b"POST /mcp/t HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST /mcp/t HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /mcp/t HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 2 * MAX_HEAD_BYTES, 400),
        (b"POST /mcp/\xff HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
def test_the_end_of_a_connection_comes_after_its_last_answer(
    client: socket.socket, request_: bytes, status: int
) -> None:
    answers = Answers(client)
    client.sendall(post())
    assert answers.next()[2] == "direct /mcp/t 3"
    client.sendall(request_)
    found, headers, _ = answers.next()
    assert (found, headers.get("connection")) == (status, "close")
    assert answers.at_end()


@pytest.mark.parametrize("last", [post(b"last", "/mcp/t", "connection: close"), post(b"last", version="1.0")])
@pytest.mark.parametrize("path", ["/mcp/t", "/other"])
def test_what_comes_behind_the_last_request_is_not_carried_out(endpoint: Answering, last: bytes, path: str) -> None:
    """Its answer could not be given (RFC 9112, 9.6)."""
    served: list[str] = []

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            served.append(scope["path"])
        await counted(scope, receive, send)

    http = partial(DirectHttp, endpoint=endpoint, turns=Turns(), base_path="")
    with listen(0) as listener, serving(noted, listener, http):
        for number in range(1, 4):
            with socket.create_connection((HOST, listener.getsockname()[1]), timeout=STUCK_SECONDS) as other:
                other.sendall(last + post(b"lost", path) * 3)
                answers = Answers(other)
                assert answers.next()[2].endswith(" /mcp/t 4")
                assert answers.at_end()
            assert endpoint.begun + served.count("/mcp/t") == number
    assert "/other" not in served, "all that was begun has ended with the server"


def test_a_client_that_leaves_early_disturbs_nobody(client: socket.socket, endpoint: Answering) -> None:
    address = client.getpeername()
    for cut in (post(b"wait"), post()[:-1], post()[:20]):
        with socket.create_connection(address, timeout=STUCK_SECONDS) as other:
            other.sendall(cut)
    endpoint.go.set()
    answers = Answers(client)
    for _ in range(3):
        client.sendall(post())
        assert answers.next()[2] == "direct /mcp/t 3"


def test_a_header_that_would_be_two_ends_the_connection(
    client: socket.socket, endpoint: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.headers = {"x": "1\r\ny: 2"}
    client.sendall(post())
    assert Answers(client).at_end()
    assert "header of no valid form" in caplog.text
    assert "y: 2" not in caplog.text


def test_an_endpoint_that_fails_gives_no_answer_and_keeps_no_turn(client: socket.socket, endpoint: Answering) -> None:
    address = client.getpeername()
    for body in (b"fail", b"fail") * FEW:
        with socket.create_connection(address, timeout=STUCK_SECONDS) as other:
            other.sendall(post(body))
            assert not other.recv(65_536).startswith(b"HTTP/1.1 200")
    client.sendall(post())
    assert Answers(client).next()[2] == "direct /mcp/t 3"


def test_a_crowd_has_its_turns_here_too(client: socket.socket, endpoint: Answering) -> None:
    others = [socket.create_connection(client.getpeername(), timeout=STUCK_SECONDS) for _ in range(AT_ONCE + QUEUE + 3)]
    try:
        for other in others:
            other.sendall(post(b"wait"))
        client.sendall(post(path="/mcp/another"))
        assert Answers(client).next()[2] == "direct /mcp/another 3"
        assert endpoint.begun <= AT_ONCE + 1
        with selectors.DefaultSelector() as refused:  # others are only let go when the crowd has been counted
            for other in others:
                refused.register(other, selectors.EVENT_READ)
            for _ in range(3):
                answered = refused.select(STUCK_SECONDS)
                assert answered
                refused.unregister(answered[0][0].fileobj)
        endpoint.go.set()
        found = [Answers(other).next()[2] for other in others]
        assert set(found) == {"direct /mcp/t 4", "crowded"}
        assert found.count("crowded") >= 3
    finally:
        for other in others:
            other.close()


LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
CALL = (
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
    '{"name":"list_all_mem_0_memories","arguments":{"filters":{"user_id":"u"}}}}'
)


@pytest.fixture(name="ready", scope="module")
def _ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    with local.start(Settings(state_dir=str(tmp_path_factory.mktemp("state"))), {}) as ready:
        yield ready


@pytest.mark.parametrize(
    ("body", "lines", "status"),
    [
        (LIST, (), 200),
        (CALL, (), 200),
        ('{"jsonrpc":"2.0","method":"notifications/initialized"}', (), 202),
        ("{", (), 400),
        ("[]", (), 400),
        ("x" * 60_000, (), 400),
        (LIST, ("host: evil.example",), 421),
        (LIST, ("host: evil.example", "origin: http://localhost:6274"), 421),
        (LIST, ("origin: https://evil.example",), 403),
        (LIST, ("origin: http://localhost:6274", "origin: https://evil.example"), 403),
        (LIST, ("host: 127.0.0.1", "host: evil.example"), 421),
        (LIST, ("origin: null",), 403),
        (LIST, ("origin: http://localhost:6274",), 200),
        (LIST, ("content-type: text/plain",), 415),
        (LIST, ("content-encoding: gzip",), 415),
        (LIST, ("mcp-protocol-version: 2026-07-28",), 400),
        (LIST, ("authorization: Bearer nobody's",), 200),
        (LIST, ("x-api-key: nobody's", "origin: http://localhost:6274"), 200),
    ],
)
def test_both_ways_give_one_answer(ready: Ready, body: str, lines: tuple[str, ...], status: int) -> None:
    path = ready.mcp_url.partition("/mcp/")[2]
    for token in (f"/{path}", "/" + "t" * len(path), ""):
        found = _both_ways(ready.mcp_url, f"/mcp{token}", body, lines)
        assert all(answer == found[0] for answer in found), found
        assert token != f"/{path}" or found[0][0] == status
        assert {"vary", "access-control-expose-headers", "cache-control"} <= set(found[0][1])


@pytest.mark.parametrize("base_path", ["", "/base"])
@pytest.mark.parametrize("lines", [("host: evil.example",), ("origin: https://evil.example",)])
def test_a_refusal_below_a_base_path_is_json_rpc_both_ways(
    tmp_path: Path, base_path: str, lines: tuple[str, ...]
) -> None:
    settings = Settings(state_dir=str(tmp_path), base_path="/base")
    with local.start(settings, {}) as ready:
        found = _both_ways(ready.base_url, f"{base_path}/mcp/t", LIST, lines)
    assert all(answer == found[0] for answer in found), found
    assert json.loads(found[0][2])["error"]["code"] in (40301, 42101)


class Crowding(Turns):
    """Nobody gets a turn."""

    def begun(self, key: Hashable) -> None:
        return None

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncIterator[None]:
        raise Crowded
        yield


class Broken:
    """A store and methods that fail in whatever way they are asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise type(self._error)(*self._error.args)


@pytest.mark.parametrize(
    ("turns", "error", "status"),
    [
        (Crowding, ValueError(), 503),
        (Turns, StoreUnavailable("busy"), 503),
        (Turns, StoreError("broken"), 503),
        (Turns, ValueError(), 500),
    ],
)
def test_refusals_for_our_own_reasons_are_the_same_both_ways(turns: type[Turns], error: Exception, status: int) -> None:
    def answers(origins: tuple[str, ...], lines: tuple[str, ...]) -> list[tuple[int, dict[str, str], str]]:
        broken: Any = Broken(error)
        endpoint = Endpoint(settings=Settings(allowed_origins=origins), store=broken, methods=broken)
        one = turns()
        http = partial(DirectHttp, endpoint=endpoint, turns=one, base_path="")
        app = app_in_turn(endpoint, one)
        alone = one_app(data_plane=app, control_plane=app, memory=app, lifespan=contextlib.nullcontext)
        with listen(0) as listener, serving(alone, listener, http):
            url = f"http://{HOST}:{listener.getsockname()[1]}"
            return _both_ways(url, f"/mcp/{'t' * 43}", LIST, lines, times=1)

    own, page = ("https://app.example",), ("origin: https://app.example",)
    cases = [(own, ()), (own, page), (("*",), ()), (("*",), page)]
    with ThreadPoolExecutor(len(cases)) as pool:  # each answer that says when to come back is held for a second
        found = list(pool.map(answers, *zip(*cases, strict=True)))
    for (origins, lines), (direct, asgi) in zip(cases, found, strict=True):
        assert direct == asgi
        assert direct[0] == status
        assert {"access-control-expose-headers", "cache-control"} <= set(direct[1])
        assert ("vary" in direct[1]) == (origins == own)
        assert ("access-control-allow-origin" in direct[1]) == (lines == page or origins != own)


def _both_ways(
    url: str, path: str, body: str, lines: tuple[str, ...], *, times: int = 2
) -> list[tuple[int, dict[str, str], str]]:
    """The answers to one request, the direct way and by ASGI in turn."""
    host, port = url.removeprefix("http://").partition("/")[0].split(":")
    given = {line.split(":")[0] for line in lines}
    own = [line for line in (f"host: {host}", "content-type: application/json") if line.split(":")[0] not in given]
    head = [*own, *lines, f"content-length: {len(body)}"]
    found = []
    with socket.create_connection((host, int(port)), timeout=STUCK_SECONDS) as connection:
        answers = Answers(connection)
        for further in ((), ("x-forwarded-proto: http",)) * times:
            written = "\r\n".join([f"POST {path} HTTP/1.1", *head, *further, "", body])
            connection.sendall(written.encode())
            answer = answers.next()
            answer[1].pop("date")
            found.append(answer)
    return found
