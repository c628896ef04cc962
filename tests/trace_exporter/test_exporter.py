"""A collector that is slow, gone, refusing or half content: what is sent again, what is lost, and what is left over."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime

import pytest

from functions.gateway.json_text import Json
from functions.trace_exporter.exporter import LONGEST_SECONDS, Exported
from tests.gateway.calling import NOON
from tests.gateway.loopback import Told, Upstream, answer, unused_origin
from tests.trace_exporter.collector import EXCHANGE, PATH, SECRET, Exporting, exported, line, spans

TAKEN = answer(200, {"partialSuccess": {}})
MANY = [line(upstream=[EXCHANGE] * 99)] * 25
"""2,500 spans: three requests."""


def test_spans_are_posted_to_the_endpoint_with_its_headers_and_the_collector_s_word_is_taken(
    collector: Upstream,
) -> None:
    collector.answers(TAKEN)
    assert Exporting(collector).export(line(), line(method="tools/list", tool=None)) == Exported(taken=4)
    [request] = collector.requests
    assert (request.verb, request.target) == ("POST", PATH)
    assert request.headers["content-type"] == b"application/json"
    assert request.headers["api-key"] == SECRET.encode()
    assert [span.name for span in spans([request])] == [
        "tools/call get_a_thing",
        "GET /things/{id}/",
        "tools/list",
        "GET /things/{id}/",
    ]


def test_a_body_can_be_compressed(collector: Upstream) -> None:
    collector.answers(TAKEN)
    Exporting(collector, gzip=True).export(line())
    [request] = collector.requests
    assert request.headers["content-encoding"] == b"gzip"
    assert exported(gzip.decompress(request.body)).resource_spans


def test_lines_that_are_not_spans_are_counted_and_stop_no_other(collector: Upstream) -> None:
    assert Exporting(collector).export("", line(), "START", "{}") == Exported(taken=2, unreadable=3)
    assert Exporting(collector).export("x") == Exported(unreadable=1)
    assert Exporting(collector).export() == Exported()
    assert len(collector.requests) == 1, "nothing is sent where there is nothing to send"


def test_many_spans_are_several_requests(collector: Upstream) -> None:
    assert Exporting(collector).export(*MANY) == Exported(taken=2_500)
    assert [len(spans([one])) for one in collector.requests] == [1_000, 1_000, 500]


def test_what_a_collector_rejects_of_a_request_is_lost_and_never_sent_again(
    collector: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answers(answer(200, {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "one is too old"}}))
    done = Exporting(collector).export(line())
    assert (done.taken, done.lost, done.left) == (1, 1, 0)
    assert len(collector.requests) == 1
    assert [record.message for record in caplog.records] == [
        "1 spans are lost, 0 are left over: the collector rejected them: one is too old"
    ]


@pytest.mark.parametrize(("rejected", "counts"), [("9", (0, 2)), ("-1", (2, 0)), (0, (2, 0))])
def test_a_collector_cannot_reject_more_than_it_was_sent(
    collector: Upstream, rejected: Json, counts: tuple[int, int]
) -> None:
    collector.answers(answer(200, {"partialSuccess": {"rejectedSpans": rejected}}))
    done = Exporting(collector).export(line())
    assert (done.taken, done.lost) == counts


def test_a_warning_of_a_collector_is_logged_and_loses_nothing(
    collector: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answers(answer(200, {"partialSuccess": {"errorMessage": "use gzip"}}))
    assert Exporting(collector).export(line()) == Exported(taken=2)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "the collector took the spans and says: use gzip")
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 415, 500, 501, 301, 307])
def test_a_request_that_would_fail_again_is_not_sent_again(
    collector: Upstream, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    collector.answers(answer(status, {"code": 3, "message": "no\nthanks"}, ("location", "http://127.0.0.1:1/")))
    exporting = Exporting(collector)
    done = exporting.export(line())
    assert (done.taken, done.lost, done.left, exporting.waits) == (0, 2, 0, [])
    assert len(collector.requests) == 1
    assert [record.message for record in caplog.records] == [
        f"2 spans are lost, 0 are left over: the collector returned {status}: nothanks"
    ]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_collector_that_is_busy_is_asked_again_and_waits_grow(collector: Upstream, status: int) -> None:
    collector.answers(*[answer(status, b"busy")] * 3, TAKEN)
    exporting = Exporting(collector)
    assert exporting.export(line()) == Exported(taken=2)
    assert exporting.waits == [0.375, 0.75, 1.5], "half of a wait is left to chance, here a half of that"
    assert len({one.body for one in collector.requests}) == 1, "the same spans each time"


@pytest.mark.parametrize(
    ("said", "seconds"), [("3", 3), ("0", 0), (format_datetime(NOON + timedelta(seconds=5), usegmt=True), 5)]
)
def test_the_time_that_a_collector_asks_for_is_waited(collector: Upstream, said: str, seconds: float) -> None:
    collector.answers(answer(503, b"", ("retry-after", said)), TAKEN)
    exporting = Exporting(collector)
    assert exporting.export(line()) == Exported(taken=2)
    assert exporting.waits == [seconds]


def test_a_collector_that_always_says_at_once_is_not_asked_without_a_pause(collector: Upstream) -> None:
    collector.answers(answer(503, b"", ("retry-after", "0")))
    exporting = Exporting(collector, timeout_seconds=10)
    assert exporting.export(line()).left == 2
    assert exporting.waits == [0, 0.375, 0.75, 1.5, 3.0]
    assert len(collector.requests) == 6


def test_a_wait_beyond_the_time_is_not_begun(collector: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    collector.answers(answer(429, b"", ("retry-after", "60")))
    exporting = Exporting(collector)
    done = exporting.export(line())
    assert (done.taken, done.lost, done.left, exporting.waits) == (0, 0, 2, [])
    assert [record.message for record in caplog.records] == [
        "0 spans are lost, 2 are left over: the collector returned 429"
    ]


def test_a_collector_that_stays_busy_is_left_in_time_and_not_asked_for_every_batch(collector: Upstream) -> None:
    collector.answers(answer(503, b""))
    exporting = Exporting(collector, timeout_seconds=10)
    done = exporting.export(*MANY)
    assert (done.taken, done.lost, done.left) == (0, 0, 2_500)
    assert sum(exporting.waits) < 10
    assert [len(spans([one])) for one in collector.requests] == [1_000] * (len(exporting.waits) + 1)


def test_a_collector_that_is_gone_is_asked_again(collector: Upstream) -> None:
    origin, collector.origin = collector.origin, unused_origin()
    exporting = Exporting(collector)
    done = exporting.export(line())
    assert (done.left, done.reason) == (2, "UpstreamUnreachable")
    assert len(exporting.waits) >= 3
    collector.origin = origin


def test_a_connection_that_breaks_is_asked_again(collector: Upstream) -> None:
    collector.answers(Told(b"", "reset"), TAKEN)
    exporting = Exporting(collector)
    assert exporting.export(line()) == Exported(taken=2)
    assert len(exporting.waits) == 1


def test_a_collector_that_never_answers_takes_its_time_and_no_more(collector: Upstream) -> None:
    collector.answers(Told(b"", "hang"))
    done = Exporting(collector).export(*MANY)
    assert (done.left, done.reason) == (2_500, "UpstreamTimeout")
    assert len(collector.requests) == 1


def test_a_slow_collector_has_a_time_for_all_batches_together(collector: Upstream) -> None:
    """Each answer comes after 40 s, within the time of a batch: the third one would end after the function does."""
    exporting = Exporting(collector, timeout_seconds=50)
    collector.script = lambda received: (
        answer(503, b"", ("retry-after", "40")) if len(collector.requests) % 2 else TAKEN
    )
    done = exporting.export(*MANY)
    assert exporting.waits == [40, 40]
    assert sum(exporting.waits) <= LONGEST_SECONDS
    assert (done.taken, done.left) == (2_000, 500)


def test_headers_that_the_collector_refuses_are_read_once_more(collector: Upstream) -> None:
    asked: list[bool] = []

    async def headers(anew: bool) -> Mapping[str, str]:
        asked.append(anew)
        return {"api-key": "new" if anew else "old"}

    collector.script = lambda received: TAKEN if received.headers["api-key"] == b"new" else answer(401, b"")
    assert Exporting(collector, headers=headers).export(line()) == Exported(taken=2)
    assert asked == [False, True]


def test_headers_that_are_refused_again_lose_the_spans(collector: Upstream) -> None:
    async def headers(anew: bool) -> Mapping[str, str]:
        return {"x-more": SECRET}

    collector.answers(answer(403, {"message": "no"}))
    done = Exporting(collector, headers=headers).export(line())
    assert (done.taken, done.lost, done.left) == (0, 2, 0)
    assert [(one.headers["api-key"], one.headers["x-more"]) for one in collector.requests] == [
        (SECRET.encode(),) * 2
    ] * 2


def test_headers_that_cannot_be_read_leave_the_spans_over(collector: Upstream) -> None:
    async def headers(anew: bool) -> Mapping[str, str]:
        raise OSError("the secret could not be read: AccessDeniedException")

    done = Exporting(collector, headers=headers).export(line())
    assert (done.taken, done.lost, done.left) == (0, 0, 2)
    assert done.reason == "the secret could not be read: AccessDeniedException"
    assert collector.requests == []


def test_no_failure_shows_the_address_the_headers_or_a_span(
    collector: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    for told in (answer(400, {"message": "bad"}), answer(503, b""), Told(b"x", "reset"), answer(200, b"\xff")):
        collector.answers(told)
        Exporting(collector).export(line())
    said = json.dumps([record.message for record in caplog.records])
    assert len(caplog.records) == 3
    assert not [word for word in (SECRET, collector.origin, PATH, "srv_1", "get_a_thing") if word in said]
