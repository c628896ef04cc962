"""API tokens: who is calling, and the making, listing and revoking of the tokens that say so."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from functions.admin_api.api_tokens import contract
from functions.admin_api.aws import error_code
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import Page
from functions.admin_api.ids import ID, new_id
from functions.gateway.errors import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable, invalid
from functions.gateway.grants import (
    API_TOKEN_PREFIX,
    TOKEN,
    ApiToken,
    digest,
    is_live,
    mint_api_token,
    write_time,
)
from functions.gateway.wording import shown
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Put, Store, StoreConflict

FORMAT = re.compile(API_TOKEN_PREFIX + TOKEN.pattern)
"""What a stored API token looks like; anything else is looked for in no store."""

ROOT_ID = "tok_root"
"""Id of the API token that `bootstrap` makes, and of the operator who shows the one from the environment."""

ROOT_KEPT = 300.0
"""Seconds that the root API token of Secrets Manager is kept before it is read again: how late a new one is known."""


CONNECT_SECONDS, READ_SECONDS = 2, 5
"""Longest waits of one request to Secrets Manager: an operator is waiting for the answer."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is calling. `account_ids`: the only accounts it may touch; empty = everything, and only then also what
    belongs to no account (new accounts, API tokens)."""

    id: str
    account_ids: tuple[str, ...] = ()

    def check_account(self, account_id: str) -> None:
        """Raises Forbidden."""
        if self.account_ids and account_id not in self.account_ids:
            raise Forbidden(
                f"this API token is limited to the accounts {', '.join(self.account_ids)}; it may not touch "
                f"{shown(account_id)}"
            )

    def check_unlimited(self, what: str) -> None:
        """Raises Forbidden."""
        if self.account_ids:
            raise Forbidden(
                f"this API token is limited to the accounts {', '.join(self.account_ids)} and may not {what}; "
                "use one without limits"
            )


class ApiTokens:
    """`root` gives the root API token that the environment knows, or None; `clock` the present, `random(n)` n bytes."""

    def __init__(
        self,
        store: Store,
        root: Callable[[], str | None],
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._root = root
        self._clock = clock
        self._random = random

    def authenticate(self, authorization: str | None) -> Operator:
        """The operator behind an Authorization header. Raises Unauthenticated, or Forbidden for a token that is no
        manager's."""
        scheme, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated("send an API token, as the header: Authorization: Bearer pst_...")
        if FORMAT.fullmatch(secret):
            [item] = self._store.get([layout.api_token(digest(secret))])
            token = ApiToken.from_json(item.body) if item is not None else None
            if token is not None and is_live(token, self._clock()):
                if "manage" not in token.scopes:
                    raise Forbidden(
                        f"API token {token.id} has the scope {', '.join(token.scopes)}; this API needs the scope manage"
                    )
                return Operator(token.id, token.account_ids)
        root = self._root()
        if root is not None and hmac.compare_digest(_sha256(root), _sha256(secret)):
            return Operator(ROOT_ID)
        raise Unauthenticated("this API token is unknown, revoked or expired; make one with POST /api-token")

    def create(self, body: contract.ApiTokenCreate) -> contract.MintedApiToken:
        """Make an API token. Raises Invalid."""
        now = self._clock()
        if body.expires_at is not None and body.expires_at <= now:
            raise Invalid(
                f"expires_at is {write_time(body.expires_at)}, not in the future (it is {write_time(now)} now); "
                "give a later time in UTC, or null for never"
            )
        if body.server_ids and "manage" in body.scopes:
            raise Invalid(
                'server_ids: only a token with the single scope "connect" can be limited to servers; one with the '
                'scope "manage" is limited by account_ids'
            )
        self._check_accounts(tuple(dict.fromkeys(body.account_ids)))
        token = ApiToken(
            id=new_id("tok", self._random),
            name=body.name,
            scopes=tuple(dict.fromkeys(body.scopes)),
            account_ids=tuple(dict.fromkeys(body.account_ids)),
            server_ids=tuple(dict.fromkeys(body.server_ids)),
            created_at=now,
            expires_at=body.expires_at,
        )
        secret = mint_api_token(self._random)
        self._store.write(_puts(token, digest(secret), if_version=0))
        return contract.MintedApiToken(**_view(token).model_dump(), token=secret)

    def page(self, limit: int, after: str | None) -> Page[contract.ApiToken]:
        """Live API tokens in order of id."""
        now = self._clock()
        found: list[ApiToken] = []
        while True:
            items = self._store.query(layout.API_TOKENS, after=after, limit=limit + 1)
            found += [token for token in (ApiToken.from_json(item.body) for item in items) if is_live(token, now)]
            if len(found) > limit or len(items) <= limit:
                break
            after = items[-1].key.sort
        return Page[contract.ApiToken](
            result=[_view(token) for token in found[:limit]],
            next_cursor=found[limit - 1].id if len(found) > limit else None,
        )

    def view(self, token_id: str) -> contract.ApiToken:
        """One live API token. Raises NotFound."""
        return _view(ApiToken.from_json(self._load(token_id).body))

    def revoke(self, token_id: str) -> contract.RemovedApiToken:
        """Remove an API token; it is dead when this returns. Raises NotFound."""
        item = self._load(token_id)
        self._store.write([Delete(item.key), Delete(layout.api_token(item.body["digest"]))])
        return contract.RemovedApiToken(id=token_id)

    def account_removed(self, account_id: str) -> list[str]:
        """Revoke the API tokens that were for this account alone, and take it out of the limits of the others; the ids
        of the revoked ones. Otherwise a later account of the same id would inherit them."""
        named = [item.key.sort for item in self._all() if account_id in item.body["account_ids"]]
        return [
            token_id
            for token_id in named
            if settle(f"API token {token_id}", partial(self._forget, token_id, account_id))
        ]

    def _forget(self, token_id: str, account_id: str) -> bool:
        """True when the token was revoked."""
        key = layout.api_token_entry(token_id)
        [item] = self._store.get([key])
        if item is None or account_id not in item.body["account_ids"]:
            return False
        token = ApiToken.from_json(item.body)
        others = tuple(other for other in token.account_ids if other != account_id)
        if others:
            self._store.write(_puts(replace(token, account_ids=others), item.body["digest"], if_version=item.version))
            return False
        self._store.write([Delete(key, if_version=item.version), Delete(layout.api_token(item.body["digest"]))])
        return True

    def _check_accounts(self, account_ids: Sequence[str]) -> None:
        """Raises Invalid for an account that is not there: a limit for an id that somebody takes later is no limit."""
        accounts = self._store.get([layout.account(account_id) for account_id in account_ids]) if account_ids else []
        problems = [
            f"account_ids.{index}: no integrated account {shown(account_id)}; GET /integrated-account lists them"
            for index, (account_id, item) in enumerate(zip(account_ids, accounts, strict=True))
            if item is None
        ]
        if problems:
            raise invalid(problems)

    def _load(self, token_id: str) -> Item:
        [item] = self._store.get([layout.api_token_entry(token_id)]) if ID.fullmatch(token_id) else [None]
        if item is None or not is_live(ApiToken.from_json(item.body), self._clock()):
            raise NotFound(f"no API token {shown(token_id)} (an expired one is gone); GET /api-token lists them")
        return item

    def _all(self) -> list[Item]:
        items: list[Item] = []
        while True:
            page = self._store.query(layout.API_TOKENS, after=items[-1].key.sort if items else None, limit=100)
            items += page
            if len(page) < 100:
                return items


def bootstrap(store: Store, now: datetime, random: Callable[[int], bytes], value: str | None = None) -> str | None:
    """Make the first API token, which manages everything; repeating it changes nothing.

    `value`  the token to accept (`pst_` and 43 characters of base64url), which takes the place of an earlier one; None
             makes one unless there is one already.
    Returns the token, or None when there is one already whose value nobody knows any more. Raises ValueError.
    """
    if value is not None and not FORMAT.fullmatch(value):
        raise ValueError(f"the root API token must be {API_TOKEN_PREFIX} and 43 characters of A-Z, a-z, 0-9, - and _")
    while True:
        [entry] = store.get([layout.api_token_entry(ROOT_ID)])
        if entry is not None and value is None:
            return None
        if entry is not None and value is not None and entry.body["digest"] == digest(value):
            return value
        secret = value or mint_api_token(random)
        token = ApiToken(ROOT_ID, "root", ("manage",), (), (), now, None)
        changes: list[Change] = _puts(token, digest(secret), if_version=entry.version if entry is not None else 0)
        if entry is not None:
            changes.append(Delete(layout.api_token(entry.body["digest"])))
        try:
            store.write(changes)
        except StoreConflict:
            continue  # another process did it this very moment: look again
        return secret


class SecretsManagerRoot:
    """The root API token of Secrets Manager secret `secret_id`, read on first use and again every ROOT_KEPT seconds.

    `monotonic`  seconds on a clock that never goes back.
    """

    def __init__(self, secret_id: str, monotonic: Callable[[], float], client: Any = None) -> None:
        self._secret_id = secret_id
        self._monotonic = monotonic
        self._client = client
        self._kept: tuple[float, str] | None = None

    def __call__(self) -> str | None:
        """The token. Raises Unavailable when it cannot be read and none is kept."""
        from botocore.exceptions import BotoCoreError, ClientError

        now = self._monotonic()
        if self._kept is not None and now - self._kept[0] < ROOT_KEPT:
            return self._kept[1]
        try:
            if self._client is None:
                import boto3
                from botocore.config import Config

                config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
                self._client = boto3.client("secretsmanager", config=config)
            secret: str = self._client.get_secret_value(SecretId=self._secret_id)["SecretString"]
        except (BotoCoreError, ClientError) as error:
            if self._kept is not None:
                return self._kept[1]
            raise Unavailable(
                f"the root API token cannot be read: Secrets Manager says {error_code(error)}; check "
                "POSTERN_ROOT_API_TOKEN_SECRET and the role's permission on it",
                retry_after=5,
            ) from error
        self._kept = (now, secret.strip())
        return self._kept[1]


def _puts(token: ApiToken, key_digest: str, if_version: int) -> list[Change]:
    """The item that proves a token and its list entry; the entry's version guards both."""
    expires_at = None if token.expires_at is None else math.ceil(token.expires_at.timestamp())
    return [
        Put(layout.api_token_entry(token.id), {**token.to_json(), "digest": key_digest}, expires_at, if_version),
        Put(layout.api_token(key_digest), token.to_json(), expires_at),
    ]


def _view(token: ApiToken) -> contract.ApiToken:
    body = token.to_json()
    return contract.ApiToken(**{name: body[name] for name in contract.ApiToken.model_fields})


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
