"""Which refusals get a log entry of their own: one for each server and reason in a while, so that no refused caller
fills the log.

A caller who holds a URL can cause refusals without end: without the API token that the server requires, or beyond its
limit of calls. The entry says how many refusals before it have none.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from functions.gateway.log_entry import REFUSALS_EVERY, LogEntry

KEPT = 1_000
"""Servers and reasons that a process remembers; the oldest goes first."""


class Refusals:
    """The refusals of one process."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], tuple[datetime, int]] = {}

    def before(self, entry: LogEntry) -> int | None:
        """How many refusals like this one had no entry since the last that had one; None = this one has none either.
        0 for an entry of a call that was not refused."""
        if not (entry.outcome == "refused" and not entry.tool) and entry.error != "CallLimited":
            return 0
        key = (entry.server_id, entry.error, entry.detail)
        since, skipped = self._last.get(key, (None, 0))
        if since is not None and timedelta(0) <= entry.time - since < REFUSALS_EVERY:
            self._last[key] = (since, skipped + 1)
            return None
        if key not in self._last and len(self._last) == KEPT:
            del self._last[next(iter(self._last))]
        self._last[key] = (entry.time, 0)
        return skipped
