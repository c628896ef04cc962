"""The argument check agrees with the reference implementation of JSON Schema on what is valid, for every tool."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway import arguments as argument_rules
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import PreparedTool, prepare
from tests.gateway.calling import MEM0
from tool_catalog.catalog import Tool

# Without formats, which the two implementations take from different libraries; each has a test of its own.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["usr_1", "*", "2026-01-01", "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10", "user", "AND", ""])
)
KEYS = st.sampled_from(
    [
        "filters",
        "user_id",
        "AND",
        "OR",
        "NOT",
        "eq",
        "in",
        "id",
        "query",
        "top_k",
        "memory_id",
        "role",
        "content",
        "name",
    ]
) | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
CONFIGS = (
    ServerConfig(),
    ServerConfig(pins={"user_id": "usr_1"}),
    ServerConfig(fixed={"*": {"top_k": 3, "limit": 5}}, defaults={"*": {"query": "x"}}),
)


def without_formats(schema: Json) -> Json:
    if isinstance(schema, list):
        return [without_formats(entry) for entry in schema]
    if isinstance(schema, dict):
        return {
            key: without_formats(value)
            for key, value in schema.items()
            if not (key == "format" and isinstance(value, str))
        }
    return schema


@st.composite
def mutated(draw: st.DrawFn, example: Json) -> Json:
    """The example with some of its members dropped, replaced or joined by others, at any depth."""
    value = copy.deepcopy(example)
    for _ in range(draw(st.integers(0, 3))):
        value = _mutate(draw, value)
    return value


def _mutate(draw: st.DrawFn, value: Json) -> Json:
    if isinstance(value, dict):
        keys = list(value)
        what = draw(st.sampled_from(["add", "drop", "deeper", "replace"]))
        if what == "add" or not keys:
            return {**value, draw(KEYS): draw(ANYTHING)}
        key = draw(st.sampled_from(keys))
        if what == "drop":
            return {name: entry for name, entry in value.items() if name != key}
        return {**value, key: draw(ANYTHING) if what == "replace" else _mutate(draw, value[key])}
    if isinstance(value, list) and value:
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], _mutate(draw, value[index]), *value[index + 1 :]]
    return draw(ANYTHING)


@pytest.mark.parametrize("entry", MEM0.tools.values(), ids=list(MEM0.tools))
def test_validity_is_that_of_the_reference_implementation(entry: Tool) -> None:
    @given(mutated(dict(entry.example)), st.sampled_from(CONFIGS))
    @settings(max_examples=30, deadline=None)
    def agrees(arguments: Json, config: ServerConfig) -> None:
        prepared = prepare(entry, config)
        plain = PreparedTool(entry, prepared.definition, without_formats(prepared.accepted), prepared.pins)
        problems = argument_rules.check(plain, arguments)
        errors = list(jsonschema.Draft202012Validator(plain.accepted).iter_errors(arguments))
        silent = entry.destructive and not argument_rules.says_something(arguments)
        assert bool(problems) == (bool(errors) or silent), (problems, errors)
        json.dumps(problems, ensure_ascii=False).encode()
        assert all(0 < len(problem) < 2_000 for problem in problems)

    agrees()


@pytest.mark.parametrize("entry", MEM0.tools.values(), ids=list(MEM0.tools))
def test_the_example_of_every_tool_is_taken(entry: Tool) -> None:
    prepared = prepare(entry, ServerConfig())
    assert argument_rules.check(prepared, entry.example) == []
    assert jsonschema.Draft202012Validator(prepared.accepted).is_valid(entry.example)


@given(ANYTHING.filter(lambda value: isinstance(value, dict)), st.sampled_from(list(MEM0.tools.values())))
@settings(max_examples=200, deadline=None)
def test_no_arguments_break_the_check(arguments: Json, entry: Tool) -> None:
    for problem in argument_rules.check(prepare(entry, ServerConfig()), arguments):
        assert problem
