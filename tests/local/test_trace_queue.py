"""Spans of a laptop: no request waits for a collector, what gathers is sent together, and a stop is bounded."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from functions import local
from functions.gateway.settings import Settings
from functions.local.errors import LocalError
from functions.local.trace_queue import TOGETHER, TraceQueue
from functions.trace_exporter.exporter import Exported
from tests.gateway.loopback import Told, answer, upstream
from tests.patience import STUCK_SECONDS
from tests.trace_exporter.collector import spans


class Collector:
    """Takes lines, can be held up, and notes how many came at once."""

    def __init__(self) -> None:
        self.taken: list[list[str]] = []
        self.failure: Exception | None = None
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    async def export(self, lines: list[str]) -> Exported:
        self.begun.set()
        while not self.gate.is_set():  # noqa: ASYNC110 - the test opens it, on a thread of its own
            await asyncio.sleep(0.001)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self.taken.append(lines)
        return Exported(taken=len(lines))


@contextmanager
def queued(collector: Collector, **how: float) -> Iterator[TraceQueue]:
    queue = TraceQueue(collector.export, **{"gather_seconds": STUCK_SECONDS, "close_seconds": STUCK_SECONDS, **how})  # type: ignore[arg-type]
    try:
        yield queue
    finally:
        collector.gate.set()
        queue.close()


def test_lines_gather_and_are_sent_together_and_a_stop_sends_the_rest() -> None:
    collector = Collector()
    with queued(collector) as queue:
        for number in range(TOGETHER):
            queue.write(str(number))
            queue.flush()
        assert collector.begun.wait(STUCK_SECONDS), "a full batch waits for nothing"
        queue.write("last")
    assert [len(lines) for lines in collector.taken] == [TOGETHER, 1]
    assert collector.taken[0] == [str(number) for number in range(TOGETHER)]


def test_a_line_is_sent_alone_when_no_other_comes() -> None:
    collector = Collector()
    with queued(collector, gather_seconds=0.0) as queue:
        queue.write("alone")
        assert collector.begun.wait(STUCK_SECONDS)
    assert collector.taken == [["alone"]]


def test_a_collector_that_hangs_holds_up_no_request_and_only_so_much_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector = Collector()
    collector.gate.clear()
    with queued(collector, capacity=3, gather_seconds=0.0) as queue:
        queue.write("held up")
        assert collector.begun.wait(STUCK_SECONDS)
        for number in range(10):
            queue.write(str(number))
    assert collector.taken == [["held up"], ["0", "1", "2"]]
    assert [record.message for record in caplog.records] == [
        "spans are lost: 3 requests wait already for the collector",
        "the spans of 6 requests were lost since then",
    ]


@pytest.mark.parametrize("begins_first", [True, False])
def test_a_stop_waits_for_a_collector_that_hangs_only_so_long(
    caplog: pytest.LogCaptureFixture, *, begins_first: bool
) -> None:
    collector = Collector()
    collector.gate.clear()
    queue = TraceQueue(collector.export, gather_seconds=0.0 if begins_first else STUCK_SECONDS, close_seconds=0.0)
    queue.write("lost")
    if begins_first:
        assert collector.begun.wait(STUCK_SECONDS)
        queue.write("lost, too")
    queue.close()
    assert collector.taken == []
    [record] = caplog.records
    assert record.message == (
        f"the spans of {1 + begins_first} requests are lost: the endpoint stopped before they were sent"
    )


def test_a_defect_of_the_exporter_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector()
    collector.failure = RuntimeError("a value")
    with queued(collector, gather_seconds=0.0) as queue:
        queue.write("first")
        assert collector.begun.wait(STUCK_SECONDS)
        queue.write("second")
    assert collector.taken == [["second"]]
    assert [record.message for record in caplog.records] == ["the spans of 1 requests are lost: RuntimeError"]


CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "mem_0_memories_search", "arguments": {"query": "tea", "filters": {"user_id": "usr_secret"}}},
}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def settings(folder: Path) -> Settings:
    return Settings(state_dir=str(folder))


def test_a_call_to_the_laptop_is_a_trace_at_the_collector_and_in_the_log(tmp_path: Path) -> None:
    with upstream() as collector:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.origin,
            "OTEL_SERVICE_NAME": "laptop",
            "POSTERN_TRACE_UPSTREAMS": "127.0.0.1",
        }
        with local.start(settings(tmp_path), environment) as ready, httpx.Client(trust_env=False) as client:
            for _ in range(3):
                reply = client.post(ready.mcp_url, json=CALL, headers={"traceparent": PARENT})
                assert reply.json()["result"]["isError"] is False, reply.text
            api = {"Authorization": f"Bearer {ready.api_token}"}
            trace = PARENT.split("-")[1]
            asked = client.get(f"{ready.base_url}/log", headers=api, params={"trace_id": trace})
            entries = asked.json()["result"]
            none = client.get(f"{ready.base_url}/log", headers=api, params={"trace_id": "f" * 32})
        found = spans(collector.requests)
    assert [entry["trace_id"] for entry in entries] == [trace] * 3
    assert none.json()["result"] == []
    assert [span.name for span in found] == ["tools/call mem_0_memories_search", "POST /v3/memories/search/"] * 3
    assert {span.trace_id.hex() for span in found} == {trace}
    assert [span.parent_span_id.hex() for span in found[::2]] == [PARENT.split("-")[2]] * 3
    assert not [one for one in collector.requests if b"usr_secret" in one.body]


def test_a_dead_collector_delays_no_call_and_no_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with upstream() as collector:
        collector.answers(Told(b"", "hang"))
        environment = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.origin}/v1/traces"}
        with (
            caplog.at_level(logging.ERROR),
            local.start(settings(tmp_path), environment) as ready,
            httpx.Client(trust_env=False) as client,
        ):
            for _ in range(3):
                assert client.post(ready.mcp_url, json=CALL).json()["result"]["isError"] is False
    assert "are lost" in caplog.text


def test_without_a_collector_nothing_is_recorded_and_a_named_upstream_gets_the_caller_s_trace(tmp_path: Path) -> None:
    with upstream() as memory:
        memory.answers(answer(200, {"results": []}))
        environment = {
            "POSTERN_TRACE_UPSTREAMS": "127.0.0.1",
            "MEM0_API_KEY": "m0-key",
            "MEM0_BASE_URL": memory.origin,
        }
        with local.start(settings(tmp_path), environment) as ready, httpx.Client(trust_env=False) as client:
            for _ in range(3):
                client.post(ready.mcp_url, json=CALL, headers={"traceparent": PARENT})
        asked = [one for one in memory.requests if "search" in one.target]
    assert [one.headers["traceparent"] for one in asked] == [PARENT.encode()] * 3
    assert [thread.name for thread in threading.enumerate() if thread.name == "postern-traces"] == []


def test_a_wrong_variable_stops_the_start_with_one_line(tmp_path: Path) -> None:
    wrong = {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}
    with (
        pytest.raises(LocalError, match="OTEL_EXPORTER_OTLP_ENDPOINT is not valid"),
        local.start(settings(tmp_path), wrong),
    ):
        pass
