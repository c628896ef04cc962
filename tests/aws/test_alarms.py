"""Alarms that ring: each condition is made on the built functions, and the alarm that watches it goes off.

The runtime emulator has no CloudWatch. What CloudWatch would read is what the function wrote (lines in the embedded
metric format) and what Lambda and DynamoDB are documented to count: a response of 5xx, an error of the function, a
request that the table throttled. The stand-in for CloudWatch gets these values and decides about the alarm.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.gateway.json_text import Json
from functions.stores.dynamodb import DynamoStore
from tests.aws import standins
from tests.aws.conftest import Built
from tests.aws.lambda_runtime import Running, http_event, running
from tests.gateway.loopback import answer
from tests.gateway.loopback import upstream as upstream_of_tests
from tests.gateway.test_audit import CALL
from tests.hostile_store.hostile_dynamodb import FAILED, PASSING, hostile
from tests.infra import template
from tests.log_subscriber.test_subscriber import delivery, line
from tests.mcp_endpoint.endpoint import Bench, Clock, Request, legacy, modern
from tests.trace_exporter.collector import line as span_line
from tests.trace_exporter.collector import spans

pytestmark = pytest.mark.aws

HANDLERS = {
    "McpEndpoint": "mcp_endpoint",
    "AdminApi": "admin_api",
    "Purge": "purge",
    "LogSubscriber": "log_subscriber",
    "TraceExporter": "trace_exporter",
}
DOCUMENTED = {
    ("AWS/Lambda", "Errors"): {"FunctionName"},
    ("AWS/Lambda", "Throttles"): {"FunctionName"},
    ("AWS/Lambda", "Duration"): {"FunctionName"},
    ("AWS/Lambda", "Url4xxCount"): {"FunctionName"},
    ("AWS/Lambda", "Url5xxCount"): {"FunctionName"},
    ("AWS/DynamoDB", "ReadThrottleEvents"): {"TableName"},
    ("AWS/DynamoDB", "WriteThrottleEvents"): {"TableName"},
    ("AWS/DynamoDB", "SystemErrors"): {"TableName", "Operation"},
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {"QueueName"},
    ("AWS/Scheduler", "InvocationDroppedCount"): {"ScheduleGroup"},
}
"""Metrics of AWS that alarms use, and the dimensions that AWS documents for them (developer guides of the services)."""

BY_AWS_ALONE = {
    "McpEndpointThrottles",
    "AdminApiThrottles",
    "McpEndpointSlow",
    "PurgeDeadLetters",
    "LogEntriesLost",
    "SpansUndelivered",
    "SchedulesDropped",
    "TableSystemErrors",
}
"""Alarms whose condition only AWS can make: only their metrics and dimensions are checked here."""

ALARMS: dict[str, Json] = {
    name: entry["Properties"]
    for name, entry in template.load()["Resources"].items()
    if entry["Type"] == "AWS::CloudWatch::Alarm"
}


@dataclass(frozen=True)
class Point:
    """One value of one metric, as CloudWatch has it."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    value: float
    at: datetime


def of_aws(service: str, metric: str, **dimensions: str) -> Point:
    """What AWS counts by itself."""
    assert set(dimensions) == DOCUMENTED[f"AWS/{service}", metric]
    return Point(f"AWS/{service}", metric, tuple(sorted(dimensions.items())), 1, datetime.now(UTC))


def written(function: Running) -> list[Point]:
    """What CloudWatch reads from the lines of the function."""
    found = []
    for text in function.log().splitlines():
        if not text.startswith('{"_aws"'):
            continue
        members = json.loads(text)
        at = datetime.fromtimestamp(members["_aws"]["Timestamp"] / 1000, UTC)
        for directive in members["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = tuple(sorted((name, members[name]) for name in names))
                found += [
                    Point(directive["Namespace"], metric["Name"], dimensions, members[metric["Name"]], at)
                    for metric in directive["Metrics"]
                ]
    return found


def counted(function: str, answer: Json) -> list[Point]:
    """What Lambda counts of one answer of a function behind a URL, or of its error."""
    if "errorType" in answer:
        url = (
            [of_aws("Lambda", "Url5xxCount", FunctionName=function)] if function in ("McpEndpoint", "AdminApi") else []
        )
        return [of_aws("Lambda", "Errors", FunctionName=function), *url]
    status = answer.get("statusCode", 200)
    return [of_aws("Lambda", f"Url{status // 100}xxCount", FunctionName=function)] if status >= 400 else []


def dimensions(alarm: Json) -> tuple[tuple[str, str], ...]:
    """Those of an alarm, with names for what CloudFormation would put in."""
    values = {"Environment": "rie"}
    found = {}
    for dimension in alarm["Dimensions"]:
        if isinstance(dimension["Value"], str):
            found[dimension["Name"]] = dimension["Value"]
            continue
        [(kind, name)] = dimension["Value"].items()
        if kind == "Fn::If":
            name = name[1]["Ref"]
            kind = "Ref"
        found[dimension["Name"]] = values.get(name, name) if kind == "Ref" else str(name)
    return tuple(sorted(found.items()))


def rings(points: list[Point]) -> set[str]:
    """The alarms of the template that these values set off."""
    cloudwatch = standins.client("cloudwatch", standins.ministack())
    run = uuid.uuid4().hex  # the stand-in looks at the namespace and the name of a metric, so each run has its own
    ringing = set()
    for name, alarm in ALARMS.items():
        mine = [
            point for point in points if (point.namespace, point.metric) == (alarm["Namespace"], alarm["MetricName"])
        ]
        if not mine or {point.dimensions for point in mine}.isdisjoint({dimensions(alarm)}):
            continue
        threshold = alarm["Threshold"]
        if isinstance(threshold, dict):
            threshold = template.load()["Parameters"][threshold["Ref"]]["Default"]
        kept = ("Statistic", "Period", "EvaluationPeriods", "ComparisonOperator", "TreatMissingData")
        cloudwatch.put_metric_alarm(
            AlarmName=f"{name}-{run}",
            Namespace=f"{run}/{name}",
            MetricName=alarm["MetricName"],
            Threshold=float(threshold),
            **{member: alarm[member] for member in kept},
        )
        cloudwatch.put_metric_data(
            Namespace=f"{run}/{name}",
            MetricData=[
                {"MetricName": alarm["MetricName"], "Value": float(point.value), "Timestamp": point.at}
                for point in mine
                if point.dimensions == dimensions(alarm)
            ],
        )
        [state] = cloudwatch.describe_alarms(AlarmNames=[f"{name}-{run}"])["MetricAlarms"]
        ringing |= {name} if state["StateValue"] == "ALARM" else set()
    cloudwatch.close()
    return ringing


@pytest.fixture(scope="module")
def root() -> Iterator[tuple[str, str]]:
    """Id and value of a root API token in the stand-in for Secrets Manager."""
    secrets = standins.client("secretsmanager", standins.ministack())
    name, value = f"root-{uuid.uuid4().hex}", "r" * 43
    secrets.create_secret(Name=name, SecretString=value)
    yield name, value
    secrets.close()


@pytest.fixture(scope="module")
def table() -> Iterator[str]:
    with standins.table(standins.ministack()) as (_, name):
        yield name


@pytest.fixture(scope="module")
def start(built: Built, table: str, root: tuple[str, str]) -> Callable[..., Any]:
    """Starts a function of the build with all it needs; `variables` replace some of it."""

    def started(function: str, **variables: str) -> Any:
        room = HANDLERS[function]
        all_well = {
            "AWS_ENDPOINT_URL": standins.ministack(),
            "POSTERN_STORE": "dynamodb",
            "POSTERN_TABLE": table,
            "POSTERN_ENVIRONMENT": "rie",
            "POSTERN_PRIVATE_UPSTREAMS": "true",
            "POSTERN_ROOT_API_TOKEN_SECRET": root[0],
            **variables,
        }
        return running(built.function(room), f"functions.{room}.handler.handler", 30, **all_well)

    return started


PING = http_event("function_url", "POST", f"/mcp/{'t' * 43}", legacy("ping"))


def api_event(path: str, token: str, verb: str = "GET", body: Json = None) -> Json:
    content = b"" if body is None else json.dumps(body).encode()
    headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
    return http_event("function_url", verb, path, Request(headers, content))


@pytest.mark.parametrize("mode", ["throttled", "internal error", "access denied", "no such table"])
def test_a_table_that_cannot_be_read_rings_for_both_functions(
    start: Callable[..., Any], root: tuple[str, str], mode: str
) -> None:
    """The function answers 503 and Lambda sees a success: `Errors` stays 0, and three other metrics do not."""
    with hostile({**FAILED, **PASSING}[mode]) as away:
        with start("McpEndpoint", AWS_ENDPOINT_URL_DYNAMODB=away) as function:
            answers = [function.invoke(PING) for _ in range(3)]
            points = [*written(function), *(point for answer in answers for point in counted("McpEndpoint", answer))]
            assert [answer["statusCode"] for answer in answers] == [503, 503, 503]
        with start("AdminApi", AWS_ENDPOINT_URL_DYNAMODB=away) as function:
            answer = function.invoke(api_event("/integrated-account", root[1]))
            of_the_api = [*written(function), *counted("AdminApi", answer)]
            assert answer["statusCode"] == 503
    assert rings(points) == {"ServerErrors", "McpEndpoint5xx"}
    assert rings(of_the_api) == {"ServerErrors", "AdminApi5xx"}


def test_a_throttled_table_is_counted_by_dynamodb_too(table: str) -> None:
    assert rings([of_aws("DynamoDB", "ReadThrottleEvents", TableName="Table")]) == {"TableReadsThrottled"}
    assert rings([of_aws("DynamoDB", "WriteThrottleEvents", TableName="Table")]) == {"TableWritesThrottled"}


@pytest.mark.parametrize("function", ["McpEndpoint", "AdminApi", "LogSubscriber"])
def test_a_function_that_cannot_start_rings(start: Callable[..., Any], function: str) -> None:
    with start(function, POSTERN_LOG_LEVEL="LOUD") as broken:
        answer = broken.invoke(PING)
    assert answer["errorType"] == "SettingsError"
    expected = {"LogSubscriber": {"LogSubscriberErrors"}}.get(function, {f"{function}Errors", f"{function}5xx"})
    assert rings(counted(function, answer)) == expected


def test_a_key_that_kms_denies_rings(start: Callable[..., Any], root: tuple[str, str], upstream: str) -> None:
    body = {"integration": "mem0", "credentials": {"api_key": "m0-any"}, "base_url": upstream}
    with (
        hostile(FAILED["access denied"]) as denying,
        start("AdminApi", AWS_ENDPOINT_URL_KMS=denying, POSTERN_KMS_KEY_ID="alias/postern") as function,
    ):
        answer = function.invoke(api_event("/integrated-account", root[1], "POST", body))
        points = [*written(function), *counted("AdminApi", answer)]
    assert answer["statusCode"] == 500, answer
    assert rings(points) == {"KmsDenials", "ServerErrors", "AdminApi5xx"}


def test_callers_without_their_api_token_ring_when_there_are_many(start: Callable[..., Any], table: str) -> None:
    client = standins.client("dynamodb", standins.ministack())
    bench = Bench(DynamoStore(table, client=client), clock=Clock(datetime.now(UTC)))
    token = bench.mint(id="srv_two", require_api_token_auth=True)
    with start("McpEndpoint") as function:
        event = http_event("function_url", "POST", f"/mcp/{token}", legacy("tools/list"))
        answers = [function.invoke(event) for _ in range(20)]
        points = written(function)
    assert {answer["statusCode"] for answer in answers} == {403}
    assert rings(points[: 19 * len(points) // 20]) == set()
    assert rings(points) == {"RefusedAdmissions"}
    with start("AdminApi") as function:
        answers = [function.invoke(api_event("/integrated-account", "not-a-token")) for _ in range(20)]
        assert rings(written(function)) == {"RefusedAdmissions"}
    assert {answer["statusCode"] for answer in answers} == {401}
    client.close()


def test_a_flood_of_unknown_urls_rings(start: Callable[..., Any]) -> None:
    modern_ping = http_event("function_url", "POST", f"/mcp/{'t' * 43}", modern("ping"))
    with start("McpEndpoint") as function:
        points = counted("McpEndpoint", function.invoke(modern_ping))
        assert [counted("McpEndpoint", function.invoke(PING)) for _ in range(99)] == [[]] * 99
        assert written(function) == [], "a line for each would make a flood dearer"
        function.invoke(PING)
        dead = written(function)
    assert [(point.metric, point.value) for point in dead] == [("dead_urls", 100)]
    assert rings([*points, *dead]) == set()
    assert rings(points * 1_000) == {"RefusedRequests"}
    assert rings(dead * 10) == {"DeadUrls"}


def test_a_purge_that_fails_rings(start: Callable[..., Any]) -> None:
    event = {"account_id": "acc_1", "server_id": "srv_1", "expires_at": "2026-11-21T12:00:00Z"}
    with (
        hostile(FAILED["access denied"]) as away,
        start("Purge", AWS_ENDPOINT_URL_DYNAMODB=away) as function,
    ):
        assert function.invoke(event)["errorType"] == "StoreError"
        assert function.invoke({"server_id": "srv_1"})["errorType"] == "ValueError"
        points = written(function)
    assert rings(points) == {"PurgeFailures"}


def test_a_log_that_is_late_or_fails_rings(start: Callable[..., Any]) -> None:
    late = line(CALL)
    late = late.replace(json.loads(late)["time"], (datetime.now(UTC) - timedelta(minutes=6)).isoformat())
    with start("LogSubscriber") as function:
        assert function.invoke(delivery(late))["stored"] == 1
        assert rings(written(function)) == {"LogEntriesLate"}
    with (
        hostile(PASSING["throttled"]) as away,
        start("LogSubscriber", AWS_ENDPOINT_URL_DYNAMODB=away) as function,
    ):
        answer = function.invoke(delivery(line(CALL)))
    assert answer["errorType"] == "StoreUnavailable"
    assert rings(counted("LogSubscriber", answer)) == {"LogSubscriberErrors"}


def test_spans_that_a_collector_refuses_ring_and_those_that_it_takes_do_not(start: Callable[..., Any]) -> None:
    with upstream_of_tests() as collector:
        with start("TraceExporter", OTEL_EXPORTER_OTLP_ENDPOINT=collector.origin) as function:
            taken = [function.invoke(delivery(span_line())) for _ in range(3)]
            assert rings(written(function)) == set()
        collector.answers(answer(401, {"message": "who are you"}))
        with start("TraceExporter", OTEL_EXPORTER_OTLP_ENDPOINT=collector.origin) as function:
            refused = function.invoke(delivery(span_line()))
            points = written(function)
        assert len(spans(collector.requests)) == 8
    assert (taken, refused) == (
        [{"taken": 2, "lost": 0, "unreadable": 0}] * 3,
        {"taken": 0, "lost": 2, "unreadable": 0},
    )
    assert rings(points) == {"SpansLost"}


def test_a_healthy_call_rings_nothing(start: Callable[..., Any], table: str, upstream: str) -> None:
    client = standins.client("dynamodb", standins.ministack())
    bench = Bench(DynamoStore(table, client=client), clock=Clock(datetime.now(UTC)))
    token = bench.mint(id="srv_well", base_url=upstream)
    arguments = {"query": "tea", "filters": {"user_id": "usr_1"}}
    with start("McpEndpoint") as function:
        call = legacy("tools/call", {"name": "mem_0_memories_search", "arguments": arguments})
        answers = [function.invoke(http_event("function_url", "POST", f"/mcp/{token}", call)) for _ in range(3)]
        points = written(function)
    client.close()
    assert [json.loads(answer["body"])["result"]["isError"] for answer in answers] == [False] * 3
    assert {point.metric for point in points} == {"calls", "failures", "duration_ms", "upstream_ms", "result_bytes"}
    assert rings(points) == set()


def test_a_traced_call_reaches_the_collector_and_rings_nothing(
    start: Callable[..., Any], table: str, upstream: str
) -> None:
    """From the line of the built data plane, through a delivery, to spans that belong together."""
    client = standins.client("dynamodb", standins.ministack())
    bench = Bench(DynamoStore(table, client=client), clock=Clock(datetime.now(UTC)))
    token = bench.mint(id="srv_traced", base_url=upstream)
    client.close()
    arguments = {"query": "tea", "filters": {"user_id": "usr_1"}}
    parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with upstream_of_tests() as collector:
        with start("McpEndpoint", OTEL_EXPORTER_OTLP_ENDPOINT=collector.origin) as function:
            call = legacy("tools/call", {"name": "mem_0_memories_search", "arguments": arguments}).adding(parent)
            answers = [function.invoke(http_event("function_url", "POST", f"/mcp/{token}", call)) for _ in range(3)]
            lines = [text for text in function.log().splitlines() if '"kind":"span"' in text]
            points = written(function)
        assert collector.requests == [], "the data plane sends nothing itself"
        with start("TraceExporter", OTEL_EXPORTER_OTLP_ENDPOINT=collector.origin) as function:
            sent = function.invoke(delivery(*lines))
            points += written(function)
        found = spans(collector.requests)
    assert [json.loads(answer["body"])["result"]["isError"] for answer in answers] == [False] * 3
    assert sent == {"taken": 6, "lost": 0, "unreadable": 0}
    assert [span.name for span in found] == ["tools/call mem_0_memories_search", "POST /v3/memories/search/"] * 3
    assert {span.trace_id.hex() for span in found} == {parent[1].split("-")[1]}
    assert [span.parent_span_id for span in found[1::2]] == [span.span_id for span in found[::2]]
    assert rings(points) == set()


def test_every_alarm_is_tried_or_watches_what_aws_documents() -> None:
    tried = {
        *("ServerErrors", "McpEndpoint5xx", "AdminApi5xx", "TableReadsThrottled", "TableWritesThrottled"),
        *("McpEndpointErrors", "AdminApiErrors", "LogSubscriberErrors", "KmsDenials", "RefusedAdmissions"),
        *("RefusedRequests", "DeadUrls", "PurgeFailures", "LogEntriesLate", "SpansLost"),
    }
    assert tried | BY_AWS_ALONE == set(ALARMS)
    for alarm in ALARMS.values():
        names = {dimension["Name"] for dimension in alarm["Dimensions"]}
        key = (alarm["Namespace"], alarm["MetricName"])
        assert names == ({"environment"} if key[0] == "Postern" else DOCUMENTED[key])
