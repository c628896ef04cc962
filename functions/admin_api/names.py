"""Names of accounts, servers and API tokens: what a name may look like, and how it stays unique.

A name has an item of its own in the store, which holds the id of its holder. The item is written and removed in the
same write as the holder, so two requests that want one name at the same moment cannot both get it.
"""

from __future__ import annotations

from datetime import datetime

from functions.gateway.grants import epoch
from functions.stores.store import Change, Delete, Item, Key, Put

ANY = "-"
"""In a path, this stands for any account."""

RESERVED = (ANY, ".", "..")
"""Texts that mean something else in a path."""

NAME_RULE = (
    'a name must not hold control characters, start or end with a space, or be "-", "." or "..", because it can stand '
    "for an id"
)
"""What `is_name` refuses, in words."""


def is_name(text: str) -> bool:
    """True for a text that can be a name. Its length is checked elsewhere."""
    return text.isprintable() and text == text.strip() and text not in RESERVED


def holder(named: Item | None) -> str:
    """The id that the item of a name holds; "" where nobody has the name."""
    return str(named.body["id"]) if named is not None else ""


def take(key: Key, named: Item | None, holder_id: str, expires_at: datetime | None = None) -> Put:
    """The change that gives a name to `holder_id`, unless another request takes it first. The caller has checked that
    the holder in `named` is no longer live."""
    return Put(key, {"id": holder_id}, epoch(expires_at), if_version=named.version if named is not None else 0)


def release(named: Item | None, holder_id: str) -> list[Change]:
    """The changes that free a name if `holder_id` still has it."""
    return [Delete(named.key, if_version=named.version)] if named is not None and holder(named) == holder_id else []
