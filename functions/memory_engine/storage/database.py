"""One open engine file: one writer, several readers.

Durability: write-ahead log with `synchronous=FULL`. What `write` has returned survives kill -9. It also survives a loss
of power, as far as the disk honours a flush. Writes that arrive together share one transaction and one flush.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from functions.memory_engine.settings import MEMORY_PATH
from functions.memory_engine.storage import opening
from functions.memory_engine.storage.opening import DatabaseUnavailable

READERS = 4
"""Connections that read at one time; more would only wait for the same two cores."""
MAX_GROUPED_WRITES = 64
"""Writes that share one flush at most, so that the first of them does not wait long."""

T = TypeVar("T")


class Database:
    """One open engine file. Raises DatabaseUnavailable, and then leaves the file exactly as it found it."""

    def __init__(self, path: Path | str, busy_timeout_seconds: float = opening.BUSY_TIMEOUT_SECONDS) -> None:
        self._shared: sqlite3.Connection | None = None
        self._owner: sqlite3.Connection | None = None
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._shared_lock = threading.RLock()
        self._changes: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None]
        self._changes = queue.SimpleQueue()
        self._after_commit: list[Callable[[], None]] = []
        self._closed = False
        self._closing = threading.Lock()
        if path == MEMORY_PATH:
            self._writer = self._shared = opening.in_memory()
        else:
            file = Path(path)
            with contextlib.ExitStack() as opened:
                self._owner = opened.enter_context(contextlib.closing(opening.lock(file)))
                self._writer = opened.enter_context(contextlib.closing(opening.to_write(file, busy_timeout_seconds)))
                for _ in range(READERS):
                    reader = opened.enter_context(contextlib.closing(opening.to_read(file, busy_timeout_seconds)))
                    self._readers.put(reader)
                opened.pop_all()
        self._thread = threading.Thread(target=self._write_loop, name="memory-engine-writer", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that reads one snapshot. Blocks while all connections are in use."""
        if self._shared is not None:
            with self._shared_lock:
                yield self._shared
            return
        connection = self._readers.get()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._readers.put(connection)

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run a change in the writer, wait until it is durable, and return the change's own result.

        An exception undoes this change alone. sqlite3.OperationalError: the file is locked, read-only or full.
        """
        return self.write_later(change).result()

    def write_later(self, change: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Like `write`, without waiting."""
        future: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise DatabaseUnavailable("The memory engine is closed")
            self._changes.put((change, future))
        return future

    def after_commit(self, action: Callable[[], None]) -> None:
        """To be called inside a change: run `action` once the change is durable. A change that fails drops it."""
        self._after_commit.append(action)

    def close(self) -> None:
        """Finish the changes handed in so far, fold the log into the file, and close."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._changes.put(None)
        self._thread.join()
        while not self._readers.empty():
            self._readers.get().close()
        self._writer.close()
        if self._owner is not None:
            self._owner.close()

    def _write_loop(self) -> None:
        while True:
            first = self._changes.get()
            if first is None:
                return
            group, last = [first], False
            while len(group) < MAX_GROUPED_WRITES:
                try:
                    item = self._changes.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    last = True
                    break
                group.append(item)
            with self._shared_lock:
                self._write_group(group)
            if last:
                return

    def _write_group(self, group: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]) -> None:
        settled: list[Callable[[], None]] = []
        self._after_commit = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for change, future in group:
                self._writer.execute("SAVEPOINT change")
                committed = len(self._after_commit)
                try:
                    result = change(self._writer)
                except Exception as problem:
                    self._writer.execute("ROLLBACK TO change")
                    del self._after_commit[committed:]
                    settled.append(lambda future=future, problem=problem: future.set_exception(problem))  # type: ignore[misc]
                else:
                    settled.append(lambda future=future, result=result: future.set_result(result))  # type: ignore[misc]
                self._writer.execute("RELEASE change")
            self._writer.execute("COMMIT")
        except Exception as problem:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for _, future in group:
                future.set_exception(problem)
            return
        for done in (*self._after_commit, *settled):
            done()
