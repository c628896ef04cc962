"""Bodies of requests: what a form of several parts holds."""

from __future__ import annotations

import re

import pytest

from functions.gateway import bodies
from functions.gateway.json_text import Json
from tool_catalog.request_template import Parameter


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


FILE = Parameter("body", "picture", "picture", style="file")


@pytest.mark.parametrize(
    ("file", "name", "media_type", "content"),
    [
        ({"name": "a.txt", "text": "hé"}, "a.txt", "text/plain; charset=utf-8", "hé".encode()),
        ({"name": "a.bin", "base64": "AAH/"}, "a.bin", "application/octet-stream", b"\0\1\xff"),
        ({"name": 'a".png', "base64": "AAH/", "media_type": "image/png"}, "a%22.png", "image/png", b"\0\1\xff"),
    ],
)
def test_a_file_is_a_part_with_its_name_its_media_type_and_its_bytes(
    file: Json, name: str, media_type: str, content: bytes
) -> None:
    assert list(bodies.problems("multipart/form-data", [(FILE, file)])) == []
    _, written = bodies.encoded("multipart/form-data", [(FILE, [file])])
    head = f'Content-Disposition: form-data; name="picture"; filename="{name}"\r\nContent-Type: {media_type}\r\n\r\n'
    assert head.encode() + content + b"\r\n--" in written


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ({"name": "a"}, '"picture" needs "text" or "base64", and not both'),
        ({"name": "a", "text": "", "base64": ""}, '"picture" needs "text" or "base64", and not both'),
        ({"name": "a", "base64": "AAH"}, '"picture" has a "base64" that is not Base64'),
        (
            {"name": "a", "text": "", "media_type": "image/png\r\nX: y"},
            '"picture" has a "media_type" that is none; write it like "image/png"',
        ),
    ],
)
def test_a_file_that_cannot_be_a_part_is_told(file: Json, problem: str) -> None:
    whole: Json = {"name": "b", "text": "x"}
    assert list(bodies.problems("multipart/form-data", [(FILE, [whole, file])])) == [problem]


def test_an_object_under_a_name_is_one_part_of_json() -> None:
    _, written = bodies.encoded("multipart/form-data", [(Parameter("body", "about", "about"), {"a": 1})])
    assert b'name="about"\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n' in written


BODY = Parameter("body", "", "content")


@pytest.mark.parametrize(
    ("media_type", "value", "written"),
    [("application/octet-stream", "AAH/", b"\0\1\xff"), ("text/plain", "hé", "hé".encode()), ("text/plain", 7, b"7")],
)
def test_a_body_of_bytes_or_of_text_is_the_one_value(media_type: str, value: Json, written: bytes) -> None:
    assert bodies.encoded(media_type, [(BODY, value)]) == (media_type, written)
    assert bodies.encoded(media_type, []) == (media_type, b"")
    assert list(bodies.problems(media_type, [(BODY, value)])) == []


@pytest.mark.parametrize("value", ["AAH", 7, None])
def test_bytes_that_are_not_base64_are_told(value: Json) -> None:
    [problem] = bodies.problems("application/octet-stream", [(BODY, value)])
    assert problem == '"content" is not Base64; it holds the bytes of the body'
