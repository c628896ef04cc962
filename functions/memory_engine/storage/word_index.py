"""The word index over memories, kept in step with every change of a memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from functions.memory_engine import words

ENTITY_FIELDS = ("user_id", "agent_id", "app_id", "run_id")
MIN_SPELLED, MAX_SPELLED = 3, 24
"""Letters of a word that a typing error may be corrected to."""

_SCOPE_PREFIX = {"user_id": "u", "agent_id": "a", "app_id": "p", "run_id": "r"}


def scope_token(entity_field: str, entity_id: str) -> str:
    """The token that stands for one entity in the index's scope column."""
    return f"{_SCOPE_PREFIX[entity_field]}{entity_id.encode().hex()}x"


def add(connection: sqlite3.Connection, row: int, memory: str, entities: Mapping[str, str | None]) -> None:
    """Index a memory's words. `entities` maps entity fields to ids."""
    scope = [scope_token(name, entity_id) for name, entity_id in entities.items() if entity_id]
    connection.execute(
        "INSERT INTO memory_index (rowid, memory, scope) VALUES (?, ?, ?)",
        (row, " ".join(words.index_terms(memory)), " ".join(scope)),
    )
    spelled = _spelled(memory)
    if not spelled:
        return
    marks = ",".join("?" * len(spelled))
    known = {r[0] for r in connection.execute(f"SELECT word FROM words WHERE word IN ({marks})", tuple(spelled))}  # noqa: S608
    new = spelled.keys() - known
    connection.executemany("INSERT INTO words VALUES (?, ?)", [(word, spelled[word]) for word in new])
    connection.executemany(
        "INSERT OR IGNORE INTO word_variants VALUES (?, ?)", [(v, word) for word in new for v in words.variants(word)]
    )


def remove(connection: sqlite3.Connection, row: int, memory: str) -> None:
    """Remove a memory's words, and forget each word that no other memory holds."""
    connection.execute("DELETE FROM memory_index WHERE rowid = ?", (row,))
    for word, term in _spelled(memory).items():
        if connection.execute("SELECT 1 FROM memory_terms WHERE term = ?", (term,)).fetchone() is None:
            connection.execute("DELETE FROM words WHERE word = ?", (word,))
            connection.executemany(
                "DELETE FROM word_variants WHERE variant = ? AND word = ?", [(v, word) for v in words.variants(word)]
            )


def rebuild(connection: sqlite3.Connection) -> None:
    """Index every memory anew, in empty tables."""
    for row in connection.execute("SELECT * FROM memories ORDER BY row"):
        add(connection, row["row"], row["memory"], {name: row[name] for name in ENTITY_FIELDS})


def _spelled(memory: str) -> dict[str, str]:
    """Spelled words of letters, with their index terms."""
    return {
        word.spelled: word.term
        for word in words.cut(memory)
        if MIN_SPELLED <= len(word.spelled) <= MAX_SPELLED and word.spelled.isalpha()
    }
