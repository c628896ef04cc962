"""Lookups of a grant among 1,000 and among 1,000,000: the SQLite file, and a DynamoDB-compatible table on loopback.

Both numbers are looked up in turn, a batch of one and a batch of the other, so a busy machine is busy for both. The
keys are drawn evenly from all grants. The table keeps its items in memory, as DynamoDB keeps its index of a partition's
keys: this measures our reader and the protocol, and what DynamoDB itself does is in docs/cost-and-limits.md.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from functions.stores import layout
from functions.stores.dynamodb_light import LightDynamoStore
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Item, Key
from tests.benchmarks import preparing, world

FEW, MANY = 1_000, 1_000_000
BATCHES, LOOKUPS = 40, 250
BATCH_ITEMS = 25_000
"""Grants of one insert."""

Get = Callable[[Sequence[Key]], list[Item | None]]


def key(number: int) -> Key:
    """The key of a grant, as a digest of its token is one."""
    return layout.token(hashlib.sha256(f"{number}".encode()).hexdigest())


def compared(few: Get, many: Get) -> dict[str, tuple[float, float]]:
    """Microseconds, p50 and p95, of lookups among few and among many grants."""
    drawn = random.Random(1)
    taken: dict[int, list[float]] = {FEW: [], MANY: []}
    for batch in range(BATCHES + 1):
        for count, get in ((FEW, few), (MANY, many)):
            for _ in range(LOOKUPS):
                wanted = [key(drawn.randrange(count))]
                before = time.perf_counter()
                [found] = get(wanted)
                seconds = time.perf_counter() - before
                assert found is not None
                if batch:
                    taken[count].append(seconds * 1e6)
    return {
        f"{count:,}": (statistics.median(times), statistics.quantiles(times, n=20)[18])
        for count, times in taken.items()
    }


def in_sqlite(folder: Path, count: int, body: dict[str, Any]) -> SqliteStore:
    """A store with so many grants, written past `SqliteStore.write`, which would take an hour."""
    path = folder / f"{count}.sqlite"
    store = SqliteStore(path)
    written = json.dumps(body)
    with sqlite3.connect(path) as connection:
        for rows in _batches(count):
            connection.executemany(
                "INSERT INTO items VALUES (?, ?, ?, NULL, 1)",
                ((*(key(number).partition, key(number).sort), written) for number in rows),
            )
    connection.close()
    return store


def in_table(table: str, count: int, body: dict[str, Any]) -> LightDynamoStore:
    """A table with so many grants, and the data plane's own reader of it."""
    item = {"body": {"S": json.dumps(body)}, "version": {"N": "1"}}
    for rows in _batches(count):
        keys = [key(number).partition for number in rows]
        request = urllib.request.Request(
            table, json.dumps({"Keys": keys, "Item": item}).encode(), {"X-Amz-Target": "Bench.FillTable"}
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()
    return LightDynamoStore(preparing.TABLE, {**preparing.AWS, "AWS_ENDPOINT_URL_DYNAMODB": table})


def _batches(count: int) -> Iterator[range]:
    for first in range(0, count, BATCH_ITEMS):
        yield range(first, min(count, first + BATCH_ITEMS))


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, world.running() as few, world.running() as many:
        [body, _] = preparing.mint("mem0", "https://api.mem0.ai").items.values()
        folder = Path(name)
        stores: dict[str, tuple[Any, Any]] = {
            "SQLite": (in_sqlite(folder, FEW, body), in_sqlite(folder, MANY, body)),
            "table on loopback": (in_table(few.table, FEW, body), in_table(many.table, MANY, body)),
        }
        print(f"the SQLite file of {MANY:,} grants has {(folder / f'{MANY}.sqlite').stat().st_size / 1e6:,.0f} MB")
        for title, (small, large) in stores.items():
            figures = compared(small.get, large.get)
            (p50, p95), (p50_many, p95_many) = figures.values()
            print(
                f"{title}: among {FEW:,} p50 {p50:.0f} us, p95 {p95:.0f} us; among {MANY:,} p50 {p50_many:.0f} us, "
                f"p95 {p95_many:.0f} us; ratios {p50_many / p50:.2f} and {p95_many / p95:.2f}"
            )
            small.close()
            large.close()
