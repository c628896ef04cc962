"""OpenAPI's schema objects as JSON Schema 2020-12: the same meaning, without `$ref` and `allOf`, and bounded."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.json_text import Json
from tests.tool_catalog.openapi.conftest import document
from tool_catalog.openapi.document import Unresolvable
from tool_catalog.openapi.schema_conversion import ENUM_VALUES, INPUT_DEPTH, INPUT_NODES, Converter

META_SCHEMA = jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})


def converted(schema: Json, version: str = "3.0.3", **components: Json) -> tuple[Json, list[str]]:
    """The input schema, and the notes as "path: text"."""
    converter = Converter(document(components, version))
    result = converter.convert(schema)
    return result, [f"{'.'.join(map(str, note.path))}: {note.text}" for note in converter.notes]


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"allOf": [{"type": "string"}], "nullable": True}, {"type": ["string", "null"]}),
        (
            {"nullable": True, "oneOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        ),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"type": "integer", "maximum": 9, "exclusiveMaximum": False}, {"type": "integer", "maximum": 9}),
        ({"type": "string", "example": "x"}, {"type": "string", "examples": ["x"]}),
        ({"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}),
        ({"type": "integer", "format": "int64"}, {"type": "integer"}),
        ({"type": "string", "xml": {}, "x-order": 1, "externalDocs": {}, "discriminator": {}}, {"type": "string"}),
        ({"type": "string", "default": None}, {"type": "string"}),
        ({"type": "file"}, {}),
        ({"items": {"type": "string"}}, {"type": "array", "items": {"type": "string"}}),
        ({"enum": ["a", 1]}, {"type": ["integer", "string"], "enum": ["a", 1]}),
        ({"type": "object"}, {"type": "object"}),
        ({"type": "object", "additionalProperties": {"type": "string"}},
         {"type": "object", "additionalProperties": {"type": "string"}}),
        (
            {"properties": {"a": {"type": "string"}, "b": {"readOnly": True}}, "required": ["a", "b"]},
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
                "additionalProperties": True,
            },
        ),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
         {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True}),
        ({"description": "Holds [the *label*](https://x.example) in **full**.", "type": "string"},
         {"description": "Holds the label in full.", "type": "string"}),
    ],
)  # fmt: skip
def test_keywords_of_3_0_say_in_2020_12_what_they_said(schema: Json, expected: Json) -> None:
    assert converted(schema) == (expected, [])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "integer", "exclusiveMinimum": 3}, {"type": "integer", "exclusiveMinimum": 3}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}),
        ({"const": "a"}, {"const": "a"}),
        ({"type": "string", "examples": ["x", "y"]}, {"type": "string", "examples": ["x"]}),
        ({"$ref": "#/components/schemas/Name", "description": "Nearer."}, {"type": "string", "description": "Nearer."}),
    ],
)
def test_keywords_of_3_1_stay(schema: Json, expected: Json) -> None:
    assert converted(schema, "3.1.0", Name={"type": "string", "description": "Far."}) == (expected, [])


def test_all_of_holds_everything_its_parts_hold_and_the_tighter_bound() -> None:
    schema = {
        "allOf": [
            ref("Base"),
            {
                "properties": {"a": {"minLength": 3, "description": "Nearer."}, "c": {"type": "boolean"}},
                "required": ["c"],
            },
        ],
        "required": ["a"],
    }
    base = {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}, "b": {"type": "integer"}}}
    assert converted(schema, Base=base)[0] == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "description": "Nearer.", "minLength": 3},
            "b": {"type": "integer"},
            "c": {"type": "boolean"},
        },
        "required": ["a", "c"],
        "additionalProperties": True,
    }


def test_a_schema_inside_itself_is_cut_where_it_begins_again() -> None:
    tree = {"type": "object", "properties": {"name": {"type": "string"}, "left": ref("Tree"), "all": ref("Trees")}}
    result, notes = converted(ref("Tree"), Tree=tree, Trees={"type": "array", "items": ref("Tree")})
    assert result["properties"]["left"] == {"type": "object"}
    assert result["properties"]["all"] == {"type": "array", "items": {"type": "object"}}
    assert notes == [
        "properties.left: Tree contains itself; a plain object from here on",
        "properties.all.items: Tree contains itself; a plain object from here on",
    ]


def test_what_is_too_deep_or_too_large_becomes_a_plain_value_and_is_told() -> None:
    deep: Json = {"type": "string"}
    for _ in range(INPUT_DEPTH + 3):
        deep = {"type": "object", "properties": {"in": deep}}
    _, notes = converted(deep)
    assert [note.split(": ")[1] for note in notes] == [f"deeper than {INPUT_DEPTH} levels; a plain object from here on"]
    inner = {"type": "object", "properties": {f"q{n}": {"type": "string"} for n in range(20)}}
    wide = {"type": "object", "properties": {f"p{n}": inner for n in range(INPUT_NODES // 10)}}
    result, notes = converted(wide)
    assert len(notes) == len(result["properties"]) == INPUT_NODES // 10, "each argument is cut alike, and none is lost"
    assert notes[0] == "properties.p0: the schema is too large for a tool; a plain object from here on"


def test_references_that_double_at_each_level_are_bounded_in_time_and_size() -> None:
    levels: Json = {
        f"L{n}": {"type": "object", "properties": {side: ref(f"L{n + 1}") for side in "abcdefgh"}} for n in range(30)
    }
    result, _ = converted(ref("L0"), **levels, L30={"type": "string"})
    assert str(result).count("'type'") < 3 * INPUT_NODES


def test_a_long_enumeration_and_a_pattern_nobody_can_use_are_left_out_and_told() -> None:
    assert converted({"type": "string", "enum": [str(n) for n in range(ENUM_VALUES + 1)]}) == (
        {"type": "string"},
        [": 101 allowed values are left out; at most 100 are listed"],
    )
    assert converted({"type": "string", "pattern": "(?<"}) == (
        {"type": "string"},
        [': the pattern "(?<" is not a regular expression of ECMA-262; it is left out'],
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "enum": [1, 2]}, {"type": "integer", "enum": [1, 2]}),
        ({"type": "number", "enum": [1, 2]}, {"type": "number", "enum": [1, 2]}),
        ({"type": "string", "enum": ["a", 1]}, {"type": "string", "enum": ["a", 1]}),
        (
            {"type": "array", "items": {"type": "string"}, "enum": ["a", "b"]},
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        ),
        ({"type": "array", "enum": [["a"], ["b"]]}, {"type": "array", "items": {}, "enum": [["a"], ["b"]]}),
    ],
)
def test_values_that_could_never_be_sent_say_what_they_were_meant_of(schema: Json, expected: Json) -> None:
    assert Converter(document()).convert(schema) == expected


def test_alternatives_stay_inside_an_argument_and_are_merged_at_the_root_of_a_body() -> None:
    cat = {
        "type": "object",
        "properties": {"kind": {"enum": ["cat"]}, "lives": {"type": "integer"}},
        "required": ["kind"],
    }
    dog = {
        "type": "object",
        "properties": {"kind": {"enum": ["dog"]}, "tricks": {"type": "integer"}},
        "required": ["kind"],
    }
    either = {"oneOf": [ref("Cat"), ref("Dog")]}
    inside, notes = converted(either, Cat=cat, Dog=dog)
    assert [sorted(branch["properties"]) for branch in inside["anyOf"]] == [["kind", "lives"], ["kind", "tricks"]]
    assert notes == []
    converter = Converter(document({"Cat": cat, "Dog": dog}))
    assert converter.root(either) == {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["cat", "dog"]},
            "lives": {"type": "integer"},
            "tricks": {"type": "integer"},
        },
        "required": ["kind"],
        "additionalProperties": True,
    }
    assert [note.text for note in converter.notes] == ["2 alternatives merged into one object"]


def test_the_schema_of_an_answer_keeps_names_types_and_first_sentences() -> None:
    schema = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "description": "The id. It never changes.", "pattern": "x"},
            "secret": {"type": "string", "writeOnly": True},
            "list": {"type": "array", "items": {"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}},
        },
    }
    assert Converter(document()).answer(schema) == {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The id."},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}, "b": {}}}},
        },
    }


_VALUES = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3)
_KEYS = st.sampled_from(
    [
        *("type", "properties", "items", "required", "enum", "allOf", "oneOf", "anyOf", "$ref", "nullable", "minimum"),
        *("exclusiveMinimum", "maxLength", "pattern", "description", "additionalProperties", "readOnly", "example"),
        *("format", "default"),
    ]
)
_ANYTHING = st.recursive(
    _VALUES | st.sampled_from(["string", "object", "array", "#/components/schemas/X", "#/components/schemas/Y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(schema=_ANYTHING, x=_ANYTHING, y=_ANYTHING, version=st.sampled_from(["3.0.0", "3.1.0"]))
def test_whatever_stands_in_the_file_the_result_is_a_usable_schema(
    schema: Json, x: Json, y: Json, version: str
) -> None:
    try:
        result, _ = converted(schema, version, X=x, Y=y)
        answer = Converter(document({"X": x, "Y": y}, version)).answer(schema)
        root = Converter(document({"X": x, "Y": y}, version)).root(schema)
    except Unresolvable:
        return  # a text that is no reference into the file; told per operation
    for found in (result, answer, root):
        assert META_SCHEMA.is_valid(found), found
        jsonschema_rs.Draft202012Validator(found)


def test_a_choice_is_no_level_of_its_own_and_one_that_is_cut_still_takes_any_of_its_values() -> None:
    value = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    schema: Json = {"type": "object", "properties": {"value": value}}
    for _ in range(INPUT_DEPTH - 2):
        schema = {"type": "object", "properties": {"inner": {"oneOf": [schema, {"type": "string"}]}}}
    kept, notes = converted(schema)
    assert notes == []
    assert '"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]' in json.dumps(kept)
    cut, notes = converted({"type": "object", "properties": {"a": {"oneOf": [schema, {"type": "string"}]}}})
    assert [note.rsplit(": ", 1)[1] for note in notes] == [f"deeper than {INPUT_DEPTH} levels; any value from here on"]
    assert '"value": {}' in json.dumps(cut)


def test_a_choice_that_contains_itself_takes_any_value_there() -> None:
    value = {"oneOf": [{"type": "string"}, {"type": "array", "items": ref("Value")}]}
    kept, notes = converted({"type": "object", "properties": {"value": ref("Value")}}, Value=value)
    assert kept["properties"]["value"] == {"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}
    assert notes == ["properties.value.oneOf.1.items: Value contains itself; any value from here on"]


def test_a_parent_offers_what_its_children_add_and_requires_only_what_is_its_own() -> None:
    parent = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string", "enum": ["any"]}},
        "discriminator": {"propertyName": "kind"},
    }
    daily = {"allOf": [ref("Parent"), {"properties": {"kind": {"type": "string", "enum": ["daily"]}}}]}
    weekly = {
        "allOf": [ref("Parent"), {"required": ["day"], "properties": {"day": {"type": "integer"}}}],
        "properties": {"kind": {"type": "string", "enum": ["weekly"]}},
    }
    kept, _ = converted(ref("Parent"), Parent=parent, Daily=daily, Weekly=weekly)
    assert kept == {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["any", "daily", "weekly"]},
            "day": {"type": "integer"},
        },
        "required": ["kind"],
        "additionalProperties": True,
    }


def test_what_a_request_declares_itself_is_sent_although_its_parent_calls_it_read_only() -> None:
    base = {"type": "object", "properties": {"id": {"type": "string", "readOnly": True}, "at": {"readOnly": True}}}
    own = {"allOf": [ref("Base"), {"properties": {"id": {"type": "string", "description": "Which one."}}}]}
    kept, _ = converted(own, Base=base)
    assert kept["properties"] == {"id": {"type": "string", "description": "Which one."}}


def test_the_values_of_a_discriminator_are_told() -> None:
    tag = {"type": "string", "description": "What it is."}
    members = {"kind": tag, "edge": {"type": "integer"}}
    found = document(
        {
            "Box": {"type": "object", "properties": members},
            "Tube": {"type": "object", "properties": members},
            "Thing": {
                "oneOf": [{"$ref": "#/components/schemas/Box"}, {"$ref": "#/components/schemas/Tube"}],
                "discriminator": {"propertyName": "kind", "mapping": {"box": "#/components/schemas/Box"}},
            },
        }
    )
    root = Converter(found).root({"$ref": "#/components/schemas/Thing"})
    assert root["properties"]["kind"]["description"] == "What it is. One of: box, Tube."
    inner = Converter(found).convert({"$ref": "#/components/schemas/Thing"})
    assert [branch["properties"]["kind"]["description"] for branch in inner["anyOf"]] == [
        "What it is. Here: box.",
        "What it is. Here: Tube.",
    ]
