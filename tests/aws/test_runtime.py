"""The built functions under AWS's own runtime client and emulator, fed with recorded events."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.admin_api.servers.item import LiveToken, ServerItem
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.stores import layout
from functions.stores.dynamodb import DynamoStore
from functions.stores.store import Put, Store
from tests.aws import standins
from tests.aws.conftest import Built
from tests.aws.lambda_runtime import Running, running
from tests.gateway.calling import log_items
from tests.log_subscriber.test_subscriber import delivery
from tests.mcp_endpoint.endpoint import Answer, Bench, Clock, Request, legacy, modern

pytestmark = pytest.mark.aws

EVENTS = ["function_url", "http_api"]
ERAS: dict[str, Callable[..., Request]] = {"2026-07-28": modern, "2025-11-25": legacy}
LAMBDA_SECONDS = 6


@pytest.fixture(scope="module")
def table() -> Iterator[tuple[str, Store]]:
    with standins.table(standins.ministack()) as (client, name):
        yield name, DynamoStore(name, client=client)


@pytest.fixture(scope="module")
def bench(table: tuple[str, Store]) -> Bench:
    """Mints servers into the table, by the clock on the wall: the function has no other."""
    return Bench(table[1], clock=Clock(datetime.now(UTC)))


@pytest.fixture(scope="module")
def variables(table: tuple[str, Store]) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": standins.ministack(),
        "POSTERN_STORE": "dynamodb",
        "POSTERN_TABLE": table[0],
        "POSTERN_ENVIRONMENT": "rie",
        "POSTERN_PRIVATE_UPSTREAMS": "true",
        "POSTERN_CALL_TIMEOUT_SECONDS": "25",
    }


@pytest.fixture(scope="module")
def endpoint(built: Built, variables: dict[str, str]) -> Iterator[Running]:
    """One execution environment of the data plane, for many requests."""
    folder = built.function("mcp_endpoint")
    with running(folder, "functions.mcp_endpoint.handler.handler", LAMBDA_SECONDS, **variables) as function:
        yield function


def call(era: str, name: str, arguments: Json) -> Request:
    return ERAS[era]("tools/call", {"name": name, "arguments": arguments})


def failure(answer: Answer) -> Json:
    """The envelope of a failed call."""
    result = answer.json["result"]
    assert result["isError"] is True
    return json.loads(result["content"][0]["text"])


def tool(endpoint: Running, token: str, *words: str) -> str:
    """The name of the first tool that has all these words in it."""
    listed = endpoint.post("function_url", token, legacy("tools/list")).json["result"]["tools"]
    return str(next(entry["name"] for entry in listed if all(word in entry["name"] for word in words)))


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("encoded", [False, True], ids=["text", "base64"])
def test_tools_are_listed_from_any_event_in_any_era(
    endpoint: Running, bench: Bench, event: str, era: str, encoded: bool
) -> None:
    token = bench.mint(id="srv_list")
    answers = [endpoint.post(event, token, ERAS[era]("tools/list", id=n), encoded=encoded) for n in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.json["id"] for answer in answers] == [0, 1, 2]
    assert all(len(answer.json["result"]["tools"]) >= 10 for answer in answers)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("era", ERAS)
def test_a_call_goes_through_to_the_upstream_and_back_again_and_again(
    endpoint: Running, bench: Bench, upstream: str, event: str, era: str
) -> None:
    token = bench.mint(id="srv_call", base_url=upstream)
    search = tool(endpoint, token, "search")
    for _ in range(4):
        answer = endpoint.post(event, token, call(era, search, {"query": "tea", "filters": {"user_id": "usr_1"}}))
        result = answer.json["result"]
        assert (answer.status, result.get("isError", False)) == (200, False)
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


@pytest.fixture
def subscriber(built: Built, variables: dict[str, str]) -> Iterator[Running]:
    """The function that CloudWatch Logs starts."""
    handler = "functions.log_subscriber.handler.handler"
    with running(built.function("log_subscriber"), handler, 60, **variables) as function:
        yield function


def test_a_call_leaves_a_line_in_the_log_that_the_subscriber_puts_into_the_table_and_no_secret(
    endpoint: Running, bench: Bench, table: tuple[str, Store], upstream: str, subscriber: Running
) -> None:
    token = bench.mint(id="srv_log", base_url=upstream, api_key="m0-the-upstream-secret")
    search = tool(endpoint, token, "search")
    endpoint.post("function_url", token, call("2026-07-28", search, {"query": "tea", "filters": {"user_id": "u-1"}}))
    entries = [json.loads(line) for line in endpoint.log().splitlines() if line.startswith('{"_aws"')]
    [entry] = [entry for entry in entries if entry["server_id"] == "srv_log"]
    assert (entry["tool"], entry["outcome"], entry["environment"]) == (search, "ok", "rie")
    assert table[1].get([layout.use("srv_log")]) == [None], "the data plane writes nothing"
    lines = [line for line in endpoint.log().splitlines() if line.startswith('{"_aws"') and "srv_log" in line]
    for stored, known in ((1, 0), (0, 1), (0, 1)):
        assert subscriber.invoke(delivery(*lines)) == {"stored": stored, "known": known, "unreadable": 0}
    days = [datetime.now(UTC).date(), datetime.now(UTC).date() - timedelta(days=1)]
    kept = [item for day in days for item in log_items(table[1], "acc_1", day.isoformat())]
    assert "srv_log" in {item.body["server_id"] for item in kept}
    assert table[1].get([layout.use("srv_log")]) != [None]
    assert not any(secret in endpoint.log() for secret in (token, "m0-the-upstream-secret"))


def test_an_expired_an_unknown_and_a_malformed_token_are_dead_on_the_real_runtime(
    endpoint: Running, bench: Bench
) -> None:
    expired = bench.mint(id="srv_dead", lives=-timedelta(seconds=1))
    answers = [endpoint.post("function_url", token, legacy("tools/list")) for token in (expired, "0" * 43, "x")]
    assert [(answer.status, answer.code) for answer in answers] == [(200, 40401)] * 3
    assert len({answer.body for answer in answers}) == 1


def test_a_request_that_is_too_large_is_refused(endpoint: Running, bench: Bench) -> None:
    token = bench.mint(id="srv_big_request")
    answer = endpoint.post(
        "function_url", token, legacy("tools/call", {"name": "x", "arguments": {"a": "x" * 1_000_000}})
    )
    assert answer.status == 413


def test_a_stalled_upstream_is_told_before_lambda_ends_the_function(endpoint: Running, bench: Bench) -> None:
    """The function has 6 s and the setting says 25: what counts is the time that Lambda leaves."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        token = bench.mint(id="srv_slow", base_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        search = tool(endpoint, token, "search")
        started = time.monotonic()
        answer = endpoint.post(
            "function_url", token, call("2026-07-28", search, {"query": "tea", "filters": {"user_id": "usr_1"}})
        )
        took = time.monotonic() - started
    assert took > 3, "the upstream got less time than Lambda leaves"
    assert failure(answer)["status_code"] == 504
    assert endpoint.post("function_url", token, legacy("ping")).status == 200


class BigUpstream:
    """Answers every request with one JSON text of the size that was asked for."""

    def __init__(self, body: bytes) -> None:
        import threading
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    return  # the reader had enough

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> BigUpstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def memories(count: int, text: str) -> bytes:
    records = [{"id": f"mem_{n}", "memory": text} for n in range(count)]
    return json.dumps({"results": records}, ensure_ascii=False).encode()


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "body",
    [memories(900, "x" * 5_000), memories(20_000, '"' * 60), memories(900, "é" * 1_500)],
    ids=["long texts", "quotes", "not ascii"],
)
def test_the_largest_results_that_settings_allow_fit_through_lambda(
    built: Built, bench: Bench, variables: dict[str, str], era: str, body: bytes
) -> None:
    """The emulator keeps Lambda's limit: an answer over 6,291,556 bytes would be Lambda's error, not ours."""
    most = {setting.name: str(setting.metadata["most"]) for setting in fields(Settings)}
    widest = {
        f"POSTERN_{name.upper()}": most[name] for name in ("max_result_bytes", "max_string_chars", "max_array_items")
    }
    folder = built.function("mcp_endpoint")
    with (
        BigUpstream(body) as big,
        running(folder, "functions.mcp_endpoint.handler.handler", 30, **variables, **widest) as function,
    ):
        token = bench.mint(id="srv_big", base_url=big.url)
        search = tool(function, token, "search")
        answer = function.post(
            "function_url", token, call(era, search, {"query": "tea", "filters": {"user_id": "usr_1"}})
        )
    assert answer.status == 200
    assert answer.json["result"].get("isError", False) is False


def test_an_upstream_answer_over_the_bytes_we_read_is_refused_with_what_to_do(endpoint: Running, bench: Bench) -> None:
    with BigUpstream(memories(1_300, "x" * 4_000)) as big:
        token = bench.mint(id="srv_too_big", base_url=big.url)
        search = tool(endpoint, token, "search")
        answer = endpoint.post(
            "function_url", token, call("2026-07-28", search, {"query": "tea", "filters": {"user_id": "usr_1"}})
        )
    assert failure(answer)["status_code"] == 502


@pytest.mark.parametrize("event", EVENTS)
def test_the_management_api_answers_on_the_real_runtime(
    built: Built, variables: dict[str, str], tmp_path: Any, event: str
) -> None:
    from tests.aws.lambda_runtime import http_event

    own = {**variables, "POSTERN_STATE_DIR": str(tmp_path)}
    folder = built.function("admin_api")
    with running(folder, "functions.admin_api.handler.handler", 30, **own) as function:
        answers = [function.invoke(http_event(event, "GET", "/integrated-account", Request([], b""))) for _ in range(3)]
    assert [answer["statusCode"] for answer in answers] == [401, 401, 401]


def test_the_purge_function_removes_an_expired_server_on_the_real_runtime(
    built: Built, variables: dict[str, str], table: tuple[str, Store]
) -> None:
    now = datetime.now(UTC)
    server = ServerItem(
        id="srv_old",
        account_id="acc_1",
        name="Old",
        config=ServerConfig(),
        expires_at=now - timedelta(seconds=5),
        created_by="tok_1",
        created_at=now,
        updated_at=now,
        tokens=(LiveToken("d" * 64, None),),
        labels={},
        token_made_at=now,
    )
    expired = server.to_json()["expires_at"]
    table[1].write([server.put(0), Put(layout.token("d" * 64), {})])
    event = {"account_id": "acc_1", "server_id": "srv_old", "expires_at": expired}
    with running(built.function("purge"), "functions.purge.handler.handler", 30, **variables) as function:
        assert function.invoke(event) == {"server_id": "srv_old", "outcome": "purged"}
        assert function.invoke(event) == {"server_id": "srv_old", "outcome": "gone"}
        assert function.invoke({"server_id": "srv_old"})["errorType"] == "ValueError"
    assert table[1].get([layout.server("acc_1", "srv_old"), layout.token("d" * 64)]) == [None, None]


def test_a_function_without_its_packages_says_so_instead_of_finding_others(built: Built, tmp_path: Any) -> None:
    import shutil

    folder = tmp_path / "broken"
    shutil.copytree(built.function("admin_api"), folder)
    shutil.rmtree(folder / "starlette")
    with running(folder, "functions.admin_api.handler.handler", 5) as function:
        assert function.invoke({})["errorType"] == "Runtime.ImportModuleError"
