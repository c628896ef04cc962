"""The memories that match a query, and their order: words, meaning (with an embedder) and names, fused into 0..1."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from functions.memory_engine import words
from functions.memory_engine.core import Core
from functions.memory_engine.search import embeddings, filters, lexical

CANDIDATES = 300
"""Memories that are scored for one query; twice `top_k` when that is more."""
SEMANTIC_WEIGHT = 0.7
"""What a semantic similarity of 1 is worth where no word matches. Words and meaning count as two independent reasons:
the score is what neither of them leaves open. Chosen on the two thirds of LoCoMo's questions that the benchmark leaves
out; reciprocal ranks found less (docs/benchmarks.md)."""
NEAR_TIE = 0.03
"""The share of a score by which a newer memory may be worse and still rank before an older one."""

REPLACED_SHARE = 0.5
"""What remains of the score of a memory that a newer one replaced."""

_INSIDE = re.compile(r"(?<![.!?:\n])(?<![.!?:]\s)(?<=.)\b[^\W\d_]+")  # a word that does not begin a sentence


@dataclass(frozen=True)
class Hit:
    """`semantic` is None without an embedder; the engine never invents a number.

    `entity` is the share of the query's names that the memory writes as names. It does not change the score.
    """

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


@dataclass(frozen=True)
class _Scored:
    row: int
    created_at: int
    score: float
    semantic: float | None
    bm25: float


@dataclass(frozen=True)
class Found:
    """`by_meaning` is False without an embedder, while it is down, and where a request asks for words only."""

    hits: list[Hit]
    by_meaning: bool


def find(
    core: Core,
    query: str,
    condition: filters.Sql,
    scope: list[list[tuple[str, str]]],
    *,
    top_k: int,
    threshold: float,
    keyword_only: bool = False,
) -> Found:
    """The best `top_k` memories that meet the SQL condition, best first, none below `threshold`.

    `scope` is `filters.required_entities` of the same condition; it can only narrow the search.
    With a threshold of 0, the newest memories that share no word with the query fill the list up to `top_k`.
    """
    limit = max(CANDIDATES, 2 * top_k)
    vector = None if keyword_only else embeddings.of_query(core, query)
    with core.database.read() as connection:
        found = lexical.candidates(connection, query, scope, condition, limit)
        semantic: dict[int, tuple[int, float]] = {}
        if vector is not None:
            met = {item.row for item in found}
            narrow = lexical.narrow_scope(connection, scope) is not None
            semantic = embeddings.nearest(core, connection, vector, condition, narrow=narrow, limit=limit, always=met)
        best = [item for item in _ranked(connection, _fused(found, semantic)) if item.score >= threshold]
        best.sort(key=lambda item: (-item.score, -item.created_at, -item.row))
        del best[top_k:]
        if threshold <= 0 and len(best) < top_k:
            best += _newest(connection, condition, {item.row for item in best}, top_k)[: top_k - len(best)]
        rows = _rows(connection, [item.row for item in best])
    named = _names(query, {item.row: rows[item.row]["memory"] for item in best})
    hits = [Hit(rows[item.row], item.score, item.semantic, item.bm25, named[item.row]) for item in best]
    return Found(hits, vector is not None)


def _fused(found: list[lexical.Candidate], semantic: dict[int, tuple[int, float]]) -> list[_Scored]:
    fused = []
    for item in found:
        similarity = semantic[item.row][1] if item.row in semantic else None
        fused.append(_score(item.row, item.created_at, similarity, item.bm25))
    met = {item.row for item in found}
    return fused + [_score(row, at, value, 0.0) for row, (at, value) in semantic.items() if row not in met]


def _score(row: int, created_at: int, semantic: float | None, bm25: float) -> _Scored:
    base = bm25 if semantic is None else 1 - (1 - SEMANTIC_WEIGHT * semantic) * (1 - bm25)
    return _Scored(row, created_at, base, semantic, bm25)


def _ranked(connection: sqlite3.Connection, items: list[_Scored]) -> list[_Scored]:
    """The scores, lowered by up to NEAR_TIE for older memories and by half for memories that a newer one replaced."""
    moments = sorted({item.created_at for item in items})
    age = {moment: 1 - place / (len(moments) - 1) for place, moment in enumerate(moments)} if len(moments) > 1 else {}
    marks = ",".join("?" * len(items))
    sql = f"SELECT row FROM memories WHERE replaced_by IS NOT NULL AND row IN ({marks})"  # noqa: S608
    replaced = {row[0] for row in connection.execute(sql, [item.row for item in items])}
    ranked = []
    for item in items:
        share = (1 - NEAR_TIE * age.get(item.created_at, 0.0)) * (REPLACED_SHARE if item.row in replaced else 1.0)
        ranked.append(_Scored(item.row, item.created_at, round(item.score * share, 6), item.semantic, item.bm25))
    return ranked


def _names(query: str, texts: dict[int, str]) -> dict[int, float]:
    """Row -> the share of the query's names that the text writes as names."""
    asked = {word.term for word in words.content_words(query)}
    written = {
        row: asked & {word.term for name in _INSIDE.findall(text) if name[0].isupper() for word in words.cut(name)}
        for row, text in texts.items()
    }
    names = set[str]().union(*written.values())
    return {row: len(found) / len(names) if names else 0.0 for row, found in written.items()}


def _newest(connection: sqlite3.Connection, condition: filters.Sql, but: set[int], count: int) -> list[_Scored]:
    where, values = condition
    rows = connection.execute(
        f"SELECT m.row, m.created_at FROM memories m WHERE {where} ORDER BY m.created_at DESC, m.row DESC LIMIT ?",  # noqa: S608
        [*values, count + len(but)],
    )
    return [_Scored(row, created_at, 0.0, None, 0.0) for row, created_at in rows if row not in but]


def _rows(connection: sqlite3.Connection, wanted: list[int]) -> dict[int, sqlite3.Row]:
    marks = ",".join("?" * len(wanted))
    rows = connection.execute(f"SELECT * FROM memories WHERE row IN ({marks})", wanted)  # noqa: S608
    return {row["row"]: row for row in rows}


def shaped(hit: Hit, shape: dict[str, Any], breakdown: bool) -> dict[str, Any]:
    """A memory's shape with its score."""
    return {**shape, "score": hit.score, **({"score_breakdown": hit.breakdown()} if breakdown else {})}
