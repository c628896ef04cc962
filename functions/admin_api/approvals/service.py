"""Shows a call that waits for a person, and takes the approval.

The data plane puts the item (gateway/confirmation.py). What the call is about is sealed in it with a key made of the
account's data key, so a copy of the table does not show it. An approval changes the item under its version, so it
cannot bring back a code that was used in the meantime.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.approvals.contract import Approval
from functions.admin_api.servers.finding import Finding
from functions.gateway import json_text
from functions.gateway.credentials import SealError, open_sealed, signing_key
from functions.gateway.errors import Conflict, NotFound
from functions.gateway.grants import digest, read_time, write_time
from functions.stores import layout
from functions.stores.store import Item, Put, Store, StoreConflict

NOT_WAITING = (
    "no call waits for an approval under this code: it was made, the code has expired, or it belongs to another server"
)


class Approvals:
    """`clock` returns the present in UTC."""

    def __init__(self, store: Store, accounts: AccountLookup, finding: Finding, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._accounts = accounts
        self._finding = finding
        self._clock = clock

    def show(self, account_id: str, named: str, code: str) -> Approval:
        """The call that waits. Raises NotFound."""
        item = self._waiting(account_id, named, code)
        return self._view(account_id, item.body)

    def approve(self, account_id: str, named: str, code: str, operator: Operator) -> Approval:
        """Let the call be made, once. Raises NotFound, and Conflict when the call changed in the meantime."""
        item = self._waiting(account_id, named, code)
        body = item.body
        if "approved_by" not in body:
            body = {**body, "approved_by": operator.id, "approved_at": write_time(self._clock())}
            try:
                self._store.write([Put(item.key, body, item.expires_at, item.version)])
            except StoreConflict:
                raise Conflict("this call was approved by another request at this moment; look again") from None
        return self._view(account_id, body)

    def _waiting(self, account_id: str, named: str, code: str) -> Item:
        server_id = self._finding.id_of(account_id, named)
        [item] = self._store.get([layout.confirmation(server_id, digest(code))])
        if (
            item is None
            or item.body.get("account_id") != account_id
            or read_time(item.body["expires_at"]) <= self._clock()
        ):
            raise NotFound(NOT_WAITING)
        return item

    def _view(self, account_id: str, body: dict[str, Any]) -> Approval:
        key = signing_key(self._accounts.data_key(self._accounts.load(account_id)))
        try:
            about = json_text.decode(open_sealed(base64.b64decode(body["sealed"]), key, account_id))
        except SealError:
            raise NotFound(NOT_WAITING) from None  # the account was connected anew
        return Approval(**about, expires_at=body["expires_at"], approved_by=body.get("approved_by"))
