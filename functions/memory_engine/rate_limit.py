"""A number of requests per minute and key; then 429 until the oldest of them is a minute old."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
MAX_KEYS = 10_000
"""Keys remembered at one time. The key unused for longest is forgotten first."""


@dataclass(frozen=True)
class Verdict:
    """`reset_at` is Unix seconds, rounded up; `retry_after` is whole seconds, 0 for an allowed request."""

    limit: int
    remaining: int
    reset_at: int
    retry_after: int

    def headers(self) -> dict[str, str]:
        """The headers that Mem0's SDK reads."""
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_at),
        }
        return {**headers, "Retry-After": str(self.retry_after)} if self.retry_after else headers


class RateLimit:
    """A sliding log per key. Refused requests do not count."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._logs: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str, now: float) -> Verdict:
        """Count one request at `now` (Unix seconds), if the limit allows it."""
        with self._lock:
            log = self._logs.setdefault(key, deque())
            self._logs.move_to_end(key)
            if len(self._logs) > MAX_KEYS:
                self._logs.popitem(last=False)
            while log and log[0] <= now - WINDOW_SECONDS:
                log.popleft()
            allowed = len(log) < self._per_minute
            if allowed:
                log.append(now)
            free_at = log[0] + WINDOW_SECONDS
            wait = 0 if allowed else max(1, math.ceil(free_at - now))
            return Verdict(self._per_minute, self._per_minute - len(log), math.ceil(free_at), wait)
