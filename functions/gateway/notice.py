"""A notice for the webhook of a deployment: the item in which it waits for its time.

A notice is written in the same write as what it tells of, so nothing has to search for what ends. The items are ordered
by the time of the next attempt. functions/purge/notices.py reads those that are due, and sends them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from functions.gateway.grants import epoch, read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.value_classes import dataclass
from functions.stores import layout
from functions.stores.store import Delete, Item, Key, Put

KEPT = timedelta(days=1)
"""How long a notice outlives its time: a deployment without a webhook sends none, and one that gets a webhook sends
what ended within this time."""

Type = Literal["server.expires_soon", "server.expired", "account.needs_new_credential"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. `data` is what the receiver gets. `due` is when it happens, `next_at` when to send it next.

    `subject`   the id of the server or of the account.
    `attempts`  how many have begun.
    """

    type: Type
    subject: str
    due: datetime
    data: Mapping[str, Json]
    next_at: datetime
    attempts: int = 0
    version: int = 0

    @property
    def key(self) -> Key:
        """Ordered by the time of the next attempt, and never read before it."""
        return Key(
            layout.notices(self.subject), f"{_order(math.ceil(self.next_at.timestamp()))}#{self.type}#{self.subject}"
        )

    @property
    def id(self) -> str:
        """The id of the message: the same for every attempt."""
        event = f"{self.type}#{self.subject}#{write_time(self.due)}"
        return f"msg_{hashlib.sha256(event.encode()).hexdigest()[:32]}"

    @property
    def kept_until(self) -> datetime:
        """A warning outlives the end of which it warns, because it leaves the notice of that end behind."""
        ends = [read_time(str(self.data["expires_at"]))] if self.type == "server.expires_soon" else []
        return max(self.due, self.next_at, *ends) + KEPT

    def put(self, if_version: int | None = None) -> Put:
        """The change that writes it."""
        body: dict[str, Json] = {
            "type": self.type,
            "subject": self.subject,
            "due": write_time(self.due),
            "data": dict(self.data),
            "next_at": write_time(self.next_at),
            "attempts": self.attempts,
        }
        return Put(self.key, body, epoch(self.kept_until), if_version)

    def removal(self) -> Delete:
        """The change that removes it, unless another process has it already."""
        return Delete(self.key, if_version=self.version)

    @classmethod
    def from_item(cls, item: Item) -> Notice:
        """Inverse of `put`."""
        times = {name: read_time(item.body[name]) for name in ("due", "next_at")}
        return cls(**{**item.body, **times}, version=item.version)


def due_before(now: datetime) -> str:
    """A sort key behind the notices that are due, and before all others."""
    return _order(math.floor(now.timestamp()) + 1)


def _order(seconds: int) -> str:
    """Twelve digits hold every second of a year with four."""
    return f"{seconds:012}"
