"""References of every form: each document reads as one that was written with plain pointers into `components`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tool_catalog.openapi.document import Document, Unresolvable, read
from tool_catalog.openapi.references import unusual
from tool_catalog.openapi.schema_conversion import Converter

TREE = {"type": "object", "properties": {"name": {"type": "integer"}}}
"""A node of the tree below, whose member `next` is one more."""


def document(folder: Path, schemas: dict[str, Any], body: Any = None, **keys: Any) -> Document:
    """A document as it is read from a file."""
    operation = {
        "requestBody": {"content": {"application/json": {"schema": body or {"$ref": "#/components/schemas/T"}}}}
    }
    data = {"openapi": "3.1.1", "paths": {"/t": {"post": operation}}, "components": {"schemas": schemas}, **keys}
    path = folder / "openapi.json"
    path.write_text(json.dumps(data))
    return read(path)


def converted(found: Document) -> dict[str, Any]:
    """The schema of the body, and that of an answer of the same shape."""
    content = found.data["paths"]["/t"]["post"]["requestBody"]["content"]
    schema = next(iter(content.values()))["schema"]
    return {"body": Converter(found).convert(schema), "answer": Converter(found).answer(schema)}


def node(**more: Any) -> dict[str, Any]:
    """A node whose member `next` is `more`'s, and whatever else `more` has."""
    following = more.pop("next")
    return {**TREE, **more, "properties": {**TREE["properties"], "next": following}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("schemas", "keys"),
    [
        ({"T": node(next={"$ref": "#"})}, {}),
        ({"T": node(next={"$ref": "#/"})}, {}),
        ({"T": node(next={"$ref": "#/components/schemas/%54"})}, {}),
        (
            {"T": node(next={"$ref": "#/$defs/T", "$comment": "the schema's own"}, **{"$defs": {"T": {"$ref": "#"}}})},
            {},
        ),
        ({"T": node(next={"$ref": "#/definitions/N"}, definitions={"N": {"$ref": "#"}})}, {}),
        ({"T": node(next={"$ref": "#"}, **{"$id": "https://example.com/t"})}, {}),
        ({"T": node(next={"$ref": "t"}, **{"$id": "https://example.com/t"})}, {}),
        ({"T": node(next={"$ref": "https://example.com/t#"}, **{"$id": "https://example.com/t"})}, {}),
        ({"T": node(next={"$ref": "#/components/schemas/T"}, **{"$id": "T"})}, {}),
        ({"T": node(next={"$ref": "#t"}, **{"$anchor": "t"})}, {}),
        ({"T": node(next={"$ref": "#t"}, **{"$id": "urn:example:t", "$anchor": "t"})}, {}),
        ({"T": node(next={"$dynamicRef": "#t"}, **{"$dynamicAnchor": "t"})}, {}),
        ({"T": node(next={"$dynamicRef": "#t"}, **{"$anchor": "t"})}, {}),
        ({"T": node(next={"$ref": "api.json#/components/schemas/T"})}, {"$self": "https://example.com/api.json"}),
    ],
)
def test_a_recursion_reads_as_one_that_is_written_with_a_pointer(
    tmp_path: Path, schemas: dict[str, Any], keys: dict[str, Any]
) -> None:
    plain = converted(document(tmp_path, {"T": node(next={"$ref": "#/components/schemas/T"})}))
    assert plain["body"]["properties"]["next"] == {"type": "object"}
    assert converted(document(tmp_path, schemas, **keys)) == plain


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("a/b", "#/components/schemas/a~1b"),
        ("a/b", "#/components/schemas/a%2Fb"),
        ("a/b", "#/components/schemas/a%7E1b"),
        ("a~b", "#/components/schemas/a~0b"),
        ("a~1b", "#/components/schemas/a~01b"),
        ("100%", "#/components/schemas/100%25"),
        ("%25", "#/components/schemas/%2525"),
        ("Page«Pet»", "#/components/schemas/Page%C2%ABPet%C2%BB"),
        ("two words", "#/components/schemas/two%20words"),
    ],
)
def test_a_name_is_found_however_its_characters_are_escaped(tmp_path: Path, name: str, reference: str) -> None:
    found = document(tmp_path, {name: node(next={"$ref": reference})}, body={"$ref": reference})
    assert found.resolve({"$ref": reference})["type"] == "object"
    assert converted(found)["body"]["properties"] == {"name": {"type": "integer"}, "next": {"type": "object"}}
    converter = Converter(found)
    converter.convert({"$ref": found.data["components"]["schemas"][name]["properties"]["next"]["$ref"]})
    assert [note.text for note in converter.notes] == [f"{name} contains itself; a plain object from here on"]


def test_heirs_are_found_through_an_escaped_name(tmp_path: Path) -> None:
    parent = {**TREE, "discriminator": {"propertyName": "kind"}}
    child = {"allOf": [{"$ref": "#/components/schemas/T%20T"}, {"properties": {"more": {"type": "string"}}}]}
    found = document(tmp_path, {"T T": parent, "Child": child}, body={"$ref": "#/components/schemas/T%20T"})
    assert set(converted(found)["body"]["properties"]) == {"name", "more"}


PAGE = {
    "$id": "https://example.com/page",
    "type": "object",
    "properties": {"entries": {"type": "array", "items": {"$dynamicRef": "#entry"}}},
    "$defs": {"entry": {"$dynamicAnchor": "entry", "type": "object"}},
}
PETS = {
    "$id": "https://example.com/pets",
    "$ref": "page",
    "$defs": {"entry": {"$dynamicAnchor": "entry", "type": "integer"}},
}


@pytest.mark.parametrize("body", [PETS, {"$ref": "https://example.com/pets"}, {"$ref": "#/components/schemas/Pets"}])
def test_a_page_of_entries_has_the_entries_of_the_schema_that_uses_it(tmp_path: Path, body: dict[str, Any]) -> None:
    schemas = {"Page": PAGE} if body is PETS else {"Page": PAGE, "Pets": PETS}
    found = converted(document(tmp_path, schemas, body=body))
    assert found["body"]["properties"]["entries"]["items"] == {"type": "integer"}
    assert found["answer"]["properties"]["entries"]["items"] == {"type": "integer"}
    alone = converted(document(tmp_path, {"Page": PAGE}, body={"$ref": "#/components/schemas/Page"}))
    assert alone["body"]["properties"]["entries"]["items"] == {"type": "object"}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("#/components/schemas/Gone", '"#/components/schemas/Gone" is not in this file'),
        ("#/$defs/Gone", '"#/$defs/Gone" is not in this file'),
        ("#gone", '"#gone" is not in this file'),
        ("#/components//schemas/T", '"#/components//schemas/T" is not in this file'),
        ("t.json", '"t.json" is outside this file; bundle the files into one first'),
        ("t.json#/T", '"t.json#/T" is outside this file; bundle the files into one first'),
    ],
)
def test_a_reference_that_leads_nowhere_is_named_as_it_is_written(tmp_path: Path, reference: str, message: str) -> None:
    found = document(tmp_path, {"T": TREE}, body={"$ref": reference})
    with pytest.raises(Unresolvable) as caught:
        converted(found)
    assert str(caught.value) == message


def test_a_member_of_the_name_id_and_an_example_of_one_are_no_base(tmp_path: Path) -> None:
    schema = node(next={"$ref": "#/components/schemas/T"})
    schema["properties"]["$id"] = {"type": "string", "example": "5e5ea5c16897e"}
    schema["example"] = {"$id": "https://example.com/pets", "$ref": "#/nowhere"}
    found = document(tmp_path, {"T": schema})
    assert set(converted(found)["body"]["properties"]) == {"name", "next", "$id"}


def test_a_plain_document_is_left_as_it_is() -> None:
    for text in (
        '{"$ref": "#/components/schemas/Pet"}',
        "$ref: '#/components/schemas/Pet'\n",
        "$ref: #/components/schemas/Pet\n",
        '$ref: "#/paths/~1pets/get"',
        '{"$ref":"#/components/schemas/Pet"}',
    ):
        assert not unusual(text)
    assert unusual('{"$ref": "#/definitions/Pet"}')
    assert not unusual('{"$ref": "#/definitions/Pet"}', swagger=True)
