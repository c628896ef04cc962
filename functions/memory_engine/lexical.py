"""The word index over memories: kept in step with every change, asked for candidates with their BM25 score.

Inside a narrow scope (one user, say) the index is read for that scope only, and rarity is rarity in the scope. Across
a wide one rarity is that of the whole store, and the commonest words of a long query are left out.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from . import filters, words

_SCOPE_PREFIX = {"user_id": "u", "agent_id": "a", "app_id": "p", "run_id": "r"}

MAX_QUERY_WORDS = 32
"""Words of a query that count, the first ones: a pasted page must not become a scan of everything."""
NARROW_SCOPE = 20_000
"""Memories in a scope up to which the index is asked inside that scope only."""
MAX_SCOPE_TOKENS = 16
"""Entity ids of one `in` condition that are asked of the index; more are left to SQL."""
MAX_POSTINGS = 12_000
"""Matches FTS5 may have to rank for one wide query (about 2 microseconds each and word). Past it the commonest words
are left out, as stop words are; when one word alone is past it, the newest matches are taken unranked."""
K1, B = 1.2, 0.75
"""BM25's saturation and length constants, at Robertson's usual values (FTS5 uses the same)."""
TWICE = 2 * (K1 + 1) / (2 + K1)
"""The saturated weight of a word that occurs twice in a memory of average length: counts as a full match."""
TOLERANT_WEIGHT = 0.8
"""What a word found by its beginning or in spite of a typing error counts, against the word itself."""
UNKNOWN_WEIGHT = 0.5
"""What a query word that occurs nowhere in the scope takes away, against one that does occur."""
MIN_PREFIX = 3
MIN_CORRECTED = 4
"""Letters a word needs to be completed, and to be corrected."""
MAX_CORRECTIONS = 16

_MARKED = re.compile("\x02([^\x03]*)\x03")


def scope_token(entity_field: str, entity_id: str) -> str:
    """The token that stands for one entity in the index's scope column (the view `memory_text` makes the same)."""
    return f"{_SCOPE_PREFIX[entity_field]}{entity_id.encode().hex()}x"


# Keeping the index


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
    new = spelled - known
    connection.executemany("INSERT INTO words VALUES (?)", [(word,) for word in new])
    connection.executemany(
        "INSERT OR IGNORE INTO word_variants VALUES (?, ?)", [(v, word) for word in new for v in words.variants(word)]
    )


def remove(connection: sqlite3.Connection, row: int, memory: str) -> None:
    """Take a memory's words out, before its row changes or goes. A word that occurs nowhere else is forgotten."""
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


# Asking it


@dataclass(frozen=True)
class Candidate:
    """`bm25` is a share (0..1) of a memory in which every query word occurs twice. `names` are the query words that
    the memory writes as names."""

    row: int
    created_at: int
    bm25: float
    names: frozenset[str]


@dataclass
class _Term:
    """One query word: its rarity counts come from the scope or from the store."""

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
    """One row of the index: how often each stem was found in it, and which query words it writes as names."""

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
    """The memories that meet the condition and share words with the text: at most `limit`, the best by BM25 if more.

    `scope` is `filters.required_entities` of the condition. `tolerant` also meets beginnings and typing errors.
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
    """Ask for the words as they are; then, for those that were not met, for words like them."""
    scope, size = narrow
    ranked = size > limit
    found = {item.row: item for item in _ask(connection, terms, scope, condition, limit, ranked=ranked)}
    _count(terms, found.values())
    missing = [term for term in terms if not term.frequency and tolerant]
    for term in missing:
        _tolerate(connection, term)
    if any(term.prefix or term.corrections for term in missing):
        for item in _ask(connection, missing, scope, condition, limit, ranked=ranked):
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
    asked = sorted(terms, key=lambda term: term.frequency)
    while len(asked) > 1 and sum(term.frequency for term in asked) > MAX_POSTINGS:
        asked.pop()
    ranked = sum(term.frequency for term in asked) <= MAX_POSTINGS
    terms[:] = [term for term in terms if term in asked]
    found = _ask(connection, asked, None, condition, limit, ranked=ranked)
    total = connection.execute("SELECT coalesce(max(row), 0) FROM memories").fetchone()[0]
    return found, total


def _ask(
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
    """A capital at the beginning of a sentence makes no name."""
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
    """BM25's inverse document frequency, in the form that stays positive in a store of one memory."""
    frequency = min(frequency, total)
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))


def _count(terms: Iterable[_Term], found: Iterable[_Found]) -> None:
    items = list(found)
    for term in terms:
        term.frequency = sum(
            1 for item in items if term.stem in item.stems or any(term.stands_for(stem) for stem in item.stems)
        )


def _narrow_scope(connection: sqlite3.Connection, scope: list[list[tuple[str, str]]]) -> tuple[str, int] | None:
    """The smallest group as an index expression, with its number of memories; None when even that one is wide."""
    best: tuple[str, int] | None = None
    for group in scope:
        if len(group) > MAX_SCOPE_TOKENS:
            continue
        tokens = [scope_token(name, value) for name, value in group]
        size = sum(_frequency(connection, words.stem(token)) for token in tokens)
        if best is None or size < best[1]:
            best = ("scope : (" + " OR ".join(f'"{token}"' for token in tokens) + ")", size)
    return best if best and best[1] <= NARROW_SCOPE else None


def _frequency(connection: sqlite3.Connection, stem: str) -> int:
    found = connection.execute("SELECT doc FROM memory_terms WHERE term = ?", (stem,)).fetchone()
    return int(found[0]) if found else 0


def _tolerate(connection: sqlite3.Connection, term: _Term) -> None:
    """Let the term also stand for words that begin with it, and for known words a typing error away."""
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
