"""Puts the log entries of one delivery of CloudWatch Logs into the store.

A delivery may come twice, in part or late, and two may come at once. An entry is written only where there is none, so
each is stored once. A store that fails ends the delivery with its error: Lambda repeats it, and what is stored already
is passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.gateway import json_text, metrics
from functions.gateway.json_text import Json
from functions.gateway.log_entry import MEMBERS, OPTIONAL, Journal, KeptCalls, log_time
from functions.log_subscriber import deliveries
from functions.stores import layout
from functions.stores.store import Put, StoreConflict, StoreError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one delivery came to. `oldest`, `newest`: the times of its entries, None without entries."""

    stored: int
    known: int
    unreadable: int
    oldest: datetime | None
    newest: datetime | None


def kept(event: Mapping[str, Any], calls: KeptCalls) -> Batch:
    """Store the entries of a delivery. Raises NotADelivery, and StoreError: then the delivery is to be repeated."""
    stored = known = unreadable = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    for line in deliveries.lines(event):
        entry = _entry(line)
        if entry is None:
            unreadable += 1
            continue
        moment = datetime.fromisoformat(entry["time"])
        oldest = moment if oldest is None else min(oldest, moment)
        newest = moment if newest is None else max(newest, moment)
        try:
            calls.keep(entry)
            stored += 1
        except StoreConflict:
            known += 1
    return Batch(stored, known, unreadable, oldest, newest)


def note_freshness(batch: Batch, store: Journal, now: datetime) -> None:
    """Keep how fresh the log is; `GET /log` returns it. A failure is only logged: the entries are stored."""
    if batch.newest is None:
        return
    body: dict[str, Json] = {"newest_entry": log_time(batch.newest), "stored_at": log_time(now)}
    try:
        store.write([Put(layout.LOG_FRESHNESS, body)])
    except StoreError as error:
        logger.warning("the freshness of the log could not be kept: %s", error)


def line(batch: Batch, environment: str, now: datetime) -> str:
    """A line with the metrics of a batch: how many entries were stored, and how old the oldest was then."""
    lag = (now - batch.oldest) / timedelta(milliseconds=1) if batch.oldest is not None else 0.0
    values = {"log_entries": batch.stored, "log_unreadable": batch.unreadable, "log_lag_ms": round(max(0.0, lag))}
    return metrics.line(environment, now, values)


def _entry(line: str) -> dict[str, Json] | None:
    """The log entry that a line holds, None where it holds none."""
    try:
        found = json_text.decode(line)
        entry = {name: found[name] for name in MEMBERS if name not in OPTIONAL or name in found}
        datetime.fromisoformat(entry["time"])
    except (KeyError, TypeError, ValueError):
        return None
    texts = (entry["account_id"], entry["server_id"], entry["request_id"])
    return entry if entry["kind"] == "call" and all(isinstance(text, str) for text in texts) else None
