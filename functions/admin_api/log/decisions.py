"""Who decided what: one log entry for each operation that changes something, and for each API token that was refused.

An entry holds ids, names of fields and statuses; never a value, a token or a credential. Decisions lie apart from
calls, where the data plane cannot write.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TextIO

from functions.gateway.json_text import Json, text
from functions.gateway.log_entry import log_time
from functions.stores import layout
from functions.stores.store import Change, Key, Put, Store, StoreError

TEXT_CHARS = 200
"""Characters kept of any one text: a caller chose some of them. A workload on GitHub is a principal of at most 182."""

UNKNOWN_EVERY = timedelta(seconds=1)
"""At most one entry in this time for callers without a valid API token: anybody can cause one, and each is a write."""

Outcome = Literal["ok", "refused", "error"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    `principal`  the id of the API token that asked, or the name of a workload; "" for a caller without a valid one.
    `action`     the name of the operation in the OpenAPI document.
    `changed`    the fields that the request named, e.g. ["config.methods", "expires_at"].
    `outcome`    ok; refused = a 4xx status; error = a 5xx status.
    `error`      the class of the error, "" where there was none.
    `trust_id`   the trust that was made, changed or removed; other entries lack the member.
    `labels`     those of the server; an entry of a server without labels lacks the member.
    `repeated`   how many refusals of unknown callers before this one have no entry of their own.
    """

    time: datetime
    request_id: str
    principal: str
    action: str
    account_id: str
    server_id: str
    api_token_id: str
    changed: Sequence[str]
    outcome: Outcome
    status: int
    error: str
    client_name: str
    client_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    repeated: int = 0
    trust_id: str = ""

    def to_json(self) -> dict[str, Json]:
        """The entry as the log, the store and `GET /log` hold it."""
        members = asdict(self) | {"changed": list(self.changed), "time": log_time(self.time)}
        for optional in ("labels", "trust_id"):
            if not members[optional]:
                del members[optional]
        texts = {name: value[:TEXT_CHARS] for name, value in members.items() if isinstance(value, str)}
        return {"kind": "decision", **members, **texts}


class Decisions:
    """Writes decisions. `stream` takes a line of each (standard output on Lambda), None = no lines are written."""

    def __init__(
        self, store: Store, retention: timedelta, stream: TextIO | None, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._retention = retention
        self._stream = stream
        self._clock = clock
        self._unknown: datetime | None = None
        self._skipped = 0

    def skips(self) -> bool:
        """True when a refusal of an unknown caller gets no entry, because one was written just before."""
        now = self._clock()
        if self._unknown is not None and timedelta(0) <= now - self._unknown < UNKNOWN_EVERY:
            self._skipped += 1
            return True
        self._unknown = now
        return False

    def skipped(self) -> int:
        """Refusals without an entry since the last call of this method."""
        count, self._skipped = self._skipped, 0
        return count

    def write(self, decisions: Sequence[Decision]) -> None:
        """Write the entries of one request. Whatever prevents it is logged and fails no request: the decisions have
        been carried out."""
        try:
            changes: list[Change] = []
            for number, decision in enumerate(decisions):
                body = decision.to_json()
                if self._stream is not None:
                    self._stream.write(text(body) + "\n")
                    self._stream.flush()
                day = decision.time.astimezone(UTC).date().isoformat()
                kept_until = int((decision.time + self._retention).timestamp())
                order = f"{body['time']}#{body['request_id']}" + (f"#{number:03}" if number else "")
                changes.append(Put(Key(layout.decisions(day), order), body, expires_at=kept_until))
            self._store.write(changes)
        except (StoreError, OSError, ValueError) as error:
            actions = ", ".join(sorted({decision.action for decision in decisions}))
            logger.error(
                "a decision could not be kept in the log: %s by %s: %s", actions, decisions[0].principal, error
            )
