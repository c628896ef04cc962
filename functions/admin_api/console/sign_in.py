"""Links that sign one person in to the console, once.

A link has a code in its fragment. The store holds the digest of the code and the rights of the API token that asked
for it, so a copy of the table signs nobody in. Using the code removes it and makes a new API token with those rights.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from functions.admin_api.api_tokens.contract import MintedApiToken
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.console import contract
from functions.gateway.errors import Unauthenticated
from functions.gateway.grants import digest, epoch, mint_secret, read_time, write_time
from functions.stores import layout
from functions.stores.store import Delete, Put, Store, StoreConflict

LINK_LIVES = timedelta(minutes=15)
"""How long a link works: a person opens it at once, or reads it from the terminal where the endpoint was started."""

SESSION_LIVES = timedelta(hours=12)
"""How long the API token of a signed-in person lives: one working day."""

USED = "this sign-in link was used, has expired or was never made; `postern console` opens a new one"


class SignInLinks:
    """`clock` returns the present in UTC, `random(n)` n unpredictable bytes."""

    def __init__(
        self,
        store: Store,
        api_tokens: ApiTokens,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._api_tokens = api_tokens
        self._clock = clock
        self._random = random

    def make(self, operator: Operator, origin: str) -> contract.SignInLink:
        """A link to the console at `origin`, with the rights of `operator`."""
        code = mint_secret(self._random)
        expires_at = self._clock() + LINK_LIVES
        body = {"api_token_id": operator.id, "expires_at": write_time(expires_at)}
        self._store.write([Put(layout.sign_in(digest(code)), body, epoch(expires_at), if_version=0)])
        return contract.SignInLink(url=f"{origin}/console#sign-in={code}", expires_at=write_time(expires_at))

    def use(self, code: str) -> MintedApiToken:
        """Remove the link and make its API token. Raises Unauthenticated."""
        now = self._clock()
        key = layout.sign_in(digest(code))
        [item] = self._store.get([key])
        if item is None or read_time(item.body["expires_at"]) <= now:
            raise Unauthenticated(USED)
        try:
            self._store.write([Delete(key, if_version=item.version)])
        except StoreConflict:
            raise Unauthenticated(USED) from None
        return self._api_tokens.derive(item.body["api_token_id"], "console", now + SESSION_LIVES)
