"""The SQLite file: opening it safely, its tables, one writer, several readers.

Durability: write-ahead log with `synchronous=FULL`. What `write` has returned survives kill -9 and a loss of power
(as far as the disk honours a flush). Writes that arrive together share one transaction and one flush.
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

from .settings import MEMORY_PATH
from .words import TOKENIZER, segmented

APPLICATION_ID = 0x504D454D
"""Marks a SQLite file as one of ours ("PMEM"), so that no other program's file is ever touched."""
SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 5.0
"""How long a statement waits for another process (an export, a backup) before it says the file is locked."""
READERS = 4
"""Connections that read at the same time; more only wait for the same two cores."""
READER_CACHE_KIB = 8_192
WRITER_CACHE_KIB = 16_384
CHECKPOINT_PAGES = 4_000
"""Pages (4 KiB) the log may hold before it is folded into the file: fewer, larger foldings for a steady writer."""
MAX_GROUPED_WRITES = 64
"""Writes that share one flush at most, so that the first of them does not wait long."""

T = TypeVar("T")


class DatabaseUnavailable(Exception):
    """The file cannot be used. The text says which file, why, that it was left as it was, and what to do."""


SCHEMA = """
CREATE TABLE memories (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  memory TEXT NOT NULL,
  hash BLOB NOT NULL,
  user_id TEXT, agent_id TEXT, app_id TEXT, run_id TEXT,
  metadata TEXT,
  categories TEXT NOT NULL DEFAULT '[]',
  immutable INTEGER NOT NULL DEFAULT 0,
  expiration_date TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  event_id TEXT,
  replaced_by TEXT,
  synthesized INTEGER NOT NULL DEFAULT 0,
  feedback TEXT, feedback_reason TEXT
);
CREATE INDEX memories_user ON memories (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX memories_agent ON memories (agent_id, created_at) WHERE agent_id IS NOT NULL;
CREATE INDEX memories_app ON memories (app_id, created_at) WHERE app_id IS NOT NULL;
CREATE INDEX memories_run ON memories (run_id, created_at) WHERE run_id IS NOT NULL;
CREATE INDEX memories_created ON memories (created_at);
CREATE INDEX memories_hash ON memories (hash);
CREATE INDEX memories_replaced ON memories (replaced_by) WHERE replaced_by IS NOT NULL;

CREATE VIEW memory_text AS SELECT row, segmented(memory) AS memory,
  coalesce('u' || hex(user_id) || 'x ', '') || coalesce('a' || hex(agent_id) || 'x ', '') ||
  coalesce('p' || hex(app_id) || 'x ', '') || coalesce('r' || hex(run_id) || 'x', '') AS scope
  FROM memories;
CREATE VIRTUAL TABLE memory_index USING fts5(
  memory, scope, content='memory_text', content_rowid='row', tokenize="{TOKENIZER}"
);
CREATE VIRTUAL TABLE memory_terms USING fts5vocab(memory_index, 'row');
CREATE TABLE words (word TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE word_variants (variant TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY (variant, word)) WITHOUT ROWID;
CREATE TABLE vectors (
  row INTEGER PRIMARY KEY REFERENCES memories (row) ON DELETE CASCADE, model TEXT NOT NULL, vector BLOB NOT NULL
);

CREATE TABLE history (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  memory_id TEXT NOT NULL,
  event TEXT NOT NULL,
  old_memory TEXT, new_memory TEXT NOT NULL,
  user_id TEXT, agent_id TEXT, app_id TEXT, run_id TEXT,
  categories TEXT NOT NULL, metadata TEXT,
  event_id TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE INDEX history_memory ON history (memory_id);

CREATE TABLE entities (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL, entity_id TEXT NOT NULL, name TEXT NOT NULL, metadata TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  UNIQUE (type, entity_id)
);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  event_type TEXT NOT NULL,
  status TEXT NOT NULL,
  payload TEXT NOT NULL, metadata TEXT, results TEXT NOT NULL DEFAULT '[]', error TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, started_at INTEGER, completed_at INTEGER
);
CREATE INDEX events_unfinished ON events (seq) WHERE status IN ('PENDING', 'RUNNING');
CREATE INDEX events_type ON events (event_type, seq);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE exports (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  schema TEXT NOT NULL, filters TEXT NOT NULL, instructions TEXT,
  status TEXT NOT NULL, result TEXT, error TEXT, created_at INTEGER NOT NULL
);

CREATE TABLE organizations (
  seq INTEGER PRIMARY KEY,
  org_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE projects (
  seq INTEGER PRIMARY KEY,
  project_id TEXT NOT NULL UNIQUE, org_id TEXT NOT NULL, name TEXT NOT NULL, description TEXT,
  options TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE members (
  seq INTEGER PRIMARY KEY,
  of TEXT NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL, UNIQUE (of, email)
);

CREATE TABLE webhooks (
  seq INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,
  event_types TEXT NOT NULL, is_active INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE deliveries (
  seq INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL
);

CREATE TABLE profile_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE profiles (
  entity_id TEXT PRIMARY KEY, profile TEXT NOT NULL, status TEXT NOT NULL,
  updated_at INTEGER NOT NULL, generation_count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE profile_jobs (
  job_id TEXT PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, request TEXT NOT NULL, answer TEXT NOT NULL,
  job TEXT NOT NULL, created_at INTEGER NOT NULL
) WITHOUT ROWID;
""".replace("{TOKENIZER}", TOKENIZER)
# The scope column of `memory_index` holds one token per entity id of a memory (`scope_token` in lexical.py makes the
# same), so that a search inside one user reads that user's postings only. Vectors, words and the index are
# derived from `memories`; everything else is the owner's data.


class Database:
    """One open engine file. Raises DatabaseUnavailable, and then leaves the file exactly as it found it."""

    def __init__(self, path: Path | str, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> None:
        self._shared: sqlite3.Connection | None = None
        self._owner: sqlite3.Connection | None = None
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._shared_lock = threading.RLock()
        self._changes: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None]
        self._changes = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        if path == MEMORY_PATH:
            self._writer = self._shared = _prepare(_connect(MEMORY_PATH, WRITER_CACHE_KIB, 0.0), MEMORY_PATH)
        else:
            file = Path(path)
            with contextlib.ExitStack() as opened:
                self._owner = opened.enter_context(contextlib.closing(_own(file)))
                self._writer = opened.enter_context(contextlib.closing(_open_file(file, busy_timeout_seconds)))
                for _ in range(READERS):
                    reader = _connect(str(file), READER_CACHE_KIB, busy_timeout_seconds)
                    self._readers.put(opened.enter_context(contextlib.closing(reader)))
                    reader.execute("PRAGMA query_only = ON")
                opened.pop_all()
        self._thread = threading.Thread(target=self._write_loop, name="memory-engine-writer", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, inside one snapshot. Blocks while all are in use."""
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
        """Run a change in the writer, wait until it is durable, return what it returned.

        An exception undoes this change alone. sqlite3.OperationalError: the file is locked, read-only or full.
        """
        return self.write_later(change).result()

    def write_later(self, change: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """As `write`, without waiting."""
        future: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise DatabaseUnavailable("The memory engine is closed")
            self._changes.put((change, future))
        return future

    def close(self) -> None:
        """Finish what was handed in, fold the log into the file, close."""
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
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for change, future in group:
                self._writer.execute("SAVEPOINT change")
                try:
                    result = change(self._writer)
                except Exception as problem:
                    self._writer.execute("ROLLBACK TO change")
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
        for settle in settled:
            settle()


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that only reads an engine file, beside a running engine too. Raises DatabaseUnavailable."""
    if not path.is_file():
        raise DatabaseUnavailable(f"{path}: there is no memory file here")
    _refuse_foreign(path)
    connection = _connect(str(path), READER_CACHE_KIB, BUSY_TIMEOUT_SECONDS)
    try:
        _refuse_version(connection, path)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.DatabaseError as problem:
        connection.close()
        raise _unavailable(path, problem) from problem
    except DatabaseUnavailable:
        connection.close()
        raise
    return connection


def _connect(path: str, cache_kib: int, busy_timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=busy_timeout_seconds, cached_statements=256
    )
    connection.row_factory = sqlite3.Row
    connection.create_function("casefold", 1, _casefold, deterministic=True)
    connection.create_function("segmented", 1, segmented, deterministic=True)
    try:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def _casefold(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def _own(file: Path) -> sqlite3.Connection:
    """Hold `<file>.lock` as long as this engine lives. A crash frees it; a second engine on the file is refused."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(f"{file}.lock", isolation_level=None, timeout=0, check_same_thread=False)
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
        except BaseException:
            lock.close()
            raise
    except (OSError, sqlite3.OperationalError) as problem:
        if "locked" in str(problem):
            raise DatabaseUnavailable(
                f"{file} is in use by another memory engine; stop that one, or give this one a file of its own "
                "(POSTERN_MEMORY_PATH)"
            ) from problem
        raise DatabaseUnavailable(
            f"{file} cannot be opened: {problem}; check the folder and its permissions"
        ) from problem
    except sqlite3.DatabaseError as problem:
        raise DatabaseUnavailable(f"{file}.lock is not a lock of the memory engine: {problem}; remove it") from problem
    return lock


def _open_file(file: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    _refuse_foreign(file)
    connection = None
    try:
        file.touch(mode=0o600)  # a new file is its owner's alone; SQLite gives its log the same mode
        connection = _connect(str(file), WRITER_CACHE_KIB, busy_timeout_seconds)
        return _prepare(connection, file)
    except OSError as problem:
        raise DatabaseUnavailable(f"{file} cannot be opened: {problem}; check its permissions") from problem
    except sqlite3.DatabaseError as problem:
        if connection is not None:
            connection.close()
        raise _unavailable(file, problem) from problem
    except DatabaseUnavailable:
        if connection is not None:
            connection.close()
        raise


def _refuse_foreign(file: Path) -> None:
    """Look at the bytes before SQLite may write any."""
    try:
        size = file.stat().st_size if file.exists() else 0
        if not size:
            return
        with file.open("rb") as handle:
            header = handle.read(100)
    except OSError as problem:
        raise DatabaseUnavailable(f"{file} cannot be read: {problem}") from problem
    if not header.startswith(b"SQLite format 3\x00"):
        raise DatabaseUnavailable(
            f"{file} is not a memory file (it does not begin as a SQLite database); it was left as it is. "
            "Restore it from a copy, or name another file (POSTERN_MEMORY_PATH)"
        )
    page_size = int.from_bytes(header[16:18], "big")
    expected = int.from_bytes(header[28:32], "big") * (65_536 if page_size == 1 else page_size)
    if size < expected and not Path(f"{file}-wal").exists():
        raise DatabaseUnavailable(
            f"{file} is cut short: {size} of {expected} bytes; it was left as it is. "
            "Restore it from a copy, or name another file (POSTERN_MEMORY_PATH)"
        )


def _refuse_version(connection: sqlite3.Connection, file: Path | str) -> int:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise DatabaseUnavailable(
            f"{file} is a SQLite database of another program; it was left as it is. "
            "Name another file (POSTERN_MEMORY_PATH)"
        )
    if version > SCHEMA_VERSION:
        raise DatabaseUnavailable(
            f"{file} was written by a newer version (schema {version}; this one knows {SCHEMA_VERSION}); "
            "it was left as it is. Upgrade, or name another file (POSTERN_MEMORY_PATH)"
        )
    return version


def _prepare(connection: sqlite3.Connection, file: Path | str) -> sqlite3.Connection:
    version = _refuse_version(connection, file)
    if file != MEMORY_PATH:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute("PRAGMA foreign_keys = ON")
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    connection.execute("SELECT count(*) FROM events WHERE status IN ('PENDING', 'RUNNING')").fetchone()
    return connection


def _unavailable(file: Path, problem: sqlite3.DatabaseError) -> DatabaseUnavailable:
    if "locked" in str(problem) or "busy" in str(problem):
        return DatabaseUnavailable(
            f"{file} is locked by another process; close the program that holds it and start again"
        )
    return DatabaseUnavailable(
        f"{file} cannot be used: {problem}; it was left as it is. "
        "Restore it from a copy, or name another file (POSTERN_MEMORY_PATH)"
    )
