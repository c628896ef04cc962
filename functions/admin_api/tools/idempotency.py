"""Idempotency keys: a write that is sent again with the same key is not carried out again.

The first request claims the key before it calls the upstream. Its answer is kept for 24 hours, sealed under the
account's data key, and returned to every repetition of the request. If the call certainly did nothing, the key is
released and can be reused. If the outcome is unknown, the key stays taken.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.gateway.credentials import open_sealed, seal
from functions.gateway.errors import Conflict, Invalid
from functions.gateway.json_text import Json, canonical, decode_lenient, encode
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
    """`running_for` is the longest time that a call can take. A claim that is older and has no answer is lost."""

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

        Raises Conflict while another request holds the key, for another call under the key, and when the outcome of the
        first call is lost. Raises Invalid for a malformed key.
        """
        if not (
            0 < len(idempotency_key) <= MAX_KEY_CHARS and idempotency_key.isascii() and idempotency_key.isprintable()
        ):
            raise Invalid(f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable ASCII characters")
        request = hmac.new(data_key, canonical([tool, dict(arguments)]), hashlib.sha256).hexdigest()
        key = layout.idempotency(account_id, hashlib.sha256(idempotency_key.encode()).hexdigest())
        now = self._clock()
        [item] = self._store.get([key])
        version = item.version if item is not None else 0
        if item is not None and (item.expires_at is None or now.timestamp() < item.expires_at):
            body = item.body
            if body["request"] != request:
                raise Conflict(
                    "this Idempotency-Key was used for another call (its tool or arguments differ); use a new key for "
                    "a new call, and repeat a key only with the call it was used for"
                )
            if body["answer"] is not None:
                kept = decode_lenient(open_sealed(base64.b64decode(body["answer"]), data_key, account_id))
                return Kept(kept["status"], kept["body"], kept["headers"])
            if body["state"] == "running" and now.timestamp() < body["until"]:
                raise _still_running()
            if body["state"] == "done":
                raise Conflict(
                    "the call with this Idempotency-Key was carried out, but its answer was too large to keep; "
                    "read the result with another call"
                )
            raise Conflict(
                "the outcome of the call with this Idempotency-Key was lost: it may or may not have been carried out. "
                "Check first; if it was not, repeat it with a new key"
            )
        claim = Claim(self._store, key, request, account_id, data_key, version + 1, now + KEPT, self._random)
        try:
            claim.write("running", until=int((now + self._running_for).timestamp()), if_version=version)
        except StoreConflict:
            raise _still_running() from None
        return claim


@dataclass(frozen=True)
class Claim:
    """The right to make one call. It ends with exactly one of `keep`, `release` and `lose`."""

    store: Store
    key: Key
    request: str
    account_id: str
    data_key: bytes
    version: int
    expires_at: datetime
    random: Callable[[int], bytes]

    def keep(self, answer: Kept) -> None:
        """Keep the answer. Of an answer that is too large to store, only the fact is kept."""
        plain = encode({"status": answer.status, "body": answer.body, "headers": dict(answer.headers)})
        sealed = base64.b64encode(seal(plain, self.data_key, self.account_id, self.random)).decode()
        fits = len(sealed) < MAX_BODY_BYTES - 1_000
        self.write("done", answer=sealed if fits else None)

    def release(self) -> None:
        """Release the key: nothing was done."""
        self.store.write([Delete(self.key)])

    def lose(self) -> None:
        """Remember that the outcome is unknown."""
        self.write("lost")

    def write(self, state: str, *, answer: str | None = None, until: int = 0, if_version: int | None = None) -> None:
        """Store the state. Raises StoreConflict where `if_version` does not hold."""
        body = {"request": self.request, "state": state, "answer": answer, "until": until}
        self.store.write([Put(self.key, body, int(self.expires_at.timestamp()), if_version)])


def _still_running() -> Conflict:
    return Conflict("a call with this Idempotency-Key is still running; repeat the request in a moment", retry_after=1)
