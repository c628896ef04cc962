"""What counts as an OpenAPI file, and what is said to everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tool_catalog.openapi.conftest import document
from tool_catalog.openapi.document import MAX_BYTES, CannotImport, Operation, Unresolvable, read

GOOD = '{"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}'


def written(folder: Path, content: str | bytes, name: str = "openapi.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "openapi.json: not an OpenAPI file: the root is not a mapping"),
        ("[]", "openapi.json: not an OpenAPI file: the root is not a mapping"),
        ('{\n"openapi" "3.0.0"}', "openapi.json:2: not JSON: Expecting ':' delimiter"),
        ("openapi: 3.0.0\n  paths: x: y\n", "openapi.json:2: not YAML: mapping values are not allowed in this context"),
        (b"\xff\xfe{}", "openapi.json: not UTF-8 text (byte 0)"),
        ('{"swagger": "1.2"}', 'openapi.json: swagger "1.2" is not 2.0'),
        ('{"swagger": "2.0"}', 'openapi.json: no operations: "paths" is missing or empty'),
        ('{"paths": {}}', 'openapi.json: openapi "" is not 3.0, 3.1 or 3.2'),
        ("openapi: 4.0.0", 'openapi.json: openapi "4.0.0" is not 3.0, 3.1 or 3.2'),
        ('{"openapi": "3.0.1", "paths": {}}', 'openapi.json: no operations: "paths" is missing or empty'),
        ("a: " + "[" * 5000, "openapi.json:1: nested deeper than 200 levels"),
        ('{"a": ' + "[" * 200_000, "openapi.json: nested too deeply to be read"),
        ("? [a]\n: b\n", "openapi.json:1: not YAML: a key is not a plain string"),
    ],
)
def test_a_file_that_is_no_specification_is_refused_with_what_is_wrong(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(CannotImport) as caught:
        read(written(tmp_path, content))
    assert str(caught.value) == message


@pytest.mark.parametrize("url", ["https://api.example.com/openapi.json", "http://127.0.0.1/x", "file:///etc/passwd"])
def test_a_url_is_refused_because_nothing_is_fetched(url: str) -> None:
    with pytest.raises(CannotImport, match=r"is a URL, and nothing is fetched; download the file, give its path$"):
        read(Path(url))


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(CannotImport, match=r"^openapi.json: 67,108,865 bytes; the limit is 67,108,864$"):
        read(path)


@pytest.mark.parametrize("version", ["3.0.0", "3.0.4", "3.1.0", "3.1.1", "3.1", "3.2.0"])
def test_both_versions_are_read_with_a_byte_order_mark_or_without(tmp_path: Path, version: str) -> None:
    for mark in ("", "\ufeff"):
        found = read(written(tmp_path, mark + GOOD.replace("3.1.0", version)))
        assert found.nullable is version.startswith("3.0")


def test_yaml_keeps_what_looks_like_a_date_or_a_boolean_and_every_key_is_a_string(tmp_path: Path) -> None:
    paths = "paths: {/a: {get: {responses: {200: {}}}}}"
    text = f"openapi: 3.0.0\n{paths}\nx: [2010-04-01, no, on, 1:30, 0x1F, 1.5, 7, null, true]"
    data = read(written(tmp_path, text)).data
    assert data["paths"]["/a"]["get"]["responses"] == {"200": {}}
    assert data["x"] == ["2010-04-01", "no", "on", "1:30", "0x1F", 1.5, 7, None, True]


def test_yaml_merge_keys_and_anchors_are_followed(tmp_path: Path) -> None:
    text = "openapi: 3.0.0\npaths: {/a: {}}\nbase: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\n"
    assert read(written(tmp_path, text)).data["more"] == {"x": 1, "y": 3}


def test_references_are_followed_inside_the_file_only() -> None:
    found = document({"a/b~c": {"type": "string"}, "Chain": {"$ref": "#/components/schemas/a~1b~0c"}, "Loop": {}})
    assert found.resolve({"$ref": "#/components/schemas/Chain"}) == {"type": "string"}
    assert found.resolve("nothing") == {}
    found.data["components"]["schemas"]["Loop"]["$ref"] = "#/components/schemas/Loop"
    for reference, message in (
        ("#/components/schemas/Loop", "the chain of references never ends"),
        ("#/components/schemas/Gone", '"#/components/schemas/Gone" is not in this file'),
        ("other.yaml#/x", '"other.yaml#/x" is outside this file; bundle the files into one first'),
        ("https://x.example.com/y", '"https://x.example.com/y" is outside this file; bundle the files into one first'),
    ):
        with pytest.raises(Unresolvable) as caught:
            found.resolve({"$ref": reference})
        assert str(caught.value) == message


def test_parameters_of_the_path_hold_for_each_operation_unless_it_has_its_own(tmp_path: Path) -> None:
    shared, own = {"name": "id", "in": "path", "description": "shared"}, {"name": "id", "in": "path"}
    data = {
        "openapi": "3.0.0",
        "paths": {
            "/a/{id}": {
                "parameters": [{"$ref": "#/components/parameters/p"}],
                "get": {},
                "delete": {"parameters": [own]},
                "x-internal": {},
                "trace": {},
            },
            "/b": {"get": {"parameters": [{"$ref": "#/components/parameters/q"}]}},
        },
        "components": {"parameters": {"p": shared}},
    }
    operations = list(read(written(tmp_path, json.dumps(data))).operations())
    assert [one.key if isinstance(one, Operation) else one for one in operations] == [
        "GET /a/{id}",
        "DELETE /a/{id}",
        ("GET /b", '"#/components/parameters/q" is not in this file'),
    ]
    assert [one.parameters for one in operations if isinstance(one, Operation)] == [(shared,), (own,)]
