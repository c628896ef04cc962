"""What every part of one engine shares: settings, the file, the clock, ids, and the signals that wake threads."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field

from functions.memory_engine import times
from functions.memory_engine.settings import EngineSettings
from functions.memory_engine.storage.database import Database


class Signal:
    """Wakes the one thread that waits for it. A signal given while that thread works is kept until it waits."""

    def __init__(self) -> None:
        self._given = threading.Event()

    def give(self) -> None:
        self._given.set()

    def given(self) -> bool:
        return self._given.is_set()

    def clear(self) -> None:
        self._given.clear()

    def wait(self, seconds: float) -> None:
        """Return when the signal is given, at the latest after `seconds`."""
        self._given.wait(seconds)


@dataclass(frozen=True)
class Core:
    """`work` wakes the worker, `deliveries` wakes the sender of webhooks."""

    settings: EngineSettings
    database: Database
    work: Signal = field(default_factory=Signal)
    deliveries: Signal = field(default_factory=Signal)

    def now(self) -> int:
        """The present, in stored microseconds."""
        return times.microseconds(self.settings.clock())

    def today(self) -> str:
        """The present day in UTC, YYYY-MM-DD."""
        return self.settings.clock().date().isoformat()

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(bytes=self.settings.random_bytes(16), version=4))
