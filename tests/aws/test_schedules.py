"""Schedules over the wire: made, moved, removed, and found again by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.admin_api.servers.schedules import EventBridgeSchedules
from tests.aws import standins

pytestmark = pytest.mark.aws

AT = datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC)
ROLE = "arn:aws:iam::000000000000:role/schedules"
PURGE = "arn:aws:lambda:us-east-1:000000000000:function:purge"


@pytest.fixture(params=["ministack", "moto"])
def wired(request: pytest.FixtureRequest) -> Iterator[tuple[EventBridgeSchedules, Any]]:
    """Schedules of an empty group, and EventBridge's own view of it."""
    client = standins.client("scheduler", {"ministack": standins.ministack, "moto": standins.moto}[request.param]())
    client.create_schedule_group(Name="postern-test")
    yield EventBridgeSchedules("postern-test", ROLE, PURGE, client), client
    client.delete_schedule_group(Name="postern-test")
    client.close()


def names(client: Any) -> list[str]:
    return [entry["Name"] for entry in client.list_schedules(GroupName="postern-test")["Schedules"]]


def test_a_schedule_says_when_whom_and_what_and_goes_by_itself(wired: tuple[EventBridgeSchedules, Any]) -> None:
    schedules, client = wired
    schedules.put("srv_1", "acc_1", AT)
    made = client.get_schedule(GroupName="postern-test", Name="srv_1")
    assert made["ScheduleExpression"] == "at(2031-12-31T23:59:59)"
    assert made["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert made["ActionAfterCompletion"] == "DELETE"
    assert (made["Target"]["Arn"], made["Target"]["RoleArn"]) == (PURGE, ROLE)
    assert json.loads(made["Target"]["Input"]) == {
        "account_id": "acc_1",
        "server_id": "srv_1",
        "expires_at": "2031-12-31T23:59:59Z",
    }


def test_a_moved_expiry_moves_the_schedule_and_makes_no_second_one(wired: tuple[EventBridgeSchedules, Any]) -> None:
    schedules, client = wired
    schedules.put("srv_1", "acc_1", AT)
    schedules.put("srv_1", "acc_1", AT + timedelta(days=1))
    assert names(client) == ["srv_1"]
    moved = client.get_schedule(GroupName="postern-test", Name="srv_1")
    assert moved["ScheduleExpression"] == "at(2032-01-01T23:59:59)"
    assert json.loads(moved["Target"]["Input"])["expires_at"] == "2032-01-01T23:59:59Z"


def test_a_removed_schedule_is_gone_and_removing_it_again_is_no_error(wired: tuple[EventBridgeSchedules, Any]) -> None:
    schedules, client = wired
    schedules.put("srv_1", "acc_1", AT)
    schedules.put("srv_2", "acc_1", AT)
    schedules.delete("srv_1")
    schedules.delete("srv_1")
    assert names(client) == ["srv_2"]
