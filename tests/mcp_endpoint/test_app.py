"""The HTTP side: who may come in, in what shape, and what everybody else is told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.gateway import errors
from functions.gateway.json_text import Json
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import UpstreamResponse
from functions.mcp_endpoint.methods import Methods
from functions.stores.store import Item, Key, StoreError, StoreUnavailable
from tests.mcp_endpoint.endpoint import Answer, Bench, CannedSender, Request, exchange, legacy, modern, post
from tool_catalog.catalog import Catalog

LIST = legacy("tools/list", id="my-request")

DEAD = "This MCP URL is unknown, revoked or expired; ask the person who gave it to you for a new one"

OAUTH_PROBES = [
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-protected-resource/mcp/{token}",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp/{token}",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/mcp/{token}",
    "/mcp/{token}/.well-known/oauth-protected-resource",
    "/mcp/{token}/.well-known/openid-configuration",
    "/register",
    "/authorize",
    "/token",
    "/mcp/.well-known/oauth-authorization-server",
]
"""Where clients look for OAuth (Claude, Cursor, mcp-remote, TypeScript SDK)."""


def _assert_dead(answer: Answer, id: Json, status: int = 200) -> None:
    assert answer.status == status
    assert answer.json == {"jsonrpc": "2.0", "id": id, "error": {"code": 40401, "message": DEAD}}
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("path", ["/mcp/{}", "/mcp/{}/"])
def test_both_forms_of_the_url_are_served_without_a_redirect(bench: Bench, path: str) -> None:
    """VS Code does not follow a redirected POST."""
    answer = exchange(bench.endpoint(), "POST", path.format(bench.mint()), LIST.lines, LIST.body)
    assert answer.status == 200
    assert answer.json["result"]["tools"]


@pytest.mark.parametrize(
    "lines",
    [
        [("authorization", "Bearer {}")],
        [("authorization", "bearer  {}")],
        [("x-api-key", "{}")],
        [("authorization", "Basic eA=="), ("x-api-key", "{}")],
    ],
)
def test_the_token_may_come_in_a_header(bench: Bench, lines: list[tuple[str, str]]) -> None:
    """Claude's static request headers; clients that keep secrets out of URLs."""
    token = bench.mint()
    headers = [(name, value.format(token)) for name, value in lines]
    for path in ("/mcp", "/mcp/"):
        assert exchange(bench.endpoint(), "POST", path, [*LIST.lines, *headers], LIST.body).status == 200


def test_a_request_without_any_token_is_told_where_to_put_one(bench: Bench) -> None:
    answer = post(bench.endpoint(), None, LIST)
    assert answer.status == 200
    assert post(bench.endpoint(), None, modern("tools/list")).status == 404
    assert answer.json["error"] == {
        "code": 40401,
        "message": "No MCP token; send it in the path (/mcp/TOKEN), as Authorization: Bearer TOKEN, "
        "or as X-API-Key: TOKEN",
    }


@pytest.mark.parametrize("token", ["A" * 43, "A" * 42, "A" * 44, "x", "a%2Fb", "ä" * 43, "A" * 42 + "=", "." * 43])
def test_an_unknown_or_garbled_token_is_dead(bench: Bench, token: str) -> None:
    _assert_dead(post(bench.endpoint(), token, LIST), "my-request")
    if token.isascii():
        _assert_dead(post(bench.endpoint(), None, LIST.adding(("x-api-key", token))), "my-request")


def test_a_server_is_dead_from_the_very_second_of_its_expiry(bench: Bench) -> None:
    token = bench.mint(lives=timedelta(minutes=15))
    endpoint = bench.endpoint()
    bench.clock.move(minutes=15, microseconds=-1)
    assert post(endpoint, token, LIST).status == 200
    bench.clock.move(microseconds=1)
    _assert_dead(post(endpoint, token, LIST), "my-request")


@pytest.mark.parametrize(
    ("body", "id"),
    [(b"", None), (b"{", None), (b'{"id": 7}', 7), (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', None)],
)
def test_a_dead_token_says_the_same_whatever_was_sent(bench: Bench, body: bytes, id: Json) -> None:
    _assert_dead(post(bench.endpoint(), "A" * 43, Request(LIST.lines, body)), id, status=404)


LEGACY_REQUESTS = [
    legacy("initialize", {"protocolVersion": "2025-11-25"}, version=None),
    legacy("initialize", {"protocolVersion": "2026-07-28"}, version=None),
    *(legacy("tools/list", version=version) for version in (None, "2024-11-05", "2025-03-26", "2025-06-18")),
    legacy("tools/call", {"name": "x"}, id="a"),
    legacy("no/such/method").having(("accept", "text/event-stream")),
]
"""Requests of the legacy era, each with an id that can be read."""


@pytest.mark.parametrize("request_", LEGACY_REQUESTS)
def test_a_dead_url_answers_a_legacy_request_in_the_form_of_its_era(bench: Bench, request_: Request) -> None:
    """2025-11-25 transports: 404 says that a session has ended, and the Python SDK 1.x then drops our words."""
    id = json.loads(request_.body)["id"]
    token = bench.mint(lives=timedelta(minutes=1))
    bench.clock.move(minutes=1)
    endpoint = bench.endpoint()
    unknown, expired = post(endpoint, "A" * 43, request_), post(endpoint, token, request_)
    _assert_dead(unknown, id)
    assert (unknown.status, unknown.header_lines, unknown.body) == (
        expired.status,
        expired.header_lines,
        expired.body,
    )


def test_dead_urls_that_are_answered_with_200_are_counted_by_the_hundred(bench: Bench) -> None:
    """AWS counts answers of 4xx, and an alarm watches both."""
    counted: list[tuple[str, int]] = []
    endpoint = bench.endpoint(count=lambda metric, number=1, **_: counted.append((metric, number)))
    token = bench.mint()
    for _ in range(99):
        post(endpoint, "A" * 43, LIST)
        post(endpoint, "A" * 43, modern("tools/list"))
        post(endpoint, token, LIST)
    assert counted == []
    post(endpoint, "A" * 43, LIST)
    assert counted == [("dead_urls", 100)]


@pytest.mark.parametrize(
    ("request_", "id"),
    [
        (modern("tools/list"), 1),
        (modern("server/discover", id="a"), "a"),
        (modern("tools/list").without("mcp-protocol-version"), 1),
        (legacy("tools/list", version="2099-01-01"), 1),
        (legacy("tools/call", ["wrong"], id=0), 0),
        (legacy("tools/list", id=1.5), None),
        (Request(LIST.lines, b"[1]"), None),
    ],
)
def test_a_dead_url_answers_everything_else_with_404(bench: Bench, request_: Request, id: Json) -> None:
    """2026-07-28 transports: an error's status is an HTTP error; a message that is no request has no era."""
    token = bench.mint(lives=timedelta(minutes=1))
    bench.clock.move(minutes=1)
    for dead in ("A" * 43, token):
        _assert_dead(post(bench.endpoint(), dead, request_), id, status=404)


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "PATCH", "HEAD"])
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/unknown", "/mcp/unknown/"])
def test_only_post_is_served(bench: Bench, verb: str, path: str) -> None:
    """2026-07-28 transports: GET and DELETE get 405. A GET opens no stream and tells no live token from a dead one."""
    answer = exchange(bench.endpoint(), verb, path, [("accept", "text/event-stream")])
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert answer.json["error"]["code"] == 40501


@pytest.mark.parametrize("path", OAUTH_PROBES)
@pytest.mark.parametrize("verb", ["GET", "POST", "HEAD"])
def test_oauth_is_plainly_not_there(bench: Bench, path: str, verb: str) -> None:
    """Claude breaks on a 200, 401 or 302 at these paths; Cursor drops configured headers when it finds metadata."""
    answer = exchange(bench.endpoint(), verb, path.format(token=bench.mint()))
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"] == "Not Found"
    assert "www-authenticate" not in answer.headers


def test_the_openai_challenge_is_served_alone_as_text(bench: Bench) -> None:
    """OpenAI domain verification: the exact token as text/plain."""
    path = "/.well-known/openai-apps-challenge"
    assert exchange(bench.endpoint(), "GET", path).status == 404
    bench.settings = Settings(openai_apps_challenge="tok-123")
    answer = exchange(bench.endpoint(), "GET", path)
    assert (answer.status, answer.body) == (200, b"tok-123")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_health_answers_without_the_store() -> None:
    answer = exchange(Bench(BrokenStore(StoreError("x"))).endpoint(), "GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_content_type_is_415(bench: Bench, media_type: str) -> None:
    answer = post(bench.endpoint(), bench.mint(), LIST.having(("content-type", media_type)))
    assert (answer.status, answer.code) == (415, 41501)
    assert answer.json["error"]["message"] == "Send the message as Content-Type: application/json"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "deflate", "zstd", "gzip, br", "identity, gzip", "x" * 900])
def test_a_compressed_body_is_415_and_told_what_is_taken(bench: Bench, coding: str) -> None:
    """RFC 9110, 15.5.16: Accept-Encoding says what a body may have been."""
    request = LIST.adding(("content-encoding", coding))
    answer = post(bench.endpoint(), bench.mint(), Request(request.lines, b"\x1f\x8b\x08\x00"))
    assert (answer.status, answer.code) == (415, 41501)
    assert answer.headers["accept-encoding"] == "identity"
    message = answer.json["error"]["message"]
    assert message.startswith(f'the request body has Content-Encoding "{coding[:20]}')
    assert message.endswith("; send it without an encoding")
    assert len(message) < 300


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_a_body_that_says_that_it_is_not_compressed_is_read(bench: Bench, coding: str) -> None:
    assert post(bench.endpoint(), bench.mint(), LIST.adding(("content-encoding", coding))).status == 200


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"])
def test_json_by_any_spelling_is_read(bench: Bench, media_type: str) -> None:
    assert post(bench.endpoint(), bench.mint(), LIST.having(("content-type", media_type))).status == 200


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/event-stream", "text/html"])
def test_the_answer_is_json_whatever_is_accepted(bench: Bench, accept: str | None) -> None:
    """Clients in use send only application/json (406 at stricter servers), and there is nothing else to send."""
    request = LIST.without("accept") if accept is None else LIST.having(("accept", accept))
    answer = post(bench.endpoint(), bench.mint(), request)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_a_body_over_the_limit_is_413_whether_told_or_sent(bench: Bench) -> None:
    bench.settings = replace(Settings(), max_request_bytes=1_000)
    token = bench.mint()
    large = Request(LIST.lines, LIST.body + b" " * 1_000)
    for request in (large, LIST.adding(("content-length", "1001"))):
        answer = post(bench.endpoint(), token, request)
        assert (answer.status, answer.code) == (413, 41301)
        assert answer.json["error"]["message"] == (
            "the request body is over 1,000 bytes, which is the limit; send less at once"
        )
    for told in ("junk", "-1", "²", "9" * 5000):
        assert post(bench.endpoint(), token, LIST.adding(("content-length", told))).status == 200
    exact = Request(LIST.lines, LIST.body + b" " * (1_000 - len(LIST.body)))
    assert post(bench.endpoint(), token, exact).status == 200


def test_a_session_id_is_ignored_and_none_is_minted(bench: Bench) -> None:
    """2026-07-28 transports: ignore Mcp-Session-Id and Last-Event-ID, echo none."""
    request = LIST.adding(("mcp-session-id", "stale"), ("last-event-id", "7"))
    answer = post(bench.endpoint(), bench.mint(), request)
    assert answer.status == 200
    assert "mcp-session-id" not in answer.headers


def test_a_notification_is_accepted_without_a_body(bench: Bench) -> None:
    """2026-07-28 and 2025-11-25 transports: 202, no body."""
    request = Request(LIST.lines, b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    answer = post(bench.endpoint(), bench.mint(), request)
    assert (answer.status, answer.body) == (202, b"")


# The API token that a server may require.


def _with_api_token(bench: Bench, lines: Sequence[tuple[str, str]], path_token: bool = True, **limits: Any) -> Answer:
    token = bench.mint(require_api_token_auth=True)
    api_token = bench.issue_api_token(**limits)
    headers = [(name, value.format(token=token, api_token=api_token)) for name, value in lines]
    return post(bench.endpoint(), token if path_token else None, LIST.adding(*headers))


@pytest.mark.parametrize(
    ("path_token", "lines"),
    [
        (True, [("authorization", "Bearer {api_token}")]),
        (True, [("x-api-key", "{api_token}")]),
        (True, [("authorization", "Basic eA=="), ("x-api-key", "{api_token}")]),
        (True, [("authorization", "Bearer of-some-host"), ("x-api-key", "{api_token}")]),
        (False, [("authorization", "Bearer {token}"), ("x-api-key", "{api_token}")]),
        (False, [("authorization", "Bearer {api_token}"), ("x-api-key", "{token}")]),
    ],
)
def test_an_api_token_may_come_in_either_header(bench: Bench, path_token: bool, lines: list[tuple[str, str]]) -> None:
    assert _with_api_token(bench, lines, path_token).status == 200


def test_a_missing_api_token_is_403_and_starts_no_sign_in(bench: Bench) -> None:
    """A 401 would make clients start an OAuth sign-in that does not exist."""
    answer = _with_api_token(bench, [])
    assert answer.status == 403
    assert "www-authenticate" not in answer.headers
    assert answer.json == {
        "jsonrpc": "2.0",
        "id": "my-request",
        "error": {
            "code": 40301,
            "message": "This MCP server requires an API token; send one as Authorization: Bearer pst_... (or as "
            "X-API-Key where Authorization holds the MCP token). Its operator can issue one",
        },
    }


@pytest.mark.parametrize(
    ("lines", "limits"),
    [
        ([("authorization", "Bearer pst_wrong")], {}),
        ([("authorization", "Bearer {token}")], {}),
        ([("authorization", "Bearer {api_token}")], {"lives": timedelta(0)}),
        ([("authorization", "Bearer {api_token}")], {"scopes": ("manage",)}),
        ([("authorization", "Bearer {api_token}")], {"account_ids": ("acc_2",)}),
        ([("authorization", "Bearer {api_token}")], {"server_ids": ("srv_2",)}),
    ],
)
def test_an_api_token_that_is_not_valid_here_is_403(bench: Bench, lines: Any, limits: Json) -> None:
    answer = _with_api_token(bench, lines, **limits)
    assert (answer.status, answer.code) == (403, 40301)
    words = answer.json["error"]["message"]
    if lines[0][1] == "Bearer {token}":
        assert words.startswith("This MCP server requires an API token")
    else:
        assert words == (
            "The API token was not accepted: it is unknown, revoked, expired or not for this server. "
            "Its operator can issue one"
        )


def test_an_api_token_does_not_bring_a_dead_token_to_life(bench: Bench) -> None:
    request = LIST.adding(("authorization", f"Bearer {bench.issue_api_token()}"))
    _assert_dead(post(bench.endpoint(), "A" * 43, request), "my-request")


def test_an_api_token_that_nobody_asked_for_is_ignored(bench: Bench) -> None:
    assert post(bench.endpoint(), bench.mint(), LIST.adding(("authorization", "Bearer pst_junk"))).status == 200


# Reads.


class CountingStore:
    """Passes on what another store answers, and keeps what was asked."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.reads: list[int] = []

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        self.reads.append(len(keys))
        return self._store.get(keys)  # type: ignore[no-any-return]


def test_a_request_costs_one_read(bench: Bench) -> None:
    token, api_token = bench.mint(), bench.issue_api_token()
    counting = CountingStore(bench.store)
    endpoint = replace(bench.endpoint(), store=counting)
    post(endpoint, token, LIST)
    post(endpoint, token, LIST.adding(("authorization", f"Bearer {api_token}")))
    post(endpoint, "garbled", LIST)
    exchange(endpoint, "GET", f"/mcp/{token}")
    assert counting.reads == [2, 3]


class BrokenStore:
    """Raises what it is told to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        raise self._error

    def write(self, changes: Any) -> None:
        raise self._error

    def query(self, partition: str, **_: Any) -> list[Item]:
        raise self._error


def test_a_store_that_is_out_of_reach_is_503_with_a_time_to_come_back(bench: Bench) -> None:
    endpoint = replace(bench.endpoint(), store=BrokenStore(StoreUnavailable("throttled", retry_after=3)))
    answer = post(endpoint, "A" * 43, LIST)
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert answer.json["error"] == {
        "code": 50301,
        "message": "This endpoint cannot look up URLs at the moment; try again in 3 s",
    }


def test_an_unexpected_error_tells_the_caller_nothing_and_the_log_no_value(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> Catalog:
        raise ValueError("m0-secret-key")

    token = bench.mint()
    methods = Methods(bench.settings, bench.sender, load_catalog=broken)
    with caplog.at_level(logging.DEBUG):
        answer = post(bench.endpoint(methods), token, legacy("tools/call", {"name": "x"}))
    assert answer.status == 500
    assert answer.json == {"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": "Internal error"}}
    assert "unexpected ValueError at" in caplog.text
    assert "test_app.py:" in caplog.text
    assert "m0-secret-key" not in caplog.text
    assert token not in caplog.text


def test_a_caller_who_leaves_while_sending_is_no_error(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> Json:
        return {"type": "http.disconnect"}

    async def use() -> list[Json]:
        sent: list[Json] = []

        async def send(message: Json) -> None:
            sent.append(message)

        lines = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": f"/mcp/{bench.mint()}", "headers": lines}
        await bench.endpoint()(scope, leave, send)
        return sent

    assert asyncio.run(use())[0]["status"] == 400
    assert [record.name for record in caplog.records if record.name.startswith("functions.")] == []


def test_an_integration_this_deployment_lacks_is_told_by_name(bench: Bench) -> None:
    answer = post(bench.endpoint(), bench.mint(integration="gone"), LIST)
    assert answer.json["error"] == {"code": -32603, "message": 'This deployment has no integration "gone"'}


# Browsers.

ANY_ORIGIN = Settings(allowed_origins=("*",))

PREFLIGHT = [
    ("origin", "https://app.example"),
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "content-type,mcp-protocol-version, x-evil"),
]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/unknown", "/mcp/unknown/", "/.well-known/oauth-protected-resource"])
def test_a_preflight_allows_what_mcp_clients_send(bench: Bench, path: str) -> None:
    bench.settings = ANY_ORIGIN
    answer = exchange(bench.endpoint(), "OPTIONS", path, PREFLIGHT)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    wanted = {"content-type", "accept", "authorization", "x-api-key", "mcp-protocol-version", "mcp-session-id"}
    assert wanted | {"mcp-method", "mcp-name"} <= set(allowed)
    assert "x-evil" not in allowed


@pytest.mark.parametrize(
    ("verb", "path", "request_"),
    [
        ("POST", "/mcp/{}", LIST),
        ("POST", "/mcp/" + "A" * 43, LIST),
        ("GET", "/mcp/{}", LIST),
        ("POST", "/mcp/{}", LIST.having(("content-type", "text/plain"))),
        ("POST", "/mcp/{}", Request(LIST.lines, b"{")),
        ("POST", "/mcp/{}", modern("nope")),
        ("GET", "/.well-known/openid-configuration", LIST),
    ],
)
def test_every_answer_can_be_read_by_a_browser_and_leaks_no_url(
    bench: Bench, verb: str, path: str, request_: Request
) -> None:
    """CORS headers also on errors, or a browser's client sees only a network failure."""
    bench.settings = ANY_ORIGIN
    lines = [*request_.lines, ("origin", "https://app.example")]
    answer = exchange(bench.endpoint(), verb, path.format(bench.mint()), lines, request_.body)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "ratelimit-remaining" in answer.headers["access-control-expose-headers"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("origin", ["https://app.example", "https://claude.ai", "http://localhost", "null", ""])
def test_no_web_page_gets_in_by_default(bench: Bench, origin: str) -> None:
    """2026-07-28 transports: servers MUST validate the Origin header."""
    request = LIST.adding(("origin", origin))
    for token in (bench.mint(), "A" * 43):
        answer = post(bench.endpoint(), token, request)
        assert (answer.status, answer.code) == (403, 40301)
        assert answer.json["error"]["message"] == (
            "This origin is not allowed here; set POSTERN_ALLOWED_ORIGINS to allow web pages of other origins"
        )
        assert "access-control-allow-origin" not in answer.headers
    assert exchange(bench.endpoint(), "OPTIONS", "/mcp", [("origin", origin)]).status == 403
    assert post(bench.endpoint(), bench.mint(), LIST).status == 200


def test_the_known_web_hosts_get_in_by_one_word(bench: Bench) -> None:
    bench.settings = Settings(allowed_origins=("web-hosts", "https://app.example"))
    token = bench.mint()
    for origin in ("https://claude.ai", "https://chatgpt.com", "https://app.example"):
        answer = post(bench.endpoint(), token, LIST.adding(("origin", origin)))
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert post(bench.endpoint(), token, LIST.adding(("origin", "https://evil.example"))).status == 403


def test_only_configured_origins_get_in_when_some_are(bench: Bench) -> None:
    """2026-07-28 transports: an Origin that is present and invalid gets 403; an absent one is fine."""
    bench.settings = Settings(allowed_origins=("https://app.example",))
    token = bench.mint()
    good = post(bench.endpoint(), token, LIST.adding(("origin", "https://app.example")))
    assert (good.status, good.headers["access-control-allow-origin"]) == (200, "https://app.example")
    assert good.headers["vary"] == "Origin"
    assert post(bench.endpoint(), token, LIST).status == 200
    for origin in ("https://evil.example", "null", "https://app.example.evil", ""):
        bad = post(bench.endpoint(), token, LIST.adding(("origin", origin)))
        assert (bad.status, bad.code) == (403, 40301)
        assert "access-control-allow-origin" not in bad.headers
    assert exchange(bench.endpoint(), "OPTIONS", "/mcp", [("origin", "https://evil.example")]).status == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [("mcp.example", 200), ("MCP.example:443", 200), ("localhost:8765", 200), ("evil.example", 421), ("", 421)],
)
def test_a_foreign_host_is_refused_where_hosts_are_configured(bench: Bench, host: str, status: int) -> None:
    """DNS rebinding. Where no host is named, the one that the platform says is served, or any."""
    token = bench.mint()
    assert post(bench.endpoint(), token, LIST.adding(("host", host))).status == 200
    bench.settings = Settings(allowed_hosts=("mcp.example", "localhost:8765"))
    answer = post(bench.endpoint(), token, LIST.adding(("host", host)))
    assert answer.status == status
    assert status == 200 or json.loads(answer.body)["error"]["code"] == 42101


def test_the_log_says_how_an_upstream_was_not_reached(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    class Unreachable(CannedSender):
        async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
            raise errors.UpstreamUnreachable("no connection", sent=False, detail="ConnectTimeout")

    bench.sender = Unreachable()
    call = legacy(
        "tools/call",
        {"name": "get_single_mem_0_memory_by_id", "arguments": {"id": "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"}},
    )
    answer = post(bench.endpoint(), bench.mint(), call)
    assert answer.json["result"]["isError"] is True
    assert "request request-1: UpstreamUnreachable: ConnectTimeout" in caplog.messages
    assert "ConnectTimeout" not in str(answer.json)


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_only_http_is_answered(bench: Bench, kind: str) -> None:
    """uvicorn takes silence for a refusal of the one and for no interest in the other."""

    async def never(*_: Any) -> Any:
        raise AssertionError("nothing is read or sent")

    endpoint = bench.endpoint()
    for _ in range(3):
        asyncio.run(endpoint({"type": kind, "path": f"/mcp/{bench.mint()}"}, never, never))
