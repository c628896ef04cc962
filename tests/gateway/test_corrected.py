"""The corrected call: the caller's own values, placeholders for what is missing, checked before it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway import arguments as argument_rules
from functions.gateway import corrected
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import PreparedTool, prepare
from tests.gateway.calling import MEM0, tool
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


@pytest.mark.slow
@given(st.sampled_from(list(MEM0.tools.values())), st.dictionaries(st.sampled_from([*NAMES, "x"]), ANY, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_corrected_call_is_valid_but_for_its_placeholders(entry: Tool, arguments: Json) -> None:
    prepared = prepare(entry, ServerConfig())
    text = corrected.arguments(prepared, arguments, lambda given: bool(rules(prepared, given)))
    if text is None:
        return
    for error in jsonschema.Draft202012Validator(prepared.accepted).iter_errors(json.loads(text)):
        assert PLACEHOLDER.search(json.dumps(error.instance)), (arguments, text, error.message)


TEXT: Json = {"type": "string"}
COLOURS: Json = {"enum": ["red", "dark_blue", "blue"]}


def corrected_of(
    properties: Mapping[str, Json],
    wrong: Json,
    example: Mapping[str, Json] | None = None,
    refused: Callable[[Mapping[str, Json]], bool] = lambda _: False,
) -> Json:
    """The correction for a tool of these arguments."""
    entry = replace(tool(properties=properties), example=example or {})
    text = corrected.arguments(prepare(entry, ServerConfig()), wrong, refused)
    return None if text is None else json.loads(text)


@pytest.mark.parametrize(
    ("schema", "wrong", "right"),
    [
        ({"const": "card"}, "cash", "card"),
        (COLOURS, ["red"], "red"),
        (COLOURS, 7, "<red | dark_blue | blue>"),
        (COLOURS, "Dark Blue", "dark_blue"),
        (COLOURS, "redd", "red"),
        ({"type": "array", "items": COLOURS}, ["red, blue"], ["red", "blue"]),
        ({"type": "array", "items": COLOURS}, ["green, red"], ["<red | dark_blue | blue>"]),
        ({"type": "object", "properties": {"eq": TEXT, "ne": TEXT}}, "x", {"eq": "x"}),
        ({"type": "object", "properties": {"in": {"type": "array"}}}, "x", {"in": ["x"]}),
        ({"type": "object", "properties": {"in": {"type": "array"}}}, ["x", "y"], {"in": ["x", "y"]}),
        ({"type": "object", "properties": {"eq": TEXT, "ne": TEXT}}, ["x", "y"], "<a>"),
        ({"type": "boolean"}, "yes", True),
        ({"type": "object", "properties": {"x": TEXT, "y": TEXT}, "required": ["x", "y"]}, "v", "<a>"),
        ({"type": "object", "properties": {"x": TEXT, "n": {}}, "required": ["x"]}, "v", {"x": "v"}),
        (TEXT, ["x", "y"], "x,y"),
        (TEXT, {"value": "x"}, "x"),
        ({"type": "string", "format": "date-time"}, "2026-01-01", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_value_takes_the_form_that_its_schema_asks_for(schema: Json, wrong: Json, right: Json) -> None:
    assert corrected_of({"a": schema}, {"a": wrong}) == {"a": right}


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ({"type": "integer", "multipleOf": 5}, 7),
        ({"type": "string", "maxLength": 3}, "long"),
        ({"type": "object", "minProperties": 1}, {}),  # the example has nothing to put in
        ({"type": "array", "items": TEXT}, list(range(corrected.MAX_MISTAKES + 1))),
    ],
)
def test_what_has_no_form_that_fits_is_not_corrected(schema: Json, wrong: Json) -> None:
    assert corrected_of({"a": schema}, {"a": wrong}) is None


def test_as_many_mistakes_as_the_limit_allows_are_corrected() -> None:
    numbers = list(range(corrected.MAX_MISTAKES))
    assert corrected_of({"a": {"type": "array", "items": TEXT}}, {"a": numbers}) == {"a": [str(n) for n in numbers]}


@pytest.mark.parametrize("name", ["created_gte", "created[gte]", "createdGte"])
def test_a_condition_in_a_name_goes_into_its_object(name: str) -> None:
    bounds = {"type": "object", "properties": {"gte": TEXT, "lt": TEXT}, "additionalProperties": False}
    wrong = {"created": {"lt": "2027-01-01"}, name: "2026-01-01"}
    assert corrected_of({"created": bounds}, wrong) == {"created": {"lt": "2027-01-01", "gte": "2026-01-01"}}


def test_a_member_that_must_be_given_and_is_described_nowhere_is_a_placeholder() -> None:
    assert corrected_of({"a": {"type": "object", "required": ["x"]}}, {"a": {}}) == {"a": {"x": "<x>"}}


def test_an_object_that_needs_a_member_gets_those_of_the_example() -> None:
    schema = {"type": "object", "minProperties": 1, "properties": {"q": TEXT}}
    assert corrected_of({"a": schema}, {"a": {}}, {"a": {"q": "tea"}}) == {"a": {"q": "<q>"}}


def test_of_the_example_only_arguments_that_the_server_takes_are_put_in() -> None:
    example = {"withheld": "x", "q": "tea"}
    assert corrected_of({"q": TEXT}, {}, example, lambda given: "q" not in given) == {"q": "<q>"}
    assert corrected_of({"q": TEXT}, {}, example, lambda given: "withheld" not in given) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": "x", "user_id": "u", "filters": {"user_id": "v"}},  # two values for one condition
        {"query": "x", "filters": {"user_id": "u", "order_id": "y"}},  # an entity of another kind
    ],
)
def test_a_condition_that_may_mean_another_entity_is_not_corrected(wrong: Json) -> None:
    assert correction("mem_0_memories_search", wrong) is None
