"""The log of a laptop is written on a thread of its own: no call waits for a disk, and no entry is lost silently.

The queue takes what `Audit` writes: lines for `calls.jsonl`, and items for the store. Its thread writes them in order.
It tries a store that is locked by another process again. It counts what cannot be written, and logs how many entries
were lost and why. The management API reads the log through `SettledStore`, which waits for the queue first, so a call
that has returned is in the log.

The thread takes what has gathered for a moment and writes it at once: one write of the file, one transaction of the
store. Each statement of SQLite releases Python's lock, and getting it back takes turns with the event loop. One entry
at a time takes 0.19 ms of CPU of each call under load; a batch takes 0.05 ms.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from functions.stores import layout
from functions.stores.store import (
    MAX_CHANGES_PER_WRITE,
    Change,
    Item,
    Key,
    Store,
    StoreConflict,
    StoreError,
    StoreUnavailable,
)

CAPACITY = 10_000
"""Entries that wait at most: some 20 MB, and the calls of several minutes on a busy laptop."""

GATHER_SECONDS = 0.05
"""How long entries gather before they are written: too short for anybody who watches `calls.jsonl`. A reader of the log
and the end of the process do not wait for it."""

BATCH = 500
"""Entries that are written at once: less than a second of calls, so that a `close` in between is not long."""

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
        self._hurried = 0
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
            queued = self._hurried = self._queued
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._finished >= queued, seconds)

    def close(self) -> None:
        """Write what is left, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _put(self, entry: _Entry) -> None:
        with self._changed:
            if self._queued - self._finished < self._capacity:
                self._waiting.append(entry)
                self._queued += 1
                if len(self._waiting) == 1:  # beyond the first one, the thread knows
                    self._changed.notify_all()
                return
        self._lose(f"{self._capacity:,} entries wait already")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                self._changed.wait_for(lambda: self._hurried > self._finished or self._closed, GATHER_SECONDS)
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not batch:
                break
            if lines := [entry for entry in batch if entry.line]:
                self._write(lines, self._write_lines)
            for entries in _writes(entry for entry in batch if entry.changes):
                self._write(entries, self._write_changes)
            with self._changed:
                self._finished += len(batch)
                self._changed.notify_all()
        self._recovered()

    def _write(self, entries: list[_Entry], write: Callable[[list[_Entry]], None]) -> None:
        """Write entries at once. Where one of them cannot be written, each is written alone, so that no other is lost
        with it."""
        try:
            write(entries)
        except StoreUnavailable as error:
            self._lose(str(error), len(entries))
        except Exception as error:  # a defect in what was queued must not end the thread
            if len(entries) > 1:
                for entry in entries:
                    self._write([entry], write)
            elif not isinstance(error, StoreConflict):  # another process has just noted the same use of a server
                self._lose(str(error) if isinstance(error, StoreError | OSError) else type(error).__name__)
        else:
            self._recovered()

    def _write_lines(self, entries: list[_Entry]) -> None:
        self._lines.write("".join(entry.line for entry in entries))

    def _write_changes(self, entries: list[_Entry]) -> None:
        attempt = 0
        changes = [change for entry in entries for change in entry.changes]
        while True:
            attempt += 1
            try:
                self._store.write(changes)
                break
            except StoreUnavailable:
                if attempt == ATTEMPTS:
                    raise

    def _lose(self, reason: str, count: int = 1) -> None:
        """Count lost entries. The first one of a row is logged with its reason, the number when the row ends."""
        with self._changed:
            first = self._lost == 0
            self._lost += count
        if first:
            logger.error("a log entry could not be written and is lost: %s", reason)

    def _recovered(self) -> None:
        with self._changed:
            lost, self._lost = self._lost, 0
        if lost > 1:
            logger.error("%s log entries were lost since then", f"{lost - 1:,}")


def _writes(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    """The entries as the store takes them: so many changes in one write, and of one key only one."""
    batch: list[_Entry] = []
    keys: set[Key] = set()
    for entry in entries:
        own = {change.key for change in entry.changes}
        if batch and (keys & own or len(keys) + len(own) > MAX_CHANGES_PER_WRITE):
            yield batch
            batch, keys = [], set()
        batch.append(entry)
        keys |= own
    if batch:
        yield batch


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
