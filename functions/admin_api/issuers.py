"""What an OpenID Connect issuer says and signs: its metadata, its keys, and the claims of a token that it signed.

The identity provider of people (oauth/provider.py) and the issuers of workloads (trusts/) are both read here, so that
one file decides which signatures count. Keys are cached. An issuer that cannot be read proves nothing: every failure
refuses the token.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from functions.gateway.addresses import check_base_url
from functions.gateway.call_limits import CallRate
from functions.gateway.errors import Invalid, ToolFailure
from functions.gateway.json_text import Json, NotJson, decode
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.wording import one_of, shown

KEPT = timedelta(hours=1)
"""How long metadata and keys are cached in a process. A key that is not among them is looked up at once."""

READ_SECONDS = 10.0
"""Longest wait for an answer of the issuer, or for its metadata and its keys together: somebody is waiting."""

MAX_BYTES = 262_144
"""Bytes of one answer of an issuer. Those in use have keys of 2 to 20 KB."""

MAX_KEYS = 100
"""Keys of an issuer that are read, in their order. Those in use publish up to 20."""

RSA_BITS = range(2_048, 8_193)
"""Sizes of RSA keys that count: RFC 7518, 3.3 asks for 2,048 bits, and the work of a check grows with the size."""

READINGS = CallRate(6, 3)
"""How often the keys of one issuer are read in a process, counted apart for a cache that has ended and for a key that
is not in it. Anybody can send a token with an unknown key, and must not cause a request each time."""

LEEWAY_SECONDS = 60
"""How far the clocks of the issuer and of this machine may be apart."""

KEY_TYPES = ("RSA", "EC", "OKP")
"""Key pairs. A shared secret proves nothing here. A key of another kind, size or form is left out, and the others count
(RFC 7517, 5): an issuer may publish keys that only newer readers know."""

SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
"""What a signed token looks like (JWS compact serialization): header, claims and signature in base64url."""


class IssuerFailed(Exception):
    """The issuer cannot be read. The message completes the sentence "the issuer cannot be used: it ...". None of it is
    a word of the issuer. `retry_after` is in seconds."""

    def __init__(self, why: str, retry_after: int = 5) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class NotVerified(Exception):
    """The token proves nothing. The message has the token as "it", and nothing of the token but names."""


class Issuer:
    """One issuer, whose metadata must name it exactly `url`. `clock` returns the present in UTC."""

    def __init__(self, url: str, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._url = url
        self._settings = replace(settings, max_upstream_bytes=min(MAX_BYTES, settings.max_upstream_bytes))
        self._clock = clock
        self._metadata: tuple[datetime, dict[str, Json]] | None = None
        self._keys: tuple[datetime, list[Any]] | None = None
        self._marks = {False: 0.0, True: 0.0}
        self._reading = asyncio.Lock()

    async def metadata(self) -> dict[str, Json]:
        """Its metadata (OpenID Connect Discovery, 4). Raises IssuerFailed."""
        now = self._clock()
        if self._metadata is None or now - self._metadata[0] >= KEPT:
            document = await self.ask("GET", f"{self._url.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self._url:
                raise IssuerFailed("has metadata of another issuer")
            self._address(document, "jwks_uri")
            self._metadata = (now, document)
        return self._metadata[1]

    async def endpoint(self, name: str) -> str:
        """An address in its metadata. Raises IssuerFailed."""
        return self._address(await self.metadata(), name)

    async def ask(
        self, verb: str, address: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> dict[str, Json]:
        """A JSON object from the issuer. Raises IssuerFailed."""
        url = urlsplit(address)
        request = UpstreamRequest(
            verb,
            f"{url.scheme}://{url.netloc}",
            url.path,
            query=url.query,
            headers=tuple(headers),
            body=body,
            account_id="issuer",
        )
        sender = Sender(self._settings)
        try:
            answer = await sender.send(request, asyncio.get_running_loop().time() + READ_SECONDS)
            document = decode(answer.body)
        except ToolFailure as error:
            raise IssuerFailed(f"does not answer as it should ({type(error).__name__})") from None
        except NotJson:
            raise IssuerFailed("does not answer with JSON") from None
        finally:
            await sender.close()
        if answer.status != 200 or not isinstance(document, dict):
            raise IssuerFailed(f"answers {answer.status} and no JSON object where its metadata or keys should be")
        return document

    async def verified(self, token: str, algorithms: Sequence[str]) -> dict[str, Json]:
        """The claims of a token that the issuer signed. Nothing else of the claims is checked here.

        Raises NotVerified and IssuerFailed.
        """
        header, claims = unverified(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in algorithms:
            raise NotVerified(f"it is signed with {shown(algorithm)}; valid: {one_of(algorithms)}")
        if not isinstance(key_id, str):
            raise NotVerified("its header has no kid, the id of the key that signed it")
        keys = [key for key in await self._signing_keys(key_id) if key.kid == key_id]
        if not keys:
            raise NotVerified(f"its key {shown(key_id)} is not one that the issuer publishes")
        if not any(_signed(token, key, algorithms) for key in keys):
            raise NotVerified("its signature is not that of the issuer")
        return claims

    async def _signing_keys(self, key_id: str) -> list[Any]:
        """The keys: those that are cached, or when `key_id` is not among them, what the issuer has now.

        A cached key waits for nobody: strangers with unknown keys and an issuer that is slow hold no one else up.
        """
        keys = self._cached(key_id)
        if keys is not None:
            return keys
        async with self._reading:
            keys = self._cached(key_id)  # another request may have read it meanwhile
            if keys is not None:
                return keys
            self._take(unknown_key=self._is_fresh())
            try:
                async with asyncio.timeout(READ_SECONDS):  # for both requests together
                    keys = await self._read_keys()
            except TimeoutError:
                self._metadata = None
                raise IssuerFailed("does not answer in time") from None
            except IssuerFailed:
                self._metadata = None  # its keys may have another address by now
                raise
            self._keys = (self._clock(), keys)
            return keys

    def _is_fresh(self) -> bool:
        return self._keys is not None and self._clock() - self._keys[0] < KEPT

    def _cached(self, key_id: str) -> list[Any] | None:
        """The cached keys, if they have not ended and `key_id` is among them."""
        if self._keys is None or not self._is_fresh():
            return None
        keys = self._keys[1]
        return keys if any(key.kid == key_id for key in keys) else None

    async def _read_keys(self) -> list[Any]:
        document = await self.ask("GET", await self.endpoint("jwks_uri"))
        listed = document.get("keys")
        keys = [_key(entry) for entry in listed[:MAX_KEYS]] if isinstance(listed, list) else []
        readable = [key for key in keys if key is not None]
        if not readable:
            raise IssuerFailed("has no keys that can be read")
        return readable

    def _take(self, *, unknown_key: bool) -> None:
        """Count one reading of the keys. Raises IssuerFailed."""
        mark, wait = READINGS.advance(self._marks[unknown_key], self._clock().timestamp())
        if wait > 0:
            raise IssuerFailed("was asked for its keys several times in the last minute", ceil(wait))
        self._marks[unknown_key] = mark

    def _address(self, metadata: dict[str, Json], name: str) -> str:
        address = metadata.get(name)
        try:
            parts = urlsplit(address if isinstance(address, str) else "")
            check_base_url(f"{parts.scheme}://{parts.netloc}", private=self._settings.private_upstreams)
        except (Invalid, ValueError):
            raise IssuerFailed(
                f"has no {name} in its metadata that is an https address of the public internet"
            ) from None
        return str(address)


def unverified(token: str) -> tuple[dict[str, Json], dict[str, Json]]:
    """Header and claims of a token that nobody has checked. Raises NotVerified."""
    from base64 import urlsafe_b64decode

    parts = SEGMENTS.fullmatch(token)
    try:
        if parts is None:
            raise ValueError
        header, claims = (decode(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts.groups()[:2])
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise ValueError
    except ValueError:
        raise NotVerified("it is not a signed token: header, claims and signature in base64url") from None
    return header, claims


def check(claims: dict[str, Json], now: datetime, **expected: Any) -> None:
    """Raises NotVerified unless the token is valid now, and its claims are as `expected` in the terms of joserfc."""
    from joserfc import errors, jwt

    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()), leeway=LEEWAY_SECONDS, exp={"essential": True}, iat={"essential": True}, **expected
    )
    try:
        registry.validate(claims)
    except errors.ExpiredTokenError:
        ago = int(now.timestamp() - max(claims["exp"], 0))
        raise NotVerified(f"it expired {ago} s ago; request it right before it is sent") from None
    except errors.MissingClaimError as error:
        raise NotVerified(f"its claim {error.claim} is missing") from None
    except errors.InvalidClaimError as error:
        wrong = "is in the future, or is not a number" if error.claim in ("iat", "nbf") else "is not valid here"
        raise NotVerified(f"its claim {error.claim} {wrong}") from None


def _key(entry: Json) -> Any:
    """A key that the issuer publishes; None for one that does not count here."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    if not isinstance(entry, dict) or entry.get("kty") not in KEY_TYPES or entry.get("use", "sig") != "sig":
        return None
    if entry["kty"] == "RSA" and _bits(entry.get("n")) not in RSA_BITS:
        return None
    try:
        key = JWKRegistry.import_key(entry)
        key.ensure_kid()
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    return key


def _bits(number: Json) -> int:
    """Bits of a whole number in base64url; 0 for what is none."""
    from base64 import urlsafe_b64decode

    try:
        return int.from_bytes(urlsafe_b64decode(f"{number}==")).bit_length()
    except ValueError:
        return 0


def _signed(token: str, key: Any, algorithms: Sequence[str]) -> bool:
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    # A header that is not known says nothing (RFC 7515, 4.1), unless `crit` lists it. The token is bounded as a whole.
    registry = JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
    registry.max_header_length = len(token)
    try:
        jwt.decode(token, key, algorithms=list(algorithms), registry=registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True
