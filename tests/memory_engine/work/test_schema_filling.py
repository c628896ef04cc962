"""A schema filled from memories without a model: kinds, references, options, and what matches nothing."""

from __future__ import annotations

from typing import Any

import pytest

from functions.memory_engine.work import schema_filling


def item(text: str, *categories: str) -> dict[str, Any]:
    return {"id": text[:4], "memory": text, "categories": list(categories), "created_at": "2026-11-20T12:00:00Z"}


ITEMS = [item("My dog Rex is 7 years old."), item("I live in Oslo.", "places"), item("My height is 1.83 m.")]


@pytest.mark.parametrize(
    ("part", "filled"),
    [
        ({"type": "string", "title": "dog"}, "My dog Rex is 7 years old."),
        ({"title": "dog"}, "My dog Rex is 7 years old."),
        ({"type": ["null", "integer"], "title": "dog"}, 7),
        ({"type": "number", "title": "height"}, 1.83),
        ({"type": "integer", "title": "height"}, None),
        ({"type": "integer", "title": "live"}, None),
        ({"type": "boolean", "title": "dog"}, None),
        ({"type": "null", "title": "dog"}, None),
        ({"type": "string", "title": "nothing of that"}, None),
        ({"type": "string", "title": "places"}, "I live in Oslo."),
        ({"enum": ["Bergen", 7, "Oslo"], "title": "live"}, "Oslo"),
        ({"enum": ["Bergen"], "title": "live"}, None),
        ({"oneOf": [{"type": "null"}, {"type": "integer"}], "title": "dog"}, 7),
        ({"anyOf": [True, {"type": "null"}], "title": "dog"}, "My dog Rex is 7 years old."),
        ({"$ref": "#/$defs/age", "title": "ignored"}, 7),
        ({"$ref": "#/$defs/none"}, None),
        ({"$ref": "#/$defs/age/title/deeper"}, None),
        ({"$ref": "https://example.com/schema", "title": "dog"}, "My dog Rex is 7 years old."),
        ({"type": "array", "title": "dog", "items": {"type": "integer"}}, [7]),
        ({"type": "array", "title": "dog", "items": True}, ["My dog Rex is 7 years old."]),
        ({"type": "array", "title": "dog"}, ["My dog Rex is 7 years old."]),
        (
            {"type": "array", "title": "dog", "items": {"properties": {"dog_age": {"type": "integer"}}}},
            [{"dog_age": 7}],
        ),
        ({"type": "object"}, {}),
        ({"type": "object", "properties": []}, {}),
        (True, None),
    ],
)
def test_a_property_is_filled_by_the_memories_that_its_words_match(part: Any, filled: Any) -> None:
    schema = {"properties": {"x": part}, "$defs": {"age": {"type": "integer", "title": "dog"}}}
    assert schema_filling.fill(schema, ITEMS) == {"x": filled}


def test_an_array_of_fields_of_memories_lists_all_memories() -> None:
    properties: dict[str, Any] = {"text": {}, "memory_id": {}, "run_id": {}, "of_our_own": {}}
    schema = {"properties": {"all": {"type": "array", "items": {"type": "object", "properties": properties}}}}
    assert schema_filling.fill(schema, ITEMS[:1]) == {
        "all": [{"text": "My dog Rex is 7 years old.", "memory_id": "My d", "run_id": None, "of_our_own": None}]
    }


def test_a_schema_that_refers_to_itself_is_filled_down_to_a_depth() -> None:
    dog = {"properties": {"dog": {"$ref": "#/$defs/dog"}, "age": {"type": "integer", "title": "dog"}}}
    schema: dict[str, Any] = {"properties": {"dog": {"$ref": "#/$defs/dog"}}, "$defs": {"dog": dog}}
    filled, depth = schema_filling.fill(schema, ITEMS)["dog"], 0
    while filled is not None:
        assert filled["age"] in (7, None)
        filled, depth = filled["dog"], depth + 1
    assert depth == schema_filling.MAX_SCHEMA_DEPTH
    circle: dict[str, Any] = {"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert schema_filling.fill(circle, ITEMS) == {"x": None}
