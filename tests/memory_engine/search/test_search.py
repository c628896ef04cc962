"""Search: which memories come, in which order, with which score."""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory_engine.conftest import Bench, bench


def _found(memory: Bench, query: str, filters: Any = None, **options: Any) -> list[str]:
    return [item["memory"] for item in memory.search(query, filters, **options)]


def test_a_store_of_one_memory_finds_it(memory: Bench) -> None:
    memory.remember("I love pizza")
    (hit,) = memory.search("pizza")
    assert 0.1 < hit["score"] <= 1
    assert hit["score_breakdown"] == {"semantic": None, "bm25": hit["score_breakdown"]["bm25"], "entity": 0.0}


def test_a_result_has_exactly_the_documented_fields_and_says_run_id(memory: Bench) -> None:
    memory.remember("I love pizza", run_id="r1", user_id="alice")
    (hit,) = memory.search("pizza")
    assert hit["run_id"] == "r1"
    assert set(hit) == {
        *("id", "memory", "user_id", "agent_id", "app_id", "run_id", "score", "score_breakdown", "expiration_date"),
        *("metadata", "categories", "created_at", "updated_at"),
    }


def test_words_are_met_in_other_forms(memory: Bench) -> None:
    memory.remember("She runs every morning", "He repaired two bicycles", "Un café à Paris")
    assert _found(memory, "running") == ["She runs every morning"]
    assert _found(memory, "repair bicycle") == ["He repaired two bicycles"]
    assert _found(memory, "CAFE") == ["Un café à Paris"]


@pytest.mark.parametrize("query", ["biccyle", "bicycel", "becycle", "bicyc", "bicycleq"])
def test_typing_errors_and_beginnings_are_forgiven_at_a_lower_score(memory: Bench, query: str) -> None:
    memory.remember("He repaired the bicycle", "She reads novels")
    (hit,) = memory.search(query)
    (exact,) = memory.search("bicycle")
    assert hit["memory"] == exact["memory"] == "He repaired the bicycle"
    assert hit["score"] < exact["score"]


def test_a_word_that_is_known_is_not_corrected(memory: Bench) -> None:
    memory.remember("The cart is full", "The card is lost")
    assert _found(memory, "card") == ["The card is lost"]


def test_a_forgotten_word_is_no_longer_suggested(memory: Bench) -> None:
    (memory_id,) = memory.remember("The password hint is marmalade")
    memory.call("DELETE", f"/v1/memories/{memory_id}/")
    with memory.engine.core.database.read() as connection:
        assert connection.execute("SELECT count(*) FROM words").fetchone()[0] == 0
        assert connection.execute("SELECT count(*) FROM word_variants").fetchone()[0] == 0


def test_scripts_without_spaces_are_searchable(memory: Bench) -> None:
    memory.remember("私は東京に住んでいます", "我喜欢喝茶")
    assert _found(memory, "東京") == ["私は東京に住んでいます"]
    assert _found(memory, "喝茶") == ["我喜欢喝茶"]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Die Straße nach Köln", "STRASSE köln"),
        ("Die Straße nach Köln", "straße"),
        ("저는 서울에 살아요", "서울에"),
        ("がんばる人が好き", "が"),
        ("Живёт в Москве", "москве"),
        ("L'été à Nîmes", "ete nimes"),
        ("İzmir'de yaşıyor", "izmir"),
        ("मुझे हिन्दी पसंद है", "हिन्दी"),
        ("e\u0301cole", "école"),
    ],
)
def test_letters_of_many_scripts_are_met(memory: Bench, text: str, query: str) -> None:
    memory.remember(text)
    assert _found(memory, query) == [text]


def test_old_search_events_go_and_the_count_stays(memory: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.memory_engine.work.events.KEPT_SEARCHES", 30)
    for _ in range(100):
        memory.search("tea")
    memory.engine.core.database.write(lambda connection: None)
    assert memory.call("GET", "/v1/events/?event_type=SEARCH")["count"] == 30
    assert memory.call("GET", "/v1/stats/")["total_retrieval_events"] == 100


def test_rarer_and_more_words_score_higher(memory: Bench) -> None:
    memory.remember(*[f"The team met on day {n}" for n in range(20)], "The team met the sponsor")
    hits = memory.search("team sponsor", top_k=3, threshold=0)
    assert hits[0]["memory"] == "The team met the sponsor"
    assert hits[0]["score"] > 2 * hits[1]["score"]


def test_a_name_in_the_query_lifts_the_memories_that_name_it(memory: Bench) -> None:
    memory.remember("We met with Anna in the park", "He sat in the park reading")
    hits = memory.search("anna park")
    assert hits[0]["memory"] == "We met with Anna in the park"
    assert hits[0]["score_breakdown"]["entity"] == 1.0
    assert hits[1]["score_breakdown"]["entity"] == 0.0


def test_threshold_cuts_and_zero_fills_up(memory: Bench) -> None:
    memory.remember("Likes green tea", "Plays chess")
    assert _found(memory, "tea", threshold=0.99) == []
    assert _found(memory, "tea", threshold=0.0) == ["Likes green tea", "Plays chess"]
    assert memory.search("tea", threshold=0.0)[1]["score"] == 0.0


def test_top_k_bounds_the_answer_and_scores_fall(memory: Bench) -> None:
    memory.remember(*[f"tea {'and milk ' * n}" for n in range(1, 30)])
    hits = memory.search("tea", top_k=7, threshold=0)
    assert len(hits) == 7
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert len(memory.search("tea", threshold=0)) == 10


def test_another_users_memories_never_come_and_filters_hold(memory: Bench) -> None:
    memory.remember("tea with alice", user_id="alice", metadata={"k": 1})
    memory.remember("tea with bob", user_id="bob")
    memory.remember("tea with alice again", user_id="alice", metadata={"k": 2}, timestamp=0)
    assert _found(memory, "tea", {"user_id": "bob"}) == ["tea with bob"]
    assert _found(memory, "tea", {"user_id": "alice", "metadata": {"k": 1}}) == ["tea with alice"]
    assert _found(memory, "tea", {"user_id": "alice", "NOT": {"metadata": {"k": 1}}}) == ["tea with alice again"]
    assert _found(memory, "tea", metadata={"k": 2}) == ["tea with alice again"]
    assert _found(memory, "tea", categories=["nothing"]) == []


def test_an_update_is_searchable_at_once_and_the_old_text_is_gone(memory: Bench) -> None:
    (memory_id,) = memory.remember("Drives a lorry")
    memory.call("PUT", f"/v1/memories/{memory_id}/", {"text": "Flies a glider"})
    assert _found(memory, "glider") == ["Flies a glider"]
    assert _found(memory, "lorry") == []


def test_a_wide_scope_is_searched_whole(memory: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.remember(*[f"common word number{n}" for n in range(50)], "common rareword here", app_id="app")
    narrow = memory.search("common rareword", {"app_id": "app"}, top_k=2)
    monkeypatch.setattr("functions.memory_engine.search.lexical.NARROW_SCOPE", 0)
    wide = memory.search("common rareword", {"app_id": "app"}, top_k=2)
    assert [hit["memory"] for hit in wide] == [hit["memory"] for hit in narrow]
    assert wide[0]["memory"] == "common rareword here"
    assert _found(memory, "rareworp", {"app_id": "app"}) == ["common rareword here"]
    monkeypatch.setattr("functions.memory_engine.search.lexical.MAX_POSTINGS", 10)
    assert _found(memory, "common rareword", {"app_id": "app"}) == ["common rareword here"]
    assert len(_found(memory, "common", {"app_id": "app"}, top_k=30, threshold=0)) == 30


def test_fields_narrow_what_comes_back(memory: Bench) -> None:
    memory.remember("Likes tea")
    (hit,) = memory.search("tea", fields=["memory", "score"])
    assert set(hit) == {"id", "memory", "score"}


def test_search_is_made_as_of_the_reference_date(memory: Bench) -> None:
    memory.remember("Parks in lot nine", expiration_date="2026-11-19")
    assert _found(memory, "parking lot") == []
    assert _found(memory, "parking lot", reference_date="2026-11-19") == ["Parks in lot nine"]
    assert _found(memory, "parking lot", reference_date=1_700_000_000) == ["Parks in lot nine"]
    assert _found(memory, "parking lot", show_expired=True) == ["Parks in lot nine"]


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({"query": ""}, {"query": ["This field may not be blank."]}),
        ({"query": None}, {"query": ["This field is required."]}),
        ({"query": 7}, {"query": ["Not a valid string."]}),
        ({"top_k": 0}, {"top_k": ["Give a whole number from 1 to 1000."]}),
        ({"top_k": 1001}, {"top_k": ["Give a whole number from 1 to 1000."]}),
        ({"top_k": 2.5}, {"top_k": ["Give a whole number from 1 to 1000."]}),
        ({"threshold": 1.5}, {"threshold": ["Give a number from 0.0 to 1.0."]}),
        ({"threshold": True}, {"threshold": ["Give a number from 0.0 to 1.0."]}),
        (
            {"reference_date": "soon"},
            {"reference_date": ["Give Unix seconds, a YYYY-MM-DD date or an ISO 8601 date-time."]},
        ),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(memory: Bench, change: Any, body: Any) -> None:
    request = {"query": "tea", "filters": {"user_id": "alice"}, **change}
    assert memory.call("POST", "/v3/memories/search/", request, 400) == body


@pytest.mark.parametrize(
    "query", ['"', "tea AND", "NEAR(", "*", "memory:tea", "-tea", "scope : x", "\x00", "🙂", "a" * 5000]
)
def test_no_query_text_is_syntax(memory: Bench, query: str) -> None:
    memory.remember("Likes tea")
    assert isinstance(memory.search(query), list)


def test_a_search_is_recorded_as_an_event_without_texts() -> None:
    with bench() as memory:
        memory.remember("Likes tea")
        hits = memory.search("tea")
        memory.engine.core.database.write(lambda connection: None)
        (event,) = memory.call("GET", "/v1/events/?event_type=SEARCH")["results"]
        assert event["status"] == "SUCCEEDED"
        assert event["results"] == [{"id": hits[0]["id"], "score": hits[0]["score"]}]
        stats = memory.call("GET", "/v1/stats/")
        assert (stats["total_memories"], stats["total_retrieval_events"], stats["total_add_events"]) == (1, 1, 1)
        assert (stats["total_users_with_memories"], stats["memories_per_user"]) == (1, 1)


def test_the_older_searches_answer_in_their_own_shapes(memory: Bench) -> None:
    memory.remember("Likes tea", run_id="r1", user_id="alice")
    (v2,) = memory.call("POST", "/v2/memories/search/", {"query": "tea", "filters": {"OR": [{"user_id": "alice"}]}})
    assert v2["session_id"] == "r1"
    assert "score_breakdown" not in v2
    (v1,) = memory.call("POST", "/v1/memories/search/", {"query": "tea", "user_id": "alice"})
    assert v1["memory"] == "Likes tea"
    wrapped = memory.call("POST", "/v1/memories/search/", {"query": "tea", "user_id": "alice", "output_format": "v1.1"})
    assert wrapped == {"results": [v1], "relations": []}
    assert memory.call("POST", "/v1/memories/search/", {"query": "tea"}, 400) == {
        "message": "At least one of the filters: agent_id, user_id, app_id, run_id is required!"
    }
