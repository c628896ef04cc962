"""Clients whose id is the URL of their metadata document (OAuth Client ID Metadata Documents).

Fetching it is a request that anybody can cause. So the host must be on the public internet, whatever this deployment
allows its accounts, and size, time, redirects and rate are bounded. What the host said is not shown to the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from functions.admin_api.oauth import redirects
from functions.admin_api.oauth.clients import Client, readable_name
from functions.admin_api.oauth.errors import BadRequest
from functions.admin_api.oauth.limits import Limits
from functions.gateway.addresses import check_base_url
from functions.gateway.errors import Invalid, ToolFailure
from functions.gateway.json_text import Json, NotJson, decode
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.wording import shown

MAX_BYTES = 16_384
"""Bytes of one document; the draft recommends 5 kB."""

FETCH_SECONDS = 5.0
"""Longest wait for one document: a person is waiting for the page."""

KEPT = timedelta(minutes=5)
"""How long a document is cached in a process: the client's owner may change or withdraw it."""

MAX_KEPT = 200
"""Documents that are cached in a process."""

MAX_ID_CHARS = 500
"""Characters of such an id; those in use have under a hundred."""


class Unreadable(BadRequest):
    """The document cannot be fetched now."""


class ClientDocuments:
    """`settings` bound the fetches: they must not allow private addresses outside tests. `clock` returns the present in
    UTC."""

    def __init__(self, settings: Settings, limits: Limits, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._kept: dict[str, tuple[datetime, Client]] = {}

    async def find(self, client_id: str) -> Client:
        """The client that the document describes. Raises BadRequest, and TooMany for too many fetches."""
        check_id(client_id, private=self._settings.private_upstreams)
        now = self._clock()
        kept = self._kept.get(client_id)
        if kept is not None and now - kept[0] < KEPT:
            return kept[1]
        self._limits.take("document", "", now)
        client = _read(client_id, await self._fetch(client_id))
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[client_id] = (now, client)
        return client

    async def _fetch(self, client_id: str) -> Json:
        url = urlsplit(client_id)
        request = UpstreamRequest("GET", f"{url.scheme}://{url.netloc}", url.path, account_id="client document")
        sender = Sender(self._settings)
        try:
            answer = await sender.send(request, asyncio.get_running_loop().time() + FETCH_SECONDS)
        except ToolFailure:
            raise _unreadable(client_id) from None
        finally:
            await sender.close()
        media_type = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        is_json = media_type == "application/json" or (
            media_type.startswith("application/") and media_type.endswith("+json")
        )
        if answer.status != 200 or not is_json or len(answer.body) > MAX_BYTES:
            raise _unreadable(client_id)
        try:
            return decode(answer.body)
        except NotJson:
            raise _unreadable(client_id) from None


def is_document(client_id: str) -> bool:
    """True for an id that is a URL."""
    return "://" in client_id


def check_id(client_id: str, *, private: bool = False) -> None:
    """Raises BadRequest for an id that is not the URL of a document on the public internet."""
    try:
        if len(client_id) > MAX_ID_CHARS:
            raise BadRequest("The id of the client is too long to be the URL of its document")
        check_base_url(client_id, private=private)
        if urlsplit(client_id).path in ("", "/"):
            raise BadRequest(f"The client {shown(client_id)} names no document: its URL has no path")
    except BadRequest:
        raise
    except Invalid:
        raise BadRequest(
            f"The client {shown(client_id)} names no document on the public internet; its id must be an https URL"
        ) from None


def _read(client_id: str, document: Json) -> Client:
    if not isinstance(document, dict) or document.get("client_id") != client_id:
        raise BadRequest(f"The document of the client {shown(client_id)} does not describe it: client_id differs")
    uris = document.get("redirect_uris")
    if not isinstance(uris, list):
        raise BadRequest(f"The document of the client {shown(client_id)} has no redirect_uris")
    if "client_secret" in document or str(document.get("token_endpoint_auth_method")).startswith("client_secret"):
        raise BadRequest(f"The document of the client {shown(client_id)} asks for a secret, which it cannot have")
    valid = tuple(uri for uri in uris[:100] if redirects.is_valid(uri))
    return Client(client_id, readable_name(document.get("client_name")), valid, urlsplit(client_id).hostname or "")


def unseen(client_id: str, redirect_uri: str) -> Client:
    """A client whose document cannot be fetched, for which nobody vouches. It may be answered at `redirect_uri`."""
    return Client(client_id, readable_name(urlsplit(client_id).hostname), (redirect_uri,))


def _unreadable(client_id: str) -> Unreadable:
    return Unreadable(f"The document of the client {shown(client_id)} cannot be read; try again later")
