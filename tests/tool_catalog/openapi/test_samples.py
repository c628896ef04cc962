"""Example values: the source's own where they are valid, else the plainest that are."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest

from tool_catalog.openapi.samples import fits, sample, spell


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "examples": ["x"]}, "x"),
        ({"type": "integer", "examples": ["not a number"]}, 1),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string", "enum": ["a", "b"]}, "a"),
        ({"const": 7}, 7),
        ({"type": "string"}, "example"),
        ({"type": "string", "format": "uuid"}, "123e4567-e89b-42d3-a456-426614174000"),
        ({"type": "string", "format": "date-time"}, "2026-01-31T12:00:00Z"),
        ({"type": "string", "maxLength": 3}, "exa"),
        ({"type": "string", "minLength": 9}, "examplexx"),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": "integer", "exclusiveMinimum": 10}, 11),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "multipleOf": 5}, 5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"a": 1}),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
    ],
)
def test_a_sample_is_valid_and_plain(schema: dict[str, Any], value: Any) -> None:
    assert sample(schema) == value
    jsonschema_rs.validate(schema, value, validate_formats=True)


@pytest.mark.parametrize(
    "pattern",
    [
        "^AC[0-9a-fA-F]{32}$",
        r"^\+[1-9]\d{1,14}$",
        r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
        "^(asc|desc)$",
        r"^[^/\s]+$",
        r"^v\d+\.\d+(\.\d+)?$",
        r"^[A-Z]{3}-(?:(a|b)c|d){2,}$",
        r"^\$\{x\}$",
        ".*",
        r"^(?!xn--)[a-z]+(?=\.)\.com$",
    ],
)
def test_a_text_is_spelled_from_a_plain_pattern(pattern: str) -> None:
    assert re.search(pattern, spell(pattern))
    assert re.search(pattern, sample({"type": "string", "pattern": pattern}))


def test_a_part_that_may_be_left_out_is_left_out_where_the_pattern_needs_it() -> None:
    pattern = r"^\/(?!\*)(?!.*\*.+)[a-z]+(?:\/[a-z]+)*(?:\/\*|\*)?(?<!\*)$"
    assert sample({"type": "string", "pattern": pattern}) == "/a"


@pytest.mark.parametrize("pattern", ["(", "[", "[a", "\\", "a{", ")", "(?=x)y", "((((", "|", "a|"])
def test_any_other_pattern_is_given_up_without_an_error(pattern: str) -> None:
    assert isinstance(spell(pattern), str)


@pytest.mark.parametrize(
    "items",
    [
        {"type": "string"},
        {"type": "string", "pattern": "^(0|[1-9][0-9]*)$"},
        {"type": "string", "enum": ["a", "b", "c"]},
        {"type": "integer", "minimum": 5},
        {"type": "string", "maxLength": 3},
        {"type": "string", "format": "date"},
    ],
)
def test_a_list_of_values_that_differ_has_no_value_twice(items: Any) -> None:
    schema = {"type": "array", "items": items, "uniqueItems": True, "minItems": 3}
    assert fits(schema, sample(schema))
