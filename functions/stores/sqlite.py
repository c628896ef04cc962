"""The store on a laptop and in CI: one SQLite file, the same contract as the table in AWS.

The file has a write-ahead log with `synchronous=normal`: a killed process loses nothing, and a power cut may lose the
last writes but never damages the file. One connection reads and one writes, each behind a lock of its own, so a read
never waits for a write: it takes microseconds, also while another process holds the file for writing. Other processes
may have the file open too.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from functions.gateway import json_text
from functions.stores.store import (
    Change,
    Delete,
    Item,
    Key,
    Put,
    StoreConflict,
    StoreError,
    StoreUnavailable,
    check_changes,
    check_keys,
    check_limit,
    encode,
)

APPLICATION_ID = 0x5073746E
"""`PRAGMA application_id` of our files ("Pstn"). An SQLite file of another program is refused."""

FORMAT = 2
"""`PRAGMA user_version` of our files. It increases when one version would misread a file of another one."""

LOCK_SECONDS = 2.0
"""How long a write waits for a write of another process before it raises StoreUnavailable."""

READ_LOCK_SECONDS = 0.1
"""How long a read waits. Only a process that switches the write-ahead log off can hold up a read, and the read may be
on an event loop that serves others."""

# No WITHOUT ROWID: it would keep the bodies in the tree of the keys, four to a page, and a lookup among a million
# grants would take ten levels of it instead of three.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS items (
    partition  TEXT NOT NULL,
    sort       TEXT NOT NULL,
    body       TEXT NOT NULL,
    expires_at INTEGER,
    version    INTEGER NOT NULL,
    PRIMARY KEY (partition, sort)
);
CREATE INDEX IF NOT EXISTS items_by_expiry ON items (expires_at) WHERE expires_at IS NOT NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
COMMIT;
"""

RETRY_SECONDS = 30
"""When to retry after the disk failed: somebody has to act first."""


def _by_keys(count: int) -> str:
    """The statement that finds the items of `count` keys at one moment. IN with several keys would scan the table."""
    places = ", ".join(["(?, ?)"] * count)
    return (
        f"WITH wanted (partition, sort) AS (VALUES {places}) "  # noqa: S608 - question marks only
        "SELECT partition, sort, body, expires_at, version FROM wanted CROSS JOIN items USING (partition, sort)"
    )


ITEMS_KEPT = 256
"""Items that KeptReads keeps: those of a hundred MCP servers."""

KEPT_CHARS = 16_384
"""Characters of the largest body that KeptReads keeps: a grant and its account take some 3 kB."""

TRIM_STEP = 1_000
"""Items that one step of `trim` removes: a few ms, in which no other write gets in."""

_PARTITIONS = """
WITH RECURSIVE found (name, stop) AS (
    SELECT min(partition), ?2 FROM items WHERE partition >= ?1 AND partition < ?2
    UNION ALL
    SELECT (SELECT min(partition) FROM items WHERE partition > name AND partition < stop), stop
    FROM found WHERE name IS NOT NULL
)
SELECT name FROM found
"""
"""The partitions between two texts, one step of the index each: a DISTINCT would read every item."""

_REMOVE_OLDEST = """
DELETE FROM items WHERE partition = ? AND sort IN (SELECT sort FROM items WHERE partition = ? ORDER BY sort LIMIT ?)
"""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""Failures of the disk below the file, which may pass."""


class KeptReads:
    """The reads of a store for the data plane: the row of an earlier read makes the very same item, whose body nobody
    may change. Reading an item from its row, and a grant from its items, takes 0.13 million instructions of a request.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._kept = lru_cache(maxsize=ITEMS_KEPT)(store._item)

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store."""
        return self._store._get(keys, self._item)

    def _item(self, partition: str, sort: str, body: str, *rest: Any) -> Item:
        make = self._kept if len(body) <= KEPT_CHARS else self._store._item
        return make(partition, sort, body, *rest)


class SqliteStore:
    """The Store contract (store.py) on the file `path`, which is created with its folder when it does not exist.

    Raises StoreError when the file is damaged or belongs to another program, and leaves it unchanged.
    `lock_seconds`  see LOCK_SECONDS.
    """

    def __init__(self, path: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreError(
                f"SQLite store {path}: {error.strerror}; give a file that this user may read and write"
            ) from error
        self._writer = self._connect(lock_seconds)
        try:
            with self._errors():
                self._prepare()
                self._reader = self._connect(min(lock_seconds, READ_LOCK_SECONDS))
                self._reader.execute("PRAGMA query_only = 1")
        except StoreError:
            self._writer.close()
            raise

    def close(self) -> None:
        """Close the file. The store must not be used afterwards."""
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store."""
        return self._get(keys, self._item)

    def _get(self, keys: Sequence[Key], item: Callable[..., Item]) -> list[Item | None]:
        check_keys("SQLite", keys)
        wanted = list(dict.fromkeys(keys))
        values = [part for key in wanted for part in (key.partition, key.sort)]
        rows = self._read(_by_keys(len(wanted)), values) if wanted else []
        found = {one.key: one for one in (item(*row) for row in rows)}
        return [found.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        """See Store."""
        check_changes("SQLite", changes)
        bodies = [encode("SQLite", change.body) if isinstance(change, Put) else "" for change in changes]
        with self._writing, self._errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for change, body in zip(changes, bodies, strict=True):
                    self._apply(change, body)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # some errors, e.g. a full disk, have rolled it back already
                    self._writer.execute("ROLLBACK")
                raise

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
        check_limit("SQLite", limit)
        conditions, values = ["partition = ?"], [partition]
        if after is not None:
            conditions.append("sort > ?")
            values.append(after)
        if before is not None:
            conditions.append("sort < ?")
            values.append(before)
        order = "DESC" if descending else "ASC"
        statement = (
            f"SELECT sort, body, expires_at, version FROM items WHERE {' AND '.join(conditions)} "  # noqa: S608 - fixed words only
            f"ORDER BY sort {order} LIMIT ?"
        )
        return [self._item(partition, *row) for row in self._read(statement, [*values, limit])]

    def sweep(self, now: int) -> int:
        """Remove every item whose `expires_at` is at or before `now` (epoch seconds), and return their number.

        In DynamoDB the TTL does this. Correctness does not depend on it: readers compare with the clock.
        """
        with self._writing, self._errors():
            return self._writer.execute("DELETE FROM items WHERE expires_at <= ?", (now,)).rowcount

    def trim(self, prefix: str, max_bytes: int) -> int:
        """Remove the oldest items of the partitions that begin with `prefix` while the file holds over `max_bytes`, and
        return their number. The text behind the last `#` of a partition orders the partitions, `sort` their items.

        DynamoDB has no such limit; on a laptop the log must not fill the disk. The freed pages are used again.
        """
        removed = 0
        while self._used_bytes() > max_bytes:
            partitions = [row[0] for row in self._read(_PARTITIONS, [prefix, prefix + "\U0010ffff"]) if row[0]]
            if not partitions:
                break
            oldest = min(partitions, key=lambda partition: (partition.rpartition("#")[2], partition))
            with self._writing, self._errors():  # a step at a time, so that other writes come in between
                removed += self._writer.execute(_REMOVE_OLDEST, (oldest, oldest, TRIM_STEP)).rowcount
        return removed

    def _used_bytes(self) -> int:
        with self._writing, self._errors():
            pages, free, size = (
                self._writer.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def _connect(self, lock_seconds: float) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=lock_seconds, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> None:
        self._writer.execute("BEGIN")  # one snapshot, because another process may be creating the file right now
        (application_id,) = self._writer.execute("PRAGMA application_id").fetchone()
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        (tables,) = self._writer.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        self._writer.execute("COMMIT")
        if tables and application_id != APPLICATION_ID:
            raise StoreError(
                f"SQLite store {self.path}: an SQLite file of another program; it was left unchanged. "
                "Set POSTERN_STATE_DIR to another folder, or move the file away"
            )
        if version > FORMAT:
            raise StoreError(
                f"SQLite store {self.path}: written by a newer version (format {version}, this one knows {FORMAT}); "
                "it was left unchanged. Run the newer version, or set POSTERN_STATE_DIR to another folder"
            )
        if tables and version < FORMAT:
            raise StoreError(
                f"SQLite store {self.path}: written by an earlier version (format {version}, this one needs {FORMAT}); "
                "it was left unchanged. Set POSTERN_STATE_DIR to another folder, and connect your accounts again"
            )
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            self._writer.executescript(_SCHEMA)

    def _read(self, statement: str, values: Sequence[str | int]) -> list[tuple[Any, ...]]:
        with self._reading, self._errors():
            return self._reader.execute(statement, values).fetchall()

    def _item(self, partition: str, sort: str, body: str, expires_at: int | None, version: int) -> Item:
        try:
            return Item(Key(partition, sort), json_text.decode_lenient(body), expires_at, version)
        except ValueError as error:
            raise StoreError(f"SQLite store {self.path}: the body of an item is not JSON; restore the file") from error

    def _apply(self, change: Change, body: str) -> None:
        where = (change.key.partition, change.key.sort)
        row = self._writer.execute("SELECT version FROM items WHERE partition = ? AND sort = ?", where).fetchone()
        version = row[0] if row else 0
        if change.if_version is not None and change.if_version != version:
            raise StoreConflict(f"SQLite store: an item is at version {version}, not {change.if_version}")
        if isinstance(change, Delete):
            self._writer.execute("DELETE FROM items WHERE partition = ? AND sort = ?", where)
        else:
            self._writer.execute(
                "INSERT OR REPLACE INTO items (partition, sort, body, expires_at, version) VALUES (?, ?, ?, ?, ?)",
                (*where, body, change.expires_at, version + 1),
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors of the driver as errors of the contract."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary result code
            if code in _BUSY:
                raise StoreUnavailable(
                    f"SQLite store {self.path}: locked by another process; stop it, or retry"
                ) from error
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise StoreError(
                    f"SQLite store {self.path}: damaged, or not an SQLite file ({error}); it was left unchanged. "
                    "Restore the file, or move it away to start with an empty one"
                ) from error
            if code in _PASSING:
                raise StoreUnavailable(
                    f"SQLite store {self.path}: {error}; free some space, or check the disk", RETRY_SECONDS
                ) from error
            if code == sqlite3.SQLITE_READONLY:
                raise StoreError(
                    f"SQLite store {self.path}: read-only; give this user the right to write the file and its folder"
                ) from error
            raise StoreError(f"SQLite store {self.path}: {error}") from error
