"""How connections are kept, shared and bounded. Clocks are put forward, never waited for."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from functions.gateway import upstream_tls
from functions.gateway.connections import IDLE_SECONDS, NotConnected, Origin, Pool
from functions.gateway.content_coding import BadCoding, OverLimit
from functions.gateway.http_connection import Answer, Broken, Connection, Progress
from functions.gateway.http_framing import Outgoing
from functions.gateway.places import PLACES, Full, Places
from functions.gateway.waits.event_loop import EventLoop
from tests.gateway.calling import AdvancingLoop
from tests.gateway.loopback import Received, Told, Upstream, answer

GET = Outgoing("GET", "/", (("Host", "upstream"),), b"")
POST = Outgoing("POST", "/", (("Host", "upstream"), ("Content-Length", "2")), b"{}")
LIMIT = 1_000_000


@dataclass
class Bench:
    """A pool and an event loop whose clock stands still unless the test puts it forward."""

    pool: Pool
    origin: Origin
    wall: float = 1_000_000.0
    progress: list[Progress] = field(default_factory=list)

    async def ask(self, request: Outgoing = GET, account: str = "acc_1", seconds: float = 20) -> Answer:
        progress = Progress()
        self.progress.append(progress)
        async with asyncio.timeout(seconds):
            return await self.pool.exchange(
                self.origin, account, request, progress, repeatable=request.verb == "GET", limit=LIMIT
            )

    async def silence(self, seconds: float, *, wall: float | None = None) -> None:
        """Let time pass without a request."""
        loop = cast(AdvancingLoop, asyncio.get_running_loop())
        self.wall += seconds if wall is None else wall
        loop.advance(seconds)
        for _ in range(3):  # the loop's clock, its timers, and what the timers closed
            await asyncio.sleep(0)


def run(upstream: Upstream, go: Callable[[Bench], Awaitable[Any]], **limits: Any) -> Any:
    async def main() -> Any:
        bench = Bench(Pool(EventLoop(), private=True, wall=lambda: bench.wall, **limits), Origin.of(upstream.origin))
        try:
            return await go(bench)
        finally:
            bench.pool.close()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        return runner.run(main())


# Kept connections.


@pytest.mark.parametrize("closes_after", [1, 2, 5])
@pytest.mark.parametrize("silence", [0.5, 1.5, 3.0, 4.5, 5.0, 60.0])
def test_a_write_after_any_silence_is_done_once_whenever_the_server_closes(
    upstream: Upstream, closes_after: float, silence: float
) -> None:
    """uvicorn, Node.js and Apache close an idle connection after 5 s, gunicorn after 2 s."""
    upstream.answers(answer(201, {"id": 1}))

    async def go(bench: Bench) -> None:
        for _ in range(4):
            assert (await bench.ask(POST)).status == 201
            if silence >= closes_after:
                await bench.silence(closes_after)
                upstream.close_connections()
                await bench.silence(silence - closes_after)
            else:
                await bench.silence(silence)

    run(upstream, go)
    assert len(upstream.requests) == 4
    kept = silence < min(closes_after, IDLE_SECONDS)
    assert upstream.connections == (1 if kept else 4)


def test_an_idle_connection_is_closed_before_common_servers_close_it(upstream: Upstream) -> None:
    assert IDLE_SECONDS < 5

    async def go(bench: Bench) -> None:
        await bench.ask()
        assert bench.pool.kept == 1
        await bench.silence(IDLE_SECONDS + 0.1)
        assert bench.pool.kept == 0

    run(upstream, go)


def test_of_several_idle_connections_each_is_closed_at_its_own_time(upstream: Upstream) -> None:
    async def go(bench: Bench) -> None:
        await asyncio.gather(bench.ask(), bench.ask())
        assert bench.pool.kept == 2
        await bench.silence(IDLE_SECONDS - 1)
        await bench.ask()
        assert bench.pool.kept == 2
        await bench.silence(1.5)
        assert bench.pool.kept == 1
        await bench.ask()
        await bench.silence(IDLE_SECONDS + 0.1)
        assert bench.pool.kept == 0

    run(upstream, go)
    assert upstream.connections == 2


class Distrusting(AdvancingLoop):
    """An event loop whose connections end in a certificate that is not valid; it keeps what it was given."""

    given: dict[str, Any]

    async def create_connection(self, *_: Any, **given: Any) -> Any:
        self.given = given
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise error


def test_a_certificate_that_is_not_valid_is_told_as_the_reason() -> None:
    async def go() -> None:
        pool = Pool(EventLoop(), private=True)
        for _ in range(3):
            with pytest.raises(NotConnected, match="its certificate is not valid: self-signed certificate"):
                await pool.exchange(
                    Origin.of("https://127.0.0.1:8443"), "acc_1", GET, Progress(), repeatable=True, limit=LIMIT
                )

    with asyncio.Runner(loop_factory=Distrusting) as runner:
        runner.run(go())
        given = cast(Distrusting, runner.get_loop()).given
    assert given == {"ssl": upstream_tls.context(), "server_hostname": "127.0.0.1"}


def test_a_function_that_thaws_starts_without_connections(upstream: Upstream) -> None:
    """The clock of the event loop stands still while Lambda has frozen the process; the time of day does not."""

    async def go(bench: Bench) -> None:
        await bench.ask(POST)
        await bench.silence(0, wall=600)
        await bench.ask(POST)

    run(upstream, go)
    assert [received.connection for received in upstream.requests] == [1, 2]


def test_a_clock_that_was_set_back_does_no_harm(upstream: Upstream) -> None:
    async def go(bench: Bench) -> None:
        await bench.ask()
        await bench.silence(0, wall=-3_600)
        await bench.ask()

    run(upstream, go)
    assert [received.connection for received in upstream.requests] == [1, 1]


def test_a_write_of_which_no_byte_was_accepted_is_sent_on_a_fresh_connection(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection ends between the look at it and the first byte."""
    upstream.answers(answer(201, {"id": 1}))

    async def go(bench: Bench) -> None:
        await bench.ask(POST)
        upstream.close_connections()
        monkeypatch.setattr(Connection, "is_quiet", lambda connection: True)
        [kept] = bench.pool._idle[bench.origin]
        assert await kept.connection._wire.receive() == b""
        await bench.ask(POST)

    run(upstream, go)
    assert [received.connection for received in upstream.requests] == [1, 2]


def test_bytes_behind_an_answer_end_the_connection(upstream: Upstream) -> None:
    """A 204 with a body: its left-over bytes are not the next answer."""
    upstream.script = lambda received: (
        Told(b"HTTP/1.1 204 No Content\r\n\r\nleft over") if received.verb == "POST" else answer(200, {})
    )

    async def go(bench: Bench) -> list[int]:
        return [(await bench.ask(request)).status for request in (POST, GET, POST, GET)]

    assert run(upstream, go) == [204, 200, 204, 200]


# Places.


def hold(upstream: Upstream) -> tuple[threading.Semaphore, Callable[[], object]]:
    """Requests stall until the second value is called; the semaphore counts those that arrived."""
    arrived, released = threading.Semaphore(0), asyncio.Event()

    async def gate(received: Received) -> None:
        arrived.release()
        await released.wait()

    upstream.before = gate
    return arrived, lambda: upstream.loop.call_soon_threadsafe(released.set)


async def until(arrived: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        await asyncio.to_thread(arrived.acquire)


def test_one_account_that_stalls_leaves_the_others_their_places(upstream: Upstream) -> None:
    arrived, release = hold(upstream)

    async def go(bench: Bench) -> None:
        stalled = [asyncio.create_task(bench.ask(account="slow")) for _ in range(110)]
        await until(arrived, PLACES)
        upstream.before = None
        assert (await bench.ask(account="quick")).status == 200
        assert sum(progress.waiting for progress in bench.progress) == 110 - PLACES
        release()
        await asyncio.gather(*stalled)
        assert bench.pool._taken == {}

    run(upstream, go)
    assert len(upstream.requests) == 111


def test_callers_are_served_in_the_order_they_came_and_no_place_is_lost(upstream: Upstream) -> None:
    done: list[int] = []

    async def go(bench: Bench) -> None:
        async def one(number: int) -> None:
            await bench.ask()
            done.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(12)]
        await asyncio.sleep(0)
        for number in (3, 7, 11):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert bench.pool._taken == {}

    run(upstream, go, places=1)
    assert done == [0, 1, 2, 4, 5, 6, 8, 9, 10]


def test_a_full_queue_refuses_at_once(upstream: Upstream) -> None:
    arrived, release = hold(upstream)

    async def go(bench: Bench) -> None:
        tasks = [asyncio.create_task(bench.ask()) for _ in range(5)]
        await until(arrived, 2)
        with pytest.raises(Full):
            await bench.ask()
        release()
        await asyncio.gather(*tasks)

    run(upstream, go, places=2, queue=3)
    assert len(upstream.requests) == 5


def test_a_place_is_given_on_when_its_turn_comes_in_the_moment_the_wait_ends() -> None:
    async def go() -> None:
        places = Places(1, 10)
        await places.__aenter__()
        waiting = asyncio.create_task(places.__aenter__())
        await asyncio.sleep(0)
        await places.__aexit__()
        waiting.cancel()  # its turn has come already
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert places.unused

    asyncio.run(go())


# What an answer may cost.


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, Broken),
        (b"HTTP/1.1 200 OK\r\n" + b"x-header: x\r\n" * 50_000 + b"\r\n", Broken),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_000_001, OverLimit),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LIMIT + 1), OverLimit),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\n\r\n", BadCoding),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncontent-length: 20\r\n\r\n", Broken),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Broken),
        (b"HTTP/2 200\r\n\r\n", Broken),
        (b"", Broken),
    ],
    ids=["1xx flood", "head", "tiny chunks", "body", "two codings", "two lengths", "bad chunk", "no HTTP", "nothing"],
)
def test_an_answer_that_costs_too_much_or_is_none_is_refused(
    upstream: Upstream, raw: bytes, error: type[Exception]
) -> None:
    upstream.answers(Told(raw, "close"))

    async def go(bench: Bench) -> None:
        with pytest.raises(error):
            await bench.ask()
        assert bench.pool.kept == 0

    run(upstream, go)


def test_a_flood_lets_others_work_and_the_deadline_come(upstream: Upstream) -> None:
    """An answer of chunks of one byte, read ahead: the loop turns while it is decoded."""
    upstream.answers(Told(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200_000, "hang"))
    turns = 0

    async def go(bench: Bench) -> None:
        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        loop = cast(AdvancingLoop, asyncio.get_running_loop())
        upstream.silent = lambda: loop.advance(3_600)
        with pytest.raises(TimeoutError):
            await bench.ask()
        counting.cancel()

    run(upstream, go)
    assert turns > 5


def test_a_connection_that_is_refused_says_why() -> None:
    async def go() -> None:
        pool = Pool(EventLoop(), private=True)
        with pytest.raises(NotConnected, match="refused or unreachable"):
            await pool.exchange(Origin("http", "127.0.0.1", 1), "acc_1", GET, Progress(), repeatable=True, limit=LIMIT)

    asyncio.run(go())
