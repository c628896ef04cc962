"""The word index over memories: kept in step with every change, asked for candidates with their BM25 score."""

from __future__ import annotations

import math
import re
import sqlite3
from dataclasses import dataclass, field

from . import words

_SCOPE_PREFIX = {"user_id": "u", "agent_id": "a", "app_id": "p", "run_id": "r"}

MAX_QUERY_WORDS = 32
"""Words of a query that count, the rarest first come by order: a pasted page must not become a scan of everything."""
NARROW_SCOPE = 20_000
"""Memories in a scope up to which the index is asked inside that scope only."""
MAX_POSTINGS = 30_000
"""Matches the index may have to rank for one wide query. Past it the commonest words are left out, as stop words are:
ranking costs about 1.5 microseconds per match on the reference machine."""
K1, B = 1.2, 0.75
"""BM25's saturation and length constants, at Robertson's usual values (FTS5 uses the same)."""
TWICE = 2 * (K1 + 1) / (2 + K1)
"""The saturated weight of a word that occurs twice in a memory of average length: counts as a full match."""
TOLERANT_WEIGHT = 0.8
"""What a word found by prefix or in spite of a typing error counts, against the word itself."""
UNKNOWN_WEIGHT = 0.5
"""What a query word that occurs nowhere in the scope takes away, against one that does occur."""
MAX_EXPANSIONS = 8

_MARKED = re.compile("\x02([^\x03]*)\x03")


def scope_token(entity_field: str, entity_id: str) -> str:
    """The token that stands for one entity in the index's scope column (the view `memory_text` makes the same)."""
    return f"{_SCOPE_PREFIX[entity_field]}{entity_id.encode().hex()}x"


def add(connection: sqlite3.Connection, row: int, memory: str) -> None:
    """Put a memory's words in, after its row was written."""
    connection.execute(
        "INSERT INTO memory_index (rowid, memory, scope) SELECT row, memory, scope FROM memory_text WHERE row = ?",
        (row,),
    )
    spelled = words.spelled_words(memory)
    if not spelled:
        return
    marks = ",".join("?" * len(spelled))
    known = {r[0] for r in connection.execute(f"SELECT word FROM words WHERE word IN ({marks})", tuple(spelled))}  # noqa: S608
    connection.executemany("UPDATE words SET uses = uses + 1 WHERE word = ?", [(word,) for word in known])
    new = spelled - known
    connection.executemany("INSERT INTO words VALUES (?, 1)", [(word,) for word in new])
    connection.executemany(
        "INSERT OR IGNORE INTO word_variants VALUES (?, ?)", [(v, word) for word in new for v in words.variants(word)]
    )


def remove(connection: sqlite3.Connection, row: int, memory: str) -> None:
    """Take a memory's words out, before its row changes or goes. A word used nowhere else is forgotten."""
    connection.execute(
        "INSERT INTO memory_index (memory_index, rowid, memory, scope) "
        "SELECT 'delete', row, memory, scope FROM memory_text WHERE row = ?",
        (row,),
    )
    for word in words.spelled_words(memory):
        connection.execute("UPDATE words SET uses = uses - 1 WHERE word = ?", (word,))
        if connection.execute("DELETE FROM words WHERE word = ? AND uses <= 0", (word,)).rowcount:
            connection.executemany(
                "DELETE FROM word_variants WHERE variant = ? AND word = ?", [(v, word) for v in words.variants(word)]
            )


@dataclass
class Term:
    """One query word: its stem, what else may stand for it, its rarity, what it can add to a score."""

    word: str
    stem: str
    frequency: int
    alternatives: dict[str, str] = field(default_factory=dict)
    """Word -> stem of what was found by prefix or typing error; only where the word itself is not in the scope."""
    alternatives_frequency: int = 0

    @property
    def known(self) -> bool:
        return self.frequency > 0 or bool(self.alternatives)

    @property
    def postings(self) -> int:
        return self.frequency or self.alternatives_frequency

    def expression(self) -> str:
        return " OR ".join(f'"{word}"' for word in ([self.word] if self.frequency else self.alternatives))


@dataclass(frozen=True)
class Query:
    """A planned query: what to ask the index, and how to weigh what comes back."""

    expression: str
    terms: tuple[Term, ...]
    total: int

    def scores(self, marked: list[str]) -> list[float]:
        """BM25 of each candidate as a share (0..1) of a memory in which every query word occurs twice.

        `marked` are the candidates' texts with the found words between U+0002 and U+0003.
        """
        if not marked:
            return []
        lengths = [text.count(" ") + 1 for text in marked]
        average = sum(lengths) / len(lengths)
        weights = [self._rarity(term) for term in self.terms]
        ideal = TWICE * sum(w * (1.0 if t.known else UNKNOWN_WEIGHT) for w, t in zip(weights, self.terms, strict=True))
        return [
            min(1.0, self._score(text, 1 - B + B * length / average, weights) / ideal) if ideal else 0.0
            for text, length in zip(marked, lengths, strict=True)
        ]

    def _score(self, text: str, length_factor: float, weights: list[float]) -> float:
        found: dict[str, int] = {}
        for passage in _MARKED.findall(text):
            for word in words.words_of(passage):
                found[words.stem(word)] = found.get(words.stem(word), 0) + 1
        total = 0.0
        for weight, term in zip(weights, self.terms, strict=True):
            count = found.get(term.stem, 0)
            factor = 1.0
            if not count and term.alternatives:
                count, factor = sum(found.get(stem, 0) for stem in set(term.alternatives.values())), TOLERANT_WEIGHT
            total += weight * factor * count * (K1 + 1) / (count + K1 * length_factor)
        return total

    def _rarity(self, term: Term) -> float:
        """BM25's inverse document frequency, in the form that stays positive in a store of one memory."""
        return math.log(
            1 + (self.total - min(term.postings, self.total) + 0.5) / (min(term.postings, self.total) + 0.5)
        )


def plan(connection: sqlite3.Connection, text: str, scope: list[list[tuple[str, str]]]) -> Query | None:
    """How to ask the index for a text inside a scope (`filters.required_entities`). None when nothing can match."""
    total = connection.execute("SELECT coalesce(max(row), 0) FROM memories").fetchone()[0]
    narrow = _narrow_scope(connection, scope)
    terms = [_term(connection, word, narrow) for word in words.content_words(text)[:MAX_QUERY_WORDS]]
    asked = [term for term in terms if term.known]
    if not asked or not total:
        return None
    if narrow is None:
        asked.sort(key=lambda term: term.postings)
        while len(asked) > 1 and sum(term.postings for term in asked) > MAX_POSTINGS:
            asked.pop()
        terms = [term for term in terms if term in asked or not term.known]
    expression = f"memory : ({' OR '.join(term.expression() for term in asked)})"
    return Query(f"{narrow} AND {expression}" if narrow else expression, tuple(terms), total)


def _narrow_scope(connection: sqlite3.Connection, scope: list[list[tuple[str, str]]]) -> str | None:
    """The smallest of the groups as an index expression, or None when even that one is wide."""
    best: tuple[int, str] | None = None
    for group in scope:
        tokens = [scope_token(name, value) for name, value in group[:MAX_EXPANSIONS]]
        size = sum(_frequency(connection, words.stem(token)) for token in tokens)
        if len(group) <= MAX_EXPANSIONS and (best is None or size < best[0]):
            best = (size, "scope : (" + " OR ".join(f'"{token}"' for token in tokens) + ")")
    return best[1] if best and best[0] <= NARROW_SCOPE else None


def _term(connection: sqlite3.Connection, word: str, narrow: str | None) -> Term:
    term = Term(word, words.stem(word), _frequency(connection, words.stem(word)))
    if term.frequency and narrow and not _occurs(connection, f'{narrow} AND memory : "{word}"'):
        term.frequency = 0
    if not term.frequency:
        for other in _resembling(connection, word):
            stem = words.stem(other)
            if stem in term.alternatives.values():
                continue
            if narrow is None or _occurs(connection, f'{narrow} AND memory : "{other}"'):
                term.alternatives[other] = stem
                term.alternatives_frequency += _frequency(connection, stem)
    return term


def _frequency(connection: sqlite3.Connection, stem: str) -> int:
    found = connection.execute("SELECT doc FROM memory_terms WHERE term = ?", (stem,)).fetchone()
    return int(found[0]) if found else 0


def _occurs(connection: sqlite3.Connection, expression: str) -> bool:
    sql = "SELECT 1 FROM memory_index WHERE memory_index MATCH ? LIMIT 1"
    return connection.execute(sql, (expression,)).fetchone() is not None


def _resembling(connection: sqlite3.Connection, word: str) -> list[str]:
    """Known words that begin with this one, then those a typing error away, the commonest first."""
    if len(word) < 3:
        return []
    begin = connection.execute(
        "SELECT word FROM words WHERE word > ? AND word < ? ORDER BY uses DESC LIMIT ?",
        (word, word + "\U0010ffff", MAX_EXPANSIONS),
    ).fetchall()
    found = [row[0] for row in begin]
    if len(word) >= 4 and word.isalpha():
        limit = 1 if len(word) < 8 else 2
        probes = tuple(words.variants(word))
        near = connection.execute(
            "SELECT DISTINCT w.word, w.uses FROM word_variants v JOIN words w ON w.word = v.word "  # noqa: S608
            f"WHERE v.variant IN ({','.join('?' * len(probes))}) ORDER BY w.uses DESC LIMIT 100",
            probes,
        ).fetchall()
        found += [row[0] for row in near if words.distance(word, row[0], limit) <= limit]
    return list(dict.fromkeys(found))[:MAX_EXPANSIONS]
