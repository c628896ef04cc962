"""The Lambda handler of the log subscriber: batches of lines that CloudWatch Logs delivers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from functions.gateway.log_entry import KeptCalls
from functions.gateway.settings import Settings, SettingsError
from functions.log_subscriber.subscriber import kept, line, note_freshness
from functions.stores.dynamodb_light import LightDynamoStore

logger = logging.getLogger(__name__)


def _open(settings: Settings) -> LightDynamoStore:
    if settings.store != "dynamodb":
        raise SettingsError(f"POSTERN_STORE is {settings.store!r}; the log subscriber works only with dynamodb")
    return LightDynamoStore(settings.table, os.environ)


_settings = Settings.from_environment(os.environ)
logging.getLogger().setLevel(_settings.log_level)
_store = _open(_settings)
_calls = KeptCalls(_store, _settings.log_retention_days)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """On an exception Lambda repeats the whole batch twice, then sends it to the dead-letter queue."""
    batch = kept(event, _calls)
    if batch.unreadable:
        logger.error("%s lines are not log entries and were left out", batch.unreadable)
    now = datetime.now(UTC)
    note_freshness(batch, _store, now)
    sys.stdout.write(line(batch, _settings.environment, now) + "\n")
    sys.stdout.flush()
    return {"stored": batch.stored, "known": batch.known, "unreadable": batch.unreadable}
