"""An engine file as JSON Lines, and back: the owner's copy, readable without this program.

The first line names the format. Each further line is one row: `{"table": ..., "row": {...}}`. The last line counts
the rows of each table and carries the SHA-256 of all lines before it, so that a cut or changed copy is refused whole.
The copy leaves out the word index and the vectors; the engine makes them again from the memories.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from functions.memory_engine import texts
from functions.memory_engine.json_text import encode
from functions.memory_engine.storage import opening, word_index
from functions.memory_engine.storage.database import Database
from functions.memory_engine.storage.opening import DatabaseUnavailable

FORMAT = "postern-memory"
FORMAT_VERSION = 1

TABLES = (
    *("memories", "history", "entities", "events", "counters", "exports", "organizations", "projects", "members"),
    *("webhooks", "deliveries", "profile_settings", "profiles", "profile_jobs"),
)
"""The owner's data. Everything else in the file is derived from it."""
_SEEDED = ("organizations", "projects", "members")
"""Tables that a new engine fills by itself. An import replaces their rows with those of the copy."""


class ImportRefused(ValueError):
    """The copy cannot be imported. The text names the line and the cause. The engine file is unchanged."""


def export_jsonl(path: Path, out: IO[str]) -> dict[str, int]:
    """Write one snapshot of a whole engine file, also while an engine runs on it. Returns the rows of each table.

    Holds one row in memory at a time. Raises DatabaseUnavailable.
    """
    connection = opening.to_copy(path)
    digest = hashlib.sha256()

    def write(item: dict[str, Any]) -> None:
        line = encode(item) + "\n"
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
    """Import a copy into a new engine file, or into one without memories: all or nothing. Returns the rows per table.

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
        if table == "memories" and isinstance(row.get("memory"), str):
            row["hash"] = {"hex": texts.sameness(row["memory"]).hex()}
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
            word_index.add(
                connection, row["row"], row["memory"], {name: row.get(name) for name in word_index.ENTITY_FIELDS}
            )
    return counts


def _rows(lines: Iterable[str], counts: Mapping[str, int]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The rows of a copy with their line numbers. Checks the first and the last line too."""
    digest = hashlib.sha256()
    ended = False
    number = 0
    for number, line in enumerate(lines, 1):
        if ended:
            raise ImportRefused(f"line {number}: text follows the end line; nothing was imported")
        try:
            item = json.loads(line)
        except ValueError as problem:
            raise ImportRefused(f"line {number} is not JSON: {problem}; nothing was imported") from None
        if not isinstance(item, dict):
            raise ImportRefused(f"line {number} is not a JSON object; nothing was imported")
        if number == 1:
            if item.get("format") != FORMAT or item.get("version") != FORMAT_VERSION:
                raise ImportRefused(
                    f'line 1 is not {{"format":"{FORMAT}","version":{FORMAT_VERSION}}}; this is not a memory export '
                    "that this version reads"
                )
        elif "end" in item:
            end = item["end"]
            if not isinstance(end, dict) or end.get("sha256") != digest.hexdigest() or end.get("rows") != counts:
                raise ImportRefused(f"line {number}: the copy was changed (its checksum differs); nothing was imported")
            ended = True
        elif isinstance(item.get("table"), str) and isinstance(item.get("row"), dict) and item["row"]:
            yield number, item["table"], item["row"]
        else:
            raise ImportRefused(f'line {number} is not {{"table": ..., "row": {{...}}}}; nothing was imported')
        digest.update(line.encode())
    if not ended:
        raise ImportRefused(
            f"the copy ends after line {number} without its end line, so part of it is missing; nothing was imported"
        )


def _plain(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _stored(value: Any) -> Any:
    if isinstance(value, dict):
        try:
            return bytes.fromhex(value["hex"])
        except (KeyError, TypeError, ValueError):
            raise sqlite3.DataError('an object must be {"hex": "..."}') from None
    return value
