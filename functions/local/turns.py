"""Whose request comes next: a caller with a few requests at once is not delayed by one with a hundred.

A laptop serves everybody in one process, so that each request takes time from all others. Callers are told apart by
their MCP URL. A request of a caller with few others begins at once. What is beyond waits for its turn, and while other
callers are at work, the waiting requests take SHARE of the process's time, crowd by crowd in turn.

An answer that says when to repeat the request is held back a little, after its turn: a client that repeats it at once
then costs the others nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from functions.gateway import errors
from functions.mcp_endpoint.http import Request, Response, of_asgi, send_asgi

FEW = 8
"""Requests of one caller at once that begin at once: more than an agent sends that calls its tools in parallel."""

AT_ONCE = 24
"""Requests of one caller that are carried out at once; places.py has 32 for all callers of one account."""

QUEUE = 256
"""Requests of one caller that may wait for their turn; one more is refused."""

WAIT_SECONDS = 15.0
"""How long a request waits for its turn: common clients give up after 30 or 60 s, and the call takes its time, too."""

SHARE = 0.05
"""Part of the process's time that waiting requests take while other callers are at work: those then keep nine tenths of
their speed, also where two requests disturb one another."""

LULL_SECONDS = 1.0
"""How long after its last request a caller still counts as being at work: longer than a client takes between two calls
of a row."""

COST_SECONDS = (0.001, 0.1)
"""CPU time of one request, the least and the most that is assumed. In between it is measured."""

FIRST_COST_SECONDS = 0.01
"""What is assumed before anything was measured."""

MEASURED = 16
"""Requests between two looks at the CPU time: each look is a call of the kernel, which may then run others."""

HOLD_SECONDS = 1.0
"""How long an answer is held back that says when to repeat the request."""

RETRY_SECONDS = 10
"""When a client may repeat a request that found no turn: most of those before it have had theirs."""

CROWDED = "Too many requests of this MCP URL wait for their turn; nothing was done, try again later"


class Crowded(Exception):
    """A request found no turn, so nothing was done."""


@dataclass(eq=False, slots=True)
class Caller:
    """Who has requests here, told apart by `key`."""

    key: Hashable
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def at_once(self) -> int:
        return self.running + len(self.waiting)


class Turns:
    """The turns of one event loop. `cpu` is the CPU time of the process in seconds."""

    def __init__(self, *, cpu: Callable[[], float] = time.process_time) -> None:
        self._cpu = cpu
        self._spent = cpu()
        self._cost = FIRST_COST_SECONDS
        self._ended = 0
        self._callers: dict[Hashable, Caller] = {}
        self._crowds: deque[Caller] = deque()
        self._at_work: set[Caller] = set()
        self._rested: dict[Hashable, float] = {}
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def callers(self) -> int:
        """How many callers have a request here."""
        return len(self._callers)

    @property
    def known(self) -> int:
        """How many callers are remembered: those that are at work, or were a moment ago."""
        return len(self._at_work) + len(self._rested)

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncIterator[None]:
        """A turn of the caller with this key, for as long as the context is open. Raises Crowded."""
        caller = self.begun(key)
        if caller is None:
            caller = self._callers[key]
            try:
                await self._wait(caller)
            finally:
                self._forget(caller)
        try:
            yield
        finally:
            self.end(caller)

    def begun(self, key: Hashable) -> Caller | None:
        """A turn that begins at once and lasts until `end`; None where a request of this caller has to wait for one."""
        caller = self._callers.get(key)
        if caller is None:
            caller = self._callers[key] = Caller(key)
        if caller.at_once >= FEW:
            return None
        caller.running += 1
        self._at_work.add(caller)
        return caller

    def end(self, caller: Caller) -> None:
        """The end of a turn."""
        self._end(caller)
        self._forget(caller)

    def _forget(self, caller: Caller) -> None:
        if not caller.at_once:
            self._callers.pop(caller.key, None)

    def _end(self, caller: Caller) -> None:
        """One request of the caller is done."""
        caller.running -= 1
        self._measure()
        if caller in self._at_work and not caller.running:
            self._at_work.discard(caller)
            self._rested.pop(caller.key, None)  # so that the last of them ended last
            self._rested[caller.key] = now = asyncio.get_running_loop().time()
            self._purge(now)
        self._give()

    async def _wait(self, caller: Caller) -> None:
        if len(caller.waiting) >= QUEUE:
            raise Crowded
        turn = asyncio.get_running_loop().create_future()
        caller.waiting.append(turn)
        self._at_work.discard(caller)
        self._rested.pop(caller.key, None)
        if caller not in self._crowds:
            self._crowds.append(caller)
        self._give()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._end(caller)  # the turn came in the moment the wait ended
            elif turn in caller.waiting:
                caller.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise Crowded from None
            raise

    def _measure(self) -> None:
        """The CPU time of a request, as an average over MEASURED of them."""
        self._ended += 1
        if self._ended < MEASURED:
            return
        spent = self._cpu()
        least, most = COST_SECONDS
        self._cost = min(most, max(least, (spent - self._spent) / MEASURED))
        self._spent, self._ended = spent, 0

    def _give(self) -> None:
        """Let requests that wait begin, as many as may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = asyncio.get_running_loop().time()
        full = 0
        while self._crowds and full < len(self._crowds):
            disturbs = self._others_at_work(now)
            if disturbs and now < self._next:
                self._timer = asyncio.get_running_loop().call_at(self._next, self._give)
                return
            caller = self._crowds.popleft()
            if caller.waiting and caller.running >= AT_ONCE:
                self._crowds.append(caller)
                full += 1
                continue
            if caller.waiting:
                turn = caller.waiting.popleft()
                if turn.done():
                    self._crowds.appendleft(caller)
                    continue
                turn.set_result(None)
                caller.running += 1
                self._next = now + (self._cost / SHARE if disturbs else 0.0)
                full = 0
            if caller.waiting:
                self._crowds.append(caller)

    def _others_at_work(self, now: float) -> bool:
        """Whether a caller without waiting requests is at work, or was a moment ago."""
        self._purge(now)
        return bool(self._at_work or self._rested)

    def _purge(self, now: float) -> None:
        """Forget the callers whose last request is long over."""
        while self._rested and now - self._rested[key := next(iter(self._rested))] >= LULL_SECONDS:
            del self._rested[key]


class Endpoint(Protocol):
    """What answers."""

    def answer(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The answer to a request. It does not raise, and its first wait is `asyncio.sleep(0)`, if it waits."""

    def refusal(self, request: Request, refused: errors.Refused) -> Response:
        """The answer to a request that is refused before it is read."""


async def in_turn(endpoint: Endpoint, request: Request, turns: Turns, key: Hashable) -> Response:
    """The endpoint's answer to a request of the caller with this key, when its turn has come."""
    try:
        async with turns.of(key):
            return await endpoint.answer(request)
    except Crowded:
        return endpoint.refusal(request, errors.Unavailable(CROWDED, retry_after=RETRY_SECONDS))


def app_in_turn(endpoint: Endpoint, turns: Turns) -> ASGIApp:
    """The endpoint behind the turns, as an application."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        key = caller_of(scope["path"], scope["headers"])
        response = await in_turn(endpoint, of_asgi(scope, receive), turns, key)
        if "retry-after" in response.headers:
            await asyncio.sleep(HOLD_SECONDS)
        await send_asgi(response, send)

    return served


def caller_of(path: str, headers: Iterable[tuple[bytes, bytes]]) -> Hashable:
    """What tells callers apart: the path with its token, and the headers that may hold one."""
    return (path, *(value for name, value in headers if name in (b"authorization", b"x-api-key")))
