"""The token endpoint: a code becomes a consent with its first tokens, a refresh token becomes the next ones.

A refresh token works once. If one that was used comes again, its consent ends with all its tokens: the person signs in
again, and a thief has nothing (RFC 9700, 4.14.2). Revocation ends the consent as well (RFC 7009).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.admin_api.oauth import consents, resources
from functions.admin_api.oauth.codes import Code, Codes, Permission
from functions.admin_api.oauth.errors import OAuthError
from functions.admin_api.oauth.metadata import SCOPE
from functions.admin_api.servers.item import ServerItem
from functions.gateway.consents import ACCESS_TOKEN, API_TOKEN_PRINCIPAL, REFRESH_TOKEN, Consent, Issued
from functions.gateway.grants import ACCESS_TOKEN_PREFIX, ApiToken, digest, is_live, mint_secret
from functions.gateway.json_text import Json
from functions.stores import layout
from functions.stores.store import Store, StoreConflict

ACCESS_LIVES = timedelta(minutes=10)
"""How long an access token works. A revoked consent or API token ends it at once; this bounds the use of a copy."""

CONSENT_LIVES = timedelta(days=30)
"""How long a consent lives after its last use."""

MAX_ACCESS_TOKENS = 5
"""Access tokens of one consent that work at once; a newer one ends the oldest."""

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that ended as `action` for this consent: what the log has of it."""

    action: str
    principal: str
    account_id: str
    server_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint returns, or refuses, and what the log has of it."""

    body: dict[str, Json] = field(repr=False)
    ended: Ended | None = None
    refused: OAuthError | None = None


class Tokens:
    """`admits` is True for a person of the identity provider who may still sign in. `clock` returns the present in UTC,
    `random(n)` n unpredictable bytes."""

    def __init__(
        self,
        store: Store,
        codes: Codes,
        admits: Callable[[str], bool],
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._admits = admits
        self._codes = codes
        self._clock = clock
        self._random = random

    def exchange(self, form: Mapping[str, str]) -> Answer:
        """The answer to a token request. Raises OAuthError."""
        match form.get("grant_type", ""):
            case "authorization_code":
                return self._redeem(form)
            case "refresh_token":
                return self._refresh(form)
            case _:
                raise OAuthError("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")

    def revoke(self, form: Mapping[str, str]) -> Ended | None:
        """End the consent of a token. A token that is not known is as good as revoked. Raises OAuthError."""
        token = form.get("token", "")
        if not token:
            raise OAuthError("invalid_request", "the parameter token is missing")
        match = REFRESH_TOKEN.fullmatch(token) or ACCESS_TOKEN.fullmatch(token)
        consent = self._consent(match[1], match[2]) if match is not None else None
        if consent is None or match is None:
            return None
        if token.startswith(ACCESS_TOKEN_PREFIX):
            is_ours = any(_same(one.digest, match[3]) for one in consent.access)
        else:
            is_ours = _same(consent.family, match[3])
        if not is_ours:
            return None
        if form.get("client_id", consent.client_id) != consent.client_id:
            raise OAuthError("invalid_grant", "the token was issued to another client")
        return self._end(consent, "revokeToken")

    def _redeem(self, form: Mapping[str, str]) -> Answer:
        code = self._codes.find(form.get("code", ""))
        now = self._clock()
        if code is None:
            raise OAuthError("invalid_grant", "the code is unknown or has expired; sign in again")
        permission = code.permission
        _check_code(form, permission)
        if code.used:
            return self._stolen(permission)
        if code.expires_at <= now:
            raise OAuthError("invalid_grant", "the code is unknown or has expired; sign in again")
        self._check_rights(permission.principal, permission.person, permission.account_id, permission.server_id, now)
        return self._first_tokens(code, now)

    def _first_tokens(self, code: Code, now: datetime) -> Answer:
        permission = code.permission
        access, refresh, family = (mint_secret(self._random) for _ in range(3))
        ends = _earlier(now + CONSENT_LIVES, permission.ends_at)
        consent = Consent(
            id=permission.consent_id,
            principal=permission.principal,
            person=permission.person,
            client_id=permission.client_id,
            client_name=permission.client_name,
            account_id=permission.account_id,
            server_id=permission.server_id,
            resource=permission.resource,
            family=digest(family),
            refresh=digest(refresh),
            access=(Issued(digest(access), min(now + ACCESS_LIVES, ends)),),
            created_at=now,
            expires_at=ends,
        )
        try:
            self._store.write([code.use(), *consents.puts(consent, if_version=0)])
        except StoreConflict:
            return self._stolen(permission)
        return Answer(_issued(consent, now, access, family, refresh), _ended("allowClient", consent))

    def _stolen(self, permission: Permission) -> Answer:
        """A second use of a code: end what the first one made."""
        refused = OAuthError("invalid_grant", "the code was used before; sign in again")
        consent = self._consent(permission.principal, permission.consent_id)
        return Answer({}, self._end(consent, "reuseToken") if consent is not None else None, refused)

    def _refresh(self, form: Mapping[str, str]) -> Answer:
        dead = OAuthError("invalid_grant", "the refresh token is unknown, was revoked or has expired; sign in again")
        match = REFRESH_TOKEN.fullmatch(form.get("refresh_token", ""))
        if match is None:
            raise dead
        principal, consent_id, family, secret = match.groups()
        consent, now = self._consent(principal, consent_id), self._clock()
        if consent is None or not is_live(consent, now) or not _same(consent.family, family):
            raise dead
        if not _same(consent.refresh, secret):
            return self._reused(consent)
        if form.get("client_id") != consent.client_id:
            raise OAuthError("invalid_grant", "the refresh token was issued to another client, or client_id is missing")
        if "resource" in form and resources.of(form["resource"]) != consent.resource:
            raise OAuthError("invalid_target", "the refresh token was issued for another resource")
        ends_at = self._check_rights(principal, consent.person, consent.account_id, consent.server_id, now)
        access, refresh = (mint_secret(self._random) for _ in range(2))
        live = [one for one in consent.access if is_live(one, now)][-(MAX_ACCESS_TOKENS - 1) :]
        ends = _earlier(now + CONSENT_LIVES, ends_at)
        after = replace(
            consent,
            refresh=digest(refresh),
            access=(*live, Issued(digest(access), min(now + ACCESS_LIVES, ends))),
            expires_at=ends,
        )
        try:
            self._store.write(consents.puts(after, if_version=consent.version))
        except StoreConflict:
            return self._reused(consent)  # another request used the same token at the same moment
        return Answer(_issued(after, now, access, family, refresh))

    def _reused(self, consent: Consent) -> Answer:
        refused = OAuthError("invalid_grant", "the refresh token was used before, so all tokens ended; sign in again")
        return Answer({}, self._end(consent, "reuseToken"), refused)

    def _check_rights(
        self, principal: str, person: str, account_id: str, server_id: str, now: datetime
    ) -> datetime | None:
        """When what the person signed in with ends. Raises OAuthError if the server or the person lost their rights."""
        by_api_token = principal.startswith(API_TOKEN_PRINCIPAL)
        keys = [layout.server(account_id, server_id)]
        keys += [layout.api_token_entry(principal)] if by_api_token else []
        server, *behind = self._store.get(keys)
        known = ServerItem.from_item(server) if server is not None else None
        if known is None or not is_live(known, now):
            raise OAuthError("invalid_grant", "the MCP server was revoked or has expired")
        if not by_api_token and self._admits(person):
            return None
        if not by_api_token:
            raise OAuthError("invalid_grant", "the person who signed in may no longer do so")
        [item] = behind
        api_token = ApiToken.from_json(item.body) if item is not None else None
        if api_token is None or not is_live(api_token, now) or not api_token.covers_server(account_id, server_id):
            raise OAuthError("invalid_grant", "the API token that was used to sign in was revoked or has expired")
        return api_token.expires_at

    def _consent(self, principal: str, consent_id: str) -> Consent | None:
        [item] = self._store.get([layout.consent(principal, consent_id)])
        return Consent.from_json(item.body, item.version) if item is not None else None

    def _end(self, consent: Consent, action: str) -> Ended:
        self._store.write(consents.removal(consent))
        return _ended(action, consent)


def _check_code(form: Mapping[str, str], permission: Permission) -> None:
    """Raises OAuthError unless the request is of the client that the code was made for."""
    if form.get("client_id") != permission.client_id:
        raise OAuthError("invalid_grant", "the code was issued to another client, or client_id is missing")
    if form.get("redirect_uri", permission.redirect_uri) != permission.redirect_uri:
        raise OAuthError("invalid_grant", "redirect_uri is not the one of the authorization request")
    verifier = form.get("code_verifier", "")
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(hashed, permission.code_challenge):
        raise OAuthError("invalid_grant", "code_verifier does not fit the challenge of the authorization request")
    if "resource" in form and resources.of(form["resource"]) != permission.resource:
        raise OAuthError("invalid_target", "the code was issued for another resource")


def _issued(consent: Consent, now: datetime, access: str, family: str, refresh: str) -> dict[str, Json]:
    known = f"{consent.principal}.{consent.id}"
    return {
        "access_token": f"{ACCESS_TOKEN_PREFIX}{known}.{access}",
        "token_type": "Bearer",
        "expires_in": int((consent.access[-1].expires_at - now).total_seconds()),
        "refresh_token": f"psr_{known}.{family}.{refresh}",
        "scope": SCOPE,
    }


def _ended(action: str, consent: Consent) -> Ended:
    return Ended(action, consent.principal, consent.account_id, consent.server_id)


def _same(stored: str, secret: str) -> bool:
    return hmac.compare_digest(stored, digest(secret))


def _earlier(first: datetime, second: datetime | None) -> datetime:
    return first if second is None else min(first, second)
