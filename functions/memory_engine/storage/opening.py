"""Opening an engine file: one engine per file, and a file that is not ours is refused before any byte is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from functions.memory_engine import texts
from functions.memory_engine.settings import MEMORY_PATH
from functions.memory_engine.storage import word_index

APPLICATION_ID = 0x504D454D
"""Marks a SQLite file as an engine file ("PMEM"), so that no other program's file is ever touched."""
SCHEMA_VERSION = 4
"""Raised with every change of the tables, of `words`, or of `texts.sameness`; older files are upgraded."""
BUSY_TIMEOUT_SECONDS = 5.0
"""Seconds a statement waits for another process (an export, a backup) before it reports the file as locked."""
READER_CACHE_KIB = 8_192
WRITER_CACHE_KIB = 16_384
CHECKPOINT_PAGES = 4_000
"""Pages (4 KiB) the log may hold before SQLite folds it into the file. A steady writer folds less often this way."""


class DatabaseUnavailable(Exception):
    """The file cannot be used. The text names the file and the cause, and says what to do."""


def in_memory() -> sqlite3.Connection:
    """A new database that lives in this process."""
    return _prepare(_connect(MEMORY_PATH, WRITER_CACHE_KIB, 0.0), MEMORY_PATH)


def to_write(file: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """The writer's connection. Makes the file if there is none. Raises DatabaseUnavailable."""
    _refuse_foreign(file)
    connection = None
    try:
        file.touch(mode=0o600)  # only its owner may read a new file; SQLite gives the log the same mode
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


def to_read(file: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """A connection of a running engine that only reads."""
    connection = _connect(str(file), READER_CACHE_KIB, busy_timeout_seconds)
    connection.execute("PRAGMA query_only = ON")
    return connection


def to_copy(path: Path) -> sqlite3.Connection:
    """A connection that only reads an engine file, also while an engine runs on it. Raises DatabaseUnavailable."""
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


def lock(file: Path) -> sqlite3.Connection:
    """Hold `<file>.lock` while this engine lives. A crash frees the lock; a second engine on the file is refused."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held = sqlite3.connect(f"{file}.lock", isolation_level=None, timeout=0, check_same_thread=False)
        try:
            held.execute("PRAGMA journal_mode = MEMORY")
            held.execute("BEGIN EXCLUSIVE")
        except BaseException:
            held.close()
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
    return held


def _connect(path: str, cache_kib: int, busy_timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=busy_timeout_seconds, cached_statements=256
    )
    connection.row_factory = sqlite3.Row
    connection.create_function("casefold", 1, _casefold, deterministic=True)
    connection.create_function("sameness", 1, texts.sameness, deterministic=True)
    try:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def _casefold(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def _refuse_foreign(file: Path) -> None:
    """Look at the bytes before SQLite can write any."""
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
            f"BEGIN IMMEDIATE; {_text('schema.sql')} {_text('word_index.sql')} {_text('vectors.sql')}"
            f" PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    elif version < SCHEMA_VERSION:
        _upgrade(connection)
    connection.execute("SELECT count(*) FROM events WHERE status IN ('PENDING', 'RUNNING')").fetchone()
    return connection


def _upgrade(connection: sqlite3.Connection) -> None:
    """Make the derived columns and tables of an older file again, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE memories SET hash = sameness(memory)")
        connection.execute("DROP VIEW IF EXISTS memory_text")
        for table in ("memory_terms", "memory_index", "words", "word_variants", "vectors", "vector_codes"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in (*_statements("word_index.sql"), *_statements("vectors.sql")):
            connection.execute(statement)
        word_index.rebuild(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(name: str) -> Iterator[str]:
    """The statements of a file one by one. `executescript` would end the transaction."""
    statement = ""
    for line in _text(name).splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _unavailable(file: Path, problem: sqlite3.DatabaseError) -> DatabaseUnavailable:
    if "locked" in str(problem) or "busy" in str(problem):
        return DatabaseUnavailable(
            f"{file} is locked by another process; close the program that holds it and start again"
        )
    return DatabaseUnavailable(
        f"{file} cannot be used: {problem}; it was left as it is. "
        "Restore it from a copy, or name another file (POSTERN_MEMORY_PATH)"
    )
