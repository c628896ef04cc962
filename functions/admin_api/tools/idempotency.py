"""Idempotency keys: a write that is sent again with the same key is not carried out again.

The first request claims the key before it calls the upstream. Its answer is kept for 24 hours, sealed under the
account's data key, and told again to whoever repeats the request. A call of which it is sure that nothing was done
gives its key back, so that it can be repeated; one whose outcome was lost keeps it, because nobody can know.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.gateway import json_text
from functions.gateway.credentials import open_sealed, seal
from functions.gateway.errors import Conflict, Invalid
from functions.gateway.json_text import Json
from functions.stores import layout
from functions.stores.store import MAX_BODY_BYTES, Delete, Key, Put, Store, StoreConflict

KEPT = timedelta(hours=24)
"""How long an answer is kept."""

MAX_KEY_CHARS = 255
"""Characters of an idempotency key; the limit that payment APIs made customary."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given the first time."""

    status: int
    body: Json
    headers: Mapping[str, str]


class Idempotency:
    """`running_for`: how long a call can take at the most; a claim that is older and has no answer was lost."""

    def __init__(
        self, store: Store, running_for: timedelta, clock: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._running_for = running_for
        self._clock = clock
        self._random = random

    def claim(
        self, account_id: str, idempotency_key: str, tool: str, arguments: Mapping[str, Json], data_key: bytes
    ) -> Kept | Claim:
        """The kept answer, or the right to make the call.

        Raises Conflict while another request has the key, for another call under the same key, and where the outcome of
        the first was lost; Invalid for a key that is none.
        """
        if not (
            0 < len(idempotency_key) <= MAX_KEY_CHARS and idempotency_key.isascii() and idempotency_key.isprintable()
        ):
            raise Invalid(f"Idempotency-Key: it must be 1 to {MAX_KEY_CHARS} printable ASCII characters")
        canonical = json_text.canonical([tool, arguments])
        request = hmac.new(data_key, canonical, hashlib.sha256).hexdigest()
        key = layout.idempotency(account_id, hashlib.sha256(idempotency_key.encode()).hexdigest())
        now = self._clock()
        [item] = self._store.get([key])
        version = item.version if item is not None else 0
        if item is not None and (item.expires_at is None or now.timestamp() < item.expires_at):
            body = item.body
            if body["request"] != request:
                raise Conflict(
                    "this Idempotency-Key was used for another call (tool or arguments differ); use a new key for a "
                    "new call, and the same key only to repeat the same one"
                )
            if body["answer"] is not None:
                kept = json_text.decode_lenient(open_sealed(base64.b64decode(body["answer"]), data_key, account_id))
                return Kept(kept["status"], kept["body"], kept["headers"])
            if body["state"] == "running" and now.timestamp() < body["until"]:
                raise _still_running()
            if body["state"] == "done":
                raise Conflict(
                    "the call with this Idempotency-Key was carried out, but its answer was too large to keep; "
                    "read what you need with another call"
                )
            raise Conflict(
                "the outcome of the call with this Idempotency-Key was lost: whether it was carried out is unknown. "
                "Look first; then repeat it with a new key if it was not"
            )
        claim = Claim(self._store, key, request, account_id, data_key, version + 1, now + KEPT, self._random)
        try:
            claim.write("running", until=int((now + self._running_for).timestamp()), if_version=version)
        except StoreConflict:
            raise _still_running() from None
        return claim


@dataclass(frozen=True)
class Claim:
    """The right to make one call; exactly one of `keep`, `release` and `lose` ends it."""

    store: Store
    key: Key
    request: str
    account_id: str
    data_key: bytes
    version: int
    expires_at: datetime
    random: Callable[[int], bytes]

    def keep(self, answer: Kept) -> None:
        """Keep the answer; of one that is too large, that there was one."""
        plain = json_text.encode({"status": answer.status, "body": answer.body, "headers": dict(answer.headers)})
        sealed = base64.b64encode(seal(plain, self.data_key, self.account_id, self.random)).decode()
        fits = len(sealed) < MAX_BODY_BYTES - 1_000
        self.write("done", answer=sealed if fits else None)

    def release(self) -> None:
        """Give the key back: nothing was done."""
        self.store.write([Delete(self.key)])

    def lose(self) -> None:
        """Remember that nobody knows the outcome."""
        self.write("lost")

    def write(self, state: str, *, answer: str | None = None, until: int = 0, if_version: int | None = None) -> None:
        """Store the state. Raises StoreConflict where `if_version` does not hold."""
        body = {"request": self.request, "state": state, "answer": answer, "until": until}
        self.store.write([Put(self.key, body, int(self.expires_at.timestamp()), if_version)])


def _still_running() -> Conflict:
    return Conflict("a call with this Idempotency-Key is still running; repeat it in a moment", retry_after=1)
