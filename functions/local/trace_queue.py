"""Spans of a laptop are sent on a thread of its own: no call waits for a collector, and no log entry does.

The queue takes the lines that requests write. Its thread sends what has gathered every few seconds. What a collector
does not take in its time is lost, because the lines would only pile up; the exporter logs how many and why.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from functions.gateway.settings import Settings
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.upstream import Sender
from functions.trace_exporter.exporter import Exported, Exporter

CAPACITY = 2_048
"""Lines that wait at most, as many as the SDKs of OpenTelemetry keep; some 2 MB."""

TOGETHER = 512
"""Lines that are sent at once without waiting for more."""

GATHER_SECONDS = 5.0
"""How long the first line waits for others, as in the SDKs of OpenTelemetry."""

CLOSE_SECONDS = 2.0
"""How long a stop waits for the collector. Then what is left is lost."""

logger = logging.getLogger(__name__)

Export = Callable[[list[str]], Coroutine[Any, Any, Exported]]
"""Sends the spans of some lines."""


class TraceQueue:
    """A stream of lines whose spans are sent. `close` sends what is left, and stops."""

    def __init__(
        self,
        export: Export,
        *,
        capacity: int = CAPACITY,
        gather_seconds: float = GATHER_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._export = export
        self._capacity = capacity
        self._gather_seconds = gather_seconds
        self._close_seconds = close_seconds
        self._waiting: deque[str] = deque()
        self._closed = False
        self._lost = 0
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._sending: asyncio.Future[Exported] | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="postern-traces", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line. Never raises and never waits."""
        with self._changed:
            if len(self._waiting) < self._capacity:
                self._waiting.append(line)
                if len(self._waiting) in (1, TOGETHER):
                    self._changed.notify_all()
                return
            self._lost += 1
            first = self._lost == 1
        if first:
            logger.error("spans are lost: %s requests wait already for the collector", f"{self._capacity:,}")

    def flush(self) -> None:
        """Nothing to do: the thread sends in time."""

    def close(self) -> None:
        """Send what is left, for at most `close_seconds`, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(self._close_seconds)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._give_up)
            self._thread.join()
        self._loop.close()

    def _give_up(self) -> None:
        self._given_up = True
        if self._sending is not None:
            self._sending.cancel()

    def _run(self) -> None:
        while lines := self._gathered():
            try:
                self._loop.run_until_complete(self._send(lines))
            except asyncio.CancelledError:
                left = len(lines) + len(self._waiting)
                logger.error("the spans of %s requests are lost: the endpoint stopped before they were sent", left)
                return
            except Exception as error:  # a defect in what was queued must not end the thread
                logger.error("the spans of %s requests are lost: %s", len(lines), type(error).__name__)

    async def _send(self, lines: list[str]) -> None:
        if self._given_up:
            raise asyncio.CancelledError
        self._sending = asyncio.ensure_future(self._export(lines))
        await self._sending

    def _gathered(self) -> list[str]:
        """The next lines to send; none once the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._changed.wait_for(lambda: len(self._waiting) >= TOGETHER or self._closed, self._gather_seconds)
            lost, self._lost = self._lost, 0
            found = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        if lost > 1:
            logger.error("the spans of %s requests were lost since then", f"{lost - 1:,}")
        return found


def exporting(traces: TraceSettings, settings: Settings) -> Export:
    """What sends lines to the collector of these settings. The collector of a laptop may be on it."""

    async def export(lines: list[str]) -> Exported:
        sender = Sender(replace(settings, private_upstreams=True))
        try:
            return await Exporter(traces, sender).export(lines)
        finally:
            await sender.close()

    return export
