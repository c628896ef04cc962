"""What has one reading is put right and said; what has two, and what a destructive tool destroys, stays as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway import arguments as argument_rules
from functions.gateway import pins, settle
from functions.gateway.errors import OutsidePins
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import prepare
from tests.gateway.calling import MEM0, tool
from tool_catalog.catalog import NoPin, Pin, PinArguments, PinFilter, Tool
from tool_catalog.request_template import Pagination, Parameter

SEARCH, LIST, CREATE, GET, DELETE, BULK_DELETE, FEEDBACK = (
    MEM0.tools[name]
    for name in (
        "mem_0_memories_search",
        "list_all_mem_0_memories",
        "create_a_mem_0_memory",
        "get_single_mem_0_memory_by_id",
        "delete_a_mem_0_memory_by_id",
        "mem_0_memories_bulk_delete_by_filter",
        "mem_0_memories_feedback",
    )
)
ID = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"
FILTERS = {"user_id": "u"}
MESSAGES = [{"role": "user", "content": "x"}]
TYPES = ("string", "integer", "number", "null", "boolean", "array", "object")


def settled(entry: Tool, arguments: Json, **pinned: str) -> settle.Settled:
    return settle.arguments(prepare(entry, ServerConfig(pins=pinned)), arguments)


@pytest.mark.parametrize(
    ("entry", "arguments", "put_right", "note"),
    [
        (
            SEARCH,
            {"query": "x", "filters": json.dumps(FILTERS)},
            {"query": "x", "filters": FILTERS},
            '"filters" was text; it is sent as an object',
        ),
        (
            SEARCH,
            {"query": "x", "filters": FILTERS, "top_k": "5"},
            {"query": "x", "filters": FILTERS, "top_k": 5},
            '"top_k" was text; it is sent as an integer',
        ),
        (
            SEARCH,
            {"query": "x", "filters": FILTERS, "threshold": " 0.5 "},
            {"query": "x", "filters": FILTERS, "threshold": 0.5},
            '"threshold" was text; it is sent as a number',
        ),
        (
            SEARCH,
            {"query": "x", "filters": FILTERS, "rerank": "True"},
            {"query": "x", "filters": FILTERS, "rerank": True},
            '"rerank" was text; it is sent as a boolean',
        ),
        (
            SEARCH,
            {"query": "x", "filters": FILTERS, "top_k": None},
            {"query": "x", "filters": FILTERS},
            '"top_k" was null; it is left out',
        ),
        (
            SEARCH,
            {"query": "x", "filters": FILTERS, "categories": "travel"},
            {"query": "x", "filters": FILTERS, "categories": ["travel"]},
            '"categories" was one value; it is sent as an array',
        ),
        (
            SEARCH,
            {"query": "x", "filters": FILTERS, "limit": 7},
            {"query": "x", "filters": FILTERS, "top_k": 7},
            '"limit" is called "top_k" here',
        ),
        (
            LIST,
            {"filters": FILTERS, "page_size": 7},
            {"filters": FILTERS, "limit": 7},
            '"page_size" is called "limit" here',
        ),
        (
            LIST,
            {"filters": FILTERS, "next_cursor": ""},
            {"filters": FILTERS},
            '"next_cursor" was empty; it is left out',
        ),
        (
            LIST,
            {"filters": FILTERS, "cursor": "1.0.2"},
            {"filters": FILTERS, "next_cursor": "1.0.2"},
            '"cursor" is called "next_cursor" here',
        ),
        (
            CREATE,
            {"messages": MESSAGES, "userId": "u"},
            {"messages": MESSAGES, "user_id": "u"},
            '"userId" is called "user_id" here',
        ),
        (
            CREATE,
            {"messages": MESSAGES, "user-id": "u"},
            {"messages": MESSAGES, "user_id": "u"},
            '"user-id" is called "user_id" here',
        ),
        (
            CREATE,
            {"messages": MESSAGES[0], "user_id": "u"},
            {"messages": MESSAGES, "user_id": "u"},
            '"messages" was one value; it is sent as an array',
        ),
        (
            CREATE,
            {"messages": [{"role": "USER", "content": "x"}], "user_id": "u"},
            {"messages": MESSAGES, "user_id": "u"},
            '"messages[0].role" was "USER"; it is sent as "user"',
        ),
        (GET, {"memory_id": ID}, {"id": ID}, '"memory_id" is called "id" here'),
        (
            GET,
            {"arguments": {"id": ID}},
            {"id": ID},
            'the arguments stood under "arguments"; its members are the arguments',
        ),
        (
            FEEDBACK,
            {"memory_id": ID, "feedback": "positive"},
            {"memory_id": ID, "feedback": "POSITIVE"},
            '"feedback" was "positive"; it is sent as "POSITIVE"',
        ),
    ],
)
def test_what_has_one_reading_is_put_right_and_said(entry: Tool, arguments: Json, put_right: Json, note: str) -> None:
    found = settled(entry, arguments)
    assert found.arguments == put_right
    assert found.notes == (note,)
    assert argument_rules.check(prepare(entry, ServerConfig()), found.arguments) == []


def test_a_whole_number_is_sent_as_an_integer() -> None:
    found = settled(SEARCH, {"query": "x", "filters": FILTERS, "top_k": 5.0})
    assert json.dumps(found.arguments["top_k"]) == "5"
    nested = tool(
        properties={"a": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    )
    assert json.dumps(settled(nested, {"a": [{"n": 2.0}]}).arguments) == '{"a": [{"n": 2}]}'
    assert settled(nested, {"a": [{"n": 2.5}]}).arguments == {"a": [{"n": 2.5}]}


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        (SEARCH, {"query": "x", "filters": {"user_id": '{"eq": "u"}'}, "top_k": 0}),  # a text or an object
        (SEARCH, {"query": "x", "filters": FILTERS, "categories": "travel, food"}),  # one category or two
        (SEARCH, {"query": "x", "filters": FILTERS, "top_k": "five"}),
        (SEARCH, {"query": "x", "filters": FILTERS, "top_k": "5.5"}),
        (SEARCH, {"query": "x", "filters": FILTERS, "top_k": 3, "limit": 5}),  # both are given
        (SEARCH, {"query": None, "filters": FILTERS}),  # required
        (SEARCH, {"query": "x", "filters": "user_id=u"}),
        (SEARCH, {"query": "x", "filters": "[1]"}),
        (SEARCH, {"query": "x", "filters": "{user_id: u}"}),
        (SEARCH, {"query": "x", "filters": FILTERS, "rerank": "yes"}),
        (CREATE, {"messages": MESSAGES, "user_id": "u", "userId": "v"}),
        (GET, {"arguments": "no JSON"}),
        (GET, {"identifier": ID}),
    ],
)
def test_what_has_two_readings_or_none_stays_for_the_check_to_refuse(entry: Tool, arguments: Json) -> None:
    found = settled(entry, arguments)
    assert (found.arguments, found.notes) == (arguments, ())
    assert argument_rules.check(prepare(entry, ServerConfig()), found.arguments)


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        (DELETE, {"memory_id": ID}),
        (DELETE, {"Id": ID}),
        (BULK_DELETE, {"filters": None}),
        (BULK_DELETE, {"Filters": FILTERS}),
        (BULK_DELETE, {"arguments": {}}),
        (BULK_DELETE, {"filters": {"user_id": None}}),
    ],
)
def test_what_a_destructive_tool_destroys_is_never_guessed(entry: Tool, arguments: Json) -> None:
    for pinned in ({}, {"user_id": "u"}):
        assert settled(entry, arguments, **pinned) == settle.Settled(arguments)


def test_what_a_destructive_tool_destroys_may_be_sent_as_text() -> None:
    found = settled(BULK_DELETE, {"filters": '{"user_id": "u"}'})
    assert found == settle.Settled({"filters": FILTERS}, ('"filters" was text; it is sent as an object',))
    assert settled(DELETE, {"id": ID, "deleteLinked": "true"}).arguments == {"id": ID, "delete_linked": True}


def test_arguments_that_json_cannot_hold_and_large_ones_stay_as_they_are() -> None:
    for arguments in ({"query": float("nan")}, {"query": "\ud800"}, {"messages": ["0"] * 60_000}):
        assert settled(CREATE, arguments) == settle.Settled(arguments)


def test_the_upstreams_own_name_of_the_page_size_is_the_limit() -> None:
    listing = tool(
        "GET",
        "/",
        Parameter("result", "limit", "limit"),
        properties={"limit": {"type": "integer"}},
        pagination=Pagination("page", Parameter("query", "p"), Parameter("query", "rows"), 10, 10),
    )
    assert settled(listing, {"rows": "5"}).arguments == {"limit": 5}


def test_notes_are_bounded() -> None:
    found = settled(CREATE, {"messages": [{"role": "USER", "content": "x"}] * 90, "user_id": "u"})
    assert len(found.notes) == 21
    assert found.notes[-1] == "and 70 more problems"


IDS = st.sampled_from(["own", "other", "*"])
TREES = st.recursive(
    st.dictionaries(
        st.sampled_from(["user_id", "run_id", "userId"]), IDS | st.fixed_dictionaries({"in": st.lists(IDS)})
    ),
    lambda inner: st.dictionaries(st.sampled_from(["AND", "OR", "NOT"]), st.lists(inner, max_size=2), max_size=1),
    max_leaves=4,
)


@given(TREES, st.sampled_from(["filters", "Filters", "FILTERS"]), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_pin_holds_for_whatever_was_put_right(tree: Json, name: str, as_text: bool, wrapped: bool) -> None:
    """What is sent is the pins ANDed with a filter that names no other entity, in every form a caller may send."""
    arguments: dict[str, Any] = {"query": "x", name: json.dumps(tree) if as_text else tree}
    prepared = prepare(SEARCH, ServerConfig(pins={"user_id": "own"}))
    found = settle.arguments(prepared, {"arguments": arguments} if wrapped else arguments)
    if argument_rules.check(prepared, found.arguments):
        return
    try:
        sent = pins.apply(SEARCH, {"user_id": "own"}, found.arguments)
    except OutsidePins:
        return
    assert isinstance(SEARCH.pin, PinFilter)
    assert sent["filters"]["user_id"] == "own"
    assert '"user_id": "other"' not in json.dumps(sent)


@given(st.sampled_from(list(MEM0.tools.values())), st.data())
@settings(max_examples=100, deadline=None)
def test_valid_arguments_are_sent_as_they_are_and_settling_twice_changes_nothing(entry: Tool, data: Any) -> None:
    prepared = prepare(entry, ServerConfig())
    found = settle.arguments(prepared, entry.example)
    assert (found.arguments, found.notes) == (entry.example, ())
    mangled = {
        name: data.draw(st.sampled_from([value, json.dumps(value), None, [value]]))
        for name, value in entry.example.items()
    }
    once = settle.arguments(prepared, mangled)
    assert settle.arguments(prepared, once.arguments).arguments == once.arguments


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (None, set()),
        (True, set()),
        ({}, set()),
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        (
            {"anyOf": [{"type": "string"}, {"oneOf": [{"type": "null"}, {"type": "array"}]}]},
            {"string", "null", "array"},
        ),
        ({"enum": ["a", 1, 1.5, None, True, [], {}]}, set(TYPES)),
        ({"type": "string", "enum": [1]}, {"string"}),
    ],
)
def test_a_schema_names_types_by_itself_by_its_branches_or_by_its_options(schema: Json, named: set[str]) -> None:
    assert settle.kinds(schema) == named


def test_a_null_inside_an_object_is_left_out_and_said() -> None:
    properties = {"n": {"type": "integer"}, "m": {"type": ["integer", "null"]}, "must": {"type": "integer"}}
    nested = tool(properties={"a": {"type": "object", "properties": properties, "required": ["must"]}})
    found = settled(nested, {"a": {"n": None, "m": None, "must": None}})
    assert found.arguments == {"a": {"m": None, "must": None}}
    assert found.notes == ('"a.n" was null; it is left out',)


@pytest.mark.parametrize(
    ("pin", "sent"), [(PinArguments(ids=("user_id",)), {"userId": "u"}), (NoPin(), {"user_id": "u"})]
)
def test_an_id_that_can_be_pinned_says_what_is_destroyed(pin: Pin, sent: Json) -> None:
    parameter = Parameter("query", "user_id", "user_id")
    entry = tool("DELETE", "/things/", parameter, method="delete", access="write", pin=pin)
    hints = {"destructiveHint": True, "readOnlyHint": False}
    entry = replace(entry, definition={**entry.definition, "annotations": hints})
    assert settled(entry, {"userId": "u"}).arguments == sent
