"""The filter grammar at the HTTP surface: what it means, and what it says when it means nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory_engine.conftest import Bench

ALLOWED = (
    "['AND', 'OR', 'NOT', 'user_id', 'agent_id', 'app_id', 'run_id', 'created_at', 'updated_at', 'timestamp', "
    "'expiration_date', 'text', 'categories', 'metadata', 'keywords_search', 'memory_ids', 'keywords']"
)
SCOPE = (
    "filters must include at least one positively-scoped entity ID (user_id, agent_id, app_id, or run_id). "
    "Wildcards and NOT-only entity references do not count as scoped."
)
REQUIRED = (
    "Filters are required and cannot be empty. Please refer to "
    "https://docs.mem0.ai/api-reference/memory/search-memories"
)


@pytest.fixture(name="stored")
def _stored(memory: Bench) -> Bench:
    """Four memories: alice's, alice's with the bot, bob's, and the bot's own."""
    memory.remember("Tea", user_id="alice", metadata={"n": 1, "tag": "a", "list": ["x", 2]}, app_id="app")
    memory.remember(
        "Coffee", user_id="alice", agent_id="bot", metadata={"n": 2.5, "ok": True}, timestamp=0, app_id="app"
    )
    memory.remember("WATER", user_id="bob", run_id="r1", expiration_date="2030-01-02", app_id="app")
    memory.remember("Milk with honey", agent_id="bot", metadata={"tag": None}, app_id="app")
    return memory


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"user_id": "alice"}, {"Tea", "Coffee"}),
        ({"user_id": {"eq": "alice"}, "agent_id": "*"}, {"Coffee"}),
        ({"user_id": {"in": ["alice", "bob"]}}, {"Tea", "Coffee", "WATER"}),
        ({"OR": [{"user_id": "bob"}, {"agent_id": "bot"}]}, {"Coffee", "WATER", "Milk with honey"}),
        ({"app_id": "app", "agent_id": {"ne": "bot"}}, {"Tea", "WATER"}),
        ({"app_id": "app", "NOT": {"agent_id": "bot"}}, {"Tea", "WATER"}),
        ({"app_id": "app", "NOT": [{"agent_id": "bot"}, {"user_id": "bob"}]}, {"Tea"}),
        ({"app_id": "app", "agent_id": {"ne": "*"}}, {"Tea", "WATER"}),
        ({"AND": [{"app_id": "app"}], "OR": [{"user_id": "bob"}]}, {"Tea", "Coffee", "WATER", "Milk with honey"}),
        ({"app_id": "app", "metadata": {"n": 1}}, {"Tea"}),
        ({"app_id": "app", "metadata": {"n": 2.5, "ok": True}}, {"Coffee"}),
        ({"app_id": "app", "metadata": {"ok": 1}}, set()),
        ({"app_id": "app", "metadata": {"tag": {"ne": "a"}}}, {"Coffee", "WATER", "Milk with honey"}),
        ({"app_id": "app", "metadata": {"tag": "*"}}, {"Tea"}),
        ({"app_id": "app", "metadata": {"tag": None}}, {"Coffee", "WATER", "Milk with honey"}),
        ({"app_id": "app", "metadata": {"list": {"contains": "x"}}}, {"Tea"}),
        ({"app_id": "app", "metadata": {"list": {"contains": 2}}}, {"Tea"}),
        ({"app_id": "app", "metadata": {"tag": {"contains": "a"}}}, {"Tea"}),
        ({"app_id": "app", "created_at": {"lt": "1970-01-02"}}, {"Coffee"}),
        ({"app_id": "app", "created_at": "1970-01-01T00:00:00Z"}, {"Coffee"}),
        ({"app_id": "app", "timestamp": {"lte": 0}}, {"Coffee"}),
        ({"app_id": "app", "created_at": {"gte": "1970-01-01T01:00:00+01:00", "lte": "1970-01-01"}}, {"Coffee"}),
        ({"app_id": "app", "expiration_date": {"gt": "2030-01-01"}}, {"WATER"}),
        ({"app_id": "app", "expiration_date": {"ne": "2030-01-02"}}, {"Tea", "Coffee", "Milk with honey"}),
        ({"app_id": "app", "keywords": {"contains": "water"}}, set()),
        ({"app_id": "app", "keywords": {"icontains": "water"}}, {"WATER"}),
        ({"app_id": "app", "text": {"contains": "HONEY"}}, {"Milk with honey"}),
        ({"app_id": "app", "keywords_search": "honey milk"}, {"Milk with honey"}),
    ],
)
def test_a_filter_selects_exactly_what_it_says(stored: Bench, filters: Any, expected: set[str]) -> None:
    assert set(stored.texts(filters)) == expected


def test_memory_ids_and_categories_select(memory: Bench) -> None:
    pizza, trip = memory.remember("Pizza for dinner", "A flight to Rome")
    assert memory.texts({"user_id": "alice", "memory_ids": [pizza]}) == ["Pizza for dinner"]
    assert memory.texts(
        {"user_id": "alice", "memory_ids": {"in": [pizza, trip]}, "categories": {"in": ["travel"]}}
    ) == ["A flight to Rome"]
    assert memory.texts({"user_id": "alice", "categories": {"contains": "FOO"}}) == ["Pizza for dinner"]
    assert memory.texts({"user_id": "alice", "categories": "*", "NOT": {"categories": {"in": ["food"]}}}) == [
        "A flight to Rome"
    ]


@pytest.mark.parametrize(
    ("filters", "body"),
    [
        (None, {"error": REQUIRED}),
        ({}, {"error": REQUIRED}),
        ({"topic": "x"}, {"filters": [f"Top-level key must be a logical operator or an allowed field: {ALLOWED}"]}),
        ({"user_id": "*"}, {"error": SCOPE}),
        ({"NOT": {"user_id": "alice"}}, {"error": SCOPE}),
        ({"user_id": {"ne": "alice"}}, {"error": SCOPE}),
        ({"user_id": {"in": []}}, {"error": SCOPE}),
        ({"categories": {"in": ["food"]}}, {"error": SCOPE}),
        ({"AND": [{"categories": {"in": ["food"]}}], "OR": [{"user_id": "alice"}]}, {"error": SCOPE}),
        (
            {"user_id": {"nin": ["a"]}},
            {
                "filters": [
                    "Unsupported operator 'nin' for field 'user_id'. Supported operators: eq, ne, in. For 'not in' use "
                    "{'NOT': {'user_id': {'in': [...]}}}"
                ]
            },
        ),
        (
            {"user_id": "a", "created_at": {">=": "2026-01-01"}},
            {
                "filters": [
                    "Unsupported operator '>=' for field 'created_at'. Supported operators: gt, gte, lt, lte, ne, in"
                ]
            },
        ),
        (
            {"user_id": "a", "created_at": {"eq": "2026-01-01"}},
            {
                "filters": [
                    "Unsupported operator 'eq' for field 'created_at'. Supported operators: gt, gte, lt, lte, ne, in. "
                    "For equality give the bare value: {'created_at': '2026-01-31'}"
                ]
            },
        ),
        (
            {"user_id": "a", "created_at": {"gte": "yesterday"}},
            {
                "filters": [
                    "created_at takes an ISO 8601 date, e.g. '2026-01-31' or '2026-01-31T12:00:00Z', not 'yesterday'"
                ]
            },
        ),
        (
            {"user_id": "a", "metadata": {"k": {"in": [1]}}},
            {
                "filters": [
                    "Unsupported operator 'in' for metadata key 'k'. Supported operators: eq, ne, contains. "
                    "For several values use an OR of equality clauses"
                ]
            },
        ),
        (
            {"user_id": "a", "metadata": {"k": [1]}},
            {
                "filters": [
                    "metadata key 'k' takes a string, number, true, false or null, not [1]; "
                    "for several values use an OR of equality clauses"
                ]
            },
        ),
        (
            {"user_id": "a", "categories": "food"},
            {"filters": ["categories takes an operator: {'in': ['food']} or {'contains': 'food'}"]},
        ),
        (
            {"user_id": "a", "categories": {"ne": "food"}},
            {"filters": ["Unsupported operator 'ne' for field 'categories'. Supported operators: in, contains"]},
        ),
        (
            {"user_id": "a", "keywords": "x"},
            {"filters": ["keywords takes an operator: {'contains': 'Word'} or {'icontains': 'word'}"]},
        ),
        ({"user_id": 7}, {"filters": ["field 'user_id' takes a string, not 7"]}),
        ({"user_id": {"in": "a"}}, {"filters": ["'in' for field 'user_id' takes a list, not 'a'"]}),
        ({"user_id": {}}, {"filters": ["field 'user_id' has no operator. Supported operators: eq, ne, in"]}),
        (
            {"AND": {"user_id": "a"}},
            {"filters": ["AND must be a non-empty list of filter objects, not {'user_id': 'a'}"]},
        ),
        ({"OR": []}, {"filters": ["OR must be a non-empty list of filter objects, not []"]}),
        ({"NOT": []}, {"filters": ["NOT must be a filter object or a non-empty list of them, not []"]}),
        (
            {"AND": ["alice"]},
            {"filters": ["Each filter must be a non-empty object, e.g. {'user_id': 'alice'}, not 'alice'"]},
        ),
    ],
)
@pytest.mark.parametrize("path", ["/v3/memories/", "/v3/memories/search/"])
def test_a_filter_that_means_nothing_is_refused_with_the_reason(
    memory: Bench, path: str, filters: Any, body: Any
) -> None:
    assert memory.call("POST", path, {"query": "q", "filters": filters}, 400) == body


def test_an_or_of_scopes_counts_as_scoped(memory: Bench) -> None:
    memory.remember("Tea", user_id="alice")
    assert memory.texts({"OR": [{"user_id": "alice"}, {"agent_id": "*"}]}) == ["Tea"]


@pytest.mark.parametrize("operation", ["search", "get_all"])
def test_top_level_entity_ids_are_refused_in_v3(memory: Bench, operation: str) -> None:
    path = "/v3/memories/search/" if operation == "search" else "/v3/memories/"
    answer = memory.call("POST", path, {"query": "q", "user_id": "alice"}, 400)
    assert answer == {
        "error": f"Top-level entity parameters {{'user_id'}} are not supported in {operation}(). "
        "Use filters={'user_id': '...'} instead."
    }


def test_keywords_in_search_fail_as_at_mem0_but_with_a_reason(memory: Bench) -> None:
    body = {"query": "q", "filters": {"user_id": "alice", "keywords": {"contains": "x"}}}
    assert memory.call("POST", "/v3/memories/search/", body, 500) == {
        "error": "The 'keywords' filter works in list only, not in search; use it with list"
    }


def test_sql_in_a_filter_is_only_text(stored: Bench) -> None:
    hostile = "'; DROP TABLE memories; --"
    for filters in (
        {"user_id": hostile},
        {"user_id": "alice", "metadata": {hostile: hostile}},
        {"user_id": "alice", "keywords": {"icontains": hostile}},
        {"user_id": "alice", "categories": {"in": [hostile]}},
    ):
        assert stored.texts(filters) == []
    assert set(stored.texts()) == {"Tea", "Coffee"}


def test_nesting_and_size_are_bounded(memory: Bench) -> None:
    deep: Any = {"user_id": "alice"}
    for _ in range(40):
        deep = {"AND": [deep]}
    answer = memory.call("POST", "/v3/memories/", {"filters": deep}, 400)
    assert answer == {"filters": ["Filters are nested deeper than 32 levels; flatten them"]}
    wide = {"AND": [{"user_id": "alice"}] * 1001}
    answer = memory.call("POST", "/v3/memories/", {"filters": wide}, 400)
    assert answer == {"filters": ["Filters hold more than 1000 conditions; narrow them or use 'in'"]}
    fits = {"OR": [{"user_id": f"user-{number}"} for number in range(1000)]}
    assert memory.call("POST", "/v3/memories/", {"filters": fits})["count"] == 0
    listed = {"AND": [{"user_id": {"in": ["a"] * 5_001}}, {"agent_id": {"in": ["a"] * 5_000}}]}
    answer = memory.call("POST", "/v3/memories/", {"filters": listed}, 400)
    assert answer == {"filters": ["The 'in' lists of the filters hold more than 10000 values; narrow them"]}
    many = {"user_id": {"in": [f"user-{number}" for number in range(10_000)]}}
    assert memory.call("POST", "/v3/memories/search/", {"query": "tea", "filters": many})["results"] == []
