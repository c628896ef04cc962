"""Two requests that change a thing at the same moment: the later one reads again, tries again, and gives up at last."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from functions.gateway.errors import Conflict
from functions.stores.store import StoreConflict

ATTEMPTS = 5
"""Attempts of one change. Each reads again, so only a change that loses five times in a row is refused."""

Changed = TypeVar("Changed")


def settle(what: str, change: Callable[[], Changed]) -> Changed:
    """The result of `change`, which reads, decides and writes under a version. Raises Conflict, which names `what`."""
    for _ in range(ATTEMPTS):
        try:
            return change()
        except StoreConflict:
            continue
    raise Conflict(f"{what} is being changed by other requests at this moment; read it again and repeat the change")
