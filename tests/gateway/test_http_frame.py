"""The frame around every request: bounded, timed, named, and silent about what nobody outside may see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from functions.gateway import errors
from functions.gateway.http_frame import SECURITY_HEADERS, Frame, bearer
from functions.gateway.settings import Settings
from functions.stores.store import StoreError, StoreUnavailable

SECRET = "m0-secret-key"


def refuse(error: errors.PosternError) -> Response:
    return Response(error.message, int(error.status))


def frame(**settings: Any) -> Frame[Response]:
    return Frame(Settings(**settings), refuse, ClientDisconnect, lambda: "ours-1")


def request(body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), context: Any = None) -> Request:
    unread = [{"type": "http.request", "body": body[:3], "more_body": True}, {"type": "http.request", "body": body[3:]}]

    async def receive() -> Any:
        return unread.pop(0)

    lines = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": lines}
    return Request(scope if context is None else {**scope, "aws.context": context}, receive)


def raising(error: BaseException) -> Callable[[Request], Any]:
    async def run(request: Request) -> Response:
        raise error

    return run


def answered(error: BaseException) -> Response:
    return asyncio.run(frame().answer(request(), raising(error)))


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 1_000])
def test_a_body_up_to_the_limit_is_read(body: bytes) -> None:
    assert asyncio.run(frame(max_request_bytes=1_000).body(request(body))) == body


@pytest.mark.parametrize("announced", ["junk", "-1", "²", "1e9", "9" * 5_000, ""])
def test_a_length_that_is_not_a_number_is_ignored(announced: str) -> None:
    read = frame(max_request_bytes=1_000).body(request(b"{}", (("content-length", announced),)))
    assert asyncio.run(read) == b"{}"


@pytest.mark.parametrize(
    ("body", "headers"), [(b"x" * 1_001, ()), (b"{}", (("content-length", "1001"),))], ids=["sent", "announced"]
)
def test_a_body_over_the_limit_is_refused(body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(errors.TooLarge, match="the request body is over 1,000 bytes, which is the limit"):
        asyncio.run(frame(max_request_bytes=1_000).body(request(body, headers)))


def test_a_body_without_an_end_is_left_at_the_limit() -> None:
    chunks = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal chunks
        while True:
            chunks += 1
            yield b"x" * 100

    endless_request: Any = SimpleNamespace(headers={}, stream=endless)
    with pytest.raises(errors.TooLarge):
        asyncio.run(frame(max_request_bytes=1_000).body(endless_request))
    assert chunks == 11


@pytest.mark.parametrize(
    ("left_ms", "seconds"), [(None, 25.0), (60_000, 25.0), (10_000, 8.5), (1_500, 0.0), (200, -1.3)]
)
def test_a_request_ends_before_the_platform_ends_it(left_ms: int | None, seconds: float) -> None:
    context = None if left_ms is None else SimpleNamespace(get_remaining_time_in_millis=lambda: left_ms)
    left = frame(call_timeout_seconds=25, deadline_margin_ms=1_500).seconds_left(request(context=context))
    assert left == pytest.approx(seconds)


def test_a_request_has_one_id_which_is_lambdas_where_there_is_one() -> None:
    ids = iter(["a", "b"])
    own = Frame(Settings(), refuse, ClientDisconnect, lambda: next(ids))
    first, second = request(), request()
    assert [own.request_id(first), own.request_id(first), own.request_id(second)] == ["a", "a", "b"]
    assert own.request_id(request(context=SimpleNamespace(aws_request_id="lambda-1"))) == "lambda-1"


def test_every_response_has_the_security_headers_and_keeps_its_own() -> None:
    async def run(request: Request) -> Response:
        return Response("x", headers={"cache-control": "max-age=60"})

    response = asyncio.run(frame().answer(request(), run))
    assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS | {
        "cache-control": "max-age=60"
    }
    for error in (errors.NotFound("x"), KeyError("x"), StoreError("x"), ClientDisconnect()):
        assert dict(answered(error).headers).items() >= SECURITY_HEADERS.items()


def test_an_unexpected_exception_shows_nothing_and_logs_its_type_and_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="functions"):
        response = answered(ValueError(SECRET))
    assert (response.status_code, response.body) == (
        500,
        b"unexpected error; the log of this deployment names the place",
    )
    [record] = caplog.records
    assert record.getMessage().startswith("request ours-1: unexpected ValueError at ")
    assert "test_http_frame.py:" in record.getMessage()
    assert SECRET not in caplog.text
    assert record.exc_info is None


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (errors.UpstreamUnreachable("no connection", detail="ConnectError"), "WARNING"),
        (errors.Unavailable("busy", detail="ThrottlingException"), "ERROR"),
        (errors.Forbidden("no", detail="expired yesterday"), "INFO"),
    ],
)
def test_the_detail_of_an_error_is_logged_and_not_shown(
    error: errors.PosternError, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="functions"):
        response = answered(error)
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == (level, f"request ours-1: {type(error).__name__}: {error.detail}")
    assert error.detail.encode() not in response.body


def test_an_error_without_detail_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="functions"):
        assert answered(errors.NotFound("nothing here")).status_code == 404
    assert not caplog.records


def test_a_store_that_fails_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    busy = answered(StoreUnavailable("throttled", retry_after=3))
    broken = answered(StoreError("no such table"))
    assert (busy.status_code, broken.status_code) == (503, 503)
    assert "no such table" not in str(broken.body)
    assert [record.getMessage() for record in caplog.records] == [
        "request ours-1: the store is unavailable: throttled",
        "request ours-1: the store failed: no such table",
    ]


def test_a_caller_who_leaves_while_sending_is_not_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="functions"):
        assert answered(ClientDisconnect()).status_code == 400
    assert not caplog.records


def test_a_cancelled_request_stays_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError):
        answered(asyncio.CancelledError())


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        (None, ""),
        ("", ""),
        ("Bearer", ""),
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", ""),
        ("Bearerabc", ""),
    ],
)
def test_a_bearer_secret_is_read_from_its_header(header: str | None, secret: str) -> None:
    assert bearer(header) == secret


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (StoreUnavailable("DynamoDB store: throttled"), ["StoreUnavailable"]),
        (StoreError("DynamoDB store: no such table"), ["StoreError"]),
        (KeyError("a bug"), ["KeyError"]),
        (errors.Unavailable("later"), ["Unavailable"]),
        (errors.NotFound("nothing here"), []),
        (errors.UpstreamTimeout("the upstream is slow"), []),
        (errors.UpstreamRefused("the upstream failed", upstream_status=500), []),
    ],
)
def test_a_failure_of_ours_is_counted_with_its_cause_and_no_other_is(error: Exception, counted: list[str]) -> None:
    found: list[tuple[str, str, str]] = []

    def count(metric: str, *, error: str, request_id: str) -> None:
        found.append((metric, error, request_id))

    ours = Frame(Settings(), refuse, ClientDisconnect, lambda: "ours-1", count)
    for _ in range(3):
        asyncio.run(ours.answer(request(), raising(error)))
    assert found == [("server_errors", name, "ours-1") for name in counted] * 3
