"""An answer of any kind becomes a result: a text, bytes, nothing, or the place that a documented redirect names."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.gateway.answers import BASE64_BYTES
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Failed
from tests.gateway import loopback
from tests.gateway.calling import API_KEY, catalog_of, failure_of, result_of, tool
from tests.gateway.loopback import Upstream, answer
from tool_catalog.catalog import Result, Tool


@pytest.fixture(scope="module")
def stub() -> Iterator[Upstream]:
    with loopback.upstream() as running:
        yield running


def reading(accept: str = "application/json", **request: Any) -> Tool:
    made = tool("GET", "/x", name="read_x", method="get", access="read")
    return replace(made, request=replace(made.request, accept=accept, **request))


WRITING = tool("POST", "/x", name="write_x", method="create", access="write")
CSV = ("content-type", "text/csv; charset=iso-8859-1")
PNG = ("content-type", "image/png")
PDF = ("content-type", "application/pdf")


@pytest.mark.parametrize(
    ("called", "told", "body"),
    [
        # What the API documents as a text is content, also where it could be read as JSON.
        (reading("text/plain"), answer(200, b"a,b", ("content-type", "text/plain")), ("a,b", "text/plain")),
        (reading("text/plain"), answer(200, b"17", ("content-type", "text/plain")), ("17", "text/plain")),
        (reading("text/csv"), answer(200, "né".encode("latin-1"), CSV), ("né", "text/csv")),
        (reading("application/xml"), answer(200, b"<a/>", ("content-type", "text/xml")), ("<a/>", "text/xml")),
        # A write that is done is never hidden behind the form of its answer.
        (WRITING, answer(200, b"OK", ("content-type", "text/plain")), ("OK", "text/plain")),
        (reading("*/*"), answer(200, b"OK", ("content-type", "text/plain")), ("OK", "text/plain")),
        (reading("text/html"), answer(200, b"<p>Hi", ("content-type", "text/html")), ("<p>Hi", "text/html")),
        (WRITING, answer(200, b"{broken"), ("{broken", "application/json")),
        # Bytes of another character set than the one that is named are shown as far as they can be read.
        (WRITING, answer(200, b"n\xe9", ("content-type", "text/plain; charset=utf-8")), ("n\ufffd", "text/plain")),
        (WRITING, answer(200, b"OK", ("content-type", "text/plain; charset=x-none")), ("OK", "text/plain")),
    ],
)
def test_a_text_is_the_result(stub: Upstream, called: Tool, told: Any, body: tuple[str, str]) -> None:
    stub.answers(told)
    found = result_of(catalog_of(called), stub.origin, called.name, {})
    assert found == {"text": body[0], "media_type": body[1]}


def test_json_where_a_text_is_documented_is_read_as_json(stub: Upstream) -> None:
    stub.answers(answer(200, {"a": 1}))
    assert result_of(catalog_of(reading("text/plain")), stub.origin, "read_x", {}) == {"a": 1}


def test_bytes_come_in_base64_up_to_a_cap_and_are_counted_beyond_it(stub: Upstream) -> None:
    small, large = b"\x89PNG" * 10, b"\x00" * (BASE64_BYTES + 1)
    stub.answers(answer(200, small, PNG))
    found = result_of(catalog_of(reading("image/png")), stub.origin, "read_x", {})
    assert found == {"media_type": "image/png", "bytes": 40, "base64": base64.b64encode(small).decode()}
    stub.answers(answer(200, large, PDF))
    found = result_of(catalog_of(reading("application/pdf")), stub.origin, "read_x", {})
    assert found == {"media_type": "application/pdf", "bytes": BASE64_BYTES + 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_documented_redirect_is_a_result_and_is_not_followed(stub: Upstream, status: int) -> None:
    stub.answers(answer(status, None, ("location", f"https://files.example.com/7?key={API_KEY[:3]}")))
    found = result_of(catalog_of(reading(redirects=True)), stub.origin, "read_x", {})
    assert found == {"redirect": {"status": status, "location": "https://files.example.com/7?key=m0-"}}


def test_the_place_of_a_redirect_shows_no_credential(stub: Upstream) -> None:
    stub.answers(answer(302, None, ("location", "https://files.example.com/7?key=plain-key-0123456789")))
    found = result_of(catalog_of(reading(redirects=True)), stub.origin, "read_x", {}, api_key="plain-key-0123456789")
    assert found["redirect"]["location"] == "https://files.example.com/7?key=***"


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (reading(), answer(302, None, ("location", "https://other.example.com/"))),
        (reading(redirects=True), answer(304)),
        (reading(redirects=True), answer(302)),
        (reading(), answer(200, b"<html>Sign in</html>", ("content-type", "text/html"))),
        (reading(), answer(200, b"OK", ("content-type", "text/plain"))),
        (reading("*/*"), answer(200, b"<html>Sign in</html>", ("content-type", "text/html"))),
    ],
)
def test_a_read_that_returns_what_nobody_documented_fails(stub: Upstream, called: Tool, told: Any) -> None:
    stub.answers(told)
    failed: Failed = failure_of(catalog_of(called), stub.origin, called.name, {})
    assert failed.status == 502
    assert not failed.may_have_acted


def test_a_list_like_write_that_answers_in_words_is_done(stub: Upstream) -> None:
    called = replace(WRITING, result=Result(items="data"))
    stub.answers(answer(200, b"2 removed", ("content-type", "text/plain")))
    found = result_of(catalog_of(called), stub.origin, called.name, {})
    assert found == {"text": "2 removed", "media_type": "text/plain"}


def test_a_text_whose_name_the_output_schema_has_for_something_else_stands_apart(stub: Upstream) -> None:
    output: dict[str, Json] = {"type": "object", "properties": {"text": {"type": ["object", "null"]}}}
    called = tool("POST", "/x", name="write_x", method="create", access="write", output=output)
    stub.answers(answer(200, b"OK", ("content-type", "text/plain")))
    found = result_of(catalog_of(called), stub.origin, called.name, {})
    assert found == {"upstream_answer": {"text": "OK", "media_type": "text/plain"}}


def test_bytes_of_no_type_that_are_no_text_come_in_base64(stub: Upstream) -> None:
    stub.answers(answer(200, b"\xff\xfe\x00", ("content-type", "")))
    found = result_of(catalog_of(WRITING), stub.origin, WRITING.name, {})
    assert found == {"base64": "//4A", "media_type": "application/octet-stream", "bytes": 3}
