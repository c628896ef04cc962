"""What has one reading is put right and said; what has two, and what a destructive tool destroys, stays as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway import arguments as argument_rules
from functions.gateway import json_text, pins, settle
from functions.gateway.errors import OutsidePins
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import prepare
from tests.gateway.calling import MEM0, tool
from tool_catalog.catalog import (
    NoPin,
    Pin,
    PinAnswer,
    PinArguments,
    PinEntity,
    PinFilter,
    PinObject,
    PinObjects,
    Tool,
)
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
    deep: Json = []
    for _ in range(40_000):
        deep = [deep]
    for arguments in (
        {"query": float("nan")},
        {"query": "\ud800"},
        {"messages": ["0"] * 60_000},
        {"messages": deep, "infer": "true"},
    ):
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
    assert json_text.kinds(schema) == named


def test_a_null_inside_an_object_is_left_out_and_said() -> None:
    properties = {"n": {"type": "integer"}, "m": {"type": ["integer", "null"]}, "must": {"type": "integer"}}
    nested = tool(properties={"a": {"type": "object", "properties": properties, "required": ["must"]}})
    found = settled(nested, {"a": {"n": None, "m": None, "must": None}})
    assert found.arguments == {"a": {"m": None, "must": None}}
    assert found.notes == ('"a.n" was null; it is left out',)
    free = tool(properties={"a": {"type": "object", "properties": properties}})
    assert settled(free, {"a": {"n": None, "must": 1}}).arguments == {"a": {"must": 1}}


@pytest.mark.parametrize(
    ("pin", "sent"), [(PinArguments(ids=("user_id",)), {"userId": "u"}), (NoPin(), {"user_id": "u"})]
)
def test_an_id_that_can_be_pinned_says_what_is_destroyed(pin: Pin, sent: Json) -> None:
    parameter = Parameter("query", "user_id", "user_id")
    entry = tool("DELETE", "/things/", parameter, method="delete", access="write", pin=pin)
    hints = {"destructiveHint": True, "readOnlyHint": False}
    entry = replace(entry, definition={**entry.definition, "annotations": hints})
    assert settled(entry, {"userId": "u"}).arguments == sent


LISTING = tool(
    "GET",
    "/",
    Parameter("query", "state", "state"),
    Parameter("result", "fields", "fields"),
    Parameter("result", "limit", "limit"),
    Parameter("result", "next_cursor", "next_cursor"),
    properties={
        "state": {"type": "string"},
        "fields": {"type": "string"},
        "limit": {"type": "integer"},
        "next_cursor": {"type": "string"},
    },
    pagination=Pagination("page", Parameter("query", "p"), Parameter("query", "rows"), 10, 10),
)


@pytest.mark.parametrize("wrapper", ["arguments", "params", "parameters", "input"])
@pytest.mark.parametrize("as_text", [False, True])
def test_arguments_under_each_known_wrapper_are_the_arguments(wrapper: str, as_text: bool) -> None:
    inner = {"id": ID}
    found = settled(GET, {wrapper: f"\n {json.dumps(inner)} " if as_text else inner})
    assert found == settle.Settled(inner, (f'the arguments stood under "{wrapper}"; its members are the arguments',))


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        (GET, {"arguments": {"id": ID}, "more": 1}),
        (GET, {"payload": {"id": ID}}),
        (GET, {"arguments": {}}),
        (GET, {"arguments": [{"id": ID}]}),
        (GET, {"arguments": '["id"]'}),
        (GET, {"arguments": 7}),
        (tool(properties={"input": {"type": "string"}, "id": {"type": "string"}}), {"input": {"id": ID}}),
    ],
)
def test_anything_else_is_no_wrapper(entry: Tool, arguments: Json) -> None:
    assert settled(entry, arguments) == settle.Settled(arguments)


@pytest.mark.parametrize("name", ["page_size", "per_page", "top_k", "size", "count", "max_results", "page_limit"])
def test_each_known_name_of_a_size_means_the_limit(name: str) -> None:
    for spelt in (name, name.upper(), name.replace("_", "")):
        found = settled(LISTING, {spelt: 7})
        assert found == settle.Settled({"limit": 7}, (f'"{spelt}" is called "limit" here',))
    sized = tool(properties={name: {"type": "integer"}})
    assert settled(sized, {"limit": 7}).arguments == {name: 7}


@pytest.mark.parametrize("name", ["cursor", "page_token", "next_page_token"])
def test_each_known_name_of_a_cursor_means_the_cursor(name: str) -> None:
    found = settled(LISTING, {name: "abc"})
    assert found == settle.Settled({"next_cursor": "abc"}, (f'"{name}" is called "next_cursor" here',))
    continued = tool(properties={name: {"type": "string"}})
    assert settled(continued, {"next_cursor": "abc"}).arguments == {name: "abc"}


@pytest.mark.parametrize("name", ["next_cursor", "cursor", "page_token", "next_page_token"])
@pytest.mark.parametrize("nowhere", ["", " ", "null", "None", "none", "UNDEFINED"])
def test_a_cursor_that_points_nowhere_is_left_out_of_a_list(name: str, nowhere: str) -> None:
    found = settled(LISTING, {"state": "open", name: nowhere})
    assert found == settle.Settled({"state": "open"}, (f'"{name}" was empty; it is left out',))
    assert settled(LISTING, {name: "nowhere"}).arguments == {"next_cursor": "nowhere"}
    other = tool(properties={name: {"type": "string"}})
    assert settled(other, {name: nowhere}).arguments == {name: nowhere}, "of the upstream, and not of a list"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("page", 1),
        ("pageNumber", 1),
        ("offset", 0),
        ("skip", 0),
        ("startAt", 0),
        ("start", 0),
        ("start_index", 0),
    ],
)
def test_a_list_begins_at_its_first_page_anyway(name: str, first: int) -> None:
    for page in (first, float(first)):
        found = settled(LISTING, {name: page, "limit": 5})
        assert found == settle.Settled({"limit": 5}, (f'"{name}" was the first page; it is left out',))
    for other in (first + 1, first - 1, None, "x", bool(first)):
        assert name in settled(LISTING, {name: other, "limit": 5}).arguments, "another page is refused"
    own = tool(properties={name: {"type": "integer"}})
    assert settled(own, {name: first}).arguments == {name: first}, "the tool has an argument of that name"
    assert settled(tool(), {name: first}).arguments == {name: first}, "the tool is not a list"


def test_a_null_of_another_name_is_not_the_first_page_of_a_list() -> None:
    assert settled(LISTING, {"author": None}) == settle.Settled({"author": None})


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        (["id", "name"], "{id: id, name: name}"),
        (["id", "name", "id"], "{id: id, name: name}"),
        ([" id", "name "], "{id: id, name: name}"),
        (["_a9"], "{_a9: _a9}"),
        ("id,name", "{id: id, name: name}"),
        ("id, name", "{id: id, name: name}"),
    ],
)
def test_a_list_of_names_is_sent_as_an_expression(fields: Json, expression: str) -> None:
    found = settled(LISTING, {"fields": fields})
    assert found == settle.Settled(
        {"fields": expression}, (f'"fields" was a list of names; it is sent as "{expression}"',)
    )


@pytest.mark.parametrize(
    "fields", ["id", "[].id", "{a: b, c: d}", "a.b,c", "", ",", "9a,b", [], ["a", 1], ["a.b"], [""]]
)
def test_what_is_no_list_of_names_stays_as_it_is(fields: Json) -> None:
    assert settled(LISTING, {"fields": fields}) == settle.Settled({"fields": fields})


def test_a_list_puts_only_what_it_adds_itself_to_the_first_page_and_to_its_fields() -> None:
    cursor = {"next_cursor": "a,b"}
    assert settled(LISTING, cursor) == settle.Settled(cursor), "a cursor with a comma is no list of names"
    fixed = prepare(LISTING, ServerConfig(fixed={LISTING.name: {"fields": "id"}}))
    fields = {"fields": ["id", "name"]}
    assert settle.arguments(fixed, fields) == settle.Settled(fields), "the server says what the fields are"
    schema = {**LISTING.definition["inputSchema"]["properties"], "start": {"type": "integer"}}
    definition = {**LISTING.definition, "inputSchema": {**LISTING.definition["inputSchema"], "properties": schema}}
    assert settled(replace(LISTING, definition=definition), {"start": 0}) == settle.Settled({"start": 0})


def test_an_argument_of_the_upstream_that_is_called_fields_stays_as_it_is() -> None:
    own = tool("GET", "/", Parameter("query", "fields", "fields"))
    assert settled(own, {"fields": ["a", "b"]}).arguments == {"fields": ["a", "b"]}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "boolean"),
        (False, "boolean"),
        (1, "integer"),
        (1.0, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
        (None, "null"),
    ],
)
def test_each_value_has_one_json_type(value: Json, kind: str) -> None:
    assert json_text.kind(value) == kind


@pytest.mark.parametrize(
    ("types", "text", "value"),
    [
        ("integer", "5", 5),
        ("integer", " 5 ", 5),
        ("integer", "+5", 5),
        ("integer", "-5", -5),
        ("integer", "5.0", 5),
        ("integer", "5.00", 5),
        ("integer", "9" * 18, 10**18 - 1),
        ("number", "5", 5),
        ("number", "-5.25", -5.25),
        ("number", "+0.5", 0.5),
        ("boolean", "true", True),
        ("boolean", "FALSE", False),
        ("array", '["a"]', ["a"]),
        ("array", " [1]", [1]),
        ("object", '{"a": 1}', {"a": 1}),
        (["array", "integer"], "5", 5),
        (["object", "boolean"], "false", False),
    ],
)
def test_a_text_is_what_its_argument_asks_for(types: Json, text: str, value: Json) -> None:
    found = settled(tool(properties={"a": {"type": types}}), {"a": text})
    assert json.dumps(found.arguments) == json.dumps({"a": value})
    article = "an" if json_text.kind(value)[0] in "aio" else "a"
    assert found.notes == (f'"a" was text; it is sent as {article} {json_text.kind(value)}',)


@pytest.mark.parametrize(
    ("types", "text"),
    [
        ("integer", "5.5"),
        ("integer", "9" * 19),
        ("integer", "1e3"),
        ("integer", ""),
        ("integer", "five"),
        ("integer", "true"),
        ("number", "."),
        ("number", "5."),
        ("number", "NaN"),
        ("boolean", "yes"),
        ("boolean", "1"),
        ("object", "[1]"),
        ("array", '{"a": 1}'),
        ("object", "{a: 1}"),
        ("object", '"{}"'),
        ("null", "null"),
        (["string", "integer"], "5"),
        (["array", "integer"], "9" * 19),
        (["object", "number"], "1e5"),
        ([], "5"),
    ],
)
def test_a_text_with_another_meaning_stays_a_text(types: Json, text: str) -> None:
    assert settled(tool(properties={"a": {"type": types}, "b": {"type": "integer"}}), {"a": text, "b": "x"}) == (
        settle.Settled({"a": text, "b": "x"})
    )


def test_a_long_number_is_not_rounded() -> None:
    entry = tool(properties={"a": {"type": "integer"}})
    assert json.dumps(settled(entry, {"a": 1e17}).arguments) == '{"a": 100000000000000000}'
    assert json.dumps(settled(entry, {"a": -1e17}).arguments) == '{"a": -100000000000000000}'
    number = tool(properties={"a": {"type": "number"}})
    assert json.dumps(settled(number, {"a": 5.0}).arguments) == '{"a": 5.0}'
    for large in (1e18, -1e18, 1e300):
        assert json.dumps(settled(entry, {"a": large}).arguments) == json.dumps({"a": large})


@pytest.mark.parametrize(
    ("options", "value", "chosen"),
    [
        (["OPEN", "SHUT"], "open", "OPEN"),
        (["OPEN", "SHUT"], " Shut ", "SHUT"),
        ([1, "One"], "one", "One"),
    ],
)
def test_an_option_may_be_given_in_another_case(options: list[Json], value: str, chosen: str) -> None:
    found = settled(tool(properties={"a": {"enum": options}}), {"a": value})
    assert found == settle.Settled({"a": chosen}, (f'"a" was {json.dumps(value)}; it is sent as {json.dumps(chosen)}',))


@pytest.mark.parametrize(("options", "value"), [(["Open", "OPEN"], "open"), (["OPEN"], "opened"), (["1"], 1)])
def test_no_option_is_chosen_where_none_or_two_are_meant(options: list[Json], value: Json) -> None:
    assert settled(tool(properties={"a": {"enum": options}}), {"a": value}) == settle.Settled({"a": value})


@pytest.mark.parametrize(
    ("items", "value"),
    [
        ({"type": "string"}, "travel"),
        ({"type": "integer"}, 7),
        ({"type": "number"}, 7),
        ({"type": "number"}, 7.5),
        ({"type": "object"}, {"a": 1}),
        ({"type": "boolean"}, False),
        ({"type": ["string", "integer"]}, 7),
    ],
)
def test_one_value_is_sent_as_an_array_of_it(items: Json, value: Json) -> None:
    found = settled(tool(properties={"a": {"type": "array", "items": items}}), {"a": value})
    assert found == settle.Settled({"a": [value]}, ('"a" was one value; it is sent as an array',))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "string"}}, "a,b"),
        ({"type": "array", "items": {"type": "string"}}, " "),
        ({"type": "array", "items": {"type": "string"}}, ""),
        ({"type": "array", "items": {"type": "string"}}, 7),
        ({"type": "array", "items": {"type": "integer"}}, 7.5),
        ({"type": "array", "items": {"type": "integer"}}, True),
        ({"type": "array", "items": {}}, "a"),
        ({"type": "array"}, 7),
        ({"type": ["array", "object"], "items": {"type": "string"}}, "a"),
        ({"type": "array", "items": {"type": "array", "minItems": 1}}, [[]]),
    ],
)
def test_a_value_that_may_be_several_or_is_of_another_type_is_no_array(schema: Json, value: Json) -> None:
    assert settled(tool(properties={"a": schema}), {"a": value}) == settle.Settled({"a": value})


def test_a_null_in_place_of_an_array_is_no_array_of_a_null() -> None:
    entry = tool(properties={"a": {"type": "array", "items": {"type": ["string", "null"]}}}, required=("a",))
    assert settled(entry, {"a": None}) == settle.Settled({"a": None})


def test_a_null_is_left_out_only_where_nothing_may_be_null() -> None:
    entry = tool(
        properties={
            "plain": {"type": "string"},
            "nullable": {"type": ["string", "null"]},
            "untyped": {},
            "must": {"type": "string"},
            "wrong": {"type": "integer"},
        },
        required=("must",),
    )
    given = {"plain": None, "nullable": None, "untyped": None, "must": None, "unknown": None, "wrong": "x"}
    found = settled(entry, given)
    assert found.arguments == {name: value for name, value in given.items() if name != "plain"}
    assert found.notes == ('"plain" was null; it is left out',)


NESTED = tool(
    properties={
        "where": {
            "type": "object",
            "properties": {
                "and": {"type": "array", "items": {"type": "object", "properties": {"gte": {"type": "integer"}}}},
                "gte": {"type": "integer"},
                "lte": {"type": "integer"},
                "created_at": {"type": "string"},
            },
            "additionalProperties": False,
        }
    }
)


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        ({"$gte": 5}, {"gte": 5}, ('"where.$gte" is called "gte" here',)),
        ({"AND": []}, {"and": []}, ('"where.AND" is called "and" here',)),
        ({"createdAt": "x"}, {"created_at": "x"}, ('"where.createdAt" is called "created_at" here',)),
        (
            {"AND": [{"GTE": "5"}]},
            {"and": [{"gte": 5}]},
            (
                '"where.AND" is called "and" here',
                '"where.and[0].GTE" is called "gte" here',
                '"where.and[0].gte" was text; it is sent as an integer',
            ),
        ),
    ],
)
def test_a_member_is_known_by_another_spelling(given: Json, sent: Json, notes: tuple[str, ...]) -> None:
    assert settled(NESTED, {"where": given}) == settle.Settled({"where": sent}, notes)


@pytest.mark.parametrize(
    "given",
    [
        {"GTE": 5, "gte": 4},  # the member itself is given
        {"GTE": 5, "Gte": 4},  # two rivals
        {"greater": 5},
    ],
)
def test_a_member_with_two_readings_stays_as_it_is(given: Json) -> None:
    assert settled(NESTED, {"where": given}) == settle.Settled({"where": given})


def test_an_operator_with_a_dollar_is_written_plainly_even_where_the_schema_lets_it_pass() -> None:
    entry = tool(properties={"where": {"type": "object", "properties": {"gte": {"type": "integer"}, "a": {}}}})
    found = settled(entry, {"where": {"$gte": 5.0, "$other": 1, "a": {"$gte": 1}}})
    assert json.dumps(found.arguments) == '{"where": {"gte": 5, "$other": 1, "a": {"$gte": 1}}}'
    assert found.notes == ('"where.$gte" is called "gte" here',)
    both = {"where": {"$gte": 5, "gte": 4}}
    assert settled(entry, both) == settle.Settled(both)
    for other in ("agte", "GTE"):  # a name of the caller's own, because the schema is open
        assert settled(entry, {"where": {other: 5}}) == settle.Settled({"where": {other: 5}})
    nested = tool(properties={"of": {"properties": {"where": entry.definition["inputSchema"]["properties"]["where"]}}})
    assert settled(nested, {"of": {"$where": {"$gte": 5}}}) == settle.Settled(
        {"of": {"where": {"gte": 5}}}, ('"of.$where" is called "where" here', '"of.where.$gte" is called "gte" here')
    )
    listed = tool(
        properties={"all": {"type": "array", "items": entry.definition["inputSchema"]["properties"]["where"]}}
    )
    assert settled(listed, {"all": [{"$gte": 5}]}).arguments == {"all": [{"gte": 5}]}


@pytest.mark.parametrize("more", [{}, {"n": "5"}])
def test_a_member_that_begins_with_a_dollar_keeps_its_name_beside_its_namesake(more: Json) -> None:
    members = {"$id": {"type": "string"}, "id": {"type": "string"}}
    entry = tool(properties={"of": {"type": "object", "properties": members}, "n": {"type": "integer"}})
    assert settled(entry, {"of": {"$id": "a"}, **more}).arguments["of"] == {"$id": "a"}


def test_an_argument_is_known_by_the_name_that_the_upstream_has_for_it() -> None:
    entry = tool(
        "GET",
        "/{thing_id}",
        Parameter("path", "thing_id", "id"),
        Parameter("query", "q", "query"),
        Parameter("result", "max", "fields"),
    )
    assert settled(entry, {"thingId": "t", "Q": "x"}) == settle.Settled(
        {"id": "t", "query": "x"}, ('"thingId" is called "id" here', '"Q" is called "query" here')
    )
    for unknown in ("max", "identifier"):
        assert settled(entry, {unknown: "x"}).arguments == {unknown: "x"}


def test_an_argument_is_known_by_another_spelling_whatever_the_upstream_calls_it() -> None:
    entry = tool("GET", "/", Parameter("query", "no", "orderNumber"))
    assert settled(entry, {"order_number": "x"}).arguments == {"orderNumber": "x"}


def test_an_argument_that_is_sent_in_two_places_is_one_argument() -> None:
    entry = tool("PUT", "/{thing}", Parameter("path", "thing", "id"), Parameter("query", "thing", "id"))
    assert settled(entry, {"thing": "x"}).arguments == {"id": "x"}


def test_a_name_that_means_two_arguments_or_one_that_is_given_stays_as_it_is() -> None:
    entry = tool("GET", "/", Parameter("query", "user", "a"), Parameter("header", "User", "b"))
    assert settled(entry, {"USER": "x"}).arguments == {"USER": "x"}, "two arguments have that name upstream"
    spelt = tool(properties={"user_id": {}, "userId": {}})
    assert settled(spelt, {"USER_ID": "x"}).arguments == {"USER_ID": "x"}
    sized = tool(properties={"limit": {"type": "integer"}, "count": {"type": "integer"}})
    assert settled(sized, {"page_size": 5}).arguments == {"page_size": 5}
    assert settled(LISTING, {"per_page": 5, "page_size": 6}).arguments == {"limit": 5, "page_size": 6}
    assert settled(LISTING, {"limit": 5, "page_size": 6}).arguments == {"limit": 5, "page_size": 6}


def test_an_argument_that_the_server_fixes_or_pins_goes_by_no_other_name() -> None:
    entry = tool(
        "GET",
        "/",
        Parameter("query", "user", "user_id"),
        Parameter("query", "topic", "topic"),
        properties={"user_id": {"type": "string"}, "topic": {"type": "string"}, "n": {"type": "integer"}},
        pin=PinArguments(ids=("user_id",)),
    )
    config = ServerConfig(pins={"user_id": "u"}, fixed={"list_all_things": {"topic": "t"}})
    prepared = prepare(entry, config)
    assert settle.own_name(prepared, "topic") is None
    assert settle.own_name(prepared, "user_id") is None
    assert settle.own_name(prepared, "N") == "n"


def test_a_name_that_is_fixed_or_pinned_means_no_argument_that_is_called_nearly_so() -> None:
    text = {"type": "string"}
    entry = tool(
        "GET",
        "/",
        Parameter("query", "subject", "topic"),
        properties={
            **{"limit": text, "page_size": text, "userId": text, "topic": text},
            "where": {"type": "object", "properties": {"user_id": text}},
        },
        pin=PinFilter("where", "plain"),
    )
    config = ServerConfig(pins={"user_id": "u"}, fixed={"list_all_things": {"limit": 5, "topic": "t"}})
    prepared, free = prepare(entry, config), prepare(entry, ServerConfig())
    for name, meant in (("limit", None), ("user_id", "userId"), ("Page-Size", "page_size"), ("subject", "topic")):
        assert settle.own_name(free, name) == meant
    assert settle.own_name(prepared, "limit") is None, "the size is fixed"
    assert settle.own_name(prepared, "user_id") is None, "userId is not the pin"
    assert settle.own_name(prepared, "subject") is None, "the server says what the topic is"
    assert settle.own_name(prepared, "Page-Size") == "page_size"


@pytest.mark.parametrize(
    ("pin", "properties", "guarded"),
    [
        (PinFilter("where", "plain"), {"where": {"type": "string"}}, {"where"}),
        (PinObject("id", "get"), {"id": {"type": "string"}}, {"id"}),
        (PinObjects("ids", "id", "get"), {"ids": {"type": "string"}}, {"ids"}),
        (PinEntity("kind", "name", {}), {"kind": {"type": "string"}, "name": {"type": "string"}}, {"kind", "name"}),
        (PinArguments(("user_id", "run_id")), {"user_id": {}, "run_id": {}}, {"user_id", "run_id"}),
        (PinAnswer("@"), {"at": {"type": "string"}}, set()),
        (NoPin(), {"a": {"type": "array"}, "o": {"type": ["object", "null"]}, "s": {"type": "string"}}, {"a", "o"}),
        (None, {"s": {"type": "string"}}, set()),
    ],
)
def test_what_says_what_is_destroyed_is_never_renamed(pin: Pin | None, properties: Json, guarded: set[str]) -> None:
    entry = destructive(tool("DELETE", "/{path}", Parameter("path", "path", "path"), properties=properties, pin=pin))
    for name in ("path", *properties):
        found = settled(entry, {name.upper(): "x", "more": 1})
        renamed = name not in {*guarded, "path"}
        assert found.arguments == {name if renamed else name.upper(): "x", "more": 1}


def test_what_says_what_is_destroyed_is_parsed_and_nothing_else() -> None:
    properties = {
        "ids": {"type": "array", "items": {"type": "integer"}},
        "where": {"type": "object", "properties": {"state": {"enum": ["OPEN"]}, "n": {"type": "integer"}}},
        "mode": {"enum": ["HARD"]},
    }
    entry = destructive(tool("DELETE", "/", properties=properties, pin=NoPin()))
    assert settled(entry, {"ids": '["1", 2]', "mode": "hard"}).arguments == {"ids": [1, 2], "mode": "HARD"}
    for kept in (
        {"ids": 1},
        {"ids": None},
        {"where": {"State": "OPEN"}},
        {"where": {"state": "open"}},
        {"where": {"n": None}},
    ):
        assert settled(entry, {**kept, "more": 1}) == settle.Settled({**kept, "more": 1})
    together = {"ids": 1, "where": {"State": "OPEN", "n": None}, "IDS": [2], "more": 1}
    assert settled(entry, together) == settle.Settled(together)
    parsed = settled(entry, {"where": '{"n": "5"}', "more": 1})
    assert parsed.arguments == {"where": {"n": 5}, "more": 1}
    assert parsed.notes == ('"where" was text; it is sent as an object', '"where.n" was text; it is sent as an integer')


def destructive(entry: Tool) -> Tool:
    hints = {"destructiveHint": True, "readOnlyHint": False}
    return replace(entry, definition={**entry.definition, "annotations": hints})


def test_arguments_up_to_the_limit_are_put_right() -> None:
    entry = tool(properties={"n": {"type": "integer"}, "text": {"type": "string"}})
    frame = len('{"n":"5","text":""}')
    fits = {"n": "5", "text": "x" * (100_000 - frame)}
    assert settled(entry, fits).arguments == {**fits, "n": 5}
    too_long = {"n": "5", "text": fits["text"] + "x"}
    assert settled(entry, too_long) == settle.Settled(too_long)


@pytest.mark.parametrize("more", [{}, {"n": "1"}])
def test_a_note_is_given_once_and_notes_of_valid_arguments_are_bounded_too(more: Json) -> None:
    members: dict[str, Json] = {f"m{index}": {} for index in range(30)}
    where: Json = {"type": "object", "properties": members}
    entry = tool(properties={"a": {"type": "array", "items": where}, "n": {"type": "integer"}})
    twice = settled(entry, {"a": [{"$m1": 1}, {"$m1": 2}], **more})
    assert twice.arguments["a"] == [{"m1": 1}, {"m1": 2}]
    assert len(twice.notes) == len(set(twice.notes))
    many = settled(entry, {"a": [{f"${name}": 1 for name in members}], **more})
    assert len(many.notes) == 21
    assert many.notes[-1] == f"and {10 + len(more)} more problem{'s' if 10 + len(more) > 1 else ''}"


def test_a_name_is_compared_without_what_only_its_spelling_adds() -> None:
    for spelt in ("orderId2", "order-id2", "Order ID 2", "ORDER_ID_2", "$order.id2"):
        assert settle.plain(spelt) == "orderid2"
