"""One caller with very many requests takes little from the others, whatever it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from functions.gateway import errors
from functions.local.turns import (
    AT_ONCE,
    CROWDED,
    FEW,
    HOLD_SECONDS,
    LULL_SECONDS,
    QUEUE,
    WAIT_SECONDS,
    Crowded,
    Turns,
    app_in_turn,
)
from functions.mcp_endpoint.http import Request, Response
from tests.gateway.calling import AdvancingLoop

Found = TypeVar("Found")

COST = 0.005
"""CPU seconds of one request here."""


class Processor:
    """One processor that every request needs for COST seconds, and both clocks that show it."""

    def __init__(self, loop: AdvancingLoop) -> None:
        self.loop = loop
        self.used = 0.0
        self.turns = Turns(cpu=lambda: self.used)

    async def request(self, caller: str) -> None:
        async with self.turns.of(caller):
            await asyncio.sleep(0)
            self.used += COST
            self.loop.advance(COST)
            await asyncio.sleep(0)


def run(go: Callable[[Processor], Awaitable[Found]]) -> Found:
    async def main() -> Found:
        return await go(Processor(cast(AdvancingLoop, asyncio.get_running_loop())))

    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        return runner.run(main())


async def settled(loop: AdvancingLoop, seconds: float = 0.0, rounds: int = 10 * QUEUE) -> None:
    """Let everything happen that can happen within so many seconds and rounds of the loop."""
    loop.advance(seconds)
    for _ in range(rounds):
        await asyncio.sleep(0)


def shares(seconds: float, **clients: int) -> dict[str, int]:
    """Requests of each caller that are done in so many seconds, each of its clients sending one after the other."""

    async def go(processor: Processor) -> dict[str, int]:
        done = dict.fromkeys(clients, 0)
        end = processor.loop.time() + seconds

        async def client(caller: str) -> None:
            while processor.loop.time() < end:
                try:
                    await processor.request(caller)
                except Crowded:
                    await asyncio.sleep(HOLD_SECONDS)
                else:
                    done[caller] += processor.loop.time() < end

        tasks = [asyncio.create_task(client(caller)) for caller, number in clients.items() for _ in range(number)]
        while processor.loop.time() < end:
            used = processor.used
            await settled(processor.loop, rounds=5)
            if processor.used == used:
                processor.loop.advance(0.001)  # all wait for the clock
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return done

    return run(go)


@pytest.mark.parametrize("crowd", [16, 128, 1_000])
def test_a_polite_caller_keeps_nine_tenths_of_its_speed_in_front_of_a_crowd(crowd: int) -> None:
    alone = shares(5.0, polite=1)["polite"]
    beside = shares(5.0, abusive=crowd, polite=1)
    assert beside["polite"] >= 0.9 * alone
    assert beside["abusive"] > 0


def test_a_crowd_alone_is_not_slowed_down() -> None:
    assert shares(2.0, crowd=128)["crowd"] >= 0.95 * 2.0 / COST


def test_two_crowds_have_equal_shares() -> None:
    done = shares(4.0, first=200, second=40)
    assert 0.8 < done["first"] / done["second"] < 1.25


def test_callers_with_few_requests_at_once_do_not_wait_for_one_another() -> None:
    async def go(processor: Processor) -> int:
        begun = 0
        gate = asyncio.Event()

        async def one(caller: str) -> None:
            nonlocal begun
            async with processor.turns.of(caller):
                begun += 1
                await gate.wait()

        tasks = [asyncio.create_task(one(caller)) for caller in ("a", "b", "c") for _ in range(FEW)]
        await settled(processor.loop)
        found = begun
        gate.set()
        await asyncio.gather(*tasks)
        return found

    assert run(go) == 3 * FEW


def test_what_waits_is_bounded_in_number_and_in_time_and_leaves_nothing_behind() -> None:
    async def go(processor: Processor) -> tuple[int, int, int, int]:
        gate, begun, crowded = asyncio.Event(), 0, 0

        async def one() -> None:
            nonlocal begun, crowded
            try:
                async with processor.turns.of("a"):
                    begun += 1
                    await gate.wait()
            except Crowded:
                crowded += 1

        tasks = [asyncio.create_task(one()) for _ in range(AT_ONCE + QUEUE + 5)]
        await settled(processor.loop)
        over = crowded
        tasks[AT_ONCE + 1].cancel()
        await settled(processor.loop, WAIT_SECONDS + 1)
        found = begun, over, crowded
        gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await processor.request("a")
        return (*found, processor.turns.callers)

    assert run(go) == (AT_ONCE, 5, 5 + QUEUE - 1, 0)


def test_a_turn_that_comes_as_its_wait_ends_is_given_on() -> None:
    async def go(processor: Processor) -> int:
        gate = asyncio.Event()

        async def one() -> None:
            async with processor.turns.of("a"):
                await gate.wait()

        tasks = [asyncio.create_task(one()) for _ in range(AT_ONCE + 2)]
        await settled(processor.loop)
        gate.set()
        tasks[0].cancel()
        tasks[-2].cancel()
        tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):
            await processor.request("a")
        return processor.turns.callers

    assert run(go) == 0


def test_callers_who_are_long_gone_are_forgotten() -> None:
    async def go(processor: Processor) -> list[int]:
        known = []
        for callers in (["a"] * 1_000, [str(number) for number in range(1_000)]):
            for caller in callers:
                await processor.request(caller)
            known.append(processor.turns.known)
        processor.loop.advance(LULL_SECONDS)
        await processor.request("a")
        return [*known, processor.turns.known]

    one, many, last = run(go)
    assert (one, last) == (1, 1)
    assert LULL_SECONDS / COST - 2 <= many <= LULL_SECONDS / COST + 2


async def _exchange(
    app: Callable[[Scope, Receive, Send], Awaitable[None]], path: str
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers_given = [(b"authorization", b"Bearer x")]
    await app({"type": "http", "method": "POST", "path": path, "headers": headers_given}, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


class Limited:
    """An endpoint whose answers at one path say when to come back. `gate`: what each answer waits for."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self._gate = gate

    async def answer(self, request: Request) -> Response:
        if self._gate is not None:
            await self._gate.wait()
        return Response(200, "{}", {"retry-after": "1"} if request.path.endswith("limited") else {})

    def refusal(self, request: Request, refused: errors.Refused) -> Response:
        status, body, headers = errors.http(refused)
        return Response(status, f"{request.path}: {body['message']}", headers)


def test_an_answer_that_says_when_to_come_back_is_held_back_after_its_turn() -> None:
    async def go(processor: Processor) -> list[object]:
        app = app_in_turn(Limited(), processor.turns)
        seen: list[object] = []
        for _ in range(3):
            held = [asyncio.create_task(_exchange(app, "/mcp/limited")) for _ in range(2 * AT_ONCE)]
            free = await _exchange(app, "/mcp/free")
            await settled(processor.loop)
            seen += [free[0], any(task.done() for task in held), processor.turns.callers]
            await settled(processor.loop, HOLD_SECONDS)
            seen.append({(await task)[0] for task in held})
        return seen

    assert run(go) == [200, False, 0, {200}] * 3


def test_a_request_without_a_turn_hears_that_nothing_was_done() -> None:
    async def go(processor: Processor) -> tuple[int, dict[str, str], bytes]:
        gate = asyncio.Event()
        app = app_in_turn(Limited(gate), processor.turns)
        tasks = [asyncio.create_task(_exchange(app, "/mcp/token")) for _ in range(AT_ONCE + QUEUE)]
        await settled(processor.loop)
        last = asyncio.create_task(_exchange(app, "/mcp/token"))
        await settled(processor.loop)
        assert not last.done()
        await settled(processor.loop, HOLD_SECONDS)
        refused = await last
        gate.set()
        await asyncio.gather(*tasks)
        return refused

    status, headers, body = run(go)
    assert (status, headers["retry-after"]) == (503, "10")
    assert body.decode() == f"/mcp/token: {CROWDED}"
