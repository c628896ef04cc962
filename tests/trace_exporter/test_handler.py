"""The Lambda handler of the trace exporter, called again and again in one process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from functions.gateway.settings import SettingsError
from functions.trace_exporter import otlp
from tests.gateway.loopback import Upstream, answer
from tests.log_subscriber.test_subscriber import delivery
from tests.trace_exporter.collector import PATH, SECRET, attributes, exported, line, spans

HANDLER = "functions.trace_exporter.handler"
ENVIRONMENT = {
    "POSTERN_STORE": "dynamodb",
    "POSTERN_TABLE": "postern",
    "POSTERN_ENVIRONMENT": "prod",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}",
}


@pytest.fixture(name="start")
def _start(monkeypatch: pytest.MonkeyPatch, collector: Upstream) -> Iterator[Any]:
    """Imports the handler with these variables; its connections are closed at the end."""
    sys.modules.pop(HANDLER, None)

    def start(**variables: str) -> Any:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.origin}
        for name, value in {**ENVIRONMENT, **endpoint, **variables}.items():
            monkeypatch.setenv(name, value)
        return import_module(HANDLER)

    yield start
    module: Any = sys.modules.pop(HANDLER, None)
    if module is not None:
        module.loop.run_until_complete(module.sender.close())
        module.loop.close()


def test_each_delivery_is_exported_over_one_connection_and_measured(
    start: Any, collector: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    module = start()
    found = [module.handler(delivery(*lines), None) for lines in ([line(), "x"], [line()], [line(), line()], ["y"])]
    assert found == [
        {"taken": 2, "lost": 0, "unreadable": 1},
        {"taken": 2, "lost": 0, "unreadable": 0},
        {"taken": 4, "lost": 0, "unreadable": 0},
        {"taken": 0, "lost": 0, "unreadable": 1},
    ]
    assert collector.connections == 1
    assert [(one.target, one.headers["api-key"]) for one in collector.requests] == [(PATH, SECRET.encode())] * 3
    [resource] = exported(collector.requests[0].body).resource_spans
    assert attributes(resource.resource) == {
        "deployment.environment.name": "prod",
        "cloud.provider": "aws",
        "cloud.region": "eu-west-1",
        "service.name": "postern",
    }
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert [one.get("spans_exported") for one in lines] == [2, 2, 4, None]
    assert [one.get("spans_lost") for one in lines] == [1, None, None, 1], "a metric without a value costs nothing"
    assert {one["environment"] for one in lines} == {"prod"}


def test_what_is_left_over_fails_the_delivery_so_that_it_comes_again(
    start: Any, collector: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.answers(answer(503, b"", ("retry-after", "60")))
    module = start()
    for _ in range(3):
        with pytest.raises(module.LeftOver, match=r"^2 spans are left over: the collector returned 503$"):
            module.handler(delivery(line()), None)
    counted = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert [one["spans_left"] for one in counted] == [2] * 3
    assert not [one for one in counted if {"spans_exported", "spans_lost"} & one.keys()]
    collector.answers(answer(200, {}))
    assert module.handler(delivery(line()), None)["taken"] == 2


def test_what_a_collector_refuses_is_counted_and_does_not_come_again(
    start: Any, collector: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.answers(answer(413, b""))
    module = start()
    for _ in range(3):
        assert module.handler(delivery(line()), None)["lost"] == 2
    counted = [json.loads(one)["spans_lost"] for one in capsys.readouterr().out.splitlines()]
    assert counted == [2, 2, 2]


def test_the_settings_name_the_resource(start: Any, collector: Upstream) -> None:
    module = start(OTEL_SERVICE_NAME="gate", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=blue,team=memory")
    for _ in range(3):
        module.handler(delivery(line()), None)
    [resource] = exported(collector.requests[-1].body).resource_spans
    found = attributes(resource.resource)
    assert (found["service.name"], found["deployment.environment.name"], found["team"]) == ("gate", "blue", "memory")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        ({"OTEL_TRACES_SAMPLER_ARG": "2"}, "OTEL_TRACES_SAMPLER_ARG is '2'; valid: a number from 0 to 1"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": SECRET}, "OTEL_EXPORTER_OTLP_HEADERS is not a list of headers"),
    ],
)
def test_a_wrong_variable_stops_the_start_with_one_line(start: Any, variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as problem:
        start(**variables)
    assert SECRET not in str(problem.value)


class Secrets:
    """A client of Secrets Manager with one value after the other."""

    def __init__(self, *values: str | Exception) -> None:
        self.left = list(values)
        self.asked: list[str] = []
        self.closed = 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:
        self.asked.append(SecretId)
        value = self.left.pop(0)
        if isinstance(value, Exception):
            raise value
        return {"SecretString": value}

    def close(self) -> None:
        self.closed += 1


def test_the_headers_of_the_secret_are_read_once_and_anew_when_they_are_refused(
    start: Any, collector: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets("api-key=first", "api-key=second")
    monkeypatch.setattr("functions.admin_api.aws.aws_client", lambda service: secrets)
    module = start(POSTERN_TRACE_HEADERS_SECRET_ID="arn:secret", OTEL_EXPORTER_OTLP_HEADERS="x-team=memory")
    for _ in range(3):
        assert module.handler(delivery(line()), None)["taken"] == 2
    assert secrets.asked == ["arn:secret"]
    collector.script = lambda one: answer(200 if one.headers["api-key"] == b"second" else 401, {})
    for _ in range(3):
        assert module.handler(delivery(line()), None)["taken"] == 2
    assert secrets.asked == ["arn:secret"] * 2
    assert secrets.closed == 2
    assert {one.headers["x-team"] for one in collector.requests} == {b"memory"}


@pytest.mark.parametrize("value", [SECRET, ValueError(SECRET), RuntimeError(SECRET)])
def test_a_secret_that_cannot_be_read_leaves_the_spans_over_and_is_not_shown(
    start: Any, value: str | Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("functions.admin_api.aws.aws_client", lambda service: Secrets(value, value, value))
    module = start(POSTERN_TRACE_HEADERS_SECRET_ID="arn:secret")
    for _ in range(3):
        with pytest.raises(module.LeftOver) as left:
            module.handler(delivery(line()), None)
        assert SECRET not in str(left.value)
    assert SECRET not in caplog.text


def test_a_span_of_this_room_s_own_tests_is_one_that_the_room_reads() -> None:
    assert len(otlp.read(line())) == 2
    assert spans([]) == []
