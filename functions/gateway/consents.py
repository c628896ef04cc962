"""Consents: a person lets one OAuth client use one MCP server in their name. Both planes read the item.

An access token names the item that proves it, so the data plane finds it without a search:
`psa_PRINCIPAL.CONSENT.SECRET`. The store holds the digest of the secret. A refresh token has two secrets,
`psr_PRINCIPAL.CONSENT.FAMILY.SECRET`: the first is that of the consent, the second changes with each use.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from functions.gateway.grants import ACCESS_TOKEN_PREFIX, ApiToken, Grant, digest, is_live, read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.value_classes import dataclass, field
from functions.stores import layout
from functions.stores.store import Item, Key

_PRINCIPAL, _CONSENT, _SECRET = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", r"[A-Za-z0-9_-]{22}", r"[A-Za-z0-9_-]{43}"

ACCESS_TOKEN = re.compile(rf"{ACCESS_TOKEN_PREFIX}({_PRINCIPAL})\.({_CONSENT})\.({_SECRET})")
"""What an access token looks like; any other text is not looked up."""

REFRESH_TOKEN = re.compile(rf"psr_({_PRINCIPAL})\.({_CONSENT})\.({_SECRET})\.({_SECRET})")
"""What a refresh token looks like."""

API_TOKEN_PRINCIPAL = "tok_"  # noqa: S105 - the prefix of ids
"""How the principal of a person begins who signed in with an API token: it is the id of that API token."""


@dataclass(frozen=True, slots=True)
class Issued:
    """One access token: the digest of its secret, and when it ends."""

    digest: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person allowed.

    `principal`   the id of the API token that the person signed in with, or of the person at an identity provider.
    `person`      how the log and the operator know the person: the name of the API token, or an address.
    `resource`    digest of the MCP URL that the client asked for.
    `family`      digest of the secret that all refresh tokens of the consent have in common.
    `refresh`     digest of the secret of the only refresh token that works.
    `access`      the access tokens that have not ended.
    """

    id: str
    principal: str
    person: str
    client_id: str
    client_name: str
    account_id: str
    server_id: str
    resource: str
    family: str
    refresh: str
    access: tuple[Issued, ...]
    created_at: datetime
    expires_at: datetime
    version: int = 0

    @property
    def key(self) -> Key:
        """Where the store has it."""
        return layout.consent(self.principal, self.id)

    def to_json(self) -> dict[str, Json]:
        """The body of the item."""
        return {
            "id": self.id,
            "principal": self.principal,
            "person": self.person,
            "client_id": self.client_id,
            "client_name": self.client_name,
            "account_id": self.account_id,
            "server_id": self.server_id,
            "resource": self.resource,
            "family": self.family,
            "refresh": self.refresh,
            "access": [{"digest": one.digest, "expires_at": write_time(one.expires_at)} for one in self.access],
            "created_at": write_time(self.created_at),
            "expires_at": write_time(self.expires_at),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Json], version: int = 0) -> Consent:
        """Inverse of `to_json`; `version` is the stored item's."""
        return cls(
            **{
                **body,
                "access": tuple(Issued(one["digest"], read_time(one["expires_at"])) for one in body["access"]),
                "created_at": read_time(body["created_at"]),
                "expires_at": read_time(body["expires_at"]),
            },
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Access:
    """An access token of the present. `expires_at` is the earliest end of what it rests on.

    `api_token`  the API token that its person signed in with; None for a person of an identity provider.
    """

    id: str
    server_id: str
    expires_at: datetime
    api_token: ApiToken | None = field(repr=False)

    def covers(self, server: Grant) -> bool:
        """True when it is for `server`, which still offers OAuth, and the API token behind it still opens it."""
        return (
            self.server_id == server.id
            and server.config.oauth
            and (self.api_token is None or self.api_token.covers(server))
        )


def keys(access_token: str) -> list[Key]:
    """The items that prove an access token: the consent, and the API token behind it where there is one. They are read
    together with the grant. None for a text that is not an access token."""
    match = ACCESS_TOKEN.fullmatch(access_token)
    if match is None:
        return []
    principal, consent, _ = match.groups()
    behind = [layout.api_token_entry(principal)] if principal.startswith(API_TOKEN_PRINCIPAL) else []
    return [layout.consent(principal, consent), *behind]


def read(access_token: str, items: Sequence[Item | None], now: datetime) -> Access | None:
    """The access token that the items of `keys` prove; None where they do not."""
    match = ACCESS_TOKEN.fullmatch(access_token)
    if match is None or None in items:
        return None
    consent, *behind = [item.body for item in items if item is not None]
    known = Consent.from_json(consent)
    presented = digest(match[3])
    issued = [one for one in known.access if hmac.compare_digest(one.digest, presented)]
    api_tokens = [ApiToken.from_json(body) for body in behind]
    if not issued or not all(is_live(token, now) for token in api_tokens):
        return None
    ends = min(issued[0].expires_at, known.expires_at)
    return Access(known.principal, known.server_id, ends, api_tokens[0] if api_tokens else None)
