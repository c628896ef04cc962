"""The store contract: one table of items, addressed by two keys.

An item's `body` is JSON; what it means is the business of whoever wrote it. Every implementation passes
`tests/contracts`. The operations are what one DynamoDB table does well, and nothing else: there is no scan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from functions.gateway import json_text

MAX_KEYS_PER_GET = 100
"""Keys in one `get`; the limit of DynamoDB's BatchGetItem."""

MAX_CHANGES_PER_WRITE = 100
"""Changes in one `write`; the limit of DynamoDB's TransactWriteItems."""

MAX_BODY_BYTES = 380_000
"""UTF-8 bytes of one body as JSON; a DynamoDB item may hold 400 KB with its keys and attribute names."""


class StoreError(Exception):
    """The store could not do it; the message names the store and the reason, never an item's body."""


class StoreConflict(StoreError):
    """A condition of a `write` did not hold; nothing of that write was applied."""


class StoreUnavailable(StoreError):
    """The store is throttling or out of reach. `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Key:
    """`partition` groups items that are listed together; `sort` orders them (by code point) and is unique within."""

    partition: str
    sort: str = "-"


@dataclass(frozen=True, slots=True)
class Item:
    """One stored item.

    `expires_at`  epoch seconds after which the store may remove the item by itself, late; None = never. Readers that
                  care compare it with the clock: a store returns an expired item for as long as it still has it.
    `version`     1 on creation, one more on each write; what conditions compare.
    """

    key: Key
    body: dict[str, Any] = field(repr=False)
    expires_at: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Put:
    """Create or replace an item. `if_version`: 0 = must not exist, n = must be at version n, None = unconditional."""

    key: Key
    body: dict[str, Any] = field(repr=False)
    expires_at: int | None = None
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an item, present or not. `if_version` n = it must be there at version n."""

    key: Key
    if_version: int | None = None


Change = Put | Delete


class Store(Protocol):
    """Reads are strongly consistent. Raises StoreUnavailable when throttled or out of reach, StoreError otherwise."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """The items of these keys in their order, None where there is none; one round trip, MAX_KEYS_PER_GET keys."""

    def write(self, changes: Sequence[Change]) -> None:
        """Apply all changes or none (distinct keys, MAX_CHANGES_PER_WRITE at most). Raises StoreConflict."""

    def query(
        self,
        partition: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Item]:
        """Items of a partition in order of `sort`, with after < sort < before, `limit` at most (fewer = no more)."""


# What every store refuses; `store` is its name in the message.


def check_keys(store: str, keys: Sequence[Key]) -> None:
    """Raises StoreError when they are more than one `get` takes."""
    if len(keys) > MAX_KEYS_PER_GET:
        raise StoreError(f"{store} store: {len(keys)} keys in one get; at most {MAX_KEYS_PER_GET}")


def check_changes(store: str, changes: Sequence[Change]) -> None:
    """Raises StoreError when they are more than one `write` takes, or change a key twice."""
    if len(changes) > MAX_CHANGES_PER_WRITE:
        raise StoreError(f"{store} store: {len(changes)} changes in one write; at most {MAX_CHANGES_PER_WRITE}")
    if len({change.key for change in changes}) < len(changes):
        raise StoreError(f"{store} store: the same key twice in one write; each key may change once")


def encode(store: str, body: Mapping[str, Any]) -> str:
    """A body as it is stored: compact JSON text. Raises StoreError when it is no JSON, or over MAX_BODY_BYTES."""
    try:
        content = json_text.encode_strictly(body)
    except (TypeError, ValueError) as error:  # UnicodeEncodeError (a lone surrogate) is a ValueError
        raise StoreError(f"{store} store: a body is not JSON that UTF-8 can hold") from error
    if len(content) > MAX_BODY_BYTES:
        raise StoreError(f"{store} store: a body of {len(content):,} bytes; at most {MAX_BODY_BYTES:,}")
    return content.decode()
