"""The log of a laptop is written on a thread of its own: no call waits for a disk, and no entry is lost silently.

The queue takes what `Audit` writes: lines for `calls.jsonl`, and items for the store. Its thread writes them in order.
It tries a store that is locked by another process again. It counts what cannot be written, and logs how many entries
were lost and why. The management API reads the log through `SettledStore`, which waits for the queue first, so a call
that has returned is in the log.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from functions.stores import layout
from functions.stores.store import Change, Item, Key, Store, StoreConflict, StoreError, StoreUnavailable

CAPACITY = 10_000
"""Entries that wait at most: some 20 MB, and the calls of several minutes on a busy laptop."""

ATTEMPTS = 5
"""Tries of one item while the store is locked; each waits for the lock as long as the store does (2 s)."""

SETTLE_SECONDS = 3.0
"""How long a reader of the log waits for the queue. After that it reads what is there."""

logger = logging.getLogger(__name__)


class Lines(Protocol):
    """Where lines go: a CallFile, or a stream that a test reads."""

    def write(self, line: str, /) -> object: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is to be written: a line, or changes of the store."""

    line: str = ""
    changes: tuple[Change, ...] = ()


class LogQueue:
    """What `Audit` needs of a store and of a stream, answered at once. `close` writes what is left."""

    def __init__(self, store: Store, lines: Lines, *, capacity: int = CAPACITY) -> None:
        self._store = store
        self._lines = lines
        self._capacity = capacity
        self._waiting: deque[_Entry] = deque()
        self._queued = 0
        self._finished = 0
        self._closed = False
        self._lost = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="postern-log", daemon=True)
        self._thread.start()

    @property
    def stream(self) -> QueuedLines:
        """The stream that `Audit` writes its lines to."""
        return QueuedLines(self._put)

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store. A read does not wait for the queue."""
        return self._store.get(keys)

    def write(self, changes: Sequence[Change]) -> None:
        """Queue changes. Never raises and never waits."""
        self._put(_Entry(changes=tuple(changes)))

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until everything queued so far is written, at most so many seconds."""
        with self._changed:
            queued = self._queued
            self._changed.wait_for(lambda: self._finished >= queued, seconds)

    def close(self) -> None:
        """Write what is left, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _put(self, entry: _Entry) -> None:
        with self._changed:
            if len(self._waiting) < self._capacity:
                self._waiting.append(entry)
                self._queued += 1
                self._changed.notify_all()
                return
        self._lose(f"{self._capacity:,} entries wait already")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    break
                entry = self._waiting.popleft()
            try:
                self._write(entry)
            except StoreConflict:
                pass  # another process has just noted the same use of a server
            except (StoreError, OSError) as error:
                self._lose(str(error))
            except Exception as error:  # a defect in what was queued must not end the thread
                self._lose(type(error).__name__)
            else:
                self._recovered()
            with self._changed:
                self._finished += 1
                self._changed.notify_all()
        self._recovered()

    def _write(self, entry: _Entry) -> None:
        if entry.line:
            self._lines.write(entry.line)
        attempt = 0
        while entry.changes:
            attempt += 1
            try:
                self._store.write(entry.changes)
                break
            except StoreUnavailable:
                if attempt == ATTEMPTS:
                    raise

    def _lose(self, reason: str) -> None:
        """Count a lost entry. The first one of a row is logged with its reason, the number when the row ends."""
        with self._changed:
            self._lost += 1
            first = self._lost == 1
        if first:
            logger.error("a log entry could not be written and is lost: %s", reason)

    def _recovered(self) -> None:
        with self._changed:
            lost, self._lost = self._lost, 0
        if lost > 1:
            logger.error("%s log entries were lost since then", f"{lost - 1:,}")


class QueuedLines:
    """A stream whose writes are queued."""

    def __init__(self, put: Callable[[_Entry], None]) -> None:
        self._put = put

    def write(self, line: str) -> None:
        """Queue a line."""
        self._put(_Entry(line=line))

    def flush(self) -> None:
        """Nothing to do: the thread writes at once."""


class SettledStore:
    """The store as the management API reads it: what calls have queued is written before it is read."""

    def __init__(self, store: Store, queue: LogQueue) -> None:
        self._store = store
        self._queue = queue

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store."""
        if any(key.partition.startswith(layout.WRITTEN_BY_CALLS) for key in keys):
            self._queue.settle()
        return self._store.get(keys)

    def write(self, changes: Sequence[Change]) -> None:
        """See Store."""
        self._store.write(changes)

    def query(
        self,
        partition: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Item]:
        """See Store."""
        if partition.startswith(layout.WRITTEN_BY_CALLS):
            self._queue.settle()
        return self._store.query(partition, after=after, before=before, limit=limit, descending=descending)
