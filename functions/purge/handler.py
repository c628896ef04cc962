"""The Lambda handler of the purge function, which one-time schedules start."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from functions.gateway.grants import write_time
from functions.gateway.settings import Settings, SettingsError
from functions.purge.purge import purge
from functions.stores.dynamodb import DynamoStore
from functions.stores.store import Store

logger = logging.getLogger(__name__)


def _open(settings: Settings) -> Store:
    if settings.store != "dynamodb":
        raise SettingsError(f"POSTERN_STORE is {settings.store!r}; the purge function works only with dynamodb")
    return DynamoStore(settings.table)


_settings = Settings.from_environment(os.environ)
logging.getLogger().setLevel(_settings.log_level)
_store = _open(_settings)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, str]:
    """On an exception Lambda retries twice, then sends the event to the dead-letter queue."""
    now = datetime.now(UTC)
    outcome = purge(event, _store, now)
    logger.info("server %s: %s at %s", event["server_id"], outcome, write_time(now))
    return {"server_id": event["server_id"], "outcome": outcome}
