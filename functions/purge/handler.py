"""The Lambda handler of the purge function: one-time schedules purge a server, a rate schedule sends notices."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from functions.gateway.grants import write_time
from functions.gateway.metrics import Counter
from functions.gateway.settings import Settings, SettingsError
from functions.gateway.upstream import Sender
from functions.purge.notices import rounds_of
from functions.purge.purge import TooEarly, purge
from functions.stores.dynamodb import DynamoStore
from functions.stores.store import Store

NOTICES = {"send": "notices"}
"""The event of the schedule that sends notices."""

ROUND_SECONDS = 45.0
"""Time that a round must have left to begin: the longest one takes 25 s and its requests to the store."""

logger = logging.getLogger(__name__)


def _open(settings: Settings) -> Store:
    if settings.store != "dynamodb":
        raise SettingsError(f"POSTERN_STORE is {settings.store!r}; the purge function works only with dynamodb")
    return DynamoStore(settings.table)


_settings = Settings.from_environment(os.environ)
logging.getLogger().setLevel(_settings.log_level)
_store = _open(_settings)
_count = Counter(_settings.environment, sys.stdout)


class Context(Protocol):
    """What this function needs of the context of Lambda."""

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """On an exception Lambda retries twice, then sends the event to the dead-letter queue."""
    now = datetime.now(UTC)
    if event == NOTICES:
        return asyncio.run(_send_notices(now, context))
    try:
        outcome = purge(event, _store, now)
    except TooEarly:
        raise  # the event comes again, when it is time
    except Exception as error:
        _count("purge_failures", error=type(error).__name__)
        raise
    logger.info("server %s: %s at %s", event["server_id"], outcome, write_time(now))
    return {"server_id": event["server_id"], "outcome": outcome}


async def _send_notices(now: datetime, context: Context) -> dict[str, Any]:
    """Rounds until nothing is due or the time is used up. Returns how far they came; the next event continues."""
    from functions.purge.webhook import Webhook  # late: a purge sends nothing

    sender = Sender(_settings)
    try:
        webhook = Webhook.of(_settings, _secret(), sender, lambda: datetime.now(UTC))
        came = await rounds_of(
            _store, webhook.send, now, lambda: context.get_remaining_time_in_millis() >= ROUND_SECONDS * 1000
        )
    finally:
        await sender.close()
    logger.info("notices: %s", came)
    return {**asdict(came), "reached": write_time(came.reached)}


def _secret() -> str:
    if not _settings.webhook_secret_id:
        return _settings.webhook_secret
    from functions.admin_api.aws import aws_client

    secret: str = aws_client("secretsmanager").get_secret_value(SecretId=_settings.webhook_secret_id)["SecretString"]
    return secret
