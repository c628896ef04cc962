"""What holds for every route: bodies, paths, verbs, and errors that tell nothing they should not."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from functions.gateway.settings import Settings
from functions.stores.store import StoreError, StoreUnavailable
from tests.admin_api.conftest import API_KEY, Plane, ScriptedUpstream


def raw(plane: Plane, content: bytes, media_type: str | None = "application/json") -> Any:
    headers = {"authorization": f"Bearer {plane.root}"}
    if media_type is not None:
        headers["content-type"] = media_type
    return plane.client.post("/api-token", content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the request body is empty; send a JSON object"),
        (b"  ", "the request body is empty; send a JSON object"),
        (b'{"name": ', "the request body is not valid JSON: Expecting value at line 1, column 10"),
        (b"[]", "the request body is a list; it must be a JSON object"),
        (b"null", "the request body is null; it must be a JSON object"),
        (b'"x"', "the request body is a string; it must be a JSON object"),
        (b'{"name": NaN}', "the request body is not valid JSON: NaN is not a JSON number"),
        (b'{"name": "\xff"}', "the request body is not valid JSON: byte 10 is not UTF-8"),
        (b'{"name": "\\ud800"}', "the request body is not valid JSON: a string holds half of a surrogate pair"),
        (b'{"name": ' + b"1" * 5000 + b"}",
         "the request body is not valid JSON: a number of 5,000 digits is too long; at most 4,300 are taken"),
        (b"[" * 100_000, "the request body is not valid JSON: it is nested more than 100 levels deep"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_a_400_that_says_where(plane: Plane, content: bytes, message: str) -> None:
    answer = raw(plane, content)
    assert answer.status_code == 400
    assert answer.json() == {"statusCode": 400, "error": "Bad Request", "message": message}


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_body_of_another_kind_is_a_415(plane: Plane, media_type: str | None) -> None:
    answer = raw(plane, b'{"name": "x", "scopes": ["manage"]}', media_type)
    assert answer.status_code == 415
    assert answer.json()["message"].endswith("send Content-Type: application/json")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"]
)
def test_json_by_any_of_its_names_is_taken(plane: Plane, media_type: str) -> None:
    assert raw(plane, b'{"name": "x", "scopes": ["manage"]}', media_type).status_code == 201


def test_a_body_over_the_limit_is_a_413(plane: Plane, settings: Settings) -> None:
    answer = raw(plane, b" " * (settings.max_request_bytes + 1))
    assert answer.status_code == 413
    assert answer.json()["message"] == (
        "the request body is over 1,000,000 bytes, which is the limit; send less at once"
    )


@pytest.mark.parametrize(
    "path", ["/", "/integrated-accounts", "/integrated-account/", "/mcp/x", "/api-token/a/b", "/docs"]
)
def test_a_path_that_is_not_served_is_a_404_that_says_where_to_look(plane: Plane, path: str) -> None:
    answer = plane.call("GET", path)
    assert answer.status_code == 404
    assert answer.json() == {
        "statusCode": 404,
        "error": "Not Found",
        "message": f"nothing is served at {path}; GET /openapi.json lists every path",
    }


def test_a_verb_that_is_not_served_is_a_405_with_the_ones_that_are(plane: Plane) -> None:
    answer = plane.call("PUT", "/integrated-account/x")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, PATCH"
    assert answer.json()["message"] == "PUT is not served at this path; valid: DELETE, GET, PATCH"


@pytest.mark.parametrize("path", ["/integrated-account", "/nothing", "/openapi.json"])
def test_no_answer_may_be_cached(plane: Plane, path: str) -> None:
    assert plane.call("GET", path).headers["cache-control"] == "no-store"


def test_a_busy_store_is_a_503_with_a_time_to_wait(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*arguments: object, **more: object) -> None:
        raise StoreUnavailable("throttled", retry_after=3)

    monkeypatch.setattr(plane.store, "query", busy)
    answer = plane.call("GET", "/integrated-account")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "3"
    assert answer.json() == {
        "statusCode": 503,
        "error": "Service Unavailable",
        "message": "the store is busy; try again",
    }


@pytest.mark.parametrize("error", [StoreError("table details"), RuntimeError(f"unexpected {API_KEY}"), KeyError("x")])
def test_what_nobody_expected_is_a_500_or_503_that_shows_nothing(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def broken(*arguments: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(plane.store, "query", broken)
    answer = plane.call("GET", "/integrated-account")
    assert answer.status_code == (503 if isinstance(error, StoreError) else 500)
    assert answer.json()["message"] in (
        "the store failed; the log of this deployment names the cause",
        "unexpected error; the log of this deployment names the place",
    )
    assert API_KEY not in answer.text + caplog.text
    assert caplog.records


def test_a_full_run_at_debug_logs_no_secret(
    plane: Plane, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpx2", "httpcore", "httpcore2"):
        caplog.set_level(logging.WARNING, logger=name)  # as both entries set them
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    account = plane.ok("POST", "/integrated-account", body)["id"]
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})
    rotated = plane.ok("POST", f"/integrated-account/{account}/mcp/{server['id']}/rotate", {"grace_seconds": 5})
    token = plane.ok("POST", "/api-token", {"name": "t", "scopes": ["manage"]})
    plane.call("GET", "/proxy/memories/x", params={"integrated_account_id": account}, token=token["token"])
    plane.refused("POST", "/integrated-account", body | {"credentials": {"api_key": "wrong-key-1234"}}, status=400)
    plane.ok("DELETE", f"/integrated-account/{account}")
    for secret in (API_KEY, "wrong-key-1234", plane.root, server["token"], rotated["token"], token["token"]):
        assert secret not in caplog.text
        assert secret not in plane.lines.getvalue()
