"""How much anybody may ask of the open endpoints.

Each process counts by endpoint and address. Registrations write to the table, so the deployment counts them as well,
with one mark in the table that all processes share.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import ceil

from functions.admin_api.oauth.errors import TooMany
from functions.gateway.call_limits import CallRate
from functions.stores import layout
from functions.stores.store import Put, Store, StoreConflict

MAX_BODY_BYTES = 16_384
"""Bytes of one request: three times the longest that a client in use sends."""

RATES: Mapping[str, CallRate] = {
    "authorize": CallRate(60, 30),
    "sign_in": CallRate(30, 15),
    "register": CallRate(20, 10),
    "token": CallRate(300, 60),
    "revoke": CallRate(60, 30),
    "document": CallRate(60, 30),
}
"""Requests per minute, and at once, of one address at one endpoint. A person signs in once per client, and a client
refreshes six times an hour; an office behind one address has some hundred clients. `document` counts fetches, of all
addresses together."""

REGISTRATIONS = CallRate(60, 60)
"""New registrations of a deployment. An unused one lives a day, so there are at most 86,460: some 40 MB."""

ADDRESSES_KEPT = 10_000
"""Addresses whose marks are kept in a process; beyond, marks that no longer limit anything are dropped."""

TRIES = 4
"""Writes of one mark. Each lost race means that another registration was counted."""


class Limits:
    """The limits of one process, and the deployment's on registrations."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._marks: dict[tuple[str, str], float] = {}

    def take(self, endpoint: str, address: str, now: datetime) -> None:
        """Count one request. Raises TooMany."""
        key, seconds = (endpoint, address), now.timestamp()
        mark, wait = RATES[endpoint].advance(self._marks.get(key, 0.0), seconds)
        if len(self._marks) >= ADDRESSES_KEPT and key not in self._marks:
            self._marks = {other: kept for other, kept in self._marks.items() if kept > seconds}
            if len(self._marks) >= ADDRESSES_KEPT:
                raise TooMany(60)
        if wait > 0:
            raise TooMany(max(1, ceil(wait)))
        self._marks[key] = mark

    def take_registration(self, now: datetime) -> None:
        """Count one new registration of the deployment. Raises TooMany."""
        key, seconds = layout.oauth_mark("register"), now.timestamp()
        for _ in range(TRIES):
            [item] = self._store.get([key])
            mark, wait = REGISTRATIONS.advance(float(item.body["mark"]) if item is not None else 0.0, seconds)
            if wait > 0:
                raise TooMany(max(1, ceil(wait)))
            put = Put(key, {"mark": mark}, ceil(mark) + 60, item.version if item is not None else 0)
            try:
                self._store.write([put])
            except StoreConflict:
                continue
            return
        raise TooMany(1)
