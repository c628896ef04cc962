"""A credential never comes back, however an upstream spells it and whatever a caller makes of the answer."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.gateway.redaction import Secrets
from tests.gateway.calling import call_once, catalog_of, tool
from tests.gateway.loopback import Upstream, answer
from tests.work import counted
from tool_catalog.catalog import Result
from tool_catalog.request_template import Auth, Parameter

KEY = "sk_live/ab+cd==&<99>é"

LIST = tool(
    "GET",
    "/things/",
    Parameter("result", "fields", "fields"),
    result=Result(items="results", fields="{id: id}"),
    properties={"fields": {"type": "string"}},
)
GET = tool("GET", "/things/1", name="get_a_thing", method="get")
CREATE = tool("POST", "/things/", name="create_a_thing", method="create", access="write")
DELETE = tool("DELETE", "/things/1", name="delete_a_thing", method="delete", access="write")
BASIC = Auth("basic", username="me", password="{api_key}")


def escaped(text: str, characters: str) -> str:
    """The text inside a JSON string, with these characters as \\uXXXX."""
    return "".join(f"\\u{ord(c):04X}" if c in characters else c for c in json.dumps(text, ensure_ascii=False)[1:-1])


SPELLINGS = {
    "as it is": KEY,
    "PHP": KEY.replace("/", "\\/"),
    "Python": json.dumps(KEY)[1:-1],
    ".NET": escaped(KEY, "+<>&é"),
    "Go": escaped(KEY, "<>&"),
    "every character": escaped(KEY, KEY),
    "lower-case hexadecimals": escaped(KEY, KEY).lower().replace("\\u", "\\u"),
    "in a URL": quote(KEY, safe=""),
}


def redacted(secrets: Secrets, document: Json) -> Json:
    """What is left of a document as an upstream would write it."""
    return secrets.out_of_document(document, json_text.encode(document))


def seen(told: Any) -> str:
    """What a client may read of an outcome, its JSON strings decoded."""
    shown = told.body if hasattr(told, "body") else told.envelope()
    return repr(shown) + json.dumps(shown, ensure_ascii=False) + repr(told)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("called", [LIST, GET, CREATE, DELETE], ids=lambda tool: tool.method)
def test_no_spelling_of_the_credential_comes_back(upstream: Upstream, called: Any, status: int, spelling: str) -> None:
    written = SPELLINGS[spelling]
    body = f'{{"results": [{{"id": "a {written} b", "{written}": 1}}], "detail": "key {written}", "{written}": []}}'
    upstream.answers(answer(status, body.encode(), ("content-type", "application/json")))
    told = call_once(catalog_of(LIST, GET, CREATE, DELETE), upstream.origin, called.name, {}, api_key=KEY)
    assert KEY not in seen(told)
    assert quote(KEY, safe="") not in seen(told)
    assert "***" in seen(told)


@pytest.mark.parametrize("body", [b"key %s", b'{"detail": "%s', b"<html>%s</html>", b'"%s"', b"%s"])
@pytest.mark.parametrize("status", [200, 401, 502])
@pytest.mark.parametrize("called", [GET, CREATE], ids=lambda tool: tool.method)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_answer_that_is_not_json_brings_no_credential_either(
    upstream: Upstream, called: Any, status: int, body: bytes, spelling: str
) -> None:
    content = body % SPELLINGS[spelling].encode()
    upstream.answers(answer(status, content, ("content-type", "text/plain"), ("x-key", "a")))
    told = call_once(catalog_of(GET, CREATE), upstream.origin, called.name, {}, api_key=KEY)
    assert KEY not in seen(told)
    assert SPELLINGS[spelling] not in seen(told)


def test_a_caller_s_expression_cannot_take_the_credential_apart(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"results": [{"id": f"Token {KEY}"}]}))
    told = call_once(
        catalog_of(LIST), upstream.origin, LIST.name, {"fields": "{a: reverse(id), b: to_array(id)}"}, api_key=KEY
    )
    assert KEY[::-1] not in seen(told)
    assert KEY not in seen(told)


def test_the_header_of_basic_authentication_does_not_come_back(upstream: Upstream) -> None:
    header = base64.b64encode(f"me:{KEY}".encode()).decode()
    upstream.answers(answer(400, {"headers": {"authorization": f"Basic {header}"}}))
    told = call_once(catalog_of(GET, auth=BASIC), upstream.origin, GET.name, {}, api_key=KEY)
    assert header not in seen(told)


@pytest.mark.parametrize(
    ("secret", "handed_on"), [("1234567", "a 1234567"), ("12345678", "a ***"), ("123456789", "a ***")]
)
def test_a_secret_is_looked_for_from_eight_characters_on(secret: str, handed_on: str) -> None:
    """A shorter one would be found by chance."""
    assert redacted(Secrets({"key": secret}, {"key": {"secret": True}}), [f"a {secret}"]) == [handed_on]


@pytest.mark.parametrize(
    ("described", "handed_on"),
    [
        ({}, "***"),
        ({"key": {}}, "***"),
        ({"key": {"secret": True}}, "***"),
        ({"other": {"secret": False}}, "***"),
        ({"key": {"secret": False}}, "eu-west-1-a"),
    ],
)
def test_a_field_is_secret_unless_the_catalogue_says_otherwise(described: Any, handed_on: str) -> None:
    secrets = Secrets({"key": "eu-west-1-a"}, described)
    assert redacted(secrets, {"a": "eu-west-1-a"}) == {"a": handed_on}
    assert secrets.out_of_text("eu-west-1-a") == handed_on
    assert secrets.out_of_bytes(b"eu-west-1-a") == handed_on.encode()


def test_a_secret_that_contains_another_one_is_replaced_whole() -> None:
    secrets = Secrets({"a": "0123456789", "b": "0123456789-abcdef"}, {})
    assert redacted(secrets, ["0123456789-abcdef"]) == ["***"]


def test_no_secret_stands_in_a_repr() -> None:
    assert "0123456789" not in repr(Secrets({"a": "0123456789"}, {}))


@pytest.mark.parametrize(
    "secret", ["sk_live/ab+cd==", "a\\b\\\\cd/efgh", '/ab"cd\nef', "sécret-sécret", "\U0001f600secret-key"]
)
def test_a_secret_is_found_in_every_spelling_that_json_has(secret: str) -> None:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    plain = "".join(escapes.get(character, character) for character in secret)
    every_other = [f"\\u{ord(c):04x}" if c < "\uffff" and n % 2 else json.dumps(c)[1:-1] for n, c in enumerate(secret)]
    for unit in (plain, plain.replace("/", "\\/"), json.dumps(secret)[1:-1], "".join(every_other)):
        for before in ("", "\\\\", "\\/", "é", "\\u00e9"):
            written = f'{{"a": ["{before}{unit} b"], "{unit}": 1}}'
            document = json.loads(written)
            assert secret in document["a"][0]
            left = Secrets({"key": secret}, {}).out_of_document(document, written.encode())
            assert not any(secret in name for name in left)
            assert secret not in left["a"][0]
            assert "***" in left["a"][0]


def test_an_answer_without_the_secret_costs_one_search() -> None:
    document: Json = {"results": [{"id": n, "text": "x" * 20} for n in range(10_000)]}
    written = json_text.encode(document)
    found, calls = counted(lambda: Secrets({"key": KEY.strip("é")}, {}).out_of_document(document, written))
    assert found is document
    assert calls < 100


@pytest.mark.parametrize("also", [{}, {"name": "gehört-zu"}], ids=["ascii", "other characters"])
@pytest.mark.parametrize(
    ("document", "left"),
    [
        (12345678, "***"),
        ([12345678, 1234567], ["***", 1234567]),
        ({"n": 12345678.0, "m": {"o": [9123456789]}}, {"n": "***", "m": {"o": ["***"]}}),
        ({"n": 1.5, "yes": True, "none": None}, {"n": 1.5, "yes": True, "none": None}),
    ],
)
def test_a_secret_of_digits_does_not_come_back_as_a_number(document: Json, left: Json, also: dict[str, str]) -> None:
    secrets = Secrets({"key": "12345678", **also}, {})
    assert redacted(secrets, document) == left
