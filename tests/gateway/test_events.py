"""Events of every front door become one request, and its response goes back in the form that each takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest

from functions.gateway import events
from functions.gateway.json_text import Json
from tests.gateway.front_doors import DOORS, NO_REQUESTS, function_url, http_api_stage, rest_api

BODY = '{"text": "größer"}'


@pytest.mark.parametrize(("event", "public"), DOORS.values(), ids=DOORS)
def test_an_event_is_read_as_the_request_that_was_sent(event: Callable[..., Json], public: str) -> None:
    arrived = events.read(event("POST", "/mcp/T-o_k", {"X-Api-Key": "ä"}, BODY), "/tools")
    assert arrived is not None
    assert (arrived.method, arrived.path) == ("POST", "/mcp/T-o_k")
    assert public.endswith(arrived.below)
    assert arrived.body().decode() == BODY
    assert parse_qsl(arrived.query) == [("limit", "1"), ("q", "a b")]
    headers = dict(arrived.lines)
    assert headers["x-api-key"] == "ä".encode().decode("latin-1")
    assert headers["host"] + arrived.below == public
    assert arrived.host in (headers["host"], "")
    assert arrived.source_ip == "203.0.113.7"


@pytest.mark.parametrize("event", [event for event, _ in DOORS.values()], ids=DOORS)
@pytest.mark.parametrize("path", ["/", "/health", "/mcp", "/mcp/T/", "/a b/ü"])
def test_any_path_is_read_below_any_front_door(event: Callable[..., Json], path: str) -> None:
    arrived = events.read(event("GET", path, {}, ""), "/tools")
    assert arrived is not None
    assert arrived.path.rstrip("/") == path.rstrip("/")


@pytest.mark.parametrize("event", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_http_request_is_none(event: Json) -> None:
    assert events.read(event, "/tools") is None


def test_the_parts_of_an_event_may_be_missing() -> None:
    bare = events.read({"requestContext": {"http": {"method": "GET", "path": "/health"}}})
    assert bare is not None
    assert (bare.path, bare.lines, bare.body(), bare.query, bare.host) == ("/health", [], b"", "", "")
    tested = rest_api("GET", "/health", {}, "")
    for name in ("headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters", "body"):
        tested[name] = None
    arrived = events.read(tested)
    assert arrived is not None
    assert (arrived.path, arrived.lines, arrived.body(), arrived.query) == ("/health", [], b"", "")


def test_a_stage_is_only_taken_off_where_the_path_has_it() -> None:
    event = http_api_stage("GET", "/mcp", {}, "")
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/production/mcp"
    arrived = events.read(event)
    assert arrived is not None
    assert (arrived.path, arrived.below) == ("/production/mcp", "")


@pytest.mark.parametrize(
    ("resource", "path"), [("/{proxy+}", "/production/mcp"), ("$default", "/mcp"), ("$default", "/production")]
)
def test_a_route_that_the_path_does_not_have_changes_nothing(resource: str, path: str) -> None:
    event = rest_api("GET", "/mcp", {}, "")
    event |= {"resource": resource, "path": path, "pathParameters": {"proxy": "other"}}
    event["requestContext"] |= {"stage": "prod", "path": path}
    arrived = events.read(event)
    assert arrived is not None
    assert (arrived.path, arrived.below) == (path, "")


def test_a_base_path_may_be_taken_off_before_or_not_at_all() -> None:
    for sent in ("/tools/mcp", "/mcp"):
        arrived = events.read(function_url("GET", sent, {}, ""), "/tools")
        assert arrived is not None
        assert arrived.path == "/mcp"
    other = events.read(function_url("GET", "/toolsmith/mcp", {}, ""), "/tools")
    assert other is not None
    assert other.path == "/toolsmith/mcp"


def test_a_body_that_is_no_base64_is_empty() -> None:
    arrived = events.read({**function_url("POST", "/mcp", {}, ""), "body": "a"})
    assert arrived is not None
    assert arrived.body() == b""


@pytest.mark.parametrize("event", [event for event, _ in DOORS.values()], ids=DOORS)
def test_a_response_has_the_form_of_its_front_door(event: Callable[..., Json]) -> None:
    arrived = events.read(event("GET", "/", {}, ""))
    assert arrived is not None
    lines = [("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    answer = events.response(arrived.form, 404, "Not Found", lines, b"gone")
    json.dumps(answer)
    assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (404, "gone", False)
    several = answer.get("multiValueHeaders", {})
    assert answer.get("headers", {"content-type": several.get("content-type", [""])[0]})["content-type"] == "text/plain"
    if arrived.form == "2.0":
        assert answer["cookies"] == ["a=1", "b=2"]
        assert several == {}
    elif arrived.form != "balancer":
        assert several["set-cookie"] == ["a=1", "b=2"]
    assert ("statusDescription" in answer) == arrived.form.startswith("balancer")
    assert answer.get("statusDescription", "404 Not Found") == "404 Not Found"
    assert ("headers" in answer) == (arrived.form != "balancer-multi")


def test_bytes_that_are_no_text_go_as_base64() -> None:
    answer = events.response("2.0", 200, "OK", [], b"PK\x03\x04\xff")
    assert (answer["body"], answer["isBase64Encoded"]) == ("UEsDBP8=", True)


def test_a_query_of_another_form_is_none() -> None:
    tested = {
        **rest_api("GET", "/health", {}, ""),
        "queryStringParameters": "a=1",
        "multiValueQueryStringParameters": None,
    }
    arrived = events.read(tested)
    assert arrived is not None
    assert arrived.query == ""


@pytest.mark.parametrize(
    ("path", "base", "rest"),
    [("/a", "/a", "/"), ("/a/b", "/a", "/b"), ("/ab", "/a", None), ("/a", "", "/a"), ("", "", "/")],
)
def test_a_path_is_below_whole_segments_only(path: str, base: str, rest: str | None) -> None:
    assert events.within(path, base) == rest
