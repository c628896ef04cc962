"""API Gateway and Function URL events through the real data-plane handler: one process, many invocations."""

from __future__ import annotations

import base64
import contextlib
import copy
import importlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from functions.gateway import events
from functions.gateway.json_text import Json
from functions.gateway.large_documents import LARGE_BYTES
from functions.gateway.waits.blocking import finished
from functions.memory_engine.app import create_app
from functions.memory_engine.settings import EngineSettings
from functions.stores.sqlite import SqliteStore
from tests.gateway.front_doors import DOORS, NO_REQUESTS
from tests.mcp_endpoint.endpoint import META, Bench, Clock, served
from tests.patience import STUCK_SECONDS

EVENTS = Path(__file__).parent / "events"
ROOT = Path(__file__).parents[2]

FORBIDDEN = ("pydantic", "boto3", "botocore", "mcp", "yaml", "jsonschema", "httpx", "jsonschema_rs", "nacl", "jmespath")
"""Packages that a cold start must not pay for before the first tools/call needs them."""


@dataclass
class Context:
    """The part of Lambda's context object that is read."""

    aws_request_id: str = "lambda-request-1"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Deployed:
    """The handler, as Lambda imports it, over a store and an upstream of its own."""

    handler: Callable[[Json, Any], Json]
    bench: Bench
    upstream: str
    audit_lines: io.StringIO

    def mint(self, **options: Any) -> str:
        return self.bench.mint(base_url=self.upstream, **options)


API_KEY = "m0-of-the-upstream"


@pytest.fixture
def deployed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    base_path: str = getattr(request, "param", "")
    variables = {"STATE_DIR": str(tmp_path), "PRIVATE_UPSTREAMS": "true", "LOG_LEVEL": "DEBUG", "BASE_PATH": base_path}
    for name, value in variables.items():
        monkeypatch.setenv(f"POSTERN_{name}", value)
    level = logging.getLogger().level
    with served(create_app(EngineSettings(path=tmp_path / "memory.sqlite", api_keys=(API_KEY,)))) as upstream:
        sys.modules.pop("functions.mcp_endpoint.handler", None)
        with contextlib.redirect_stdout(io.StringIO()) as audit_lines:
            module = importlib.import_module("functions.mcp_endpoint.handler")
        store = SqliteStore(tmp_path / "postern.sqlite")
        yield Deployed(module.handler, Bench(store, Clock(datetime.now(UTC))), upstream, audit_lines)
        finished(module.sender.close())
        store.close()
        module.store.close()
    logging.getLogger().setLevel(level)


@pytest.fixture(params=["api_gateway", "function_url"])
def event(request: pytest.FixtureRequest) -> Json:
    return json.loads((EVENTS / f"{request.param}.json").read_text())


def _event(event: Json, token: str, message: Json, headers: Json = None, *, encoded: bool = False) -> Json:
    """The event with this token, message and headers."""
    event = copy.deepcopy(event)
    body = message if isinstance(message, str) else json.dumps(message)
    event["rawPath"] = event["requestContext"]["http"]["path"] = f"/mcp/{token}"
    event["headers"] = {**event["headers"], "content-length": str(len(body.encode())), **(headers or {})}
    event["body"] = base64.b64encode(body.encode()).decode() if encoded else body
    event["isBase64Encoded"] = encoded
    return event


def _call(name: str, arguments: Json, id: Json = 1) -> Json:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def test_one_process_serves_many_invocations(deployed: Deployed, event: Json) -> None:
    """AWS Lambda: a warm environment is used again; the SDK's own app fails from the second on (python-sdk 3121)."""
    token = deployed.mint(api_key=API_KEY)
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    for _ in range(3):
        answer = deployed.handler(_event(event, token, listing), Context())
        assert answer["statusCode"] == 200
        assert answer["headers"]["content-type"] == "application/json"
        assert answer["isBase64Encoded"] is False
        assert len(json.loads(answer["body"])["result"]["tools"]) > 5


@pytest.mark.parametrize(
    ("variables", "written"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}, 3),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318", "OTEL_SDK_DISABLED": "true"}, 0),
        ({"POSTERN_TRACE_UPSTREAMS": "127.0.0.1"}, 0),
    ],
    ids=["exported", "disabled", "passed on only"],
)
def test_a_process_writes_spans_only_where_they_are_asked_for(
    variables: dict[str, str],
    written: int,
    event: Json,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    deployed: Deployed = request.getfixturevalue("deployed")
    token = deployed.mint(api_key=API_KEY)
    for number in range(3):
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/list"}
        assert deployed.handler(_event(event, token, message), Context())["statusCode"] == 200
    lines = [json.loads(line) for line in deployed.audit_lines.getvalue().splitlines()]
    spans = [line for line in lines if line.get("kind") == "span"]
    assert [span["method"] for span in spans] == ["tools/list"] * written


def test_calls_of_one_process_share_the_upstream_connection_and_never_fail_on_it(
    deployed: Deployed, event: Json
) -> None:
    """An HTTP client that outlives an invocation must outlive it on the same event loop (mangum)."""
    token = deployed.mint(api_key=API_KEY)
    for number in range(4):
        arguments = {"messages": [{"role": "user", "content": f"I like tea number {number}."}], "user_id": "usr_1"}
        answer = deployed.handler(_event(event, token, _call("create_a_mem_0_memory", arguments)), Context())
        result = json.loads(answer["body"])["result"]
        assert result["isError"] is False, result
        assert result["structuredContent"]["event_id"]


def test_a_large_request_is_read_before_the_loop_runs(deployed: Deployed, event: Json) -> None:
    """A body over LARGE_BYTES is read on a thread, which needs the event loop; a listing needs none."""
    live, dead = deployed.mint(api_key=API_KEY), "t" * len(deployed.mint(api_key=API_KEY))
    for method, token, code in (("ping", live, None), ("tools/list", live, None), ("ping", dead, 40401)) * 3:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": {"x": "a" * LARGE_BYTES}}}
        content = json.loads(deployed.handler(_event(event, token, message), Context())["body"])
        assert content.get("error", {}).get("code") == code, content


def test_a_modern_request_through_lambda_is_modern(deployed: Deployed, event: Json) -> None:
    """2026-07-28 transports: header names come in lower case, values as sent."""
    token = deployed.mint(api_key=API_KEY)
    arguments = {"filters": {"user_id": "usr_ü"}}
    message = _call("list_all_mem_0_memories", arguments)
    message["params"]["_meta"] = META
    headers = {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "list_all_mem_0_memories",
    }
    for encoded in (False, True, False):
        answer = deployed.handler(_event(event, token, message, headers, encoded=encoded), Context())
        result = json.loads(answer["body"])["result"]
        assert (answer["statusCode"], result["resultType"]) == (200, "complete")
        assert result["structuredContent"]["result"] == []
    mismatch = deployed.handler(_event(event, token, message, {**headers, "mcp-method": "a,tools/call"}), Context())
    assert (mismatch["statusCode"], json.loads(mismatch["body"])["error"]["code"]) == (400, -32020)


def test_an_upstream_gets_no_more_time_than_lambda_has(deployed: Deployed, event: Json) -> None:
    """AWS Lambda: the context's remaining time; the margin is kept for our own answer."""
    token = deployed.mint(api_key=API_KEY)
    message = _call("list_all_mem_0_memories", {"filters": {"user_id": "usr_1"}})
    answer = deployed.handler(_event(event, token, message), Context(remaining_ms=1_400))
    result = json.loads(answer["body"])["result"]
    assert result["isError"] is True
    assert json.loads(result["content"][0]["text"])["status_code"] == 504


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/mcp/TOKEN", 405),
        ("DELETE", "/mcp/TOKEN", 405),
        ("OPTIONS", "/mcp/TOKEN", 204),
        ("POST", "/mcp/unknown", 200),
        ("GET", "/.well-known/oauth-protected-resource/mcp/TOKEN", 404),
        ("GET", "/health", 200),
    ],
)
def test_what_is_not_a_message_is_answered_at_once(
    deployed: Deployed, event: Json, verb: str, path: str, status: int
) -> None:
    """2025-11-25 transports: 405 for a GET without a stream. A GET that waits would hold the function to its limit."""
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["requestContext"]["http"]["method"] = verb
    for _ in range(3):
        answer = deployed.handler(event, Context())
        assert answer["statusCode"] == status
        assert answer["headers"]["vary"] == "Origin"


def test_the_host_that_the_platform_says_is_the_one_that_is_served(deployed: Deployed, event: Json) -> None:
    """DNS rebinding: API Gateway and Function URLs name the domain under which they took the request."""
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/health"
    event["requestContext"]["http"]["method"] = "GET"
    for host, status in ((event["headers"]["host"], 200), ("evil.example", 421), (event["headers"]["host"], 200)):
        answer = deployed.handler({**event, "headers": {**event["headers"], "host": host}}, Context())
        assert answer["statusCode"] == status


@pytest.mark.parametrize("door", [door for door, _ in DOORS.values()], ids=DOORS)
@pytest.mark.parametrize("deployed", ["/tools"], indirect=True)
def test_every_front_door_and_base_path_is_served(deployed: Deployed, door: Callable[..., Json]) -> None:
    """Payloads 2.0 and 1.0, load balancers, stages, custom domains; several events in one process."""
    token = deployed.mint(api_key=API_KEY)
    lines = {"content-type": "application/json", "mcp-protocol-version": "2025-11-25"}
    listing = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    call = json.dumps(_call("list_all_mem_0_memories", {"filters": {"user_id": "usr_1"}}))
    for _ in range(3):
        assert json.loads(deployed.handler(door("POST", f"/mcp/{token}", lines, listing), Context())["body"])["result"]
        answer = deployed.handler(door("POST", f"/mcp/{token}", lines, call), Context())
        assert (answer["statusCode"], json.loads(answer["body"])["result"]["isError"]) == (200, False)
        assert deployed.handler(door("GET", "/health", {}, ""), Context())["statusCode"] == 200
        assert deployed.handler(door("GET", "/nowhere", {}, ""), Context())["statusCode"] == 404


def test_an_event_that_is_no_request_is_answered(deployed: Deployed, event: Json) -> None:
    """Warm-ups, schedules, the console's test: an exception would count as a failure of the function."""
    token = deployed.mint(api_key=API_KEY)
    for other in NO_REQUESTS.values():
        assert deployed.handler(other, Context()) == dict(events.NO_REQUEST)
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert deployed.handler(_event(event, token, listing), Context())["statusCode"] == 200


def test_a_body_that_is_missing_or_garbled_is_a_parse_error(deployed: Deployed, event: Json) -> None:
    token = deployed.mint(api_key=API_KEY)
    garbled = _event(event, token, "{", encoded=True)
    missing = _event(event, token, "")
    del missing["body"]
    for wrong in (garbled, missing):
        answer = deployed.handler(wrong, Context())
        assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (400, -32700)


def test_no_secret_reaches_a_log_line_at_debug(
    deployed: Deployed, event: Json, caplog: pytest.LogCaptureFixture
) -> None:
    """Mangum logs paths and httpx logs URLs at INFO, with the tokens and keys in them."""
    token = deployed.mint(api_key=API_KEY)
    api_token = deployed.bench.issue_api_token()
    with caplog.at_level(logging.DEBUG):
        for name in ("list_all_mem_0_memories", "mem_0_memories_search", "no_such_tool"):
            message = _call(name, {"filters": {"user_id": "usr_private"}, "query": "private"})
            deployed.handler(_event(event, token, message, {"authorization": f"Bearer {api_token}"}), Context())
        deployed.handler(_event(event, "A" * 43, "{}"), Context())
    assert deployed.audit_lines.getvalue().count('"request_id":"lambda-request-1"') == 3
    written = caplog.text + deployed.audit_lines.getvalue()
    for secret in (token, api_token, API_KEY, "A" * 43, "usr_private"):
        assert secret not in written


@pytest.mark.parametrize("store", ["sqlite", "dynamodb"])
def test_importing_the_handler_imports_nothing_heavy(store: str, tmp_path: Path) -> None:
    names = ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "POSTERN_TABLE")
    environment = {**dict.fromkeys(names, "x"), "POSTERN_STORE": store, "POSTERN_STATE_DIR": str(tmp_path)}
    script = "import sys, functions.mcp_endpoint.handler; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=STUCK_SECONDS,
    )
    imported = set(run.stdout.split())
    assert "functions.mcp_endpoint.app" in imported
    assert imported.isdisjoint(FORBIDDEN)
