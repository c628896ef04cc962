"""Search by words: the candidates of a query from the word index, with their BM25 score.

Inside a narrow scope (e.g. one user) the index is read for that scope only, and a word's rarity is its rarity in the
scope. Across a wide scope the rarity is that of the whole store, and the commonest words of a long query are left out.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from functions.memory_engine import words
from functions.memory_engine.search import filters
from functions.memory_engine.storage import word_index

MAX_QUERY_WORDS = 32
"""Words of a query that count, the first ones, so that a pasted page does not scan everything."""
NARROW_SCOPE = 20_000
"""Memories in a scope up to which the index is read inside that scope only."""
MAX_SCOPE_TOKENS = 16
"""Entity ids of one `in` condition that the index can narrow by; SQL handles longer lists."""
MAX_POSTINGS = 12_000
"""Matches that FTS5 may rank for one wide query (about 2 microseconds for each match and word). Beyond this number the
commonest words are left out. If a single word has more matches, the newest ones are taken unranked."""
K1, B = 1.2, 0.75
"""BM25's saturation and length constants, at Robertson's usual values (FTS5 uses the same)."""
TWICE = 2 * (K1 + 1) / (2 + K1)
"""The saturated weight of a word that occurs twice in a memory of average length. It counts as a full match."""
TOLERANT_WEIGHT = 0.8
"""The weight of a word matched by its beginning or by a correction; an exact match weighs 1."""
UNKNOWN_WEIGHT = 0.5
"""The share of its weight by which a query word that the scope lacks lowers the score."""
MIN_PREFIX = 3
MIN_CORRECTED = 4
"""Letters that a word needs to be completed, and to be corrected."""
MAX_CORRECTIONS = 16

_MARKED = re.compile("\x02([^\x03]*)\x03")


@dataclass(frozen=True)
class Candidate:
    """`bm25` is the score as a share (0..1) of the score of a memory that holds every query word twice. `names` are the
    query words that the memory writes as names."""

    row: int
    created_at: int
    bm25: float
    names: frozenset[str]


@dataclass
class _Term:
    """One query word. `frequency` is the number of memories that hold it, in the scope or in the whole store."""

    word: str
    stem: str
    frequency: int = 0
    prefix: bool = False
    corrections: tuple[str, ...] = ()
    corrected_stems: frozenset[str] = frozenset()

    def expression(self) -> str:
        exact = f'"{self.word}"'
        others = [f'"{word}"' for word in self.corrections]
        return " OR ".join([exact + " *" if self.prefix else exact, *others])

    def stands_for(self, stem: str) -> bool:
        return stem in self.corrected_stems or (self.prefix and stem.startswith(self.stem))


@dataclass(frozen=True)
class _Found:
    """One matching row: how often it holds each stem, and which query words it writes as names."""

    row: int
    created_at: int
    length: int
    stems: dict[str, int]
    names: frozenset[str]


def candidates(
    connection: sqlite3.Connection,
    text: str,
    scope: list[list[tuple[str, str]]],
    condition: filters.Sql,
    limit: int,
    *,
    tolerant: bool = True,
) -> list[Candidate]:
    """The memories that meet the condition and share words with the text: at most `limit`, the best by BM25.

    `scope` is `filters.required_entities` of the condition. `tolerant` also matches beginnings and typing errors.
    """
    terms = [_Term(word, words.stem(word)) for word in words.content_words(text)[:MAX_QUERY_WORDS]]
    narrow = _narrow_scope(connection, scope)
    if narrow is None:
        found, total = _wide(connection, terms, condition, limit, tolerant=tolerant)
    else:
        found, total = _narrow(connection, terms, narrow, condition, limit, tolerant=tolerant)
    return _scored(terms, found, total)


def _narrow(
    connection: sqlite3.Connection,
    terms: list[_Term],
    narrow: tuple[str, int],
    condition: filters.Sql,
    limit: int,
    *,
    tolerant: bool,
) -> tuple[list[_Found], int]:
    """Search for the exact words first, and then for words similar to those that did not match."""
    scope, size = narrow
    ranked = size > limit
    found = {item.row: item for item in _matches(connection, terms, scope, condition, limit, ranked=ranked)}
    _count(terms, found.values())
    missing = [term for term in terms if not term.frequency and tolerant]
    for term in missing:
        _tolerate(connection, term)
    if any(term.prefix or term.corrections for term in missing):
        for item in _matches(connection, missing, scope, condition, limit, ranked=ranked):
            known = found.get(item.row)
            merged = {**item.stems, **known.stems} if known else item.stems
            names = item.names | known.names if known else item.names
            found[item.row] = _Found(item.row, item.created_at, item.length, merged, names)
        _count(missing, found.values())
    return list(found.values()), size


def _wide(
    connection: sqlite3.Connection, terms: list[_Term], condition: filters.Sql, limit: int, *, tolerant: bool
) -> tuple[list[_Found], int]:
    for term in terms:
        term.frequency = _frequency(connection, term.stem)
        if not term.frequency and tolerant:
            _tolerate(connection, term)
            term.frequency = sum(_frequency(connection, stem) for stem in term.corrected_stems)
    searched = sorted(terms, key=lambda term: term.frequency)
    while len(searched) > 1 and sum(term.frequency for term in searched) > MAX_POSTINGS:
        searched.pop()
    ranked = sum(term.frequency for term in searched) <= MAX_POSTINGS
    terms[:] = [term for term in terms if term in searched]
    found = _matches(connection, searched, None, condition, limit, ranked=ranked)
    total = connection.execute("SELECT coalesce(max(row), 0) FROM memories").fetchone()[0]
    return found, total


def _matches(
    connection: sqlite3.Connection,
    terms: list[_Term],
    scope: str | None,
    condition: filters.Sql,
    limit: int,
    *,
    ranked: bool,
) -> list[_Found]:
    if not terms:
        return []
    expression = f"memory : ({' OR '.join(term.expression() for term in terms)})"
    where, values = condition
    order = "memory_index.rank" if ranked else "memory_index.rowid DESC"
    rows = connection.execute(
        "SELECT m.row, m.created_at, highlight(memory_index, 0, char(2), char(3))"  # noqa: S608 - condition is compiled
        " FROM memory_index JOIN memories m ON m.row = memory_index.rowid"
        f" WHERE memory_index MATCH ? AND ({where}) ORDER BY {order} LIMIT ?",
        [f"{scope} AND {expression}" if scope else expression, *values, limit],
    )
    return [_read(row, created_at, marked) for row, created_at, marked in rows]


def _read(row: int, created_at: int, marked: str) -> _Found:
    stems: dict[str, int] = {}
    names: set[str] = set()
    for match in _MARKED.finditer(marked):
        passage = match[1]
        for word in words.words_of(passage):
            stem = words.stem(word)
            stems[stem] = stems.get(stem, 0) + 1
        if passage[:1].isupper() and not _begins_sentence(marked, match.start()):
            names.update(words.stem(word) for word in words.words_of(passage))
    return _Found(row, created_at, marked.count(" ") + 1, stems, frozenset(names))


def _begins_sentence(text: str, position: int) -> bool:
    """A capital letter at the beginning of a sentence does not mark a name."""
    before = text[max(0, position - 3) : position].rstrip(" \x02\x03\"'([\n")
    return position < 2 or before == "" or before[-1] in ".!?:"


def _scored(terms: list[_Term], found: list[_Found], total: int) -> list[Candidate]:
    if not found:
        return []
    average = sum(item.length for item in found) / len(found)
    weighted = [(term, _rarity(term.frequency, total)) for term in terms]
    ideal = TWICE * sum(weight * (1.0 if term.frequency else UNKNOWN_WEIGHT) for term, weight in weighted)
    scored = []
    for item in found:
        factor = 1 - B + B * item.length / average
        score = sum(weight * _gain(term, item, factor) for term, weight in weighted)
        scored.append(Candidate(item.row, item.created_at, min(1.0, score / ideal), item.names))
    return scored


def _gain(term: _Term, item: _Found, length_factor: float) -> float:
    count, share = item.stems.get(term.stem, 0), 1.0
    if not count and (term.prefix or term.corrected_stems):
        count, share = sum(n for stem, n in item.stems.items() if term.stands_for(stem)), TOLERANT_WEIGHT
    return share * count * (K1 + 1) / (count + K1 * length_factor) if count else 0.0


def _rarity(frequency: int, total: int) -> float:
    """BM25's inverse document frequency, in the form that is positive even in a store of one memory."""
    frequency = min(frequency, total)
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))


def _count(terms: Iterable[_Term], found: Iterable[_Found]) -> None:
    items = list(found)
    for term in terms:
        term.frequency = sum(
            1 for item in items if term.stem in item.stems or any(term.stands_for(stem) for stem in item.stems)
        )


def _narrow_scope(connection: sqlite3.Connection, scope: list[list[tuple[str, str]]]) -> tuple[str, int] | None:
    """The smallest group as an index expression, with its number of memories. None when that group is wide too."""
    best: tuple[str, int] | None = None
    for group in scope:
        if len(group) > MAX_SCOPE_TOKENS:
            continue
        tokens = [word_index.scope_token(name, value) for name, value in group]
        size = sum(_frequency(connection, words.stem(token)) for token in tokens)
        if best is None or size < best[1]:
            best = ("scope : (" + " OR ".join(f'"{token}"' for token in tokens) + ")", size)
    return best if best and best[1] <= NARROW_SCOPE else None


def _frequency(connection: sqlite3.Connection, stem: str) -> int:
    found = connection.execute("SELECT doc FROM memory_terms WHERE term = ?", (stem,)).fetchone()
    return int(found[0]) if found else 0


def _tolerate(connection: sqlite3.Connection, term: _Term) -> None:
    """Let the term also match words that begin with it, and known words that differ by a typing error."""
    term.prefix = len(term.word) >= MIN_PREFIX
    if len(term.word) < MIN_CORRECTED or not term.word.isalpha():
        return
    limit = 1 if len(term.word) < 8 else 2
    probes = tuple(words.variants(term.word))
    rows = connection.execute(
        f"SELECT DISTINCT word FROM word_variants WHERE variant IN ({','.join('?' * len(probes))})",  # noqa: S608
        probes,
    )
    near = sorted((words.distance(term.word, row[0], limit), row[0]) for row in rows)
    term.corrections = tuple(word for edits, word in near if edits <= limit)[:MAX_CORRECTIONS]
    term.corrected_stems = frozenset(words.stem(word) for word in term.corrections)
