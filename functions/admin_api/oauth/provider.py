"""People who sign in at an identity provider of the operator (OpenID Connect) in place of giving an API token.

The person allows the client on our page first; then the browser goes to the provider and comes back. A cookie binds
the return to the browser that left, so nobody can finish what somebody else began. The store has the digest of that
cookie; PKCE verifier and nonce are derived from it and are stored nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit

from functions.admin_api.issuers import Issuer, IssuerFailed, NotVerified, check
from functions.admin_api.oauth.codes import Permission
from functions.admin_api.oauth.errors import BadRequest
from functions.admin_api.oauth.people import NotSignedIn
from functions.gateway.grants import digest, epoch, mint_secret, read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.stores import layout
from functions.stores.store import Delete, Put, Store, StoreConflict

AWAY = timedelta(minutes=10)
"""How long a person may take at the provider."""

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""How an ID token may be signed: with a key pair. `none` and shared secrets prove nothing here."""

COOKIE = "postern_sign_in"
PRINCIPAL_PREFIX = "per_"


@dataclass(frozen=True, slots=True)
class Away:
    """A person on the way to the provider: where the browser goes, and the cookie it takes along."""

    address: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Returned:
    """A person who came back. `refused` is True where the provider says that they did not sign in.

    `permission`  what they allowed, with who they are. `state`: the client's own.
    """

    permission: Permission
    state: str
    refused: bool


class Provider:
    """The provider that the settings name. `clock` returns the present in UTC, `random(n)` n unpredictable bytes.

    `callback`  the address that the provider sends people back to. `secret`: returns the client secret, "" for none.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        callback: str,
        *,
        secret: Callable[[], str],
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._store = store
        self._callback = callback
        self._secret = secret
        self._clock = clock
        self._random = random
        self._issuer = Issuer(settings.oidc_issuer, settings, clock)

    @property
    def name(self) -> str:
        """How a person knows it."""
        return urlsplit(self._settings.oidc_issuer).hostname or ""

    def admits(self, person: str) -> bool:
        """True for a person that the settings let in."""
        return admits(self._settings.oidc_people, person)

    async def begin(self, permission: Permission, state: str) -> Away:
        """Where to send the person. `state` is the client's own."""
        try:
            endpoint = await self._issuer.endpoint("authorization_endpoint")
        except IssuerFailed as error:
            raise _failed(error) from None
        cookie, ours, ends = mint_secret(self._random), mint_secret(self._random), self._clock() + AWAY
        body = {
            "permission": {**asdict(permission), "ends_at": None},
            "state": state,
            "cookie": digest(cookie),
            "expires_at": write_time(ends),
        }
        put = Put(layout.oauth_request(digest(ours)), body, epoch(ends), if_version=0)
        await asyncio.to_thread(self._store.write, [put])
        parameters = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._callback,
            "scope": "openid email",
            "state": ours,
            "nonce": _derived(cookie, "nonce"),
            "code_challenge": _challenge(_derived(cookie, "verifier")),
            "code_challenge_method": "S256",
        }
        return Away(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}", cookie)

    async def finish(self, answer: Mapping[str, str], cookie: str) -> Returned:
        """The person whom the provider sent back. Raises BadRequest."""
        key = layout.oauth_request(digest(answer.get("state", "")))
        [item] = await asyncio.to_thread(self._store.get, [key])
        now = self._clock()
        if item is None or now >= read_time(item.body["expires_at"]):
            raise BadRequest("This sign-in took too long, or was finished before; start again in the client")
        if not hmac.compare_digest(item.body["cookie"], digest(cookie)):
            raise BadRequest("This sign-in was started in another browser; start again in the client")
        try:
            await asyncio.to_thread(self._store.write, [Delete(key, if_version=item.version)])
        except StoreConflict:
            raise BadRequest("This sign-in was finished before; start again in the client") from None
        permission, state = Permission(**item.body["permission"]), str(item.body["state"])
        if answer.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise BadRequest("The answer came from another identity provider")
        if "error" in answer:
            return Returned(permission, state, refused=True)
        claims = await self._claims(answer.get("code", ""), cookie, now)
        person = _person(claims)
        if not self.admits(person):
            raise NotSignedIn("You signed in, but this deployment does not let you use its MCP servers")
        return Returned(replace(permission, principal=self._principal(claims), person=person), state, refused=False)

    def _principal(self, claims: Mapping[str, Json]) -> str:
        """The id of a person: it stays when the address changes, and shows neither."""
        hashed = hashlib.sha256(f"{self._settings.oidc_issuer}\n{claims['sub']}".encode()).digest()
        return PRINCIPAL_PREFIX + base64.b32encode(hashed[:15]).decode().lower()

    async def _claims(self, code: str, cookie: str, now: datetime) -> Mapping[str, Json]:
        """The claims of the ID token that the code stands for (OpenID Connect Core, 3.1.3.7). Raises BadRequest."""
        nonce, client_id = _derived(cookie, "nonce"), self._settings.oidc_client_id
        try:
            claims = await self._issuer.verified(await self._redeemed(code, cookie), ALGORITHMS)
            check(
                claims,
                now,
                iss={"essential": True, "value": self._settings.oidc_issuer},
                aud={"essential": True, "value": client_id},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
        except (IssuerFailed, NotVerified) as error:
            raise _failed(error) from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", client_id) != client_id or (several and "azp" not in claims):
            raise _failed(NotVerified("its ID token is for another client"))
        return claims

    async def _redeemed(self, code: str, cookie: str) -> str:
        """The ID token that the code stands for. Raises IssuerFailed."""
        metadata = await self._issuer.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": _derived(cookie, "verifier"),
        }
        headers = [("content-type", "application/x-www-form-urlencoded")]
        secret = await asyncio.to_thread(self._secret)
        client_id = self._settings.oidc_client_id
        if secret and "client_secret_basic" in metadata.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        ):
            both = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers.append(("authorization", f"Basic {base64.b64encode(both.encode()).decode()}"))
        else:
            form |= {"client_id": client_id, **({"client_secret": secret} if secret else {})}
        endpoint = await self._issuer.endpoint("token_endpoint")
        answer = await self._issuer.ask("POST", endpoint, headers, urlencode(form).encode())
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise IssuerFailed("returns no ID token")
        return id_token


def admits(people: Sequence[str], person: str) -> bool:
    """True for a person that one of the entries names: an address, `@domain`, `sub:...`, or `*` for everybody."""
    if "*" in people or person in people:
        return True
    if person.startswith("sub:"):
        return False
    address = person.lower()
    return any(entry.lower() in (address, f"@{address.rpartition('@')[2]}") for entry in people)


def _person(claims: Mapping[str, Json]) -> str:
    """How a person is known: by an address that the provider has verified, otherwise by the provider's own id."""
    email = claims.get("email")
    if isinstance(email, str) and claims.get("email_verified") is True and not email.startswith("sub:"):
        return email
    return f"sub:{claims['sub']}"


def _derived(cookie: str, purpose: str) -> str:
    """A secret of 43 characters that only the browser with the cookie can cause to be sent."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{purpose}.{cookie}".encode()).digest()).rstrip(b"=").decode()


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _failed(error: IssuerFailed | NotVerified) -> BadRequest:
    """A page without the reason, which is nothing that a person could change."""
    wrong = "it does not answer as it should" if isinstance(error, IssuerFailed) else "its ID token does not count here"
    return BadRequest(f"The identity provider of this deployment cannot be used now: {wrong}. Try again later")
