"""A schema filled from memories without a model: kinds, references, options, and what matches nothing."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from functions.memory_engine.work import schema_filling
from tests.work import counted


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
        ({"$ref": "#/$defs/bare", "title": "dog"}, 7),
        ({"$ref": "#/$defs/a~1b~0c%25d"}, 7),
        ({"$ref": "#/$defs/a~1b~0c%25d/oneOf/1"}, 7),
        ({"$ref": "#/$defs/a~1b~0c%25d/oneOf/2"}, None),
        ({"$ref": "#/$defs/a~1b~0c%25d/oneOf/-1"}, None),
        ({"$ref": "#age"}, 7),
        ({"$ref": "#none"}, None),
        ({"$dynamicRef": "#age"}, 7),
        ({"allOf": [{"$ref": "#/$defs/age"}], "description": "Of the dog."}, 7),
        ({"anyOf": [{"$ref": "#/$defs/pet"}, {"type": "null"}]}, {"age": 7}),
        (
            {"allOf": [{"$ref": "#/$defs/pet"}, {"properties": {"home": {"title": "live"}}}]},
            {"age": 7, "home": "I live in Oslo."},
        ),
        ({"$ref": "#/$defs/none", "type": "array"}, None),
        ({"allOf": [{"$ref": "#/$defs/circle"}] * 2, "title": "dog"}, "My dog Rex is 7 years old."),
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
    age = {"type": "integer", "title": "dog", "$anchor": "age"}
    definitions = {
        "age": age,
        "bare": {"type": "integer"},
        "a/b~c%d": {"oneOf": [{"type": "null"}, {"$ref": "#age"}]},
        "pet": {"type": "object", "properties": {"age": {"$ref": "#/$defs/age"}}},
        "circle": {"allOf": [{"$ref": "#/$defs/circle"}, {"$ref": "#/$defs/circle"}]},
    }
    schema = {"properties": {"x": part}, "$defs": definitions}
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


@pytest.mark.parametrize(
    ("root", "recursion"),
    [
        ({}, {"$ref": "#"}),
        ({}, {"$ref": ""}),
        ({}, {"allOf": [{"$ref": "#"}]}),
        ({}, {"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
        ({}, {"$dynamicRef": "#"}),
        ({"$id": "https://example.com/dog"}, {"$ref": "#"}),
        ({"$id": "https://example.com/dog"}, {"$ref": "dog"}),
        ({"$id": "https://example.com/dog"}, {"$ref": "https://example.com/dog#"}),
        ({"$id": "urn:example:dog"}, {"$ref": "#"}),
        ({"$id": "urn:example:dog"}, {"$ref": "urn:example:dog"}),
        ({"$anchor": "dog"}, {"$ref": "#dog"}),
        ({"$dynamicAnchor": "dog"}, {"$ref": "#dog"}),
        ({"$dynamicAnchor": "dog"}, {"$dynamicRef": "#dog"}),
        ({"$defs": {"a/b~c%d e": {"$ref": "#"}}}, {"$ref": "#/$defs/a~1b~0c%25d%20e"}),
        ({"$schema": "https://json-schema.org/draft/2019-09/schema"}, {"$recursiveRef": "#"}),
        (
            {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": True},
            {"$recursiveRef": "#"},
        ),
    ],
)
def test_a_reference_to_the_root_is_the_root_as_a_validator_reads_it(
    root: dict[str, Any], recursion: dict[str, Any]
) -> None:
    schema = {**root, "type": "object", "properties": {"age": {"type": "integer", "title": "dog"}, "pup": recursion}}
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    assert validator.is_valid({"age": 7, "pup": {"age": 7}})
    assert not validator.is_valid({"age": 7, "pup": {"age": "seven"}})
    filled = schema_filling.fill(schema, ITEMS)
    assert filled["age"] == filled["pup"]["age"] == filled["pup"]["pup"]["age"] == 7


@pytest.mark.parametrize(
    ("inner", "reference"),
    [
        ({"$dynamicAnchor": "entry"}, {"$dynamicRef": "#entry"}),
        ({"$anchor": "entry"}, {"$dynamicRef": "#entry"}),
        ({"$anchor": "entry"}, {"$ref": "#entry"}),
    ],
)
def test_a_dynamic_reference_means_the_outermost_schema_of_that_name(
    inner: dict[str, Any], reference: dict[str, Any]
) -> None:
    page = {
        "$id": "https://example.com/page",
        "type": "object",
        "properties": {"dog": {"type": "object", "properties": {"dog": reference}}},
        "$defs": {"entry": {**inner, "type": "string"}},
    }
    schema = {
        "$id": "https://example.com/dogs",
        "$ref": "page",
        "$defs": {"entry": {"$dynamicAnchor": "entry", "type": "integer"}, "page": page},
    }
    filled = schema_filling.fill(schema, ITEMS)
    wrong: dict[str, Any] = {"dog": {"dog": "text" if filled["dog"]["dog"] == 7 else 7}}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(filled)
    assert not validator.is_valid(wrong)


def test_a_schema_that_contains_itself_many_times_is_filled_by_bounded_work() -> None:
    def work(width: int) -> tuple[dict[str, Any], int]:
        pups = {f"pup_{number}": {"$ref": "#"} for number in range(width)}
        schema = {"properties": {**pups, "age": {"type": "integer", "title": "dog"}}}
        filled, calls = counted(lambda: schema_filling.fill(schema, ITEMS))
        return filled, calls

    for width in (2, 30, 300):
        filled, calls = work(width)
        assert filled["age"] == 7
        assert calls < 2_000_000, width


@pytest.mark.parametrize("part", [{"type": "string"}, {"$ref": "#"}])
def test_a_schema_of_too_many_properties_cannot_be_filled(part: dict[str, Any]) -> None:
    schema = {"properties": {f"x{number}": part for number in range(schema_filling.MAX_PARTS + 1)}}
    with pytest.raises(schema_filling.CannotFill, match=r"^the schema has more than 1,000 properties$"):
        schema_filling.fill(schema, ITEMS)
