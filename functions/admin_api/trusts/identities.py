"""Who sends an identity token in place of an API token: a workload that a trust admits.

The order is: the audience names the trust; the issuer of the trust must have signed; the token must be valid now; and
its claims must be those of the trust. Whatever cannot be checked is refused. No error repeats the token, and none that
a caller without a valid signature can cause says what the trust allows.

A token can be sent again while it is valid: the same workflow run mints and revokes with it. So it is as much a secret
as an API token, and it is bound to one trust, whose audience it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.issuers import Issuer, IssuerFailed, NotVerified, check, unverified
from functions.admin_api.trusts import presets
from functions.admin_api.trusts.item import TrustItem, by_audience
from functions.gateway.errors import Forbidden, Unauthenticated, Unavailable
from functions.gateway.grants import digest
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.wording import shown
from functions.stores.store import Store

ALGORITHMS = ("RS256", "ES256")
"""How an identity token may be signed: what the issuers in use sign with."""

BEGINNINGS = ("eyJ", "eyA", "ewo", "ew0", "ewk")
"""How a JSON object begins in base64url: a brace, and then a name or one of the four kinds of white space."""

MAX_CHARS = 8_192
"""Characters of an identity token; GitHub's have about 2,000."""

MAX_PRINCIPAL_CHARS, DIGEST_CHARS = 200, 32
"""Characters of a principal, all of which the log keeps, and those of them that tell one from another whose beginning
is the same. A subject may have 255, and a path of GitLab more."""

MAX_ISSUERS = 100
"""Issuers whose keys are cached in a process."""

LONGEST = timedelta(days=1)
"""The latest end of an identity token that is shown; its own end is checked."""


class NotTrusted(Forbidden):
    """An identity that its issuer proved, and that the trust does not admit."""


class Identities:
    """`settings` bound what is read of issuers. `clock` gives the present in UTC."""

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._issuers: dict[str, Issuer] = {}

    async def admit(self, token: str) -> Operator:
        """The operator that a workload is. Raises Unauthenticated, NotTrusted, Unavailable."""
        try:
            if len(token) > MAX_CHARS:
                raise NotVerified(f"it has more than {MAX_CHARS:,} characters")
            _, claims = unverified(token)
            trust = await self._trust(claims)
            issuer = claims.get("iss")
            if issuer != trust.issuer:
                alike = isinstance(issuer, str) and issuer.rstrip("/") == trust.issuer.rstrip("/")
                hint = " (only a slash at the end differs)" if alike else ""
                raise NotVerified(f"its issuer is not that of the trust{hint}; compare its claim iss with GET /trust")
            claims = await self._issuer(trust.issuer).verified(token, ALGORITHMS)
            now = self._clock()
            check(claims, now)
        except NotVerified as error:
            raise Unauthenticated(f"the identity token was not accepted: {error}") from None
        except IssuerFailed as error:
            raise Unavailable(
                f"the identity token could not be checked, because its issuer {trust.issuer} {error}; nothing was "
                f"done. Try again in {error.retry_after} s. If this lasts, compare the issuer of trust {trust.id} with "
                "its metadata",
                retry_after=error.retry_after,
            ) from None
        _check_admitted(trust, claims)
        return Operator(
            id=_principal(trust, claims),
            scopes=("mint",),
            account_ids=trust.account_ids,
            name=trust.name,
            expires_at=now + min(LONGEST, timedelta(seconds=max(0, min(claims["exp"], 2**40) - now.timestamp()))),
            mint=trust.mint,
            trust_id=trust.id,
        )

    async def _trust(self, claims: Mapping[str, Json]) -> TrustItem:
        """The trust with the audience of the token. Raises NotVerified."""
        audience = claims.get("aud")
        if isinstance(audience, list) and len(audience) == 1:
            [audience] = audience
        if not isinstance(audience, str):
            raise NotVerified("its claim aud is not one text; request it with the audience of a trust")
        [item] = await asyncio.to_thread(self._store.get, [by_audience(audience)])
        if item is None:
            raise NotVerified(f"no trust has the audience {shown(audience)}; request it with the audience of a trust")
        return TrustItem.from_item(item)

    def _issuer(self, url: str) -> Issuer:
        if url not in self._issuers:
            if len(self._issuers) >= MAX_ISSUERS:
                self._issuers.clear()
            self._issuers[url] = Issuer(url, self._settings, self._clock)
        return self._issuers[url]


def is_identity_token(secret: str) -> bool:
    """True for a text that begins as a signed token does, with a JSON object in base64url. No API token does."""
    return secret.startswith(BEGINNINGS)


def _check_admitted(trust: TrustItem, claims: Mapping[str, Json]) -> None:
    """Raises NotTrusted, with every reason, for claims that are not those of the trust."""
    problems = []
    for name, allowed in trust.claims.items():
        value = claims.get(name)
        if value in allowed:
            continue
        given = f"has {name} {shown(value)}" if isinstance(value, str) else f"has a {name} that is not a text"
        given = given if name in claims else f"has no {name}"
        alike = [one for one in allowed if isinstance(value, str) and one.lower() == value.lower()]
        hint = " (only the case of the letters differs)" if alike else ""
        problems.append(f"the token {given}, and this trust allows {' or '.join(map(shown, allowed))}{hint}")
    if problems:
        raise NotTrusted(f"trust {trust.id} does not admit this identity: {'; '.join(problems)}")


def _principal(trust: TrustItem, claims: Mapping[str, Json]) -> str:
    """How the log names the workload, e.g. `tru_.../owner/name/4711`. No two have one name. Raises NotTrusted."""
    parts = []
    for name in presets.of(trust.issuer).principal:
        value = claims.get(name)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise NotTrusted(
                f"trust {trust.id} does not admit this identity: the log needs its {name}, which is no text"
            )
        parts.append(value)
    whole = "/".join([trust.id, *parts])
    mark = f"...{digest(whole)[:DIGEST_CHARS]}"
    return whole if len(whole) <= MAX_PRINCIPAL_CHARS else whole[: MAX_PRINCIPAL_CHARS - len(mark)] + mark
