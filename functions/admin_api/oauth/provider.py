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

from functions.admin_api.oauth.codes import Permission
from functions.admin_api.oauth.errors import BadRequest
from functions.admin_api.oauth.people import NotSignedIn
from functions.gateway.errors import ToolFailure
from functions.gateway.grants import digest, epoch, mint_secret, read_time, write_time
from functions.gateway.json_text import Json, NotJson, decode
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.stores import layout
from functions.stores.store import Delete, Put, Store, StoreConflict

AWAY = timedelta(minutes=10)
"""How long a person may take at the provider."""

KEPT = timedelta(hours=1)
"""How long the provider's metadata and keys are cached in a process. An unknown key is looked up at once."""

ASK_SECONDS = 10.0
"""Longest wait for one answer of the provider: a person is waiting."""

LEEWAY_SECONDS = 60
"""How far the clocks of the provider and of this machine may be apart."""

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
        self._metadata: tuple[datetime, dict[str, Json]] | None = None
        self._keys: tuple[datetime, Json] | None = None

    @property
    def name(self) -> str:
        """How a person knows it."""
        return urlsplit(self._settings.oidc_issuer).hostname or ""

    def admits(self, person: str) -> bool:
        """True for a person that the settings let in."""
        return admits(self._settings.oidc_people, person)

    async def begin(self, permission: Permission, state: str) -> Away:
        """Where to send the person. `state` is the client's own."""
        metadata = await self._described()
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
        endpoint = str(metadata["authorization_endpoint"])
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
        """The claims of the ID token that the code stands for. Raises BadRequest."""
        metadata = await self._described()
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
        answer = await self._ask("POST", str(metadata["token_endpoint"]), headers, urlencode(form).encode())
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise _failed("its answer has no ID token")
        return await self._verified(id_token, _derived(cookie, "nonce"), now)

    async def _verified(self, id_token: str, nonce: str, now: datetime) -> Mapping[str, Json]:
        """The claims of an ID token (OpenID Connect Core, 3.1.3.7). Raises BadRequest."""
        from joserfc import jwt  # late: only this needs it
        from joserfc.errors import JoseError

        wanted = self._settings
        for fresh in (False, True):
            keys = await self._signing_keys(fresh=fresh)
            try:
                token = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS))
                break
            except (JoseError, ValueError):
                if fresh:
                    raise _failed("its ID token is not signed with its keys") from None
        claims: dict[str, Json] = dict(token.claims)
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": wanted.oidc_issuer},
            aud={"essential": True, "value": wanted.oidc_client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            registry.validate(claims)
        except (JoseError, ValueError, TypeError):
            raise _failed("its ID token is not for this sign-in") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", wanted.oidc_client_id) != wanted.oidc_client_id or (several and "azp" not in claims):
            raise _failed("its ID token is for another client")
        return claims

    async def _signing_keys(self, *, fresh: bool) -> Json:
        from joserfc.jwk import KeySet

        now = self._clock()
        if fresh or self._keys is None or now - self._keys[0] >= KEPT:
            metadata = await self._described()
            document = await self._ask("GET", str(metadata["jwks_uri"]))
            usable = [
                key
                for key in document.get("keys") or ()
                if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
            ]
            try:
                self._keys = (now, KeySet.import_key_set({"keys": usable}))
            except (ValueError, KeyError, TypeError):
                raise _failed("its keys cannot be read") from None
        return self._keys[1]

    async def _described(self) -> dict[str, Json]:
        """The provider's metadata. Raises BadRequest."""
        now = self._clock()
        if self._metadata is None or now - self._metadata[0] >= KEPT:
            issuer = self._settings.oidc_issuer
            document = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            schemes = ("https", "http") if self._settings.private_upstreams else ("https",)
            addresses = [document.get(f"{name}_endpoint") for name in ("authorization", "token")]
            addresses.append(document.get("jwks_uri"))
            if document.get("issuer") != issuer or not all(
                isinstance(address, str) and urlsplit(address).scheme in schemes for address in addresses
            ):
                raise _failed("its metadata are not those of POSTERN_OIDC_ISSUER")
            self._metadata = (now, document)
        return self._metadata[1]

    async def _ask(
        self, verb: str, address: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> dict[str, Json]:
        """A JSON object from the provider. Raises BadRequest; what the provider said instead is not in it."""
        url = urlsplit(address)
        request = UpstreamRequest(
            verb,
            f"{url.scheme}://{url.netloc}",
            url.path,
            query=url.query,
            headers=tuple(headers),
            body=body,
            account_id="identity provider",
        )
        sender = Sender(self._settings)
        try:
            answer = await sender.send(request, asyncio.get_running_loop().time() + ASK_SECONDS)
            document = decode(answer.body)
        except (ToolFailure, NotJson):
            raise _failed("it does not answer as it should") from None
        finally:
            await sender.close()
        if answer.status != 200 or not isinstance(document, dict):
            raise _failed("it does not answer as it should")
        return document


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


def _failed(why: str) -> BadRequest:
    return BadRequest(f"The identity provider of this deployment cannot be used now: {why}. Try again later")
