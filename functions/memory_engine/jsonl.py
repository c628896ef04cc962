"""Everything in an engine file as JSON Lines, and back: the owner's copy, readable without this program.

The first line names the format. Each further line is one row: `{"table": ..., "row": {...}}`. The last line counts
the rows of each table and carries the SHA-256 of all lines before it, so that a cut or changed copy is refused whole.
The word index and the vectors are not in it; they are made again from the memories.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from . import lexical
from .calls import encode
from .database import Database, DatabaseUnavailable, connect_to_read

FORMAT = "postern-memory"
FORMAT_VERSION = 1

TABLES = (
    *("memories", "history", "entities", "events", "counters", "exports", "organizations", "projects", "members"),
    *("webhooks", "deliveries", "profile_settings", "profiles", "profile_jobs"),
)
"""The owner's data. Everything else in the file is derived from it."""
_SEEDED = ("organizations", "projects", "members")
"""What a new engine makes by itself; an import puts the copy's rows in their place."""


class ImportRefused(ValueError):
    """A copy that cannot be taken in. The text says which line, and why; the engine file is as it was."""


def export_jsonl(path: Path, out: IO[str]) -> dict[str, int]:
    """Write all of an engine file, one snapshot, also while an engine runs on it. Returns the rows of each table.

    Holds one row in memory at a time. Raises DatabaseUnavailable.
    """
    connection = connect_to_read(path)
    digest = hashlib.sha256()

    def write(record: dict[str, Any]) -> None:
        line = encode(record) + "\n"
        digest.update(line.encode())
        out.write(line)

    try:
        connection.execute("BEGIN")
        write({"format": FORMAT, "version": FORMAT_VERSION})
        counts = {}
        for table in TABLES:
            counts[table] = 0
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - one of TABLES
                write({"table": table, "row": {name: _plain(row[name]) for name in row.keys()}})  # noqa: SIM118
                counts[table] += 1
        out.write(encode({"end": {"rows": counts, "sha256": digest.hexdigest()}}) + "\n")
    except sqlite3.DatabaseError as problem:
        raise DatabaseUnavailable(f"{path} cannot be read to its end: {problem}; the copy is incomplete") from problem
    finally:
        connection.close()
    return counts


def import_jsonl(path: Path, in_: Iterable[str]) -> dict[str, int]:
    """Put a copy into a new engine file, or one that holds no memories, all or nothing. Returns the rows per table.

    No engine may be running on the file. Raises ImportRefused, DatabaseUnavailable.
    """
    database = Database(path)
    try:
        return database.write(lambda connection: _import(path, connection, in_))
    except sqlite3.IntegrityError as problem:
        raise ImportRefused(f"the copy contradicts itself: {problem}; nothing was imported") from problem
    finally:
        database.close()


def _import(path: Path, connection: sqlite3.Connection, lines: Iterable[str]) -> dict[str, int]:
    for table in ("memories", "history", "entities", "events"):
        if connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None:  # noqa: S608 - fixed
            raise ImportRefused(f"{path} already holds data ({table}); import into a new file")
    for table in _SEEDED:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed
    columns = {table: [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")] for table in TABLES}
    counts = dict.fromkeys(TABLES, 0)
    for number, table, row in _rows(lines, counts):
        if table not in columns:
            raise ImportRefused(f'line {number}: there is no table "{table[:40]}"; nothing was imported')
        unknown = set(row) - set(columns[table])
        if unknown:
            raise ImportRefused(
                f"line {number}: {table} has no column {', '.join(sorted(unknown))[:80]}; nothing was imported"
            )
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        try:
            connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - checked against the schema
                [_stored(value) for value in row.values()],
            )
        except sqlite3.Error as problem:
            raise ImportRefused(f"line {number}: {problem}; nothing was imported") from problem
        counts[table] += 1
        if table == "memories":
            lexical.add(connection, row["row"], row["memory"])
    return counts


def _rows(lines: Iterable[str], counts: Mapping[str, int]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The rows of a copy with their line numbers; checks the first and the last line around them."""
    digest = hashlib.sha256()
    ended = False
    number = 0
    for number, line in enumerate(lines, 1):
        if ended:
            raise ImportRefused(f"line {number}: there is something after the end line; nothing was imported")
        try:
            record = json.loads(line)
        except ValueError as problem:
            raise ImportRefused(f"line {number} is not JSON: {problem}; nothing was imported") from None
        if not isinstance(record, dict):
            raise ImportRefused(f"line {number} is not a JSON object; nothing was imported")
        if number == 1:
            if record.get("format") != FORMAT or record.get("version") != FORMAT_VERSION:
                raise ImportRefused(
                    f'line 1 is not {{"format":"{FORMAT}","version":{FORMAT_VERSION}}}; this is no memory export '
                    "that this version reads"
                )
        elif "end" in record:
            told = record["end"]
            if not isinstance(told, dict) or told.get("sha256") != digest.hexdigest() or told.get("rows") != counts:
                raise ImportRefused(f"line {number}: the copy was changed (its checksum differs); nothing was imported")
            ended = True
        elif isinstance(record.get("table"), str) and isinstance(record.get("row"), dict) and record["row"]:
            yield number, record["table"], record["row"]
        else:
            raise ImportRefused(f'line {number} is not {{"table": ..., "row": {{...}}}}; nothing was imported')
        digest.update(line.encode())
    if not ended:
        raise ImportRefused(f"the copy ends after line {number} without its end line: it is cut; nothing was imported")


def _plain(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _stored(value: Any) -> Any:
    if isinstance(value, dict):
        try:
            return bytes.fromhex(value["hex"])
        except (KeyError, TypeError, ValueError):
            raise sqlite3.DataError('an object must be {"hex": "..."}') from None
    return value
