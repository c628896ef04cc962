"""Clients that register themselves (RFC 7591).

Anybody may register, so a registration is bounded in every direction: its size, its life, and how many a deployment
takes. Equal registrations are one client, as the RFC allows: a public client's id proves nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from functions.admin_api.oauth import redirects
from functions.admin_api.oauth.clients import Client, readable_name, unknown
from functions.admin_api.oauth.errors import BadRequest, OAuthError
from functions.admin_api.oauth.limits import Limits
from functions.admin_api.oauth.metadata import SCOPE
from functions.gateway.grants import epoch, read_time, write_time
from functions.gateway.json_text import Json, encode
from functions.stores import layout
from functions.stores.store import Item, Put, Store

LIVES = timedelta(days=90)
"""How long a registration lives. The end moves with each sign-in that uses it."""

UNUSED_LIVES = timedelta(days=1)
"""How long a registration lives that nobody has signed in with yet."""

MAX_REDIRECT_URIS = 10
"""Redirect URIs of one client. Those in use have one to five."""

ID_PREFIX = "pcl_"
"""How the id of such a client begins."""


class Registrations:
    """The clients that registered themselves. `clock` returns the present in UTC."""

    def __init__(self, store: Store, limits: Limits, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock

    def register(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """The registered metadata. Raises OAuthError, and TooMany for a flood."""
        uris = given.get("redirect_uris")
        if not isinstance(uris, list) or not 1 <= len(uris) <= MAX_REDIRECT_URIS:
            raise OAuthError("invalid_redirect_uri", f"redirect_uris must be a list of 1 to {MAX_REDIRECT_URIS} URIs")
        if not all(redirects.is_valid(uri) for uri in uris):
            raise OAuthError("invalid_redirect_uri", redirects.RULE)
        for member, allowed in (("grant_types", "authorization_code"), ("response_types", "code")):
            asked = given.get(member, [allowed])
            if not isinstance(asked, list) or allowed not in asked:
                raise OAuthError("invalid_client_metadata", f'{member} must be a list with "{allowed}"')
        now, name = self._clock(), readable_name(given.get("client_name"))
        content = encode([name, *uris])
        client_id = ID_PREFIX + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        [known] = self._store.get([layout.oauth_client(client_id)])
        if known is None or not _is_live(known, now):
            self._limits.take_registration(now)
            self._put(Client(client_id, name, tuple(uris)), now, UNUSED_LIVES, known)
        return {
            "client_id": client_id,
            "client_id_issued_at": int(now.timestamp()),
            "client_name": name,
            "redirect_uris": uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "scope": SCOPE,
        }

    def find(self, client_id: str) -> Client:
        """The client with this id. Raises BadRequest."""
        [item] = self._store.get([layout.oauth_client(client_id)])
        if item is None or not _is_live(item, self._clock()):
            raise BadRequest(unknown(client_id))
        return Client(client_id, item.body["name"], tuple(item.body["redirect_uris"]))

    def used(self, client_id: str) -> None:
        """Let the registration live on: somebody has signed in with it. Another id has none."""
        [item] = self._store.get([layout.oauth_client(client_id)])
        if item is not None:
            client = Client(client_id, item.body["name"], tuple(item.body["redirect_uris"]))
            self._put(client, self._clock(), LIVES, item)

    def _put(self, client: Client, now: datetime, lives: timedelta, before: Item | None) -> None:
        """Write the item. Whichever of two equal registrations is written last, the item is the one of both."""
        ends = now + lives
        if before is not None:
            ends = max(ends, read_time(before.body["expires_at"]))
        body = {"name": client.name, "redirect_uris": list(client.redirect_uris), "expires_at": write_time(ends)}
        self._store.write([Put(layout.oauth_client(client.id), body, epoch(ends))])


def _is_live(item: Item, now: datetime) -> bool:
    return now < read_time(item.body["expires_at"])
