"""One-time EventBridge schedules: the purge function runs for a server within a minute of its expiry.

A schedule belongs to one server and is found by its name, so a moved expiry moves the schedule. If a purge cannot be
scheduled, the failure is only logged: requests compare `expires_at` with the clock, and the table's TTL removes the
items later.
"""

from __future__ import annotations

import hashlib
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from functions.admin_api.aws import aws_client, error_code
from functions.gateway import json_text
from functions.gateway.grants import write_time
from functions.gateway.metrics import Count, uncounted

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

MAX_NAME_CHARS = 64
"""Characters of a schedule's name (EventBridge Scheduler API, CreateSchedule)."""

NAME = re.compile(r"[0-9a-zA-Z_.-]+")
"""Characters of a schedule's name (EventBridge Scheduler API, CreateSchedule)."""

RETRY = {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10}
"""How long EventBridge tries to reach the purge function; afterwards the TTL removes the items."""

logger = logging.getLogger(__name__)


class Scheduler(Protocol):
    """Purges a server's items soon after its expiry.

    The expiry does not depend on it: every request compares `expires_at` with the clock, and the store removes expired
    items by itself. So an implementation logs a failure and raises nothing.
    """

    def put(self, server_id: str, account_id: str, at: datetime) -> None:
        """Purge the server at this time, instead of at the time of an earlier schedule."""

    def delete(self, server_id: str) -> None:
        """Remove the schedule if there is one."""


class NoSchedules:
    """The scheduler of a laptop, where the store is swept instead."""

    def put(self, server_id: str, account_id: str, at: datetime) -> None:
        """See Scheduler."""

    def delete(self, server_id: str) -> None:
        """See Scheduler."""


class EventBridgeSchedules:
    """The Scheduler of a deployment (see Scheduler).

    `group`     schedule group; `role_arn` the role that EventBridge assumes; `target_arn` the purge function.
    `client`    a boto3 EventBridge Scheduler client; None makes one from the environment when it is needed.
    `count`     counts the purges that could not be scheduled.
    """

    def __init__(
        self,
        group: str,
        role_arn: str,
        target_arn: str,
        client: EventBridgeSchedulerClient | None = None,
        count: Count = uncounted,
    ) -> None:
        self._group = group
        self._role_arn = role_arn
        self._target_arn = target_arn
        self._count = count
        self._made = client

    def put(self, server_id: str, account_id: str, at: datetime) -> None:
        """Purge the server at this time, instead of at the time of an earlier schedule."""
        from botocore.exceptions import BotoCoreError, ClientError

        schedule = self._schedule(server_id, account_id, at)
        try:
            client = self._client()
            try:
                client.create_schedule(**schedule)
            except client.exceptions.ConflictException:
                try:
                    client.update_schedule(**schedule)
                except client.exceptions.ResourceNotFoundException:  # it ran and was removed in between
                    client.create_schedule(**schedule)
        except (BotoCoreError, ClientError) as error:
            self._count("purge_failures", error=error_code(error))
            logger.warning("no purge is scheduled for server %s; the TTL removes it: %s", server_id, error_code(error))

    def delete(self, server_id: str) -> None:
        """Remove the schedule if there is one."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._client()
            try:
                client.delete_schedule(GroupName=self._group, Name=schedule_name(server_id))
            except client.exceptions.ResourceNotFoundException:
                return
        except (BotoCoreError, ClientError) as error:
            logger.warning("the schedule of server %s remains and will purge nothing: %s", server_id, error_code(error))

    def _schedule(self, server_id: str, account_id: str, at: datetime) -> dict[str, Any]:
        event = {"account_id": account_id, "server_id": server_id, "expires_at": write_time(at)}
        return {
            "GroupName": self._group,
            "Name": schedule_name(server_id),
            "ScheduleExpression": schedule_expression(at),
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": self._target_arn,
                "RoleArn": self._role_arn,
                "Input": json_text.text(event),
                "RetryPolicy": RETRY,
            },
        }

    def _client(self) -> EventBridgeSchedulerClient:
        if self._made is None:
            self._made = aws_client("scheduler")
        return self._made


def schedule_name(server_id: str) -> str:
    """The name of a server's schedule: its id if that is a valid name, otherwise a digest of the id."""
    if len(server_id) <= MAX_NAME_CHARS and NAME.fullmatch(server_id):
        return server_id
    return f"server-{hashlib.sha256(server_id.encode()).hexdigest()[:48]}"


def schedule_expression(at: datetime) -> str:
    """`at(...)` in UTC and whole seconds, never before the time."""
    utc = at.astimezone(UTC)
    if utc.microsecond:
        utc = utc.replace(microsecond=0) + timedelta(seconds=1)
    return f"at({utc:%Y-%m-%dT%H:%M:%S})"
