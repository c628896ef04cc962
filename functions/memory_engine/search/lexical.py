"""Search by words: the candidates of a query from the word index, with their BM25 score.

Inside a narrow scope (e.g. one user) the index is read for that scope only, and a word's rarity is its rarity in the
scope. Across a wide scope the rarity is that of the whole store, and the commonest words of a long query are left out.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

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
WIDE_CANDIDATES = 200
"""Memories of a wide search that are scored. Each one is read from another place of the file, which takes the time."""
MIN_SCOPE = 20
"""Memories that a scope counts at least: in a smaller one, how many hold a word says little about its rarity."""

# Measured on LoCoMo; docs/benchmarks.md has the table.
K1, B = 0.8, 0.25
"""BM25's saturation and length constants."""
TWICE = 2 * (K1 + 1) / (2 + K1)
"""The saturated weight of a word that occurs twice in a memory of average length. It counts as a full match."""
SYNONYM_WEIGHT = 0.5
"""The weight of a synonym; an exact match weighs 1."""
TOLERANT_WEIGHT = 0.8
"""The weight of a word matched by its beginning or by a correction."""
WEAK_WEIGHT = 0.3
"""The weight of a weak word (words.py) in a query that has other words too."""
UNKNOWN_WEIGHT = 0.2
"""The share of its weight by which a query word that the scope lacks lowers the score."""
MIN_PREFIX = 3
MIN_CORRECTED = 4
"""Letters that a word needs to be completed, and to be corrected. A word of three may only have a letter doubled."""
MAX_CORRECTIONS = 16


@dataclass(frozen=True)
class Candidate:
    """`bm25` is the score as a share (0..1) of the score of a memory that holds every query word twice."""

    row: int
    created_at: int
    bm25: float


@dataclass
class _Form:
    """One thing that stands for a query word: an index term, or the beginning of one. `frequency` counts memories."""

    term: str
    share: float
    prefix: bool = False
    frequency: int = 0

    def expression(self) -> str:
        return f'"{self.term}" *' if self.prefix else f'"{self.term}"'


@dataclass
class _Concept:
    """One query word with the forms that occur, itself first. `weight` is lower for a weak word."""

    word: words.Word
    weight: float
    forms: list[_Form]

    @property
    def frequency(self) -> int:
        return sum(form.frequency for form in self.forms)


@dataclass(frozen=True)
class _Match:
    row: int
    created_at: int
    terms: list[str]


def candidates(
    connection: sqlite3.Connection,
    text: str,
    scope: list[list[tuple[str, str]]],
    condition: filters.Sql,
    limit: int,
) -> list[Candidate]:
    """The memories that meet the condition and share words with the text: at most `limit`, the best by BM25.

    `scope` is `filters.required_entities` of the condition. Synonyms match too, and for a word that the scope lacks
    words that begin with it or differ by a typing error.
    """
    concepts = _concepts(text)
    narrow = narrow_scope(connection, scope)
    if narrow is not None and narrow[1] <= limit:
        found = _all_matches(connection, concepts, narrow[0], condition, limit)
        return _scored(concepts, found, max(narrow[1], MIN_SCOPE))
    if narrow is None:
        within = None
        total = connection.execute("SELECT coalesce(max(row), 0) FROM memories").fetchone()[0]
    else:
        within, total = narrow
    for concept in concepts:
        _keep_occurring(connection, concept, within)
        if not concept.forms:
            concept.forms = _tolerated(connection, concept.word.spelled)
            _keep_occurring(connection, concept, within)
    asked, ranked = [concept for concept in concepts if concept.forms], True
    if narrow is None:
        asked, concepts, ranked = _affordable(asked, concepts)
        limit = max(WIDE_CANDIDATES, limit * 2 // 3)
    found = _matches(connection, asked, within, condition, limit, ranked=ranked)
    return _scored(concepts, found, total)


def _concepts(text: str) -> list[_Concept]:
    found = words.content_words(text)[:MAX_QUERY_WORDS]
    alone = all(word.weak for word in found)
    return [
        _Concept(
            word,
            WEAK_WEIGHT if word.weak and not alone else 1.0,
            [_Form(word.term, 1.0), *(_Form(term, SYNONYM_WEIGHT) for term in _synonyms().get(word.term, ()))],
        )
        for word in found
    ]


@lru_cache(maxsize=1)
def _synonyms() -> Mapping[str, tuple[str, ...]]:
    """Index term -> the terms of the groups it is in."""
    found: dict[str, dict[str, None]] = {}
    for line in resources.files(__package__).joinpath("synonyms.txt").read_text("utf-8").splitlines():
        terms = [] if line.startswith("#") else list(dict.fromkeys(words.stem(word) for word in line.split()))
        for term in terms:
            found.setdefault(term, {}).update(dict.fromkeys(other for other in terms if other != term))
    return {term: tuple(others) for term, others in found.items()}


def _all_matches(
    connection: sqlite3.Connection, concepts: list[_Concept], scope: str, condition: filters.Sql, limit: int
) -> list[_Match]:
    """Every match in a scope of at most `limit` memories. The forms are counted in the matches themselves."""
    found = _matches(connection, concepts, scope, condition, limit, ranked=False)
    missing = [concept for concept in concepts if not _counted(concept, found)]
    for concept in missing:
        concept.forms = _tolerated(connection, concept.word.spelled)
    missing = [concept for concept in missing if concept.forms]
    if missing:
        known = {match.row for match in found}
        more = _matches(connection, missing, scope, condition, limit, ranked=False)
        found += [match for match in more if match.row not in known]
        for concept in missing:
            _counted(concept, found)
    return found


def _counted(concept: _Concept, found: list[_Match]) -> bool:
    """Count each form in the matches and drop the forms without any. Returns whether one is left."""
    for form in concept.forms:
        form.frequency = sum(
            any(term.startswith(form.term) for term in match.terms) if form.prefix else form.term in match.terms
            for match in found
        )
    concept.forms = [form for form in concept.forms if form.frequency]
    return bool(concept.forms)


def _keep_occurring(connection: sqlite3.Connection, concept: _Concept, scope: str | None) -> None:
    """Count the memories of each form, in a narrow scope or in the whole store, and drop the forms without any."""
    for form in concept.forms:
        if not form.prefix:
            found = connection.execute("SELECT doc FROM memory_terms WHERE term = ?", (form.term,)).fetchone()
            form.frequency = int(found[0]) if found else 0
        if form.prefix or (form.frequency and scope):
            expression = f"memory : ({form.expression()})" + (f" AND {scope}" if scope else "")
            counted = "SELECT count(*) FROM memory_index WHERE memory_index MATCH ?"
            form.frequency = int(connection.execute(counted, (expression,)).fetchone()[0])
    concept.forms = [form for form in concept.forms if form.frequency]


def _affordable(asked: list[_Concept], concepts: list[_Concept]) -> tuple[list[_Concept], list[_Concept], bool]:
    """The concepts of a wide search that FTS5 can rank, all concepts that still count, and whether it can rank them."""
    asked = sorted(asked, key=lambda concept: concept.frequency)
    while len(asked) > 1 and sum(concept.frequency for concept in asked) > MAX_POSTINGS:
        concepts = [concept for concept in concepts if concept is not asked[-1]]
        asked.pop()
    return asked, concepts, sum(concept.frequency for concept in asked) <= MAX_POSTINGS


def _matches(
    connection: sqlite3.Connection,
    concepts: list[_Concept],
    scope: str | None,
    condition: filters.Sql,
    limit: int,
    *,
    ranked: bool,
) -> list[_Match]:
    if not concepts:
        return []
    expression = f"memory : ({' OR '.join(form.expression() for concept in concepts for form in concept.forms)})"
    where, values = condition
    order = "memory_index.rank" if ranked else "memory_index.rowid DESC"
    rows = connection.execute(
        "SELECT m.row, m.created_at, memory_index.memory"  # noqa: S608 - condition is compiled
        " FROM memory_index JOIN memories m ON m.row = memory_index.rowid"
        " WHERE memory_index MATCH ? AND rank MATCH 'bm25(1.0, 0.0)'"
        f" AND ({where}) ORDER BY {order} LIMIT ?",
        [f"{scope} AND {expression}" if scope else expression, *values, limit],
    )
    return [_Match(row, created_at, terms.split(" ")) for row, created_at, terms in rows]


def _scored(concepts: list[_Concept], found: list[_Match], total: int) -> list[Candidate]:
    if not found:
        return []
    ideal = 0.0
    gains: dict[str, list[tuple[int, float]]] = {}
    prefixes: list[tuple[str, int, float]] = []
    for place, concept in enumerate(concepts):
        if not concept.forms:
            ideal += concept.weight * UNKNOWN_WEIGHT * _rarity(0, total)
            continue
        rarities = [concept.weight * _rarity(form.frequency, total) for form in concept.forms]
        ideal += rarities[0] if concept.forms[0].share == 1.0 else max(rarities)
        for form, rarity in zip(concept.forms, rarities, strict=True):
            if form.prefix:
                prefixes.append((form.term, place, form.share * rarity))
            else:
                gains.setdefault(form.term, []).append((place, form.share * rarity))
    average = sum(len(match.terms) for match in found) / len(found)
    scored = []
    for match in found:
        damping = K1 * (1 - B + B * len(match.terms) / average)
        best = [0.0] * len(concepts)
        for term in gains.keys() & match.terms:
            count = match.terms.count(term)
            saturated = count * (K1 + 1) / (count + damping)
            for place, gain in gains[term]:
                best[place] = max(best[place], gain * saturated)
        for prefix, place, gain in prefixes:
            count = sum(term.startswith(prefix) for term in match.terms)
            best[place] = max(best[place], gain * count * (K1 + 1) / (count + damping))
        scored.append(Candidate(match.row, match.created_at, min(1.0, sum(best) / (TWICE * ideal))))
    return scored


def _rarity(frequency: int, total: int) -> float:
    """BM25's inverse document frequency, in the form that is positive even in a store of one memory."""
    frequency = min(frequency, total)
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))


def narrow_scope(connection: sqlite3.Connection, scope: list[list[tuple[str, str]]]) -> tuple[str, int] | None:
    """The smallest group as an index expression, with its number of memories. None when that group is wide too."""
    best: tuple[str, int] | None = None
    for group in scope:
        if len(group) > MAX_SCOPE_TOKENS:
            continue
        tokens = [word_index.scope_token(name, value) for name, value in group]
        marks = ",".join("?" * len(tokens))
        counted = f"SELECT coalesce(sum(doc), 0) FROM memory_terms WHERE term IN ({marks})"  # noqa: S608
        size = int(connection.execute(counted, tokens).fetchone()[0])
        if best is None or size < best[1]:
            best = ("scope : (" + " OR ".join(f'"{token}"' for token in tokens) + ")", size)
    return best if best and best[1] <= NARROW_SCOPE else None


def _tolerated(connection: sqlite3.Connection, spelled: str) -> list[_Form]:
    """Words that begin with a word, and known words that differ from it by a typing error."""
    if len(spelled) < MIN_PREFIX or not spelled.isalpha():
        return []
    limit = 1 if len(spelled) < 8 else 2
    probes = tuple(words.variants(spelled))
    rows = connection.execute(
        "SELECT DISTINCT word, term FROM word_variants JOIN words USING (word)"  # noqa: S608 - marks
        f" WHERE variant IN ({','.join('?' * len(probes))})",
        probes,
    )
    near = sorted((words.distance(spelled, word, limit), word, term) for word, term in rows)
    if len(spelled) < MIN_CORRECTED:
        near = [item for item in near if words.undoubled(item[1]) == words.undoubled(spelled)]
    corrected = dict.fromkeys(term for edits, _, term in near if edits <= limit)
    return [
        _Form(spelled, TOLERANT_WEIGHT, prefix=True),
        *(_Form(term, TOLERANT_WEIGHT) for term in list(corrected)[:MAX_CORRECTIONS]),
    ]
