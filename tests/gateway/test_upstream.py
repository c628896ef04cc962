"""The only file that touches an upstream network: what it connects to, and what it never logs."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import logging
import re
import socket
import threading
import tracemalloc
import zlib
from typing import cast

import pytest

from functions.gateway import addresses
from functions.gateway.errors import TooLargeAnswer, UpstreamBusy, UpstreamUnreachable, UpstreamUnreadable
from functions.gateway.places import PLACES, QUEUE
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.gateway.waits.names import LookUp
from functions.gateway.waits.resolver import RESOLVER
from tests.gateway.calling import SETTINGS, AdvancingLoop
from tests.gateway.loopback import Received, Told, Upstream, answer


def send(request: UpstreamRequest, settings: Settings = SETTINGS) -> UpstreamResponse:
    async def go() -> UpstreamResponse:
        sender = Sender(settings)
        try:
            return await sender.send(request, asyncio.get_running_loop().time() + 10)
        finally:
            await sender.close()

    return asyncio.run(go())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
def test_a_private_address_is_never_connected_to_unless_settings_allow_it(upstream: Upstream, host: str) -> None:
    port = upstream.origin.rsplit(":", 1)[1]
    with pytest.raises(UpstreamUnreachable) as refused:
        send(UpstreamRequest("GET", f"http://{host}:{port}", "/"), Settings())
    assert refused.value.message == (
        f"no connection to {host}:{port} (the name resolves to a private address); nothing was done"
    )
    assert upstream.connections == 0


def resolving(*addresses: str) -> LookUp:
    return lambda host, port, **how: [(socket.AF_INET, how["type"], 6, "", (one, port)) for one in addresses]


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..b", "x" * 300])
def test_a_name_that_does_not_resolve_is_told(host: str) -> None:
    with pytest.raises(UpstreamUnreachable) as refused:
        send(UpstreamRequest("GET", f"http://{host}", "/"), Settings())
    assert refused.value.message == f"no connection to {host} (the name does not resolve); nothing was done"


def test_the_next_address_is_tried_where_one_does_not_answer(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a name with an IPv6 address on a machine without IPv6. Loopback is called public for this test only."""
    monkeypatch.setattr(RESOLVER, "_look_up", resolving("127.1.2.3", "127.0.0.1"))
    monkeypatch.setattr(addresses, "is_public", lambda address: True)
    upstream.answers(answer(200, {"ok": True}))
    port = upstream.origin.rsplit(":", 1)[1]
    assert send(UpstreamRequest("GET", f"http://api.example:{port}", "/"), Settings()).status == 200


def test_proxies_of_the_environment_are_ignored(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    upstream.answers(answer(200, {"ok": True}))
    assert send(UpstreamRequest("GET", upstream.origin, "/")).status == 200


def test_nothing_of_a_request_is_logged_at_any_level(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.answers(answer(200, {"ok": True}))
    request = UpstreamRequest(
        "POST", upstream.origin, "/x", "key=s3cret-q", (("Authorization", "s3cret-h"),), b"s3cret-b"
    )
    send(request)
    assert "s3cret" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]


def test_a_request_that_http_cannot_carry_is_told_without_showing_it(upstream: Upstream) -> None:
    request = UpstreamRequest("GET", upstream.origin, "/x", headers=(("Authorization", "s3cret\nvalue"),))
    with pytest.raises(UpstreamUnreachable) as refused:
        send(request)
    host = upstream.origin.removeprefix("http://")
    assert refused.value.message == f"the request to {host} has no valid form in HTTP; nothing was sent"
    assert upstream.requests == []
    assert refused.value.__suppress_context__


def test_a_repeated_header_is_one_list_and_names_are_lower_case(upstream: Upstream) -> None:
    upstream.answers(answer(200, {}, ("X-Limit", "1"), ("X-LIMIT", "2")))
    assert send(UpstreamRequest("GET", upstream.origin, "/")).headers["x-limit"] == "1, 2"


def send_all(*requests: UpstreamRequest) -> list[UpstreamResponse]:
    """One after the other over one sender, so that connections are kept."""

    async def go() -> list[UpstreamResponse]:
        sender = Sender(SETTINGS)
        try:
            return [await sender.send(request, asyncio.get_running_loop().time() + 10) for request in requests]
        finally:
            await sender.close()

    return asyncio.run(go())


def test_requests_to_one_origin_share_a_kept_connection(upstream: Upstream) -> None:
    upstream.answers(answer(200, {"ok": True}))
    send_all(*[UpstreamRequest("POST", upstream.origin, "/", body=b"{}")] * 3)
    assert [received.connection for received in upstream.requests] == [1, 1, 1]


def test_a_read_is_sent_once_more_when_its_kept_connection_is_dead(upstream: Upstream) -> None:
    upstream.answers(answer(200, {}), Told(b"", "reset"), answer(200, {"ok": True}))
    answers = send_all(*[UpstreamRequest("GET", upstream.origin, "/")] * 2)
    assert answers[1].body == b'{"ok": true}'
    assert [received.connection for received in upstream.requests] == [1, 1, 2]


def test_a_read_is_not_sent_again_over_a_fresh_connection(upstream: Upstream) -> None:
    upstream.answers(Told(b"", "reset"))
    with pytest.raises(UpstreamUnreachable, match="broke before the answer was complete"):
        send_all(UpstreamRequest("GET", upstream.origin, "/"))
    assert len(upstream.requests) == 1


def test_a_read_whose_answer_has_begun_is_not_sent_again(upstream: Upstream) -> None:
    upstream.answers(answer(200, {}), Told(b"HTTP/1.1 200 OK\r\ncontent-le", "reset"), answer(200, {}))
    with pytest.raises(UpstreamUnreachable, match="broke before the answer was complete"):
        send_all(*[UpstreamRequest("GET", upstream.origin, "/")] * 2)
    assert len(upstream.requests) == 2


def test_a_write_that_may_have_been_seen_is_never_sent_again(upstream: Upstream) -> None:
    upstream.answers(answer(200, {}), Told(b"", "reset"), answer(200, {}))
    with pytest.raises(UpstreamUnreachable, match="whether it was carried out is unknown"):
        send_all(*[UpstreamRequest("POST", upstream.origin, "/", body=b"{}")] * 2)
    assert len(upstream.requests) == 2


def test_bytes_that_nobody_asked_for_never_become_the_next_answer(upstream: Upstream) -> None:
    forged = answer(200, {"forged": True}).raw
    upstream.answers(Told(answer(200, {"n": 1}).raw + forged), answer(200, {"n": 2}))
    first, second = send_all(*[UpstreamRequest("POST", upstream.origin, "/", body=b"{}")] * 2)
    assert (first.body, second.body) == (b'{"n": 1}', b'{"n": 2}')
    assert [received.connection for received in upstream.requests] == [1, 2]


@pytest.mark.parametrize(
    ("lines", "raw"),
    [
        ([("content-encoding", "gzip")], gzip.compress(b"tea " * 100)),
        ([("content-encoding", "deflate")], zlib.compress(b"tea " * 100)),
        ([("content-encoding", "deflate")], zlib.compress(b"tea " * 100, wbits=-15)),
        ([("content-encoding", "x-gzip")], gzip.compress(b"tea " * 50) + gzip.compress(b"tea " * 50)),
        ([("content-encoding", "identity")], b"tea " * 100),
        ([("content-encoding", "gzip"), ("transfer-encoding", "chunked")], None),
    ],
    ids=["gzip", "deflate", "raw deflate", "two members of gzip", "identity", "byte by byte"],
)
def test_a_content_encoding_is_undone(upstream: Upstream, lines: list[tuple[str, str]], raw: bytes | None) -> None:
    if raw is None:
        raw = b"".join(b"1\r\n%c\r\n" % byte for byte in gzip.compress(b"tea " * 100)) + b"0\r\n\r\n"
    upstream.answers(answer(200, raw, *lines))
    assert send(UpstreamRequest("GET", upstream.origin, "/")).body == b"tea " * 100


@pytest.mark.parametrize("raw", [b"not gzip", gzip.compress(b"tea " * 100)[:-9]], ids=["no gzip", "cut short"])
def test_bytes_that_are_not_in_their_encoding_are_unreadable(upstream: Upstream, raw: bytes) -> None:
    upstream.answers(answer(200, raw, ("content-encoding", "gzip")))
    with pytest.raises(UpstreamUnreadable, match="not in the content encoding it names"):
        send(UpstreamRequest("GET", upstream.origin, "/"))


def test_an_answer_is_measured_while_it_is_decoded(upstream: Upstream) -> None:
    """A gigabyte of zeros is one megabyte of gzip; no more of it than the limit and a byte is ever made."""
    small = dataclasses.replace(SETTINGS, max_upstream_bytes=10_000)
    upstream.answers(answer(200, gzip.compress(bytes(50_000_000)), ("content-encoding", "gzip")))
    tracemalloc.start()
    with pytest.raises(TooLargeAnswer):
        send(UpstreamRequest("GET", upstream.origin, "/"), small)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_an_answer_without_a_length_ends_with_its_connection(upstream: Upstream) -> None:
    upstream.answers(Told(b"HTTP/1.1 200 OK\r\n\r\nall of it", "close"))
    assert send(UpstreamRequest("GET", upstream.origin, "/")).body == b"all of it"


def test_a_1xx_before_the_answer_is_passed_over(upstream: Upstream) -> None:
    upstream.answers(Told(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + answer(200, {"ok": True}).raw))
    assert send(UpstreamRequest("GET", upstream.origin, "/")).body == b'{"ok": true}'


def test_a_call_without_a_place_says_that_nothing_was_sent(upstream: Upstream) -> None:
    """110 stalled calls to one upstream once told every further caller that it "did not answer"."""
    arrived = threading.Semaphore(0)

    async def stall(received: Received) -> None:
        arrived.release()
        await asyncio.Event().wait()

    upstream.before = stall
    request = UpstreamRequest("POST", upstream.origin, "/", body=b"{}", account_id="acc_1")
    host = upstream.origin.removeprefix("http://")

    async def go(loop: AdvancingLoop) -> None:
        sender = Sender(SETTINGS)
        deadline = loop.time() + 20
        stalled = [asyncio.create_task(sender.send(request, deadline)) for _ in range(PLACES + QUEUE)]
        for _ in range(PLACES):
            await asyncio.to_thread(arrived.acquire)
        with pytest.raises(UpstreamBusy) as full:
            await sender.send(request, deadline)
        assert (
            full.value.message == f"too many calls of this account wait for {host}; nothing was sent, try again later"
        )
        loop.advance(3_600)
        failures = await asyncio.gather(*stalled, return_exceptions=True)
        waiting = [failure for failure in failures if isinstance(failure, UpstreamBusy)]
        assert len(waiting) == QUEUE
        # A busy machine begins a call up to seconds after its deadline was set, and the text counts whole seconds.
        told = {re.sub(r"for (1[0-9]|20) s", "for 20 s", failure.message) for failure in waiting}
        assert told == {
            f"the earlier calls of this account occupied every connection to {host} for 20 s; nothing was sent, "
            "try again later"
        }
        assert not any(failure.sent for failure in (full.value, *waiting))
        await sender.close()

    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        runner.run(go(cast(AdvancingLoop, runner.get_loop())))
    assert len(upstream.requests) == PLACES
