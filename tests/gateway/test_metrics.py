"""Lines that are metrics: what CloudWatch needs to read them, and that none of them can fail a request."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from functions.gateway.metrics import UNITS, Batch, Counter, line
from tests.mcp_endpoint.endpoint import NOON, Clock


def test_a_value_names_its_unit_its_environment_and_its_time() -> None:
    written = line("prod", NOON, {"log_lag_ms": 5, "calls": 1}, {"about": "x"})
    found = json.loads(written)
    assert (found["log_lag_ms"], found["calls"], found["environment"], found["about"]) == (5, 1, "prod", "x")
    assert written == json.dumps(found, sort_keys=True, separators=(",", ":"))
    assert found["_aws"] == {
        "Timestamp": int(NOON.timestamp() * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": "Postern",
                "Dimensions": [["environment"]],
                "Metrics": [{"Name": "log_lag_ms", "Unit": "Milliseconds"}, {"Name": "calls", "Unit": "Count"}],
            }
        ],
    }


def test_a_metric_without_a_unit_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        line("prod", NOON, {"cals": 1})
    assert set(UNITS.values()) == {"Count", "Milliseconds", "Bytes"}


def test_each_count_is_one_line_that_says_what_it_is_about() -> None:
    stream = io.StringIO()
    count = Counter("prod", stream, Clock(NOON))
    for request in ("req_1", "req_2", "req_3"):
        count("server_errors", error="StoreUnavailable", request_id=request)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["server_errors"], line["error"], line["request_id"]) for line in lines] == [
        (1, "StoreUnavailable", f"req_{number}") for number in (1, 2, 3)
    ]
    assert stream.getvalue().startswith('{"_aws"')


def test_a_batch_writes_one_line_for_many() -> None:
    stream = io.StringIO()
    batch = Batch(Counter("prod", stream, Clock(NOON)), "dead_urls", 3)
    for lines in (0, 0, 1, 1, 1, 2):
        batch.add()
        assert stream.getvalue().count("\n") == lines
    assert [json.loads(line)["dead_urls"] for line in stream.getvalue().splitlines()] == [3, 3]


def test_a_stream_that_is_full_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> Any:
            raise OSError("no space left")

    Counter("prod", Full())("server_errors")
    assert [record.getMessage() for record in caplog.records] == ["a metric could not be written: OSError"]
