"""How many calls a server takes: its operator's own limit, or the deployment's for servers that set none.

Each call moves a mark by 60 s / rate; a call is refused while the mark is more than a burst ahead of the clock (the
generic cell rate algorithm). The mark is exact and needs one number per server.

In one process the mark is kept in the process. On AWS many processes serve one server, so a limit that its config sets
is kept in the table: one read and one write per call, about 0.75 USD per million calls on demand. The deployment's
limit holds for each process there, and costs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Protocol

from functions.gateway.errors import CallLimited
from functions.gateway.json_text import Json
from functions.gateway.rate_limits import RateLimit
from functions.gateway.value_classes import dataclass
from functions.stores import layout
from functions.stores.store import Change, Item, Key, Put, StoreConflict, StoreError

MAX_CALLS_PER_MINUTE = 600_000
"""Highest rate that can be set: 10,000 calls a second, beyond what one upstream account takes."""

TRIES = 4
"""Writes of one call's mark. Each lost race means that another call was counted, so the caller may wait as well."""

MARKS_KEPT = 10_000
"""Servers whose mark is kept in a process; beyond, marks that no longer limit anything are dropped."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallRate:
    """`burst` calls at once, and `calls_per_minute` in the long run."""

    calls_per_minute: int
    burst: int

    def to_json(self) -> dict[str, Json]:
        """As in a server's config."""
        return {"calls_per_minute": self.calls_per_minute, "burst": self.burst}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> CallRate:
        """Inverse of `to_json`; without a burst, it is the calls of ten seconds."""
        rate = int(value["calls_per_minute"])
        return cls(rate, int(value.get("burst") or max(1, rate // 6)))

    def advance(self, mark: float, now: float) -> tuple[float, float]:
        """The mark after one more call, and the seconds to wait if the call must not be made yet (else 0)."""
        step = 60 / self.calls_per_minute
        mark = max(mark, now)
        wait = mark - now - step * (self.burst - 1)
        return (mark, wait) if wait > 1e-9 else (mark + step, 0.0)


class Marks(Protocol):
    """The part of the store contract that a shared mark needs."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]: ...

    def write(self, changes: Sequence[Change]) -> None: ...


class CallLimits:
    """The limits of one process.

    `default`  for servers whose config sets no limit. `shared`: the store that several processes have in common, None
               where this process is the only one.
    """

    def __init__(self, default: CallRate, shared: Marks | None) -> None:
        self._default = default
        self._shared = shared
        self._marks: dict[str, float] = {}

    def take(self, server_id: str, rate: CallRate | None, clock: Callable[[], float], wall: float) -> None:
        """Count one call. `clock` never goes back; `wall` is the time of day in seconds. Raises CallLimited."""
        if rate is not None and self._shared is not None:
            wait = self._take_shared(self._shared, server_id, rate, wall)
        else:
            wait = self._take_own(server_id, rate or self._default, clock())
        if wait > 0:
            raise limited(rate or self._default, wait)

    def _take_own(self, server_id: str, rate: CallRate, now: float) -> float:
        mark, wait = rate.advance(self._marks.get(server_id, 0.0), now)
        if len(self._marks) >= MARKS_KEPT and server_id not in self._marks:
            self._marks = {server: kept for server, kept in self._marks.items() if kept > now}
        self._marks[server_id] = mark
        return wait

    def _take_shared(self, store: Marks, server_id: str, rate: CallRate, now: float) -> float:
        """The seconds to wait. A store that fails lets the call pass, because an outage must not end the service."""
        key = layout.call_mark(server_id)
        try:
            for _ in range(TRIES):
                [item] = store.get([key])
                mark, wait = rate.advance(float(item.body["mark"]) if item is not None else 0.0, now)
                if wait > 0:
                    return wait
                put = Put(key, {"mark": mark}, ceil(mark) + 60, item.version if item is not None else 0)
                try:
                    store.write([put])
                except StoreConflict:
                    continue
                return 0.0
        except StoreError as error:
            logger.warning("server %s: a call was not counted: %s", server_id, error)
            return 0.0
        return 1.0


def limited(rate: CallRate, wait: float) -> CallLimited:
    """The refusal of a call that has to wait."""
    seconds = max(1, ceil(wait))
    return CallLimited(
        f"this server accepts {rate.calls_per_minute:,} calls per minute and {rate.burst:,} at once; nothing was sent. "
        f"Wait {seconds} s, then repeat the call",
        RateLimit(rate.calls_per_minute, 0, seconds, seconds),
    )
