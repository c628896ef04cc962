"""The store contract: one table of items, addressed by two keys.

The `body` of an item is JSON; only its writer and its readers know what it means. Every implementation passes
`tests/contracts`. The operations are those that one DynamoDB table does well, which leaves out a scan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from functions.gateway import json_text
from functions.gateway.value_classes import dataclass, field

MAX_KEYS_PER_GET = 100
"""Keys in one `get`: the limit of BatchGetItem in DynamoDB."""

MAX_CHANGES_PER_WRITE = 100
"""Changes in one `write`: the limit of TransactWriteItems in DynamoDB."""

MAX_BODY_BYTES = 380_000
"""UTF-8 bytes of one body as JSON. A DynamoDB item may have 400 KB, including keys and attribute names."""


class StoreError(Exception):
    """The operation failed. The message names the store and the reason, never the body of an item."""


class StoreConflict(StoreError):
    """A condition of a `write` did not hold. No change of that write was applied."""


class StoreUnavailable(StoreError):
    """The store is throttled or cannot be reached. `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Key:
    """`partition` groups items that are listed together. `sort` orders them by code point and is unique within it."""

    partition: str
    sort: str = "-"


@dataclass(frozen=True, slots=True)
class Item:
    """One stored item.

    `expires_at`  epoch seconds after which the store may remove the item, possibly late; None = never. A store returns
                  an expired item until it is removed, so readers compare `expires_at` with the clock.
    `version`     1 on creation, one more on each write. Conditions compare it.
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
    """Remove an item, whether or not it exists. `if_version` n = it must exist at version n."""

    key: Key
    if_version: int | None = None


Change = Put | Delete


class Store(Protocol):
    """Reads are strongly consistent. Raises StoreUnavailable when throttled or unreachable, else StoreError."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """The items of these keys, in order; None for a key without an item. At most MAX_KEYS_PER_GET keys."""

    def write(self, changes: Sequence[Change]) -> None:
        """Apply all changes or none. At most MAX_CHANGES_PER_WRITE, all keys distinct. Raises StoreConflict."""

    def query(
        self,
        partition: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Item]:
        """At most `limit` items of a partition in the order of `sort`, with after < sort < before. Fewer = no more."""


# What every store refuses. `store` is its name in the message.


def check_keys(store: str, keys: Sequence[Key]) -> None:
    """Raises StoreError for more keys than one `get` accepts."""
    if len(keys) > MAX_KEYS_PER_GET:
        raise StoreError(f"{store} store: {len(keys)} keys in one get; at most {MAX_KEYS_PER_GET}")


def check_limit(store: str, limit: int) -> None:
    """Raises StoreError for a query that asks for no items."""
    if limit < 1:
        raise StoreError(f"{store} store: limit {limit} in a query; at least 1")


def check_changes(store: str, changes: Sequence[Change]) -> None:
    """Raises StoreError for more changes than one `write` accepts, and for two changes of one key."""
    if len(changes) > MAX_CHANGES_PER_WRITE:
        raise StoreError(f"{store} store: {len(changes)} changes in one write; at most {MAX_CHANGES_PER_WRITE}")
    if len({change.key for change in changes}) < len(changes):
        raise StoreError(f"{store} store: the same key twice in one write; each key may change once")


def encode(store: str, body: Mapping[str, Any]) -> str:
    """A body as it is stored: compact JSON text. Raises StoreError when it is not JSON, or over MAX_BODY_BYTES."""
    try:
        content = json_text.encode_strictly(body)
    except (TypeError, ValueError) as error:  # UnicodeEncodeError (a lone surrogate) is a ValueError
        raise StoreError(f"{store} store: a body is not JSON that UTF-8 can hold") from error
    if len(content) > MAX_BODY_BYTES:
        raise StoreError(f"{store} store: a body of {len(content):,} bytes; at most {MAX_BODY_BYTES:,}")
    return content.decode()
