"""The word index over memories, kept in step with every change of a memory."""

from __future__ import annotations

import sqlite3

from functions.memory_engine import words

_SCOPE_PREFIX = {"user_id": "u", "agent_id": "a", "app_id": "p", "run_id": "r"}


def scope_token(entity_field: str, entity_id: str) -> str:
    """The token that stands for one entity in the index's scope column (the view `memory_text` makes the same one)."""
    return f"{_SCOPE_PREFIX[entity_field]}{entity_id.encode().hex()}x"


def add(connection: sqlite3.Connection, row: int, memory: str) -> None:
    """Index a memory's words, after its row was written."""
    connection.execute(
        "INSERT INTO memory_index (rowid, memory, scope) SELECT row, memory, scope FROM memory_text WHERE row = ?",
        (row,),
    )
    spelled = words.spelled_words(memory)
    if not spelled:
        return
    marks = ",".join("?" * len(spelled))
    known = {r[0] for r in connection.execute(f"SELECT word FROM words WHERE word IN ({marks})", tuple(spelled))}  # noqa: S608
    new = spelled - known
    connection.executemany("INSERT INTO words VALUES (?)", [(word,) for word in new])
    connection.executemany(
        "INSERT OR IGNORE INTO word_variants VALUES (?, ?)", [(v, word) for word in new for v in words.variants(word)]
    )


def remove(connection: sqlite3.Connection, row: int, memory: str) -> None:
    """Remove a memory's words, before its row changes or is deleted. Forgets each word that no other memory holds."""
    connection.execute(
        "INSERT INTO memory_index (memory_index, rowid, memory, scope) "
        "SELECT 'delete', row, memory, scope FROM memory_text WHERE row = ?",
        (row,),
    )
    for word in words.spelled_words(memory):
        if connection.execute("SELECT 1 FROM memory_terms WHERE term = ?", (words.stem(word),)).fetchone() is None:
            connection.execute("DELETE FROM words WHERE word = ?", (word,))
            connection.executemany(
                "DELETE FROM word_variants WHERE variant = ? AND word = ?", [(v, word) for v in words.variants(word)]
            )
