"""API tokens: who is calling, and how tokens are made, listed and revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from functions.admin_api import names
from functions.admin_api.accounts.lookup import AccountLookup, check_known
from functions.admin_api.api_tokens import contract
from functions.admin_api.api_tokens.item import ApiTokenItem
from functions.admin_api.api_tokens.mint_limits import MintLimits
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import MAX_NAME_CHARS, Page
from functions.admin_api.expiry import check_future
from functions.admin_api.ids import ID, new_id
from functions.admin_api.partitions import READ_AT_ONCE, live_page
from functions.gateway.errors import Conflict, Invalid, NotFound, Unauthenticated
from functions.gateway.grants import API_TOKEN_PREFIX, TOKEN, ApiToken, digest, is_live, mint_api_token
from functions.gateway.http_frame import bearer
from functions.gateway.wording import shown
from functions.stores import layout
from functions.stores.store import Put, Store

FORMAT = re.compile(API_TOKEN_PREFIX + TOKEN.pattern)
"""What a stored API token looks like; no other text is looked up in the store."""

READS = 20
"""Reads of the store for which one request looks for the API tokens of a deleted account."""

CHANGED_AT_ONCE = 50
"""API tokens that such a request changes: each costs three round trips, and an answer is due within 30 s."""

ROOT_ID = "tok_root"
"""Id of the API token that a deployment starts with, stored or in the environment (root.py)."""


class ApiTokens:
    """`root` returns the root API token of the environment, or None. `clock` gives the present, `random(n)` n bytes."""

    def __init__(
        self,
        store: Store,
        accounts: AccountLookup,
        root: Callable[[], str | None],
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._root = root
        self._clock = clock
        self._random = random

    def authenticate(self, authorization: str | None) -> Operator:
        """The operator behind an Authorization header. Raises Unauthenticated."""
        secret = bearer(authorization)
        if not secret:
            raise Unauthenticated("send an API token in the header: Authorization: Bearer pst_...")
        token = self.behind(secret)
        if token is not None:
            return _operator(token)
        root = self._root()
        if root is not None and hmac.compare_digest(_sha256(root), _sha256(secret)):
            return Operator(ROOT_ID, ("manage",), name="root")
        raise Unauthenticated("this API token is unknown, revoked or expired; make one with POST /api-token")

    def behind(self, secret: str) -> ApiToken | None:
        """The live API token with this secret; None for one that is not in the store."""
        if not FORMAT.fullmatch(secret):
            return None
        [item] = self._store.get([layout.api_token(digest(secret))])
        token = ApiToken.from_json(item.body) if item is not None else None
        return token if token is not None and is_live(token, self._clock()) else None

    def create(self, body: contract.ApiTokenCreate) -> contract.MintedApiToken:
        """Make an API token. Raises Invalid."""
        now = self._clock()
        check_future(body.expires_at, now)
        scopes = tuple(dict.fromkeys(body.scopes))
        if body.server_ids and scopes != ("connect",):
            raise Invalid(
                'server_ids: only an API token with the single scope "connect" can be limited to servers; limit the '
                "others by account_ids"
            )
        if ("mint" in scopes) != (body.mint is not None):
            raise Invalid(
                'mint: an API token with the scope "mint" needs this key, and no other token may have it; e.g. '
                '{"methods": ["read"], "max_lifetime_seconds": 3600}'
            )
        account_ids = tuple(dict.fromkeys(body.account_ids))
        check_known(self._store, account_ids)
        if body.mint is not None:
            limits = MintLimits.from_json(body.mint.model_dump())
            limits.check_names(self._accounts.catalogs_of(account_ids))
        return self._keep(
            ApiToken(
                id=new_id("tok", self._random),
                name=body.name,
                scopes=scopes,
                account_ids=account_ids,
                server_ids=tuple(dict.fromkeys(body.server_ids)),
                created_at=now,
                expires_at=body.expires_at,
                mint=body.mint.model_dump() if body.mint is not None else None,
            )
        )

    def derive(self, token_id: str, purpose: str, expires_at: datetime) -> contract.MintedApiToken:
        """A new API token with the rights of a live one, which it does not outlive. Raises Unauthenticated."""
        rights = self._rights(token_id)
        if rights.expires_at is not None:
            expires_at = min(expires_at, rights.expires_at)
        new = new_id("tok", self._random)
        name = f"{purpose} {new.removeprefix('tok_')} of {rights.name}"[:MAX_NAME_CHARS].rstrip()
        return self._keep(replace(rights, id=new, name=name, created_at=self._clock(), expires_at=expires_at))

    def _keep(self, token: ApiToken) -> contract.MintedApiToken:
        """Store a new token under its name. Raises Conflict."""
        secret = mint_api_token(self._random)
        item = ApiTokenItem(token, digest(secret))

        def add() -> None:
            self._store.write([*item.puts(if_version=0), self._take_name(item)])

        settle(f"the name {shown(token.name)}", add)
        return contract.MintedApiToken(**_view(token).model_dump(), token=secret)

    def _rights(self, token_id: str) -> ApiToken:
        """The live API token of this id, the root token of the environment included. Raises Unauthenticated."""
        [stored] = self._store.get([layout.api_token_entry(token_id)])
        if stored is not None and is_live(token := ApiTokenItem.from_item(stored).token, self._clock()):
            return token
        if token_id == ROOT_ID and self._root() is not None:
            return ApiToken(ROOT_ID, "root", ("manage",), (), (), self._clock(), None)
        raise Unauthenticated("the API token behind this request was revoked or has expired")

    def page(self, limit: int, after: str | None) -> Page[contract.ApiToken]:
        """Live API tokens in order of id. A page may be short, even empty, and still have a cursor."""
        items, next_cursor = live_page(
            self._store, layout.API_TOKENS, ApiTokenItem.from_item, now=self._clock(), limit=limit, after=after
        )
        return Page[contract.ApiToken](result=[_view(item.token) for item in items], next_cursor=next_cursor)

    def view(self, named: str) -> contract.ApiToken:
        """One live API token by its id or name. Raises NotFound."""
        return _view(self._load(named).token)

    def revoke(self, named: str) -> contract.RemovedApiToken:
        """Remove an API token, which is dead when this returns. Raises NotFound, Conflict."""
        token_id = self._load(named).token.id

        def remove() -> str:
            item = self._load(token_id)
            self._remove(item)
            return item.token.name

        return contract.RemovedApiToken(id=token_id, name=settle(f"API token {token_id}", remove))

    def account_removed(self, account_id: str, after: str | None) -> tuple[list[str], str | None]:
        """Revoke the API tokens behind `after` that were for this account alone, and remove it from the limits of the
        others. Otherwise a later account with the id would inherit them.

        Returns the ids of the revoked tokens and, when READS or CHANGED_AT_ONCE ended the walk, the last token that was
        looked at.
        """
        revoked: list[str] = []
        changed = 0
        for _ in range(READS):
            items = self._store.query(layout.API_TOKENS, after=after, limit=READ_AT_ONCE)
            for item in items:
                if account_id in ApiTokenItem.from_item(item).token.account_ids:
                    if changed == CHANGED_AT_ONCE:
                        return revoked, after
                    changed += 1
                    if settle(f"API token {item.key.sort}", partial(self._forget, item.key.sort, account_id)):
                        revoked.append(item.key.sort)
                after = item.key.sort
            if len(items) < READ_AT_ONCE:
                return revoked, None
        return revoked, after

    def _forget(self, token_id: str, account_id: str) -> bool:
        """True when the token was revoked."""
        [stored] = self._store.get([layout.api_token_entry(token_id)])
        if stored is None:
            return False
        item = ApiTokenItem.from_item(stored)
        if account_id not in item.token.account_ids:
            return False
        others = tuple(other for other in item.token.account_ids if other != account_id)
        if not others:
            self._remove(item)
            return True
        limited = replace(item, token=replace(item.token, account_ids=others))
        self._store.write(limited.puts(if_version=item.version))
        return False

    def _load(self, named: str) -> ApiTokenItem:
        """The live token that has this id, otherwise the one that has this name. Raises NotFound."""
        [name] = self._store.get([layout.api_token_name(named)])
        for token_id in (named, names.holder(name)):
            [stored] = self._store.get([layout.api_token_entry(token_id)]) if ID.fullmatch(token_id) else [None]
            item = ApiTokenItem.from_item(stored) if stored is not None else None
            if item is not None and is_live(item, self._clock()):
                return item
        raise NotFound(f"there is no live API token {shown(named)}; GET /api-token lists them")

    def _take_name(self, item: ApiTokenItem) -> Put:
        """The change that gives the item its name. Raises Conflict when a live API token has it."""
        name = item.token.name
        [named] = self._store.get([item.name_key])
        ids = [token_id for token_id in (names.holder(named), name) if ID.fullmatch(token_id)]
        for other in self._store.get([layout.api_token_entry(token_id) for token_id in ids]):
            if other is not None and is_live(ApiTokenItem.from_item(other), self._clock()):
                raise Conflict(f"there is already an API token with the name {shown(name)}; choose another name")
        return names.take(item.name_key, named, item.token.id, item.token.expires_at)

    def _remove(self, item: ApiTokenItem) -> None:
        [named] = self._store.get([item.name_key])
        self._store.write(item.removal(named))


def _operator(token: ApiToken) -> Operator:
    return Operator(
        id=token.id,
        scopes=token.scopes,
        account_ids=token.account_ids,
        name=token.name,
        expires_at=token.expires_at,
        mint=MintLimits.from_json(token.mint) if token.mint is not None else None,
    )


def _view(token: ApiToken) -> contract.ApiToken:
    body = token.to_json()
    return contract.ApiToken.model_validate({name: body.get(name) for name in contract.ApiToken.model_fields})


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
