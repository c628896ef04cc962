"""The Lambda entry: events of both front doors, several in one process."""

from __future__ import annotations

import base64
import gc
import importlib
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from functions.admin_api.api_tokens.root import bootstrap
from functions.gateway import events
from functions.gateway.grants import write_time
from functions.gateway.settings import Settings, SettingsError
from functions.stores.sqlite import SqliteStore
from tests.admin_api.conftest import API_KEY, START, ScriptedUpstream
from tests.gateway.front_doors import DOORS, NO_REQUESTS
from tests.identity_issuer import github

ROOT = "pst_" + "h" * 43
CONTEXT = SimpleNamespace(
    aws_request_id="6f1f5e3e-0d4a-4d0c-9f3c-2f3c8f0b7a11", get_remaining_time_in_millis=lambda: 29_000
)


def http_api(verb: str, path: str, body: Any = None, query: str = "", token: str = ROOT) -> dict[str, Any]:
    """An API Gateway HTTP API event, payload format 2.0, as the gateway sends it for a `$default` route."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "accept": "*/*",
            "authorization": f"Bearer {token}",
            "content-length": "2",
            "content-type": "application/json",
            "host": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-67ac0a4b-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": verb,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795262400000,
        },
        **({"body": json.dumps(body)} if body is not None else {}),
        "isBase64Encoded": False,
    }


def function_url(verb: str, path: str, body: Any = None, query: str = "", token: str = ROOT) -> dict[str, Any]:
    """A Lambda Function URL event; its body comes as base64 unless the content type is text."""
    event = http_api(verb, path, body, query, token)
    host = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws"
    event["headers"]["host"] = host
    event["requestContext"] |= {"accountId": "anonymous", "apiId": host.split(".")[0], "domainName": host}
    if body is not None:
        event |= {"body": base64.b64encode(json.dumps(body).encode()).decode(), "isBase64Encoded": True}
    return event


@pytest.fixture
def handler(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, as Lambda imports it. A parameter is its base path."""
    monkeypatch.setenv("POSTERN_BASE_PATH", getattr(request, "param", ""))
    store = SqliteStore(tmp_path / "postern.sqlite")
    bootstrap(store, START, lambda n: bytes(n), ROOT)
    store.close()
    monkeypatch.setenv("POSTERN_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("POSTERN_PRIVATE_UPSTREAMS", "true")
    monkeypatch.setenv("POSTERN_LOG_LEVEL", "DEBUG")
    levels = {name: logging.getLogger(name).level for name in ("", "httpx", "httpcore", "botocore")}
    monkeypatch.delitem(sys.modules, "functions.admin_api.handler", raising=False)
    module = importlib.import_module("functions.admin_api.handler")
    yield module
    module.store.close()
    module.loop.close()
    monkeypatch.delitem(sys.modules, "functions.admin_api.handler", raising=False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("event", [http_api, function_url])
def test_a_process_answers_one_event_after_the_other(
    handler: Any, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture, event: Any
) -> None:
    caplog.set_level(logging.DEBUG)

    def call(verb: str, path: str, body: Any = None, query: str = "", token: str = ROOT) -> tuple[int, Any]:
        answer = handler.handler(event(verb, path, body, query, token), CONTEXT)
        assert answer["headers"]["content-type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])

    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    status, account = call("POST", "/integrated-account", body)
    assert status == 201
    path = f"/integrated-account/{account['id']}/mcp"
    status, server = call("POST", path, {"name": "s", "config": {"methods": ["read"]}})
    assert status == 201
    host = event("GET", "/")["headers"]["host"]
    assert server["url"] == f"https://{host}/mcp/{server['token']}"
    assert call("GET", path, query="limit=1") == (
        200,
        {"result": [call("GET", f"{path}/{server['id']}")[1]], "next_cursor": None},
    )
    assert call("GET", path, token="pst_" + "x" * 43)[0] == 401
    assert call("GET", "/proxy/events/x", query=f"integrated_account_id={account['id']}")[0] in (400, 404)
    assert call("DELETE", f"{path}/{server['id']}") == (
        200,
        {
            "id": server["id"],
            "name": "s",
            "integrated_account_id": account["id"],
            "labels": {},
            "removed": {"tokens": 1},
        },
    )
    assert call("GET", f"{path}/{server['id']}")[0] == 404
    assert call("GET", "/nowhere")[0] == 404
    for secret in (API_KEY, ROOT, server["token"]):
        assert secret not in caplog.text


@pytest.mark.parametrize("event", [http_api, function_url])
def test_workflow_runs_mint_one_event_after_the_other_and_no_token_is_logged(
    handler: Any,
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    event: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = []

    def call(verb: str, path: str, body: Any = None, token: str = ROOT) -> tuple[int, Any]:
        answer = handler.handler(event(verb, path, body, token=token), CONTEXT)
        return answer["statusCode"], json.loads(answer["body"])

    def with_identity(verb: str, path: str, body: Any = None, **claims: Any) -> tuple[int, Any]:
        sent.append(issuer.token(trust["audience"], **claims))
        return call(verb, path, body, token=sent[-1])

    with github(monkeypatch) as issuer:
        body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
        account = call("POST", "/integrated-account", body)[1]["id"]
        limits = {"account_ids": [account], "mint": {"max_lifetime_seconds": 3600}}
        body = {"name": "ci", "issuer": "github", "claims": {"repository": ["octo/agent"]}, **limits}
        status, trust = call("POST", "/trust", body)
        assert status == 201
        host = event("GET", "/")["headers"]["host"]
        assert trust["audience"] == f"https://{host}/trust/{trust['id']}"
        path = f"/integrated-account/{account}/mcp"
        for number in range(3):
            ends = write_time(datetime.now(UTC) + timedelta(minutes=15))
            status, server = with_identity("POST", path, {"name": f"run {number}", "expires_at": ends})
            assert (status, server["created_by"]) == (201, f"{trust['id']}/octo/agent/4711")
            assert with_identity("DELETE", f"{path}/{server['id']}", run_id="1")[0] == 403
            assert with_identity("DELETE", f"{path}/{server['id']}")[0] == 200
            assert with_identity("POST", path, {"expires_at": ends}, repository="mallory/agent")[0] == 403
            assert with_identity("GET", path)[0] == 403
        assert issuer.reads() == 1
    assert not [token for token in sent if token.split(".")[2] in caplog.text]


@pytest.mark.parametrize("handler", ["/tools"], indirect=True)
@pytest.mark.parametrize(("door", "public"), DOORS.values(), ids=DOORS)
def test_every_front_door_and_base_path_is_served_and_minted_urls_carry_it(
    handler: Any, upstream: ScriptedUpstream, door: Any, public: str
) -> None:
    lines = {"authorization": f"Bearer {ROOT}", "content-type": "application/json"}

    def call(verb: str, path: str, body: Any = None) -> Any:
        event = door(verb, path, lines, "" if body is None else json.dumps(body))
        unasked = {"rawQueryString", "queryStringParameters", "multiValueQueryStringParameters"}
        answer = handler.handler({name: value for name, value in event.items() if name not in unasked}, CONTEXT)
        assert answer["statusCode"] < 300, answer
        return json.loads(answer["body"])

    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    account = call("POST", "/integrated-account", body)
    server = call("POST", f"/integrated-account/{account['id']}/mcp", {"name": "s", "config": {"methods": ["read"]}})
    assert server["url"] == f"https://{public}/mcp/{server['token']}"
    assert call("GET", "/openapi.json")["servers"] == [{"url": f"https://{public}"}]


def test_an_event_that_is_no_request_is_answered(handler: Any) -> None:
    for other in NO_REQUESTS.values():
        assert handler.handler(other, CONTEXT) == dict(events.NO_REQUEST)
    assert handler.handler(http_api("GET", "/openapi.json"), CONTEXT)["statusCode"] == 200


def test_bytes_come_as_base64(handler: Any) -> None:
    answer = handler.handler(http_api("GET", "/extension.zip"), CONTEXT)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, True)
    assert base64.b64decode(answer["body"]).startswith(b"PK")


def test_the_log_names_the_platforms_request(handler: Any, upstream: ScriptedUpstream) -> None:
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    account = json.loads(handler.handler(http_api("POST", "/integrated-account", body), CONTEXT)["body"])["id"]
    handler.handler(http_api("GET", "/proxy/memories", query=f"integrated_account_id={account}"), CONTEXT)
    [record] = json.loads(handler.handler(http_api("GET", "/log"), CONTEXT)["body"])["result"]
    assert record["request_id"] == CONTEXT.aws_request_id


def test_schedules_are_made_where_there_is_a_group_for_them(handler: Any) -> None:
    chosen = Settings(schedule_group="postern-dev", schedule_role_arn="arn:role", purge_function_arn="arn:purge")
    assert type(handler._scheduler(chosen)).__name__ == "EventBridgeSchedules"
    assert type(handler._scheduler(Settings())).__name__ == "NoSchedules"


def test_a_wrong_variable_stops_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_STORE", "redis")
    monkeypatch.delitem(sys.modules, "functions.admin_api.handler", raising=False)
    with pytest.raises(SettingsError, match="POSTERN_STORE is 'redis'; valid: dynamodb, sqlite"):
        importlib.import_module("functions.admin_api.handler")
    gc.enable()  # a start that fails leaves the collector off, and Lambda ends its process
