"""Integrated accounts: connect with a probe that proves the credential, list, get, change, delete.

Credentials go in and never come out. They are sealed under the account's data key, which stays the same for the
account's life: its servers hold it under their tokens, so a changed credential reaches them without any token.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from functions.admin_api import models
from functions.admin_api.conflicts import settle
from functions.admin_api.keys import Keys
from functions.admin_api.models import nearest, show
from functions.gateway import credentials
from functions.gateway.credentials import KEY_BYTES, Credential
from functions.gateway.errors import Conflict, Invalid, NotFound, PosternError, invalid
from functions.gateway.grants import read_time, write_time
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse, is_public, public_address
from functions.stores import layout
from functions.stores.store import Delete, Item, Put, Store, StoreConflict
from tool_catalog.catalog import Catalog

Json = Any

PROBE_SECONDS = 10.0
"""Longest wait for the probe: an operator is looking on."""

MAX_CONTEXT_CHARS = 500
"""Characters of one context value: they are ids that go into paths."""

SAID_CHARS = 300
"""Characters of the upstream's answer to a probe that a message repeats."""


class ProbeFailed(PosternError):
    """The probe was neither accepted nor rejected: the upstream is failing, or it is not this API."""

    status = HTTPStatus.BAD_GATEWAY


@dataclass(frozen=True, slots=True)
class Account:
    """One integrated account as stored in the control plane.

    `given`, `found`  context from the operator, and from the probe; the operator's word goes first.
    `credential_changed_at`  an older `needs_reauth` of the data plane is about the credential before.
    `version`  the stored item's; servers note which one they copied.
    """

    id: str
    integration: str
    name: str
    base_url: str
    given: Mapping[str, str]
    found: Mapping[str, str]
    sealed_credential: bytes = field(repr=False)
    wrapped_data_key: bytes = field(repr=False)
    credential_changed_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int = 0

    @property
    def context(self) -> dict[str, str]:
        """Values for path parameters, as calls use them."""
        return {**self.found, **self.given}

    def to_json(self) -> dict[str, Json]:
        """The body of the stored item."""
        return {
            "id": self.id,
            "integration": self.integration,
            "name": self.name,
            "base_url": self.base_url,
            "given": dict(self.given),
            "found": dict(self.found),
            "sealed_credential": base64.b64encode(self.sealed_credential).decode(),
            "wrapped_data_key": base64.b64encode(self.wrapped_data_key).decode(),
            "credential_changed_at": write_time(self.credential_changed_at),
            "created_at": write_time(self.created_at),
            "updated_at": write_time(self.updated_at),
        }

    @classmethod
    def from_item(cls, item: Item) -> Account:
        """Inverse of `to_json`."""
        body = item.body
        times = {name: read_time(body[name]) for name in ("credential_changed_at", "created_at", "updated_at")}
        boxes = {name: base64.b64decode(body[name]) for name in ("sealed_credential", "wrapped_data_key")}
        members: dict[str, Any] = {**body, **times, **boxes}
        return cls(**members, version=item.version)


class Accounts:
    """`catalogs` are the integrations there are; `clock` gives the present in UTC, `random(n)` n random bytes."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        catalogs: Mapping[str, Catalog],
        keys: Keys,
        sender: Sender,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._store = store
        self._catalogs = catalogs
        self._keys = keys
        self._sender = sender
        self._clock = clock
        self._random = random

    async def create(self, body: models.AccountCreate) -> models.Account:
        """Prove the credential, then keep it sealed. Raises Invalid, Conflict (the id is taken), ProbeFailed."""
        catalog = self._catalogs.get(body.integration)
        if catalog is None:
            raise Invalid(f'no integration "{body.integration}"{nearest(body.integration, sorted(self._catalogs))}')
        credential = check_credential(catalog, body.credentials)
        given = check_context(catalog, body.context)
        base_url = await self._base_url(catalog, body.base_url)
        account_id = body.id or new_id("acc", self._random)
        if body.id:
            self._check_free(body.id)
        found = await self._probe(catalog, base_url, credential)
        data_key = self._random(KEY_BYTES)
        now = self._clock()
        account = Account(
            id=account_id,
            integration=catalog.integration,
            name=body.name or catalog.label,
            base_url=base_url,
            given=given,
            found=found,
            sealed_credential=credentials.seal_credential(credential, data_key, account_id, self._random),
            wrapped_data_key=self._keys.wrap(data_key, account_id),
            credential_changed_at=now,
            created_at=now,
            updated_at=now,
        )
        try:
            self._store.write([Put(layout.account(account_id), account.to_json(), if_version=0)])
        except StoreConflict:
            raise _taken(account_id) from None
        return self._view(account, None)

    def page(self, only: Sequence[str], limit: int, after: str | None) -> models.Page[models.Account]:
        """Accounts in order of id; `only` these when it is not empty."""
        if only:
            chosen = sorted(account_id for account_id in only if after is None or account_id > after)[: limit + 1]
            items = [item for item in self._store.get([layout.account(account_id) for account_id in chosen]) if item]
        else:
            items = self._store.query(layout.ACCOUNTS, after=after, limit=limit + 1)
        shown = [Account.from_item(item) for item in items[:limit]]
        states = self._store.get([layout.account_state(account.id) for account in shown])
        return models.Page[models.Account](
            result=[self._view(account, state) for account, state in zip(shown, states, strict=True)],
            next_cursor=shown[-1].id if len(items) > limit else None,
        )

    def ids(self) -> list[str]:
        """Ids of all accounts, in order."""
        ids: list[str] = []
        while True:
            items = self._store.query(layout.ACCOUNTS, after=ids[-1] if ids else None, limit=100)
            ids += [item.key.sort for item in items]
            if len(items) < 100:
                return ids

    def view(self, account_id: str) -> models.Account:
        """One account. Raises NotFound."""
        account = self.load(account_id)
        [state] = self._store.get([layout.account_state(account_id)])
        return self._view(account, state)

    def load(self, account_id: str) -> Account:
        """The stored record. Raises NotFound."""
        [item] = self._store.get([layout.account(account_id)]) if models.ID.fullmatch(account_id) else [None]
        if item is None:
            raise NotFound(f"no integrated account {show(account_id)}; GET /integrated-account lists them")
        return Account.from_item(item)

    def catalog(self, account: Account) -> Catalog:
        """The catalogue of an account's integration. Raises Conflict when this deployment no longer has it."""
        catalog = self._catalogs.get(account.integration)
        if catalog is None:
            raise Conflict(
                f"account {account.id} is of integration {account.integration}, which this deployment does not have; "
                f"it has: {', '.join(sorted(self._catalogs)) or 'none'}"
            )
        return catalog

    def data_key(self, account: Account) -> bytes:
        """The account's data key, opened. Raises KeyFailure or Unavailable."""
        return self._keys.unwrap(account.wrapped_data_key, account.id)

    async def update(self, account_id: str, body: models.AccountUpdate) -> Account:
        """Change what the body names. A new credential or base URL is proved by the probe first.

        The caller brings the account's servers up to date after (`Servers.account_changed`).
        """
        account = self.load(account_id)
        catalog = self.catalog(account)
        given = body.model_fields_set
        credential = check_credential(catalog, body.credentials) if "credentials" in given else None
        changed_context = check_context(catalog, body.context, removable=True)
        base_url = await self._base_url(catalog, body.base_url) if "base_url" in given else account.base_url
        if credential is None and urlsplit(base_url)[:2] != urlsplit(account.base_url)[:2]:
            raise Invalid("base_url: to change the host, send credentials in the same request")
        data_key = self.data_key(account) if credential is not None or base_url != account.base_url else b""
        found = account.found
        if data_key:
            proved = credential or credentials.open_credential(account.sealed_credential, data_key, account_id)
            found = await self._probe(catalog, base_url, proved)

        def change() -> Account:
            current = self.load(account_id)
            if (current.base_url, current.wrapped_data_key) != (account.base_url, account.wrapped_data_key):
                raise Conflict(f"account {account_id} was changed at the same moment; read it again and repeat")
            now = self._clock()
            context: dict[str, Json] = {**current.given, **changed_context}
            changed = replace(
                current,
                name=body.name or current.name,
                base_url=base_url,
                given={name: value for name, value in context.items() if value is not None},
                found=found if data_key else current.found,
                updated_at=now,
            )
            if credential is not None:
                sealed = credentials.seal_credential(credential, data_key, account_id, self._random)
                changed = replace(changed, sealed_credential=sealed, credential_changed_at=now)
            self._store.write([Put(layout.account(account_id), changed.to_json(), if_version=current.version)])
            return replace(changed, version=current.version + 1)

        return settle(f"account {account_id}", change)

    def delete(self, account_id: str) -> bool:
        """Remove the account and its state; False when there was none. Its servers are the caller's next step, and
        the one that is left to do when a deletion was interrupted."""
        if not models.ID.fullmatch(account_id):
            return False
        key = layout.account(account_id)
        [item] = self._store.get([key])
        self._store.write([Delete(key), Delete(layout.account_state(account_id))])
        return item is not None

    def _check_free(self, account_id: str) -> None:
        """Raises Conflict when there is such an account, or servers that an interrupted deletion left behind."""
        if self._store.get([layout.account(account_id)]) != [None]:
            raise _taken(account_id)
        if self._store.query(layout.servers(account_id), limit=1):
            raise Conflict(
                f"servers of a deleted account {account_id} are left; remove them with "
                f"DELETE /integrated-account/{account_id}"
            )

    def _view(self, account: Account, state: Item | None) -> models.Account:
        refused = state is not None and state.body.get("status") == "needs_reauth"
        since = read_time(state.body["at"]) if state is not None and refused else None
        if since is not None and since < account.credential_changed_at:
            since = None
        return models.Account(
            id=account.id,
            integration=account.integration,
            name=account.name,
            base_url=account.base_url,
            context=account.context,
            status="needs_reauth" if since else "active",
            status_since=write_time(since) if since else None,
            created_at=write_time(account.created_at),
            updated_at=write_time(account.updated_at),
        )

    async def _base_url(self, catalog: Catalog, given: str | None) -> str:
        """The base URL to use, normalised. Raises Invalid for one that credentials must not be sent to."""
        if given is None:
            return catalog.base_url
        base_url = check_base_url(given, private=self._settings.private_upstreams)
        if not self._settings.private_upstreams:
            await _check_resolves(base_url)
        return base_url

    async def _probe(self, catalog: Catalog, base_url: str, credential: Credential) -> dict[str, str]:
        """Prove the credential with one harmless request; the context values found in its answer."""
        if catalog.probe is None:
            return {}
        base = urlsplit(base_url)
        request = UpstreamRequest(
            catalog.probe.verb, f"{base.scheme}://{base.netloc}", base.path.rstrip("/") + catalog.probe.path
        )
        request = credentials.attach(request, catalog.auth, credential)
        response = await self._sender.send(request, time.monotonic() + PROBE_SECONDS)
        asked = f"{catalog.probe.verb} {base.netloc}{base.path.rstrip('/')}{catalog.probe.path}"
        if response.status in (401, 403):
            raise Invalid(
                f"credentials: {catalog.label} rejected them ({asked} answered {response.status}"
                f"{_said(response, credential, catalog)}); check the value and that it is for this API",
                details={"upstream_status": response.status},
            )
        if not 200 <= response.status < 300:
            raise ProbeFailed(
                f"the credential could not be proved: {asked} answered {response.status}"
                f"{_said(response, credential, catalog)}; nothing was saved. "
                "Check base_url, or try again when the upstream is well"
            )
        return _found(catalog, response, asked)


def check_credential(catalog: Catalog, fields: Mapping[str, Json]) -> Credential:
    """The credential, when its fields are those of the integration. Raises Invalid, which repeats no value."""
    known = list(catalog.credentials)
    problems = [f"credentials.{name}: unknown{nearest(name, known)}" for name in fields if name not in known]
    for name, described in catalog.credentials.items():
        where = f"credentials.{name}"
        if name not in fields:
            if described.get("required", True):
                problems.append(f"{where}: missing; {described['description']}")
            continue
        value = fields[name]
        if not isinstance(value, str) or not value:
            problems.append(f"{where}: it must be a non-empty string")
        elif value != value.strip():
            problems.append(f"{where}: it starts or ends with a space or a line break; remove it")
        elif len(value) > models.MAX_CREDENTIAL_CHARS:
            problems.append(f"{where}: {len(value)} characters; at most {models.MAX_CREDENTIAL_CHARS} are taken")
        elif catalog.auth.scheme in ("header", "bearer") and not (value.isascii() and value.isprintable()):
            problems.append(f"{where}: it holds characters that cannot be sent in a header; it must be printable ASCII")
    if problems:
        raise invalid(problems)
    return Credential(dict(fields))


def check_context(catalog: Catalog, values: Mapping[str, Json], *, removable: bool = False) -> dict[str, Json]:
    """The context, when the integration knows its keys. `removable`: null is allowed. Raises Invalid."""
    known = list(catalog.context)
    problems = []
    for name, value in values.items():
        if name not in known:
            problems.append(f"context.{name}: unknown{nearest(name, known)}")
        elif not (removable and value is None) and not (isinstance(value, str) and 0 < len(value) <= MAX_CONTEXT_CHARS):
            problems.append(
                f"context.{name} is {show(value)}; it must be a string of 1 to {MAX_CONTEXT_CHARS} characters"
            )
    if problems:
        raise invalid(problems)
    return dict(values)


def check_base_url(text: str, *, private: bool) -> str:
    """The base URL without a trailing slash. `private` allows http and private addresses. Raises Invalid."""
    schemes = ("https", "http") if private else ("https",)
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise Invalid(
            f"base_url: not a URL; write it as https://api.example.com, {show(text)} cannot be read"
        ) from None
    if "@" in url.netloc:
        raise Invalid("base_url: it holds a user name or password; leave it out and send the secret under credentials")
    if url.scheme not in schemes or not host:
        raise Invalid(
            f"base_url is {show(text)}; it must start with {' or '.join(f'{name}://' for name in schemes)} and a host"
        )
    if url.query or url.fragment or "?" in text or "#" in text:
        raise Invalid("base_url: it has a query or a fragment; leave them out")
    if not (text.isascii() and text.isprintable()) or " " in text or "\\" in text or port == 0:
        raise Invalid(f"base_url is {show(text)}; it must be a plain ASCII URL with a valid port")
    if not private and _is_private(host):
        raise _private(host, "is not on the public internet")
    return text.rstrip("/")


def new_id(prefix: str, random: Callable[[int], bytes]) -> str:
    """A short id: `prefix_` and 16 lower-case base32 characters, 80 random bits."""
    return f"{prefix}_{base64.b32encode(random(10)).decode().lower()}"


def _is_private(host: str) -> bool:
    """True for an address that is not public and for a name that never is."""
    name = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(name.split("%", maxsplit=1)[0])
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".local", ".internal", ".home.arpa"))
    return not is_public(name)


async def _check_resolves(base_url: str) -> None:
    """Raises Invalid when the host does not resolve, or not to public addresses only. The sender checks again."""
    import httpcore

    url = urlsplit(base_url)
    host = url.hostname or ""
    try:
        await public_address(host, url.port or 443)
    except httpcore.ConnectError as error:
        if "private" in str(error):
            raise _private(host, "resolves to an address that is not on the public internet") from error
        raise Invalid(f"base_url: the host {host} does not resolve; check its spelling") from error


def _private(host: str, what: str) -> Invalid:
    return Invalid(
        f"base_url: {host} {what}, and credentials are not sent there; use the API's public https address "
        "(a deployment for tests can allow it with POSTERN_PRIVATE_UPSTREAMS=true)"
    )


def _taken(account_id: str) -> Conflict:
    return Conflict(f"there is an account {account_id} already; PATCH it, or choose another id")


def _said(response: UpstreamResponse, credential: Credential, catalog: Catalog) -> str:
    """The upstream's own words, without the credential and never a web page."""
    if "json" not in response.headers.get("content-type", ""):
        return ""
    text = credentials.redact(response.body, credential, catalog.credentials).decode("utf-8", "replace")
    words = " ".join(text.split())[:SAID_CHARS]
    return f": {words}" if words else ""


def _found(catalog: Catalog, response: UpstreamResponse, asked: str) -> dict[str, str]:
    """The context values in a probe's answer. Raises ProbeFailed when the answer is not JSON."""
    import jmespath

    assert catalog.probe is not None
    try:
        document = json.loads(response.body) if catalog.probe.context else None
    except ValueError:
        media_type = response.headers.get("content-type", "no content type").split(";")[0]
        raise ProbeFailed(
            f"the credential could not be proved: {asked} answered {response.status} with {media_type}, not JSON; "
            f"nothing was saved. Check that base_url is {catalog.label}'s"
        ) from None
    values = {name: jmespath.search(expression, document) for name, expression in catalog.probe.context.items()}
    return {
        name: value for name, value in values.items() if isinstance(value, str) and 0 < len(value) <= MAX_CONTEXT_CHARS
    }
