"""The front door: keys, paths, methods, bodies, limits, and trouble on demand."""

from __future__ import annotations

import time
from typing import Any

import pytest

from functions.memory_engine.app import OPERATIONS
from tests.memory_engine.conftest import Bench, Clock, bench

INVALID_KEY = {"detail": "Invalid API key. You can find your API key on https://app.mem0.ai/dashboard/api-keys."}


@pytest.mark.parametrize("header", ["Token wrong", "Bearer m0-test-key", "Token", "m0-test-key", "Token ключ".encode()])
def test_a_wrong_key_is_401_with_mem0s_text(memory: Bench, header: Any) -> None:
    answer = memory.client.get("/v1/ping/", headers={"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, INVALID_KEY)
    assert answer.headers["WWW-Authenticate"] == "Token"


def test_a_missing_key_is_401(memory: Bench) -> None:
    memory.client.headers.clear()
    answer = memory.client.get("/v1/ping/")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication credentials were not provided."})


def test_without_configured_keys_any_key_will_do_but_not_none() -> None:
    with bench(api_keys=()) as memory:
        assert memory.client.get("/v1/ping/", headers={"Authorization": "Token anything"}).status_code == 200
        assert memory.client.get("/v1/ping/", headers={"Authorization": "Token "}).status_code == 401


def test_ping_names_the_organization_and_the_project(memory: Bench) -> None:
    assert memory.call("GET", "/v1/ping/") == {
        "status": "ok",
        "org_id": "org_local",
        "project_id": "proj_local",
        "user_email": "owner@localhost",
    }


@pytest.mark.parametrize(("method", "path"), sorted({(method, path) for method, path, _ in OPERATIONS}))
def test_every_path_ends_in_a_slash_and_is_404_without(memory: Bench, method: str, path: str) -> None:
    concrete = path.replace("{kind:kind}", "user").replace("{entity_type:kind}", "user")
    concrete = concrete.rstrip("/").replace("{", "").replace("}", "")
    answer = memory.client.request(method, concrete, json={})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


def test_an_unknown_path_is_404_and_a_wrong_method_405(memory: Bench) -> None:
    assert memory.call("GET", "/v9/nothing/", status=404) == {"detail": "Not found."}
    assert memory.call("DELETE", "/v1/ping/", status=405) == {"detail": 'Method "DELETE" not allowed.'}
    assert memory.call("GET", "/v3/memories/", status=405) == {"detail": 'Method "GET" not allowed.'}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "JSON parse error - Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'{"query": "\xff"}', "JSON parse error - it is not UTF-8: byte 11 is 0xff"),
        (b'{"query": NaN}', "JSON parse error - NaN is not JSON"),
        (b'{"query": "\\ud800"}', "JSON parse error - it contains half of a surrogate pair, which is not text"),
        (b"[" * 100_000, "JSON parse error - it is nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_is_400_with_the_reason(memory: Bench, content: bytes, text: str) -> None:
    answer = memory.client.post("/v3/memories/search/", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"detail": text})


@pytest.mark.parametrize("body", [[], "text", 7, True])
def test_a_body_that_is_no_object_is_400(memory: Bench, body: Any) -> None:
    for method, path, _ in OPERATIONS:
        if method in ("POST", "PUT", "PATCH"):
            concrete = path.replace("{kind:kind}", "user").replace("{", "").replace("}", "")
            answer = memory.client.request(method, concrete, json=body)
            assert 400 <= answer.status_code < 500, f"{method} {path}: {answer.status_code}"
            assert answer.headers["Content-Type"] == "application/json"


def test_another_content_type_is_415(memory: Bench) -> None:
    answer = memory.client.post("/v3/memories/add/", content=b"x=1", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()) == (415, {"detail": 'Unsupported media type "text/plain" in request.'})


def test_an_oversized_body_is_413() -> None:
    with bench(max_body_bytes=1000) as memory:
        body = {"messages": [{"role": "user", "content": "x" * 1000}], "user_id": "alice"}
        assert memory.call("POST", "/v3/memories/add/", body, 413) == {
            "detail": "The request body is over the limit of 1000 bytes; send less at once."
        }


def test_the_sixty_first_request_of_a_minute_is_429_with_mem0s_headers() -> None:
    clock = Clock()
    with bench(clock, rate_limit_per_minute=60) as memory:
        for left in range(59, -1, -1):
            answer = memory.client.get("/v1/ping/")
            assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (200, str(left))
            clock.forward(seconds=0.5)
        refused = memory.client.get("/v1/ping/")
        assert refused.status_code == 429
        assert refused.json() == {"detail": "Request was throttled. Expected available in 30 seconds."}
        assert refused.headers["Retry-After"] == "30"
        assert refused.headers["X-RateLimit-Limit"] == "60"
        assert refused.headers["X-RateLimit-Remaining"] == "0"
        assert int(refused.headers["X-RateLimit-Reset"]) == int(clock().timestamp()) + 30
        clock.forward(seconds=29)
        assert memory.client.get("/v1/ping/").headers["Retry-After"] == "1"
        clock.forward(seconds=1)
        assert memory.client.get("/v1/ping/").status_code == 200


def test_each_key_has_a_limit_of_its_own_and_a_wrong_key_has_none() -> None:
    with bench(api_keys=("one", "two"), rate_limit_per_minute=1) as memory:
        status = [
            memory.client.get("/v1/ping/", headers={"Authorization": f"Token {key}"}).status_code
            for key in ("one", "one", "two", "two", "three")
        ]
        assert status == [200, 429, 200, 429, 401]


def test_without_a_limit_no_header_speaks_of_one(memory: Bench) -> None:
    assert not [name for name in memory.client.get("/v1/ping/").headers if "ratelimit" in name.lower()]


def test_failures_on_demand_are_503_and_store_nothing() -> None:
    with bench(failure_rate=1.0) as memory:
        body = {"messages": [{"role": "user", "content": "x"}], "user_id": "alice", "infer": False}
        assert memory.call("POST", "/v3/memories/add/", body, 503) == {
            "detail": "Service temporarily unavailable, try again later."
        }
        with memory.engine.core.database.read() as connection:
            assert connection.execute("SELECT count(*) FROM memories").fetchone()[0] == 0


def test_a_failure_rate_is_a_share_of_the_requests() -> None:
    drawn = iter([b"\x00" * 4, b"\xff" * 4] * 5)
    with bench() as memory:
        pass
    with bench(
        failure_rate=0.5, random_bytes=lambda length: next(drawn) if length == 4 else b"\x01" * length
    ) as memory:
        assert [memory.client.get("/v1/ping/").status_code for _ in range(4)] == [503, 200, 503, 200]


def test_latency_on_demand_delays_an_answer() -> None:
    with bench(latency_ms=50) as memory:
        begun = time.perf_counter()
        memory.call("GET", "/v1/ping/")
        assert time.perf_counter() - begun >= 0.05


def test_no_key_is_in_a_repr_or_a_log(memory: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        memory.remember("Likes tea")
        memory.client.get("/v1/ping/", headers={"Authorization": "Token another-secret"})
    text = caplog.text + repr(memory.engine.core.settings)
    assert "m0-test-key" not in text
    assert "another-secret" not in text
