"""Confirmation: a server may ask that a call is made twice, or that a person approves it, before it is carried out.

The first call is refused with a code. The code holds its end and a signature over the server, the tool and the exact
arguments, so nothing is kept for it. The repeat with the code is carried out, once.

Single use needs a memory that all processes share. It is one conditional write, made before anything is sent, and only
on servers that ask for a confirmation. A read would not do: two repeats at once could both find the code unused. If
the store does not answer, the call is refused, because a confirmation that holds only sometimes protects nobody.

On a server that asks for a person, the first call also puts an item for the approve page of the management API. The
item is sealed. The repeat is carried out only if a person has approved the item in the meantime.
"""

from __future__ import annotations

import base64
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from functions.gateway.credentials import seal
from functions.gateway.errors import ConfirmationNeeded, Declined, ToolFailure, Unconfirmable
from functions.gateway.grants import ConfirmBy, ServerConfig, digest, write_time
from functions.gateway.json_text import Json, canonical, encode
from functions.gateway.touched import Touched
from functions.gateway.value_classes import dataclass, field
from functions.gateway.wording import to_review
from functions.stores import layout
from functions.stores.store import Change, Item, Key, Put, StoreConflict, StoreError
from tool_catalog.catalog import Tool

DESTRUCTIVE = "destructive"
"""In `config.confirm`, the entry that stands for every tool that can remove or overwrite data."""

LIVES = timedelta(minutes=10)
"""How long a code works: a person has the time to read and to decide, and a code in an old transcript is dead."""

ARGUMENT = "confirmation_code"
"""The argument that holds the code. A tool with an argument of this name gets the longer one."""
LONGER_ARGUMENT = f"postern_{ARGUMENT}"

END_BYTES, NONCE_BYTES, SIGNATURE_BYTES = 4, 5, 9
"""Parts of a code: its end in epoch seconds, a nonce by which two codes for one call differ, and 72 bits of signature.
Guesses are calls, which a server limits, and a code lives for minutes. Together they are 24 characters of base64url."""

KEPT_SECONDS = 60
"""How long an item is kept behind the end of its code, for clocks that differ."""

SHOWN_CHARS = 2_000
"""Characters of the arguments that the approve page shows. The signature covers all of them."""

logger = logging.getLogger(__name__)


class Kept(Protocol):
    """The part of the store contract that a confirmation needs."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]: ...

    def write(self, changes: Sequence[Change]) -> None: ...


def needed(tool: Tool, config: ServerConfig) -> bool:
    """True when the server asks for a confirmation of this tool's calls."""
    return bool(config.confirm) and (
        tool.name in config.confirm or (DESTRUCTIVE in config.confirm and tool.destructive)
    )


def argument(tool: Tool) -> str:
    """The name of the argument that holds the code."""
    return LONGER_ARGUMENT if ARGUMENT in tool.definition["inputSchema"]["properties"] else ARGUMENT


def schema() -> dict[str, Json]:
    """The schema of that argument."""
    return {"type": "string", "description": "The code with which this same call was refused."}


@dataclass(frozen=True, slots=True)
class Confirmer:
    """Asks for the confirmations of one server and takes them.

    `key`     signs the codes; neither the token nor a copy of the table gives it.
    `store`   keeps which codes were used; None where this endpoint has none, so that nothing can be confirmed.
    `random(n)`  n unpredictable bytes. `page`: the address of the approve page, "" for an unknown one.
    `declined`  a person was asked through the client, and declined.
    """

    server_id: str
    server_name: str
    account_id: str
    key: bytes = field(repr=False)
    by: ConfirmBy
    store: Kept | None
    now: datetime
    random: Callable[[int], bytes] = field(repr=False)
    page: str = ""
    declined: bool = False

    def ask(self, tool: Tool, given: Mapping[str, Json], touched: Touched, reason: str = "") -> ConfirmationNeeded:
        """The refusal of a call with a new code for it. `reason` says why the code that was given does not count.
        Raises Unconfirmable."""
        ends = self.now + LIVES
        head = int(ends.timestamp()).to_bytes(END_BYTES, "big") + self.random(NONCE_BYTES)
        code = base64.urlsafe_b64encode(head + self._signature(head, tool, given)).decode()
        if self.by == "person":
            self._put(code, self._pending(tool, given, touched, ends), 0)
        return self._refusal(tool, code, touched, reason, ends)

    def take(self, tool: Tool, given: Mapping[str, Json], code: Json) -> str:
        """Use a code up. "" when the call may be carried out, else why it may not. Raises Unconfirmable,
        Declined, and ConfirmationNeeded for a code that no person has approved yet: the code stays as it is."""
        raw = _decoded(code) if isinstance(code, str) else b""
        head, signature = raw[: END_BYTES + NONCE_BYTES], raw[END_BYTES + NONCE_BYTES :]
        if not hmac.compare_digest(signature, self._signature(head, tool, given)):
            return "the code is not one for this call: codes are for one server, one tool and the exact arguments"
        ends = datetime.fromtimestamp(int.from_bytes(head[:END_BYTES], "big"), UTC)
        if self.declined:
            raise Declined
        if self.now >= ends:
            return "the code has expired"
        version = 0
        if self.by == "person":
            item = self._get(code)
            if item is None or "used" in item.body:
                return "the code was used"
            if "approved_by" not in item.body:
                raise self._refusal(tool, code, Touched(), "no person has approved it yet", ends)
            version = item.version
        used = {"used": True, "expires_at": write_time(ends)}
        return "" if self._put(code, used, version) else "the code was used"

    def _signature(self, head: bytes, tool: Tool, given: Mapping[str, Json]) -> bytes:
        # Canonical JSON: the order in which a client writes its arguments does not matter.
        call = canonical([self.server_id, tool.name, given])
        return hmac.digest(self.key, b"confirmation\x00" + head + call, "sha256")[:SIGNATURE_BYTES]

    def _pending(self, tool: Tool, given: Mapping[str, Json], touched: Touched, ends: datetime) -> dict[str, Json]:
        """The item of the approve page. Only the account's data key opens what the call is about."""
        written = to_review(given)
        about = {
            "server": self.server_name,
            "tool": tool.name,
            "title": tool.definition.get("title", tool.name),
            "arguments": written[:SHOWN_CHARS],
            "arguments_chars": len(written),
            "touches": touched.words,
            "shown": touched.shown,
        }
        sealed = seal(encode(about), self.key, self.account_id, self.random)
        return {
            "account_id": self.account_id,
            "server_id": self.server_id,
            "expires_at": write_time(ends),
            "sealed": base64.b64encode(sealed).decode(),
        }

    def _refusal(self, tool: Tool, code: str, touched: Touched, reason: str, ends: datetime) -> ConfirmationNeeded:
        return ConfirmationNeeded(
            reason=reason,
            touches=touched.words,
            raw_response=touched.shown,
            argument=argument(tool),
            code=code,
            ends=ends,
            person=self.by == "person",
            link=f"{self.page}/{self.server_id}/{code}" if self.page else "",
            server_id=self.server_id,
        )

    def _key(self, code: str) -> Key:
        return layout.confirmation(self.server_id, digest(code))

    def _get(self, code: str) -> Item | None:
        try:
            [item] = self._stored().get([self._key(code)])
        except StoreError as error:
            raise self._outage(error) from error
        return item

    def _put(self, code: str, body: dict[str, Json], version: int) -> bool:
        """False when another request was first."""
        ends = datetime.fromisoformat(body["expires_at"])
        try:
            self._stored().write([Put(self._key(code), body, int(ends.timestamp()) + KEPT_SECONDS, version)])
        except StoreConflict:
            return False
        except StoreError as error:
            raise self._outage(error) from error
        return True

    def _stored(self) -> Kept:
        if self.store is None:
            raise Unconfirmable("this server asks for a confirmation, and this endpoint has no store to keep one in")
        return self.store

    def _outage(self, error: StoreError) -> ToolFailure:
        logger.warning("server %s: a confirmation could not be kept: %s", self.server_id, error)
        return Unconfirmable(
            "this server asks for a confirmation, which cannot be kept at the moment; nothing was sent. Try again in "
            "some seconds"
        )


def _decoded(code: str) -> bytes:
    """The bytes of a code; b"" for a text that this file would not write. The store knows a used code by its text, and
    Python reads the characters of both alphabets of base64, so another spelling would count once more."""
    try:
        raw = base64.urlsafe_b64decode(code)
    except ValueError:
        return b""
    return raw if base64.urlsafe_b64encode(raw).decode() == code else b""
