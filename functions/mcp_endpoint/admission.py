"""Who may come in: which of the presented secrets is which, and what they open.

A request has three places for a secret: the path, `Authorization: Bearer` and `X-API-Key`, in this order.

- The **token** is the secret in the path. If the path has none, it is the first header that looks like a token. If none
  looks like one, it is the first header that is not an API token, and opens nothing.
- The **API token** is the first other header that begins with `pst_`. An access token of OAuth may stand in its place;
  it begins with `psa_`.

A token opens its grant until the second of its expiry, while its account exists. A grant may require an API token in
addition. One read of the store serves all of this, and a secret that does not look like a token costs none. The read
has two keys for a token, and three with an API token. With an access token it has four: the consent for which the
access token was issued, and the API token that it stands for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from functions.gateway.errors import Forbidden, NotFound, Unavailable
from functions.gateway.grants import (
    ACCESS_TOKEN_PREFIX,
    API_TOKEN_PREFIX,
    TOKEN,
    ApiToken,
    Expiring,
    Grant,
    digest,
    is_live,
    keys_of,
)
from functions.gateway.value_classes import Identity, dataclass, field
from functions.stores import layout
from functions.stores.store import Item, Key, StoreUnavailable

DEAD = "This MCP URL is unknown, revoked or expired; ask the person who gave it to you for a new one"
MISSING = "No MCP token; send it in the path (/mcp/TOKEN), as Authorization: Bearer TOKEN, or as X-API-Key: TOKEN"
REQUIRED = (
    "This MCP server requires an API token; send one as Authorization: Bearer pst_... (or as X-API-Key where "
    "Authorization holds the MCP token). Its operator can issue one"
)
NOT_ACCEPTED = (
    "The API token was not accepted: it is unknown, revoked, expired or not for this server. Its operator can issue one"
)
SIGN_IN = (
    "This MCP server requires an API token; send one as Authorization: Bearer pst_... or sign in with it: a client "
    "that has OAuth opens a browser for that. Its operator can issue one"
)
SIGN_IN_AGAIN = (
    "The access token was not accepted: it has expired, was revoked or is not for this server. Refresh it, or sign in "
    "again"
)

GRANTS_KEPT = 128
"""Grants kept as they were read last. The store of the data plane returns the same items while it reads the same bytes.
To read a grant from its items takes 0.06 million instructions."""

logger = logging.getLogger(__name__)


class Reads(Protocol):
    """The part of the store contract that the hot path needs."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]: ...


class NotAdmitted(Forbidden):
    """The token opens `grant`, and the API token that it requires is missing or not accepted. `detail` says why."""

    def __init__(self, message: str, grant: Grant, *, detail: str) -> None:
        super().__init__(message, detail=detail)
        self.grant = grant


class SignInNeeded(NotAdmitted):
    """NotAdmitted, and its person can sign in. `again` is True where an access token was not accepted."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, grant: Grant, *, detail: str, again: bool) -> None:
        super().__init__(SIGN_IN_AGAIN if again else SIGN_IN, grant, detail=detail)
        self.again = again


class Second(Expiring, Protocol):
    """What a grant may require in addition to its token: an API token, or an access token that stands for one."""

    @property
    def id(self) -> str: ...

    def covers(self, server: Grant) -> bool: ...


@dataclass(frozen=True, slots=True)
class Presented:
    """The secrets of one request, "" for one that is not there."""

    token: str = field(repr=False)
    api_token: str = field(repr=False)

    @property
    def has_access_token(self) -> bool:
        """True where the API token is an access token of OAuth."""
        return self.api_token.startswith(ACCESS_TOKEN_PREFIX)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller who may come in. `principal` is the id of the accepted API token, else the id of the server."""

    grant: Grant
    principal: str


def presented(path_token: str | None, bearer: str, x_api_key: str) -> Presented:
    """Which secret is which. `path_token` is None where the path has no place for one."""
    headers = [bearer, x_api_key]
    if path_token is not None:
        token = path_token
    else:
        token = _first(_looks_like_token, headers) or _first(_is_no_api_token, headers)
    api_token = _first(_looks_like_api_token, [secret for secret in headers if secret != token])
    return Presented(token, api_token)


def admit(secrets: Presented, store: Reads, now: datetime, *, sign_in: bool = False) -> Admitted:
    """The caller, if these secrets open a grant. Raises NotFound for a token that opens nothing, and NotAdmitted for an
    API token that is missing or not accepted: SignInNeeded where `sign_in` says that the caller may sign in. Raises
    Unavailable while the store cannot be read."""
    if not secrets.token:
        raise NotFound(MISSING)
    if not _looks_like_token(secrets.token):
        raise NotFound(DEAD)
    grant, api_token = _read(secrets, store, now)
    if grant is None:
        raise NotFound(DEAD)
    if not is_live(grant, now):
        logger.info("server %s was called after its expiry", grant.id)
        raise NotFound(DEAD)
    if api_token is not None and is_live(api_token, now) and api_token.covers(grant):
        return Admitted(grant, principal=api_token.id)
    if not grant.config.require_api_token_auth:
        return Admitted(grant, principal=grant.id)
    if sign_in and grant.config.oauth:
        why = _why_not(api_token, now) if secrets.api_token else "no API token"
        raise SignInNeeded(grant, detail=why, again=secrets.has_access_token)
    if not secrets.api_token:
        raise NotAdmitted(REQUIRED, grant, detail="no API token")
    raise NotAdmitted(NOT_ACCEPTED, grant, detail=_why_not(api_token, now))


def _read(secrets: Presented, store: Reads, now: datetime) -> tuple[Grant | None, Second | None]:
    """What the store holds under the secrets, live or not, in one read. Raises Unavailable."""
    keys = keys_of(secrets.token)
    if secrets.has_access_token:
        from functions.gateway import consents  # late: most calls have none

        keys += consents.keys(secrets.api_token)
    elif secrets.api_token:
        keys.append(layout.api_token(digest(secrets.api_token)))
    try:
        grant, account, *second = store.get(keys)
    except StoreUnavailable as outage:
        logger.warning("the store is unavailable: %s", outage)
        raise Unavailable(
            f"This endpoint cannot look up URLs at the moment; try again in {outage.retry_after} s",
            retry_after=outage.retry_after,
        ) from outage
    whole = _grant(Identity(grant, account)) if grant is not None and account is not None else None
    if secrets.has_access_token:
        return whole, consents.read(secrets.api_token, second, now)
    [api_token] = second or [None]
    return whole, ApiToken.from_json(api_token.body) if api_token is not None else None


@lru_cache(maxsize=GRANTS_KEPT)
def _grant(read: Identity) -> Grant | None:
    """The grant of two items, None where the account is another one's."""
    grant, account = read.values
    same = account.body["id"] == grant.body["account_id"]
    return Grant.from_json(grant.body, account.body, grant.version) if same else None


def _why_not(api_token: Second | None, now: datetime) -> str:
    """Why an API token was not accepted, for the log."""
    if api_token is None:
        return "unknown API token"
    return f"API token {api_token.id} {'is not for this server' if is_live(api_token, now) else 'has expired'}"


def _looks_like_token(secret: str) -> bool:
    return TOKEN.fullmatch(secret) is not None


def _looks_like_api_token(secret: str) -> bool:
    return secret.startswith((API_TOKEN_PREFIX, ACCESS_TOKEN_PREFIX))


def _is_no_api_token(secret: str) -> bool:
    return secret != "" and not _looks_like_api_token(secret)


def _first(fits: Callable[[str], bool], secrets: Iterable[str]) -> str:
    """The first secret that fits, "" for none."""
    return next(filter(fits, secrets), "")
