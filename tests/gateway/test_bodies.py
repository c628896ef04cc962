"""Bodies of requests: what a form of several parts holds."""

from __future__ import annotations

import re

from functions.gateway import bodies
from functions.gateway.json_text import Json
from tool_catalog.catalog import Parameter


def parts(*values: tuple[Parameter, Json]) -> list[tuple[str, str]]:
    """Names and contents of the parts, in order."""
    media_type, content = bodies.encoded("multipart/form-data", list(values))
    boundary = media_type.partition("boundary=")[2]
    assert content.endswith(f"--{boundary}--\r\n".encode())
    written = content.decode().removesuffix(f"--{boundary}--\r\n").split(f"--{boundary}\r\n")[1:]
    found = [re.fullmatch(r'Content-Disposition: form-data; name="(\w+)"\r\n\r\n(.*)\r\n', part) for part in written]
    return [(part[1], part[2]) for part in found if part is not None]


def test_a_null_is_no_part() -> None:
    given = [(Parameter("body", name, name), value) for name, value in (("a", None), ("b", "x"), ("c", ["y", None]))]
    assert parts(*given) == [("b", "x"), ("c", "y")]


def test_an_object_without_a_name_of_its_own_is_one_part_for_each_member() -> None:
    rest: Json = {"a": 1, "b": ["x", "y"], "c": None}
    assert parts((Parameter("body", "", "rest"), rest)) == [("a", "1"), ("b", "x"), ("b", "y")]
    assert parts((Parameter("body", "", "rest"), {})) == []


def test_a_form_without_values_is_only_its_end() -> None:
    assert parts() == []
