"""The corrected call: the caller's own values, placeholders for what is missing, checked before it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway import arguments as argument_rules
from functions.gateway import corrected
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import PreparedTool, prepare
from tests.gateway.calling import MEM0
from tool_catalog.catalog import Tool

ID = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"
OWN = {"user_id": "u"}
SAID = [{"role": "user", "content": "x"}]
PLACEHOLDER = re.compile(r"<[^<>]+>")


def correction(name: str, arguments: Json, **pins: str) -> Json:
    prepared = prepare(MEM0.tools[name], ServerConfig(pins=pins))
    text = corrected.arguments(prepared, arguments, lambda given: bool(rules(prepared, given)) and not pins)
    return None if text is None else json.loads(text)


def rules(prepared: PreparedTool, arguments: Mapping[str, Json]) -> list[str]:
    return argument_rules.check_record_rules(prepared, arguments)


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("mem_0_memories_search", {"query": "x", "user_id": "u"}, {"query": "x", "filters": OWN}),
        ("mem_0_memories_search", {"query": "x"}, {"query": "x", "filters": {"user_id": "<user_id>"}}),
        ("mem_0_memories_search", {"filters": OWN}, {"filters": OWN, "query": "<query>"}),
        ("mem_0_memories_search", {"qery": "x", "filters": OWN}, {"filters": OWN, "query": "x"}),
        (
            "mem_0_memories_search",
            {"query": "x", "filters": {"user": "u"}},
            {"query": "x", "filters": {"user_id": "u"}},
        ),
        (
            "mem_0_memories_search",
            {"query": "x", "filters": {"user_id": 7}},
            {"query": "x", "filters": {"user_id": "7"}},
        ),
        (
            "mem_0_memories_search",
            {"query": "x", "filters": OWN, "top_k": 5_000},
            {"query": "x", "filters": OWN, "top_k": 1_000},
        ),
        (
            "mem_0_memories_search",
            {"query": "x", "filters": OWN, "threshold": "high"},
            {"query": "x", "filters": OWN, "threshold": "<threshold>"},
        ),
        (
            "mem_0_memories_search",
            {"query": "x", "filters": OWN, "categories": "travel, food"},
            {"query": "x", "filters": OWN, "categories": ["travel", "food"]},
        ),
        (
            "mem_0_memories_search",
            {"query": "x", "filters": {"AND": [OWN, {"created_at": {"$gte": "2026-01-01"}}]}},
            {"query": "x", "filters": {"AND": [OWN, {"created_at": {"gte": "2026-01-01"}}]}},
        ),
        (
            "list_all_mem_0_memories",
            {"filters": OWN, "start_date": "2026-01-01T10:00:00Z"},
            {"filters": OWN, "start_date": "2026-01-01"},
        ),
        (
            "create_a_mem_0_memory",
            {"messages": "I like tea."},
            {"messages": [{"role": "user", "content": "I like tea."}], "user_id": "<user_id>"},
        ),
        ("create_a_mem_0_memory", {"messages": SAID}, {"messages": SAID, "user_id": "<user_id>"}),
        ("create_a_mem_0_memory", {"messages": SAID, "filters": OWN}, {"messages": SAID, "user_id": "u"}),
        (
            "create_a_mem_0_memory",
            {"messages": [{"role": "usr", "content": "x"}], "user_id": "u"},
            {"messages": SAID, "user_id": "u"},
        ),
        ("mem_0_memories_get_context", {"query": "x", "filters": OWN, "fields": "id"}, {"query": "x", "filters": OWN}),
        (
            "mem_0_memories_search",
            {"query": "x", "filters": {"user_id": "u", "topic": "y"}},
            {"query": "x", "filters": {"user_id": "u", "metadata": {"topic": "y"}}},
        ),
        (
            "list_all_mem_0_memories",
            {"filters": {"NOT": [OWN]}},
            {"filters": {"NOT": [OWN], "user_id": "<user_id>"}},
        ),
        (
            "list_all_mem_0_memories",
            {"filters": {"user_id": "u", "AND": [{"run_id": "a"}], "OR": [{"run_id": "b"}]}},
            {"filters": {"user_id": "u", "AND": [{"run_id": "a"}, {"OR": [{"run_id": "b"}]}]}},
        ),
        ("get_single_mem_0_event_by_id", {"id": "evt_1"}, {"id": "<id>"}),
        ("delete_a_mem_0_memory_by_id", {"memory_id": ID}, {"id": ID}),
        ("mem_0_memories_bulk_delete_by_filter", OWN, {"filters": OWN}),
        (
            "mem_0_memories_feedback",
            {"memory_id": ID, "feedback": "good"},
            {"memory_id": ID, "feedback": "<POSITIVE | NEGATIVE | VERY_NEGATIVE>"},
        ),
    ],
)
def test_the_corrected_call_keeps_the_callers_values(name: str, wrong: Json, right: Json) -> None:
    assert correction(name, wrong) == right


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mem_0_memories_search", {"query": "x" * 2_000}),  # too long to be read
        ("mem_0_memories_bulk_delete_by_filter", {"filters": OWN, "category": "y"}),  # more would be deleted
        ("list_all_mem_0_memories", {"filters": OWN, "topic": "y"}),  # more would be listed
        ("mem_0_memories_search", {"query": float("nan")}),
    ],
)
def test_where_the_intention_is_unknown_there_is_no_correction(name: str, wrong: Json) -> None:
    assert correction(name, wrong) is None


def test_a_pinned_id_is_left_to_the_server() -> None:
    assert correction("mem_0_memories_search", {"query": "x", "user_id": "u"}, user_id="u") == {"query": "x"}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", "2026-01-01", "u"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["user_id", "in", "x"]), inner),
    max_leaves=4,
)
NAMES = sorted({name for tool in MEM0.tools.values() for name in tool.definition["inputSchema"]["properties"]})


@given(st.sampled_from(list(MEM0.tools.values())), st.dictionaries(st.sampled_from([*NAMES, "x"]), ANY, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_corrected_call_is_valid_but_for_its_placeholders(entry: Tool, arguments: Json) -> None:
    prepared = prepare(entry, ServerConfig())
    text = corrected.arguments(prepared, arguments, lambda given: bool(rules(prepared, given)))
    if text is None:
        return
    for error in jsonschema.Draft202012Validator(prepared.accepted).iter_errors(json.loads(text)):
        assert PLACEHOLDER.search(json.dumps(error.instance)), (arguments, text, error.message)
