"""Random and hostile requests of the MCP endpoint get one answer, without ASGI and with it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState

from functions.gateway.doorway import LOOPBACK, THIS_MACHINE
from functions.gateway.settings import Settings
from functions.local.direct_http import BoundedHttp, DirectHttp
from functions.local.planes import mounted, one_app
from functions.local.turns import Turns, app_in_turn
from functions.stores.sqlite import SqliteStore
from tests.mcp_endpoint.endpoint import Bench

STUCK_SECONDS = 60.0
"""A wait that takes longer never ends; each takes milliseconds."""

REQUESTS = 100
"""Random requests of one run."""

Answer = tuple[bytes, list[bytes], bytes]
"""Its status line, its headers in order of their names, and its body."""

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
BODIES = [
    *[PING] * 3,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
    b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    b'"clientInfo":{"name":"x","version":"1"}}}',
    *(b"", b"{", b"[]", b"null", b"\xff\xfe", PING + b"x", b" " * 70_000 + PING),
]
VERBS = [*[b"POST"] * 12, b"GET", b"PUT", b"post", b"DELETE", b"OPTIONS", b"HEAD", b"PATCH"]
VERSIONS = [*[b"HTTP/1.1"] * 12, b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b""]
HOSTS = [
    *[b"host: 127.0.0.1"] * 8,
    *(b"Host: 127.0.0.1:80", b"HOST: LOCALHOST", b"host:\t127.0.0.1 ", b"host: evil.example", b"host:", b"host : a"),
    *(b"host: 127.0.0.1\r\nhost: evil.example", b"host: 127.0.0.1, evil.example", b"host: [::1]", b"x: no-host"),
]
TYPES = [
    *[b"content-type: application/json"] * 8,
    *(b"Content-Type: application/json; charset=utf-8", b"content-type: text/plain", b"content-type:", b"x: no-type"),
    *(b"content-type: text/plain\r\ncontent-type: application/json", b"content-type: application/json\r\n folded"),
]
LENGTHS = [
    *[b"content-length: %d"] * 10,
    *(b"Content-Length:%d", b"content-length: 000%d", b"content-length: %d ", b"content-length: +%d"),
    *(b"content-length: %d\r\ncontent-length: 1", b"content-length: 0x%d", b"content-length: -%d"),
    *[b"transfer-encoding: chunked"] * 3,
    b"transfer-encoding: gzip, chunked",
]
OTHERS = [
    *(
        b"accept: text/event-stream",
        b"accept: text/html",
        b"origin: http://localhost:6274",
        b"origin: null",
        b"origin:",
    ),
    *(b"origin: http://localhost\r\norigin: https://evil.example", b"origin: https://evil.example"),
    *(b"authorization: Bearer x", b"authorization: Basic TOKEN", b"x-api-key: TOKEN", b"authorization: Bearer TOKEN"),
    *(b"mcp-protocol-version: 2026-07-28", b"mcp-protocol-version: junk", b"MCP-Protocol-Version: 2025-06-18"),
    *(b"mcp-method: ping", b"mcp-session-id: abc", b"traceparent: junk", b"user-agent: \xff", b"x_y: z", b"x-empty:"),
    *(b"connection: close", b"connection: keep-alive", b"connection: keep-alive, close", b"te: trailers"),
    *(b"expect: 100-continue", b"expect: other", b"content-encoding: gzip", b"accept-encoding: gzip"),
    *(b"x-forwarded-for: 1.2.3.4", b"x-forwarded-proto: https", b"x-forwarded-host: evil.example"),
    *(b"x: a\x00b", b"x: a\rb", b"x: a\r\n folded", b"no colon", b": no name", b"x y: z", b"x-\xe4: y"),
    *(b"x-big: " + b"a" * 9_000, b"x-big: " + b"a" * 70_000),
]


def paths(token: bytes) -> list[bytes]:
    mine = b"/mcp/" + token
    odd = (
        b"/",
        b"?a=b",
        b"#f",
        b"\\",
        b"|",
        b'"',
        b"/x",
        b"%",
        b"%zz",
        b"%00",
        b"{}",
        b"^`",
        b" x",
        b"\xe4",
        b"%C3%A4",
    )
    return [
        *[mine] * 12,
        *(mine + more for more in odd),
        *(b"/mcp", b"/mcp/", b"/mcp//" + token, b"/%6dcp/" + token, b"/" + mine, b"/mcp/.." + mine, b"/." + mine),
        *(b"/mcp;x/" + token, b"http://127.0.0.1" + mine, b"http://evil.example" + mine, b"*", b"/MCP/" + token),
        *(b"/mcp/" + b"t" * 43, b"/mcp/" + b"t" * 990, b"/mcp/" + b"t" * 70_000, mine[1:]),
    ]


def request(random: random.Random, token: bytes) -> bytes:
    """A request that is whole, so that what follows it is the next one."""
    body, length = random.choice(BODIES), random.choice(LENGTHS)
    lines = [random.choice(HOSTS), random.choice(TYPES), *random.choices(OTHERS, k=random.choice([0, 0, 1, 1, 2, 3]))]
    if b"chunked" in length:
        size = random.randint(1, len(body) or 1)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        trailer = random.choice([b"", b"x-trailer: y\r\n"])
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"
    lines.append(length % len(body) if b"%d" in length else length)
    random.shuffle(lines)
    end = random.choice([*[b"\r\n"] * 12, b"\n"])
    first = b" ".join(filter(None, [random.choice(VERBS), random.choice(paths(token)), random.choice(VERSIONS)]))
    return (end.join([first, *lines, b"", b""])).replace(b"TOKEN", token) + body


class Wire(asyncio.Transport):
    """A connection whose other side reads at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed.is_set():
            self.written += bytes(data)

    def close(self) -> None:
        self.closed.set()

    abort = close

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        """The test sends whatever happens."""

    resume_reading = pause_reading


LAST = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
"""The request after which the connection ends, if it has not ended before."""


async def answers(http: Callable[..., BoundedHttp], config: uvicorn.Config, sent: list[bytes]) -> list[Answer]:
    """The answers to these pieces and to LAST."""
    protocol, wire = http(config=config, server_state=ServerState(), app_state={}), Wire()
    protocol.connection_made(wire)
    for piece in (*sent, LAST):
        if not wire.is_closing():
            protocol.data_received(piece)
        await asyncio.sleep(0)
    await asyncio.wait_for(wire.closed.wait(), STUCK_SECONDS)
    protocol.connection_lost(None)
    parts = [one.partition(b"\r\n\r\n") for one in re.split(rb"(?=HTTP/1\.1 \d{3} )", wire.written)[1:]]
    return [(head.split(b"\r\n")[0], sorted(head.split(b"\r\n")[1:]), body) for head, _, body in parts]


def pieces(random: random.Random, whole: bytes) -> list[bytes]:
    """The bytes as they may come: at once, or cut in two, e.g. behind the head."""
    head = whole.find(b"\r\n\r\n") + 4
    cut = random.choice([len(whole), head, random.randint(1, len(whole))])
    return [piece for piece in (whole[:cut], whole[cut:]) if piece]


@pytest.mark.parametrize("base_path", ["", "/tools"])
@pytest.mark.parametrize("seed", range(5))
def test_random_requests_get_one_answer_both_ways(tmp_path: Path, seed: int, base_path: str) -> None:
    store = SqliteStore(tmp_path / "postern.sqlite")
    bench = Bench(store, settings=Settings(allowed_hosts=LOOPBACK, allowed_origins=(THIS_MACHINE,)))
    chance, token, turns = random.Random(seed), bench.mint().encode(), Turns()
    endpoint = bench.endpoint()
    app = app_in_turn(endpoint, turns)
    alone = one_app(data_plane=app, control_plane=app, memory=app, lifespan=contextlib.nullcontext)
    config = uvicorn.Config(mounted(alone, base_path), log_config=None, access_log=False, lifespan="off", ws="none")
    direct = partial(DirectHttp, endpoint=endpoint, turns=turns, base_path=base_path)

    async def compare() -> None:
        for _ in range(REQUESTS):
            sent = pieces(chance, request(chance, token).replace(b" /mcp/", f" {base_path}/mcp/".encode()))
            found = [await answers(http, config, sent) for http in (direct, BoundedHttp)]
            assert found[0] == found[1], sent

    asyncio.run(compare())
    store.close()
