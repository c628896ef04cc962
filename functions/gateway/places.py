"""Places: how many exchanges with one upstream a caller's account may have at once, and who waits.

A place is what one exchange occupies. Places are bounded per origin and account, so that an upstream that stalls stops
only the account that calls it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

PLACES = 32
"""Exchanges at once per origin and account; beyond, callers wait for a place. Browsers use 6, SDKs 10 to 100."""

QUEUE = 128
"""Callers that may wait for a place of one origin and account; one more is refused at once."""


class Full(Exception):
    """All places are taken and as many callers as may wait for one are waiting, so nothing was sent."""


class Places:
    """A semaphore with a bounded queue, which knows when nobody uses it and serves callers in the order they came."""

    def __init__(self, count: int, queue: int) -> None:
        self._free = count
        self._count = count
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def unused(self) -> bool:
        return self._free == self._count and not self._waiting

    async def __aenter__(self) -> None:
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise Full
        import asyncio  # nobody queues in a process that serves one request at a time

        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._give_back()  # the turn came in the moment the wait ended
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    async def __aexit__(self, *exception: object) -> None:
        self._give_back()

    def _give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
