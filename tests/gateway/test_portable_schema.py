"""The input schemas that clients get have the one form that every host takes, and accept whatever calls may hold."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.grants import ServerConfig
from functions.gateway.portable_schema import ANY, portable
from functions.gateway.prepared import prepare
from tool_catalog import compiled_file
from tool_catalog.catalog import Tool

Json = Any

TOOLS = [tool for name in ("mem0", "mem0_oss") for tool in compiled_file.load(name).tools.values()]


def breaches(schema: Json, path: str = "") -> list[str]:
    """Where a schema breaks a rule that some host has: Gemini, OpenAI, Anthropic's strict mode, VS Code."""
    found: list[str] = []
    if "anyOf" in schema:
        if "type" in schema or not schema["anyOf"]:
            found.append(f"{path}: anyOf beside a type, or empty")
        found += [line for index, part in enumerate(schema["anyOf"]) for line in breaches(part, f"{path}|{index}")]
    elif not isinstance(schema.get("type"), str):
        found.append(f"{path}: no single type")
    if schema.get("type") == "array" and not schema.get("items"):
        found.append(f"{path}: an array without items")
    if isinstance(schema.get("additionalProperties"), bool):
        found.append(f"{path}: boolean additionalProperties")
    if not all(isinstance(value, str) and value for value in schema.get("enum", ())) or schema.get("enum") == []:
        found.append(f"{path}: an enum of anything but texts")
    if unknown := set(schema) - KEYWORDS:
        found.append(f"{path}: {sorted(unknown)}")
    if schema.get("type") != "string" and {"format", "pattern", "enum"} & set(schema):
        found.append(f"{path}: a keyword of texts")
    for name, part in schema.get("properties", {}).items():
        found += breaches(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += breaches(schema[key], f"{path}.{key}")
    return found


KEYWORDS = {
    *("title", "description", "type", "default", "enum", "format", "pattern", "minLength", "maxLength", "minimum"),
    *("maximum", "items", "minItems", "maxItems", "properties", "required", "anyOf", "minProperties", "maxProperties"),
    "additionalProperties",
}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: str(tool.name))
def test_every_compiled_tool_is_listed_in_the_form_that_every_host_takes(tool: Tool) -> None:
    shown = prepare(tool, ServerConfig()).definition["inputSchema"]
    assert breaches(shown) == []
    assert jsonschema_rs.is_valid(shown, dict(tool.example), validate_formats=True)
    assert list(shown["properties"]) == list(tool.definition["inputSchema"]["properties"])
    assert shown.get("required") == tool.definition["inputSchema"].get("required")


def test_calls_are_still_checked_against_the_full_schema() -> None:
    tool = TOOLS[0]
    assert prepare(tool, ServerConfig()).accepted == tool.definition["inputSchema"]
    assert not prepare(tool, ServerConfig()).validator.is_valid({**tool.example, "limit": 0})


ANYTHING = {"anyOf": [{"type": kind} for kind in ANY]}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, ANYTHING),
        ({"description": "Any."}, {"description": "Any.", **ANYTHING}),
        ({"type": "array"}, {"type": "array", "items": ANYTHING}),
        (
            {"type": ["string", "null"], "minLength": 1, "description": "A line."},
            {"description": "A line.", "anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        (
            {"type": ["string", "null"], "minLength": 2},
            {"anyOf": [{"type": "string", "minLength": 2}, {"type": "null"}]},
        ),
        ({"type": ["integer", "number"]}, {"type": "number"}),
        (
            {"type": ["string", "object"], "properties": {"eq": {"type": "string"}}, "additionalProperties": False},
            {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"eq": {"type": "string"}}}]},
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": ["integer", "null"]}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        ),
        ({"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"type": "string", "enum": ["", "a"]}, {"type": "string", "description": 'One of: "", "a".'}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "One of: 1, 2."}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": True}, {"type": "boolean", "description": "One of: true."}),
        (
            {"type": ["string", "null"], "enum": ["a", None]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        (
            {"type": "string", "format": "uuid", "description": "The id."},
            {"type": "string", "description": "The id. Format: uuid."},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "number", "exclusiveMaximum": 1}, {"type": "number", "description": "Below 1."}),
        (
            {"type": "number", "exclusiveMinimum": 0, "description": "The weight"},
            {"type": "number", "description": "The weight. Above 0."},
        ),
        ({"type": ["integer", "number"], "items": {"type": ["string"]}}, {"type": "number"}),
        ({"type": "object", "additionalProperties": True}, {"type": "object"}),
        (
            {"type": "object", "additionalProperties": {"type": "string", "examples": ["x"]}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            {"type": "array", "items": {"type": "string"}},
        ),
        (
            {"properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ),
    ],
)
def test_a_schema_in_its_portable_form(schema: Json, expected: Json) -> None:
    assert portable(schema) == expected
    assert breaches(portable(schema)) == []


KINDS = ("string", "integer", "number", "boolean", "null", "array", "object")
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, "", "a", "b"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)


def schemas(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    kinds = st.sampled_from(KINDS) | st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True)
    return st.fixed_dictionaries(
        {"type": kinds, "items": inner},  # a list of anything is shown as one of texts, numbers, booleans and objects
        optional={
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "minLength": st.integers(0, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "uniqueItems": st.booleans(),
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "required": st.lists(st.sampled_from("ab"), unique=True, max_size=2),
            "additionalProperties": st.booleans() | inner,
        },
    ) | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})


SCHEMAS = st.recursive(schemas(st.just({"type": "string"})), schemas, max_leaves=4)


@pytest.mark.slow
@given(schema=SCHEMAS, value=VALUES)
def test_whatever_the_full_schema_accepts_the_portable_one_accepts(schema: Json, value: Json) -> None:
    assert breaches(portable(schema)) == []
    if jsonschema_rs.is_valid(schema, value):
        assert jsonschema_rs.is_valid(portable(schema), value)
