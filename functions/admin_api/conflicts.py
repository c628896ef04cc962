"""What happens when two change the same thing at once: the later one looks again and tries again, then gives up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from functions.gateway.errors import Conflict
from functions.stores.store import StoreConflict

ATTEMPTS = 5
"""Tries of one change; each reads afresh, so only a change that is beaten five times in a row is refused."""

Changed = TypeVar("Changed")


def settle(what: str, change: Callable[[], Changed]) -> Changed:
    """The result of `change`, which reads, decides and writes under a version. Raises Conflict naming `what`."""
    for _ in range(ATTEMPTS):
        try:
            return change()
        except StoreConflict:
            continue
    raise Conflict(f"{what} is being changed by others at the same moment; read it again and repeat the change")
