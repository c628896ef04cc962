"""Which memories answer a query, in which order: words, meaning (with an embedder) and names, fused into 0..1."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import embeddings, filters, lexical, words

if TYPE_CHECKING:
    from .engine import Engine

CANDIDATES = 300
"""Memories looked at closely for one query; twice `top_k` when that is more."""
SEMANTIC_WEIGHT, BM25_WEIGHT = 0.7, 0.3
"""Shares of the base score when there is an embedder; without one the base is the word score alone."""
ENTITY_BOOST = 0.15
"""How far a full match of the names in a query moves a score towards 1."""

_NAME = re.compile(r"[^\W\d_][\w'’-]*")


@dataclass(frozen=True)
class Hit:
    """`semantic` is None without an embedder: it is never made up."""

    row: sqlite3.Row
    score: float
    semantic: float | None
    bm25: float
    entity: float

    def breakdown(self) -> dict[str, float | None]:
        return {
            "semantic": None if self.semantic is None else round(self.semantic, 6),
            "bm25": round(self.bm25, 6),
            "entity": round(self.entity, 6),
        }


def find(
    engine: Engine,
    query: str,
    condition: filters.Sql,
    scope: list[list[tuple[str, str]]],
    *,
    top_k: int,
    threshold: float,
    keyword_only: bool = False,
) -> list[Hit]:
    """The best `top_k` memories that meet the SQL condition, best first, none below `threshold`.

    `scope` is `filters.required_entities` of the same condition: it narrows the search, never widens it.
    """
    limit = max(CANDIDATES, 2 * top_k)
    vector = None if keyword_only else embeddings.of_query(engine, query)
    where, values = condition
    with engine.database.read() as connection:
        rows: dict[int, sqlite3.Row] = {}
        bm25: dict[int, float] = {}
        plan = lexical.plan(connection, query, scope)
        if plan is not None:
            found = connection.execute(
                "SELECT m.*, highlight(memory_index, 0, char(2), char(3)) AS marked"  # noqa: S608 - condition is compiled
                " FROM memory_index JOIN memories m ON m.row = memory_index.rowid"
                f" WHERE memory_index MATCH ? AND ({where}) ORDER BY memory_index.rank LIMIT ?",
                [plan.expression, *values, limit],
            ).fetchall()
            rows.update((row["row"], row) for row in found)
            bm25 = dict(zip(rows, plan.scores([row["marked"] for row in found]), strict=True))
        semantic: dict[int, float] = {}
        if vector is not None:
            semantic = embeddings.nearest(engine, connection, vector, where, values, limit, set(rows))
            _complete(connection, rows, semantic)
        if threshold <= 0 and len(rows) < top_k:
            newest = connection.execute(
                f"SELECT m.* FROM memories m WHERE {where} ORDER BY m.created_at DESC, m.row DESC LIMIT ?",  # noqa: S608
                [*values, top_k],
            ).fetchall()
            rows.update((row["row"], row) for row in newest if row["row"] not in rows)
    entity = _entity_scores(query, rows)
    hits = [
        _hit(row, semantic.get(key), vector is not None, bm25.get(key, 0.0), entity[key]) for key, row in rows.items()
    ]
    hits = [hit for hit in hits if hit.score >= threshold]
    hits.sort(key=lambda hit: (-hit.score, -hit.row["created_at"], -hit.row["row"]))
    return hits[:top_k]


def _complete(connection: sqlite3.Connection, rows: dict[int, sqlite3.Row], wanted: dict[int, float]) -> None:
    missing = [row for row in wanted if row not in rows]
    for start in range(0, len(missing), 500):
        part = missing[start : start + 500]
        marks = ",".join("?" * len(part))
        for row in connection.execute(f"SELECT * FROM memories WHERE row IN ({marks})", part):  # noqa: S608
            rows[row["row"]] = row


def _hit(row: sqlite3.Row, semantic: float | None, has_vector: bool, bm25: float, entity: float) -> Hit:
    if has_vector and semantic is not None:
        base = SEMANTIC_WEIGHT * semantic + BM25_WEIGHT * bm25
    else:
        base = bm25
    boosted = base + ENTITY_BOOST * entity * (1 - base) if base > 0 else 0.0
    return Hit(row, round(min(1.0, boosted), 6), semantic, bm25, entity)


def _entity_scores(query: str, rows: dict[int, sqlite3.Row]) -> dict[int, float]:
    """The share of the query's names that each memory names. A query word is a name if some candidate writes it so."""
    asked = set(words.content_words(query))
    named = {key: _names(row["memory"]) & asked for key, row in rows.items()}
    names = set().union(*named.values()) if named else set()
    return {key: len(own) / len(names) if names else 0.0 for key, own in named.items()}


def _names(text: str) -> set[str]:
    """The capitalised words of a text, folded; the first word of a sentence does not count as capitalised."""
    found = set()
    for match in _NAME.finditer(text):
        before = text[: match.start()].rstrip()
        if match[0][0].isupper() and before and before[-1] not in ".!?:":
            found.update(words.words_of(match[0]))
    return found


def shaped(hit: Hit, shape: dict[str, Any], breakdown: bool) -> dict[str, Any]:
    """A memory's shape with its score."""
    return {**shape, "score": hit.score, **({"score_breakdown": hit.breakdown()} if breakdown else {})}
