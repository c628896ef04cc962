"""A resolver that hangs delays nobody but who asks it, and few threads wait for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from functions.gateway.waits.names import Busy
from functions.gateway.waits.resolver import Resolver
from tests.patience import STUCK_SECONDS


class Hanging:
    """A look-up that hangs for names of `hung.example` until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **how: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host.endswith("hung.example"):
            assert self.gate.wait(STUCK_SECONDS)
        if host == "none.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("192.0.2.1", "192.0.2.1")]


def test_other_names_are_found_while_one_hangs_and_so_is_a_thread_for_other_work() -> None:
    hanging = Hanging()
    resolver = Resolver(hanging)

    async def go() -> list[list[str]]:
        stuck = [asyncio.create_task(resolver.addresses("hung.example", 443)) for _ in range(100)]
        stuck += [asyncio.create_task(resolver.addresses(f"{n}.hung.example", 443)) for n in range(20)]
        await asyncio.sleep(0)
        for _ in range(3):
            assert await resolver.addresses("api.example", 443) == ["192.0.2.1"]
            assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(socket.gaierror):
            await resolver.addresses("none.example", 443)
        assert not any(task.done() for task in stuck)
        hanging.gate.set()
        return await asyncio.gather(*stuck)

    assert asyncio.run(go()) == [["192.0.2.1"]] * 120
    assert hanging.asked.count("hung.example") == 1


def test_names_that_are_looked_up_at_once_are_bounded_and_the_refusal_says_so() -> None:
    hanging = Hanging()
    resolver = Resolver(hanging, at_once=2)

    async def go() -> None:
        for _ in range(3):
            hanging.gate.clear()
            stuck = [asyncio.create_task(resolver.addresses(f"{n}.hung.example", 443)) for n in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Busy, match="too many names are being looked up"):
                await resolver.addresses("api.example", 443)
            assert await resolver.addresses("192.0.2.7", 443) == ["192.0.2.7"]
            hanging.gate.set()
            await asyncio.gather(*stuck)

    asyncio.run(go())


def test_a_caller_that_gives_up_leaves_the_look_up_to_the_others() -> None:
    hanging = Hanging()
    resolver = Resolver(hanging)

    async def go() -> list[str]:
        first, second = (asyncio.create_task(resolver.addresses("hung.example", 443)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        hanging.gate.set()
        return await second

    assert asyncio.run(go()) == ["192.0.2.1"]


def test_a_loop_that_ends_meanwhile_breaks_nothing() -> None:
    hanging = Hanging()
    resolver = Resolver(hanging)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await resolver.addresses("hung.example", 443)

    asyncio.run(give_up())
    hanging.gate.set()
    for thread in threading.enumerate():
        if thread.name == "postern-dns":
            thread.join()
    assert asyncio.run(resolver.addresses("hung.example", 443)) == ["192.0.2.1"]
