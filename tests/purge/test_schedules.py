"""Names, times and failures of schedules; what EventBridge itself does with them is in tests/aws."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from functions.admin_api.servers.schedules import (
    MAX_NAME_CHARS,
    NAME,
    EventBridgeSchedules,
    schedule_expression,
    schedule_name,
)

AT = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.text(min_size=1, max_size=300))
def test_any_id_gives_a_name_that_eventbridge_takes_and_always_the_same(server_id: str) -> None:
    name = schedule_name(server_id)
    assert len(name) <= MAX_NAME_CHARS
    assert NAME.fullmatch(name)
    assert schedule_name(server_id) == name


@given(st.lists(st.text(min_size=1, max_size=100), unique=True, min_size=2, max_size=20))
def test_no_two_servers_share_a_schedule(server_ids: list[str]) -> None:
    assert len({schedule_name(server_id) for server_id in server_ids}) == len(server_ids)


def test_a_usual_id_is_its_own_name() -> None:
    assert schedule_name("srv_foic7cir5ambrhk5") == "srv_foic7cir5ambrhk5"


@pytest.mark.parametrize(
    ("at", "expression"),
    [
        (AT, "at(2026-12-31T23:59:59)"),
        (AT + timedelta(microseconds=1), "at(2027-01-01T00:00:00)"),
        (AT.astimezone(timezone(timedelta(hours=-8))), "at(2026-12-31T23:59:59)"),
    ],
    ids=["whole", "between seconds", "another zone"],
)
def test_a_schedule_is_in_utc_and_never_before_the_moment(at: datetime, expression: str) -> None:
    assert schedule_expression(at) == expression


def test_what_cannot_be_scheduled_is_logged_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    client = boto3.client(
        "scheduler",
        endpoint_url="http://127.0.0.1:9",  # the discard port: nobody listens there
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    counted: list[tuple[str, str]] = []

    def count(metric: str, *, error: str) -> None:
        counted.append((metric, error))

    function = "arn:aws:lambda:us-east-1:1:function:f"
    schedules = EventBridgeSchedules("group", "arn:aws:iam::1:role/r", function, client, count)
    with caplog.at_level(logging.WARNING):
        schedules.put("srv_1", "acc_1", AT)
        schedules.delete("srv_1")
    client.close()
    assert [record.getMessage() for record in caplog.records] == [
        "no purge is scheduled for server srv_1; the TTL removes it: EndpointConnectionError",
        "the schedule of server srv_1 remains and will purge nothing: EndpointConnectionError",
    ]
    assert counted == [("purge_failures", "EndpointConnectionError")], "a schedule that remains purges nothing"
