"""Authorization codes: made when a person allows a client, used once, and dead after a minute.

A used code stays until its end, so that a second use is seen. It then ends the consent that the first use made (OAuth
2.1, 4.1.3): one of the two holders stole the code.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from functions.gateway.grants import digest, epoch, mint_secret, read_time, write_time
from functions.stores import layout
from functions.stores.store import Item, Put, Store

CODE_LIVES = timedelta(minutes=1)
"""How long a code works: the client that waits for it redeems it at once."""

CONSENT_ID_BYTES = 16
"""Random bytes of the id of a consent: 22 characters."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a code stands for: a person allowed a client to use a server.

    `ends_at`  when what the person signed in with ends; None = never.
    """

    consent_id: str
    principal: str
    person: str
    client_id: str
    client_name: str
    redirect_uri: str
    code_challenge: str
    account_id: str
    server_id: str
    resource: str = field(repr=False)
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A code as the store has it."""

    permission: Permission
    expires_at: datetime
    used: bool
    item: Item

    def use(self) -> Put:
        """The change that marks the code as used, unless another request does it first."""
        return Put(self.item.key, {**self.item.body, "used": True}, self.item.expires_at, self.item.version)


class Codes:
    """`clock` returns the present in UTC, `random(n)` n unpredictable bytes."""

    def __init__(self, store: Store, clock: Callable[[], datetime], random: Callable[[int], bytes]) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    def new_consent_id(self) -> str:
        """The id of the consent that a code will make."""
        return base64.urlsafe_b64encode(self._random(CONSENT_ID_BYTES)).rstrip(b"=").decode()

    def make(self, permission: Permission) -> str:
        """A new code."""
        code, ends = mint_secret(self._random), self._clock() + CODE_LIVES
        body = {
            **asdict(permission),
            "ends_at": write_time(permission.ends_at) if permission.ends_at else None,
            "expires_at": write_time(ends),
            "used": False,
        }
        self._store.write([Put(layout.oauth_code(digest(code)), body, epoch(ends), if_version=0)])
        return code

    def find(self, code: str) -> Code | None:
        """The code, whether or not it still works; None for one that was never made."""
        [item] = self._store.get([layout.oauth_code(digest(code))])
        if item is None:
            return None
        body = dict(item.body)
        expires_at, used = read_time(body.pop("expires_at")), body.pop("used")
        ends_at = body.pop("ends_at")
        permission = Permission(**body, ends_at=read_time(ends_at) if ends_at else None)
        return Code(permission, expires_at, used, item)
