"""The store on a laptop and in CI: one SQLite file, the same contract as the table in AWS.

The file has a write-ahead log with `synchronous=normal`: a killed process loses nothing, and a power cut may lose the
last writes but never damages the file. One connection behind a lock serves every thread of the process, because an
operation takes microseconds. Other processes may have the file open too.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
    encode,
)

APPLICATION_ID = 0x5073746E
"""`PRAGMA application_id` of our files ("Pstn"). An SQLite file of another program is refused."""

FORMAT = 1
"""`PRAGMA user_version` of our files. It increases when older code would misread a newer file."""

LOCK_SECONDS = 2.0
"""How long an operation waits for a write of another process before it raises StoreUnavailable."""

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS items (
    partition  TEXT NOT NULL,
    sort       TEXT NOT NULL,
    body       TEXT NOT NULL,
    expires_at INTEGER,
    version    INTEGER NOT NULL,
    PRIMARY KEY (partition, sort)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_by_expiry ON items (expires_at) WHERE expires_at IS NOT NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
COMMIT;
"""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class SqliteStore:
    """The Store contract (store.py) on the file `path`, which is created with its folder when it does not exist.

    Raises StoreError when the file is damaged or belongs to another program, and leaves it unchanged.
    `lock_seconds`  see LOCK_SECONDS.
    """

    def __init__(self, path: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreError(
                f"SQLite store {path}: {error.strerror}; give a file that this user may read and write"
            ) from error
        self._connection = sqlite3.connect(path, timeout=lock_seconds, isolation_level=None, check_same_thread=False)
        try:
            with self._errors():
                self._prepare()
        except StoreError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file. The store must not be used afterwards."""
        with self._lock:
            self._connection.close()

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store."""
        check_keys("SQLite", keys)
        with self._lock, self._errors():
            return [self._read(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        """See Store."""
        check_changes("SQLite", changes)
        bodies = [encode("SQLite", change.body) if isinstance(change, Put) else "" for change in changes]
        with self._lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for change, body in zip(changes, bodies, strict=True):
                    self._apply(change, body)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

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
        if limit < 1:
            raise StoreError(f"SQLite store: limit {limit} in a query; at least 1")
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
        with self._lock, self._errors():
            rows = self._connection.execute(statement, (*values, limit)).fetchall()
        return [
            Item(Key(partition, sort), json_text.decode_lenient(body), expires_at, version)
            for sort, body, expires_at, version in rows
        ]

    def sweep(self, now: int) -> int:
        """Remove every item whose `expires_at` is at or before `now` (epoch seconds), and return their number.

        In DynamoDB the TTL does this. Correctness does not depend on it: readers compare with the clock.
        """
        with self._lock, self._errors():
            return self._connection.execute("DELETE FROM items WHERE expires_at <= ?", (now,)).rowcount

    def _prepare(self) -> None:
        self._connection.execute("BEGIN")  # one snapshot, because another process may be creating the file right now
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        self._connection.execute("COMMIT")
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
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            self._connection.executescript(_SCHEMA)

    def _read(self, key: Key) -> Item | None:
        row = self._connection.execute(
            "SELECT body, expires_at, version FROM items WHERE partition = ? AND sort = ?", (key.partition, key.sort)
        ).fetchone()
        return Item(key, json_text.decode_lenient(row[0]), row[1], row[2]) if row else None

    def _apply(self, change: Change, body: str) -> None:
        where = (change.key.partition, change.key.sort)
        row = self._connection.execute("SELECT version FROM items WHERE partition = ? AND sort = ?", where).fetchone()
        version = row[0] if row else 0
        if change.if_version is not None and change.if_version != version:
            raise StoreConflict(f"SQLite store: an item is at version {version}, not {change.if_version}")
        if isinstance(change, Delete):
            self._connection.execute("DELETE FROM items WHERE partition = ? AND sort = ?", where)
        else:
            self._connection.execute(
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
            raise StoreError(f"SQLite store {self.path}: {error}") from error
