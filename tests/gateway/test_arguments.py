"""Every problem of a call's arguments at once, each in words that show the form that works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from functions.gateway import arguments as argument_rules
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import prepare
from functions.gateway.wording import MAX_PROBLEMS
from tests.gateway.calling import MEM0, tool
from tests.work import counted
from tool_catalog.request_template import Parameter

LIST, SEARCH, CREATE = (
    MEM0.tools[name] for name in ("list_all_mem_0_memories", "mem_0_memories_search", "create_a_mem_0_memory")
)


def problems(entry: Any, arguments: Json, config: ServerConfig | None = None) -> list[str]:
    return argument_rules.check(prepare(entry, config or ServerConfig()), arguments)


def of(schema: Json, value: Json) -> list[str]:
    """Problems of a value for the one argument `a` of this schema."""
    entry = tool("GET", "/", Parameter("query", "a", "a"), properties={"a": schema})
    return argument_rules.check(prepare(entry, ServerConfig()), {"a": value})


def test_the_nested_filters_trap_is_told_with_the_form_that_works() -> None:
    assert problems(LIST, {"user_id": "usr_98765"}) == [
        '"user_id" is not a top-level argument; nest it: {"filters": {"user_id": "usr_98765"}}'
    ]
    assert problems(CREATE, {"messages": [{"role": "user", "content": "x"}], "filters": {"user_id": "u"}}) == [
        '"filters" is not an argument of this tool; give its members at the top level: {"user_id": "u"}'
    ]


def test_all_problems_are_told_at_once() -> None:
    assert problems(SEARCH, {"qery": "x", "top_k": 0, "threshold": "high", "filters": {"user": 1}}) == [
        'unknown argument "qery"; did you mean "query"? valid: query, filters, top_k, threshold, rerank, categories, '
        "metadata, reference_date, show_expired, latest_only, fields, max_tokens",
        'missing argument "query": What to look for, e.g. "seat preferences when flying"',
        '"filters" has no member "user"; did you mean "user_id"? valid: AND, NOT, OR, agent_id, app_id, categories, '
        "created_at, expiration_date, memory_ids, metadata, run_id, timestamp, updated_at, user_id",
        '"threshold" is "high"; it must be a number: Lowest score; 0 turns it off',
        '"top_k" is 0; it must be at least 1',
    ]


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "string"}, None, '"a" is null; it must be a string'),
        ({"type": ["string", "null"]}, 7, '"a" is 7; it must be null or a string'),
        ({"type": "integer"}, True, '"a" is true; it must be an integer'),
        ({"type": "object"}, [], '"a" is []; it must be an object'),
        ({"enum": ["x", 1, None]}, "y", '"a" is "y"; valid: "x", 1, null'),
        ({"const": "x"}, "y", '"a" is "y"; it must be "x"'),
        ({"minimum": 1}, 0, '"a" is 0; it must be at least 1'),
        ({"exclusiveMinimum": 1}, 1, '"a" is 1; it must be above 1'),
        ({"maximum": 1}, 10**30, f'"a" is {10**30}; it must be at most 1'),
        ({"exclusiveMaximum": 1}, 1.5, '"a" is 1.5; it must be below 1'),
        ({"type": "string", "minLength": 1}, "", '"a" is empty; it needs at least one character'),
        ({"type": "string", "minLength": 3}, "é", '"a" has 1 characters; at least 3 are needed'),
        ({"type": "string", "maxLength": 3}, "😀" * 4, '"a" has 4 characters; at most 3 are taken'),
        ({"minItems": 2}, [1], '"a" has 1 entries; at least 2 are needed'),
        ({"maxItems": 1}, [1, 2], '"a" has 2 entries; at most 1 are taken'),
        ({"type": "object", "minProperties": 1}, {}, '"a" is {}; it needs at least 1 of its members'),
        ({"type": "object", "maxProperties": 0}, {"x": 1}, '"a" has 1 members; at most 0 are taken'),
        ({"pattern": "^x$"}, "y", '"a" is "y"; it must match ^x$'),
        ({"type": "string", "format": "uuid"}, "y", '"a" is "y"; it must be a uuid'),
        ({"type": "string", "format": "date"}, "2026-02-30", '"a" is "2026-02-30"; it must be a date'),
        ({"type": "object", "required": ["x"]}, {}, '"a" lacks "x"'),
        (
            {"items": {"type": "object", "properties": {"x": {"type": "string"}}}},
            [{}, {"x": 1}],
            '"a[1].x" is 1; it must be a string',
        ),
        ({"type": "object", "additionalProperties": False}, {"x": 1}, '"a" is 1; no member is allowed there'),
        ({"uniqueItems": True}, [1, 1], '"a": [1,1] has non-unique elements'),
        ({"type": "string"}, ["x" * 500], '"a" is ["' + "x" * 78 + "...; it must be a string"),
    ],
)
def test_each_kind_of_problem_has_words_of_its_own(schema: Json, value: Json, told: str) -> None:
    assert of(schema, value) == [told]


def test_a_choice_of_forms_is_told_by_the_form_that_is_nearest() -> None:
    schema = {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"n": {"type": "integer"}},
                "required": ["n"],
                "additionalProperties": False,
            },
        ]
    }
    assert of(schema, {"n": "x"}) == ['"a.n" is "x"; it must be an integer']
    assert of(schema, 7) == ['"a" is 7; it must be a string']
    assert of(schema, {"m": 1, "n": 1}) == ['"a" has no member "m"; valid: n']


def test_an_argument_the_server_fixes_is_told_as_such() -> None:
    config = ServerConfig(fixed={"*": {"top_k": 5}})
    arguments = {"query": "x", "filters": {"user_id": "u"}, "top_k": 7}
    assert problems(SEARCH, arguments, config) == ['"top_k" is fixed by this server; leave it out']


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"query": float("nan")}, ['"query" is nan, which is not a JSON number']),
        ({"query": float("-inf")}, ['"query" is -inf, which is not a JSON number']),
        (
            {"query": "half \ud83d"},
            ['"query" holds half of a surrogate pair, e.g. of an emoji cut in two; send whole characters'],
        ),
        ({"\udc00": 1}, ["a name of the arguments object holds half of a surrogate pair"]),
        (
            {"filters": {"metadata": {"k": ["\udc00"]}}},
            [
                '"filters.metadata.k[0]" holds half of a surrogate pair, e.g. of an emoji cut in two; '
                "send whole characters"
            ],
        ),
        ({"query": 10**5000}, ["JSON cannot hold the arguments object"]),
    ],
)
def test_what_json_in_utf_8_cannot_hold_is_told(arguments: Json, told: list[str]) -> None:
    assert problems(SEARCH, arguments) == told


@pytest.mark.parametrize("depth", [150, 400, 5_000])
def test_deep_nesting_is_told_and_breaks_nothing(depth: int) -> None:
    deep: Json = "x"
    for _ in range(depth):
        deep = [deep]
    told = problems(SEARCH, {"query": "x", "filters": {"metadata": {"k": deep}}})
    assert told == ['"filters.metadata.k" is nested more than 100 levels deep; send flatter arguments']


def test_a_megabyte_of_wrong_entries_is_told_by_the_first_of_them_alone() -> None:
    told = problems(CREATE, {"messages": [0] * 400_000})
    assert told == [
        '"messages[0]" is 0; it must be an object',
        "the arguments are large, so that there may be more problems than these",
    ]


def test_more_problems_than_a_model_can_use_are_counted() -> None:
    told = problems(CREATE, {"messages": [0] * 50})
    assert len(told) == MAX_PROBLEMS + 1
    assert told[-1] == "and 30 more problems"


def test_names_from_outside_are_repeated_in_part() -> None:
    closed = {"type": "object", "properties": {"x": {}}, "additionalProperties": False}
    assert of(closed, {"y" * 5_000: 1}) == [f'"a" has no member "{"y" * 80}..."; valid: x']
    assert len(problems(SEARCH, {"x" * 900_000: 1, "query": "q", "filters": {"user_id": "u"}})[0]) < 500


def test_a_records_own_checks_look_at_the_arguments_as_they_will_be_sent() -> None:
    prepared = prepare(CREATE, ServerConfig())
    assert argument_rules.check_record_rules(prepared, {"messages": []}) == [
        "a memory needs an owner: give at least one of user_id, agent_id, app_id, run_id at the top level: "
        '{"messages": [{"role": "user", "content": "I prefer window seats."}], "user_id": "usr_98765"}'
    ]
    assert argument_rules.check_record_rules(prepared, {"messages": [], "user_id": "u"}) == []


def test_a_megabyte_of_empty_lists_is_not_walked_value_by_value() -> None:
    """Other callers wait meanwhile. A walk that names the path of each value makes ten calls for it."""
    lists: Json = [[] for _ in range(300_000)]
    said = [{"role": "user", "content": "x"}]
    told, calls = counted(lambda: problems(CREATE, {"messages": said, "user_id": "a", "metadata": {"k": lists}}))
    assert told == []
    assert calls < 700_000


def test_a_member_of_a_shared_part_of_the_schema_is_told_without_the_valid_names() -> None:
    entry = tool(properties={"a": {"$ref": "#/$defs/part"}})
    part = {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": False}
    schema = {**entry.definition["inputSchema"], "$defs": {"part": part}}
    entry = replace(entry, definition={**entry.definition, "inputSchema": schema})
    assert problems(entry, {"a": {"y": 1}}) == ['"a" has no member "y"']
    assert problems(entry, {"a": {"x": "1"}}) == []
