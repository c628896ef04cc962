"""Retrieval keeps its measured figures. `make bench-search` prints them, and with a path those of LoCoMo."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.memory_engine import words
from functions.memory_engine.engine import Engine
from functions.memory_engine.settings import EngineSettings
from functions.memory_engine.storage import opening
from tests.memory_engine.conftest import Bench
from tests.memory_engine.search import measure

RECORDED = {
    **dict.fromkeys(("German", "French", "Spanish", "Portuguese", "Turkish", "Polish", "Vietnamese", "Czech"), 1.0),
    **dict.fromkeys(("Russian", "Greek", "Chinese", "Japanese", "Korean", "Thai", "Hebrew", "Persian", "Hindi"), 1.0),
    **{"Ukrainian": 0.83, "Arabic": 0.91, "Forms and signs": 1.0},
}
"""Recall@5 and MRR@10 of each set on 2026-11-25; neither may fall below. Raise a figure when the engine betters it."""
CASES = json.loads((Path(__file__).parents[1] / "cases.json").read_text("utf-8"))


@pytest.mark.parametrize(("title", "one"), measure.read("multilingual.json"))
def test_every_language_keeps_its_figures(title: str, one: measure.Set) -> None:
    engine = Engine(EngineSettings())
    found = measure.searched(engine, [one])
    engine.close()
    missed = [question.text for question, places in zip(one.questions, found, strict=True) if 1 not in places]
    assert measure.recall(found, one.questions, 5) >= RECORDED[title], missed
    assert measure.mrr(found) >= RECORDED[title], missed


def test_everyday_paraphrases_keep_their_figures() -> None:
    one = measure.paraphrases()
    engine = Engine(EngineSettings())
    found = measure.searched(engine, [one])
    engine.close()
    assert len(one.questions) == 100
    assert measure.hits(found) >= 0.81
    assert measure.mrr(found) >= 0.64


@pytest.mark.parametrize(
    "case", CASES["searches_that_found_nothing_or_the_wrong_memory"], ids=lambda case: f"{case['query']}-{case['want']}"
)
def test_what_the_field_did_not_find_is_found(memory: Bench, case: dict[str, str]) -> None:
    if case["want"] is None:
        memory.remember("The regex is ^foo(bar)*$", "O'Brien's rule: 'DROP TABLE memories;--'")
        assert memory.search(case["query"])[0]["memory"] != "O'Brien's rule: 'DROP TABLE memories;--'"
        return
    wanted = {"house": "We bought a house.", "run": "I run every day.", "+49 170": "Call +49 170 1234567."}
    text = wanted.get(case["want"], f"This is about {case['want']} 나.")
    memory.remember("path C:\\Users\\ann\\notes.txt", "snake_case_name is set", text)
    assert memory.search(case["query"])[0]["memory"] == text


def test_the_newer_of_two_facts_that_match_alike_ranks_first(memory: Bench) -> None:
    for text in ("I live in Berlin near the river.", "I live in Porto near the sea now."):
        memory.remember(text)
        memory.clock.forward(days=30)
    assert [hit["memory"][:15] for hit in memory.search("Where do I live?")] == ["I live in Porto", "I live in Berli"]


def test_a_replaced_memory_ranks_after_the_one_that_replaced_it(memory: Bench) -> None:
    old, new = memory.remember("I live in Berlin, in Berlin Mitte.", "I moved away from Berlin to a town by the sea.")
    assert memory.search("Berlin")[0]["id"] == old
    memory.call("PUT", f"/v1/memories/{old}/", {"replaced_by": new})
    assert [hit["id"] for hit in memory.search("Berlin")] == [new, old]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_the_index_holds_exactly_the_terms_of_the_analyzer(text: str) -> None:
    """SQLite only cuts at the spaces: what scoring reads and what a query asks for are the same terms."""
    connection = opening.in_memory()
    terms = words.index_terms(text)
    connection.execute("INSERT INTO memory_index VALUES (?, '')", (" ".join(terms),))
    stored = [row[0] for row in connection.execute("SELECT term FROM memory_terms")]
    connection.close()
    assert sorted(stored) == sorted(set(terms))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_text_finds_itself_in_every_form(text: str) -> None:
    for form in (text.upper(), text.lower()):
        asked = {word.term for word in words.content_words(form)}
        if asked and words.fold(form) == words.fold(text):
            assert asked & set(words.index_terms(text))


def test_a_word_index_of_an_older_version_is_made_again(file: Path) -> None:
    engine = Engine(EngineSettings(path=file))
    engine.close()
    earlier = sqlite3.connect(file)
    earlier.executescript(
        "DROP TABLE memory_terms; DROP TABLE memory_index; DROP TABLE words;"
        "DROP TABLE vectors; DROP TABLE vector_codes;"
        "CREATE TABLE vectors (row INTEGER PRIMARY KEY, model TEXT NOT NULL, vector BLOB NOT NULL);"
        "CREATE VIEW memory_text AS SELECT row, memory, '' AS scope FROM memories;"
        "CREATE VIRTUAL TABLE memory_index USING fts5(memory, scope, content='memory_text', content_rowid='row');"
        "CREATE VIRTUAL TABLE memory_terms USING fts5vocab(memory_index, 'row'); CREATE TABLE words (word TEXT);"
        "INSERT INTO memories (id, memory, hash, user_id, created_at, updated_at)"
        " VALUES ('x', 'Likes tea', x'00', 'user-0', 1, 1); PRAGMA user_version = 1;"
    )
    earlier.close()
    engine = Engine(EngineSettings(path=file))
    found = measure.searched(engine, [measure.Set({"x": "Likes tea"}, [measure.Question("tea", ("x",))])])
    with engine.core.database.read() as connection:
        assert connection.execute("SELECT count(*) FROM vector_codes").fetchone()[0] == 0
    engine.close()
    assert found == [[1]]
