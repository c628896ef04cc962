"""Who may come in: what a token stands for, how tokens are made, and when they are dead.

The token is the secret in an MCP URL, 43 characters of base64url. The first 8 are the handle of its account, which all
tokens of the account share; the other 35 are 26 random bytes. A store sees the handle and the SHA-256 of the token.

What a call needs stands in two items: the grant under that digest, and the account under its handle. Both keys follow
from the token, so that one read serves a call. A change of an account is one write, whatever number of servers it has.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, Protocol

from functions.gateway import credentials
from functions.gateway.call_limits import CallRate
from functions.gateway.credentials import Credential
from functions.gateway.json_text import Json
from functions.gateway.value_classes import dataclass, field
from functions.stores import layout
from functions.stores.store import Key

TOKEN_BYTES = 26
"""Random bytes of a token: 208 bits, nothing to guess. With the handle, a token is as long as any other secret."""

SECRET_BYTES = 32
"""Random bytes of an API token and of a sign-in code: 256 bits, nothing to guess and nothing to encode."""

HANDLE_BYTES = 6
"""Random bytes of an account's handle. It is unique, because an account is created only under a handle that is free."""

HANDLE_CHARS = 8
"""Characters of a handle: those bytes as base64url, without a rest."""

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
"""What a token looks like; anything else is dead without a read."""

API_TOKEN_PREFIX = "pst_"  # noqa: S105 - a public prefix, not a secret
"""Marks an operator's API token, so that secret scanners and people know it from an MCP token."""

ACCESS_TOKEN_PREFIX = "psa_"  # noqa: S105 - a public prefix, not a secret
"""Marks an access token of OAuth, which stands for an API token (see consents.py)."""

Profile = Literal["core", "full", "discovery"]
"""How a server shows its tools: those marked as core, all of them, or three tools that find and call the others."""

OutputSchemas = Literal["full", "shallow", "none"]
"""How much of a tool's output schema a server lists (see output_schemas.py)."""

ConfirmBy = Literal["code", "person"]
"""What a server takes for a confirmation (see confirmation.py)."""

Views = Literal["declared", "always", "never"]
"""Which clients find the pages that show results in a listing: those that declare MCP Apps, all, or none. Some hosts
show pages without declaring it."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What an operator chose.

    `methods`, `tags`  which tools are shown; empty = no restriction (see selection.py).
    `profile`   how the tools are shown; `core` is a selection, too.
    `output_schemas`  how much of each tool's output schema is listed.
    `views`     which clients find the pages that show results in a listing.
    `require_api_token_auth`  a call must also carry a valid API token.
    `oauth`     a client without the required API token may let its person sign in.
    `pins`      ids of entities forced on every call, e.g. {"owner_id": "o-1"} (see pins/).
    `write_ids` on a pinned server, the other ids that writes may name: {id: values}, "*" for every value.
    `fixed`     {tool name or "*": {argument: value}}: sent whatever the caller says, and not in the schema it sees.
    `defaults`  arguments in the shape of `fixed`, used where the caller does not give them.
    `strict`    only tools that take every argument of `fixed["*"]` are shown.
    `rate_limit`  how many calls the server takes; None = the deployment's own limit.
    `confirm`     whose calls need a confirmation: "destructive", or names of tools (see confirmation.py).
    `confirm_by`  what counts as a confirmation: the repeat with a code, or the approval of a person in addition.
    """

    methods: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    profile: Profile = "full"
    output_schemas: OutputSchemas = "full"
    views: Views = "declared"
    require_api_token_auth: bool = False
    oauth: bool = True
    pins: Mapping[str, str] = field(default_factory=dict)
    write_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    strict: bool = False
    rate_limit: CallRate | None = None
    confirm: tuple[str, ...] = ()
    confirm_by: ConfirmBy = "code"

    def to_json(self) -> dict[str, Json]:
        """The `config` object of the management API."""
        return {
            "methods": list(self.methods),
            "tags": list(self.tags),
            "profile": self.profile,
            "output_schemas": self.output_schemas,
            "views": self.views,
            "require_api_token_auth": self.require_api_token_auth,
            "oauth": self.oauth,
            "pins": dict(self.pins),
            "write_ids": {name: list(values) for name, values in self.write_ids.items()},
            "fixed": {tool: dict(arguments) for tool, arguments in self.fixed.items()},
            "defaults": {tool: dict(arguments) for tool, arguments in self.defaults.items()},
            "strict": self.strict,
            "rate_limit": self.rate_limit.to_json() if self.rate_limit else None,
            "confirm": list(self.confirm),
            "confirm_by": self.confirm_by,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> ServerConfig:
        """Inverse of `to_json`; absent members take their defaults. The management API has checked the types."""
        return cls(
            methods=tuple(value.get("methods") or ()),
            tags=tuple(value.get("tags") or ()),
            profile=value.get("profile") or "full",
            output_schemas=value.get("output_schemas") or "full",
            views=value.get("views") or "declared",
            require_api_token_auth=bool(value.get("require_api_token_auth", False)),
            oauth=value.get("oauth") is not False,
            pins=value.get("pins") or {},
            write_ids={name: tuple(values) for name, values in (value.get("write_ids") or {}).items()},
            fixed=value.get("fixed") or {},
            defaults=value.get("defaults") or {},
            strict=bool(value.get("strict", False)),
            rate_limit=CallRate.from_json(value["rate_limit"]) if value.get("rate_limit") else None,
            confirm=tuple(value.get("confirm") or ()),
            confirm_by=value.get("confirm_by") or "code",
        )


@dataclass(frozen=True, slots=True)
class Target:
    """What a call needs of a grant or of an account: the upstream, the credential for it, and what holds for the call.

    `context`  the account's values for path parameters (`org_id`, `project_id`).
    `data_key` the account's, b"" where nothing is sealed for the caller.
    """

    account_id: str
    integration: str
    base_url: str
    context: Mapping[str, str]
    config: ServerConfig
    credential: Credential
    data_key: bytes = field(default=b"", repr=False)

    @property
    def signing_key(self) -> bytes:
        """The key that signs and seals what a caller receives and sends back. It is derived when a call needs it."""
        return credentials.signing_key(self.data_key)


@dataclass(frozen=True, slots=True)
class GrantedAccount:
    """An integrated account as the data plane reads it: what all of its grants have in common.

    `context`  the account's values for path parameters (`org_id`, `project_id`).
    `sealed_credential`  the upstream credential under the account's data key.
    """

    id: str
    integration: str
    base_url: str
    context: Mapping[str, str]
    sealed_credential: bytes = field(repr=False)

    def to_json(self) -> dict[str, Json]:
        """The body of the item stored under the account's handle."""
        return {
            "id": self.id,
            "integration": self.integration,
            "base_url": self.base_url,
            "context": dict(self.context),
            "sealed_credential": base64.b64encode(self.sealed_credential).decode(),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Json]) -> GrantedAccount:
        """Inverse of `to_json`."""
        return cls(
            id=body["id"],
            integration=body["integration"],
            base_url=body["base_url"],
            context=body["context"],
            sealed_credential=base64.b64decode(body["sealed_credential"]),
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """One MCP server as the data plane reads it.

    `account`     what it has of its account, from the account's own item.
    `sealed_data_key`  the account's data key under the token.
    `labels`      the operator's words for the server, which stand in its log entries.
    `expires_at`  None = never. `revision` changes with every change of the grant; it names cached listings.
    """

    id: str
    name: str
    account: GrantedAccount
    config: ServerConfig
    created_at: datetime
    expires_at: datetime | None
    sealed_data_key: bytes = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0

    def to_json(self) -> dict[str, Json]:
        """The body of the item stored under the token's digest. Of the account, it holds the id."""
        return {
            "id": self.id,
            "name": self.name,
            "account_id": self.account.id,
            "config": self.config.to_json(),
            "created_at": write_time(self.created_at),
            "expires_at": write_time(self.expires_at) if self.expires_at else None,
            "sealed_data_key": base64.b64encode(self.sealed_data_key).decode(),
            **({"labels": dict(self.labels)} if self.labels else {}),
        }

    def target(self, key: bytes) -> Target:
        """What a call through this grant needs; the token's key opens the credential. Raises credentials.SealError."""
        account = self.account
        found = credentials.open_with_token(account.sealed_credential, self.sealed_data_key, key, account.id)
        opened, data_key = found
        return Target(account.id, account.integration, account.base_url, account.context, self.config, opened, data_key)

    @classmethod
    def from_json(cls, body: Mapping[str, Json], account: Mapping[str, Json], revision: int = 0) -> Grant:
        """Inverse of `to_json`, with the body of the account's item. `revision` is the version of the grant's item."""
        return cls(
            id=body["id"],
            name=body["name"],
            account=GrantedAccount.from_json(account),
            config=ServerConfig.from_json(body["config"]),
            created_at=read_time(body["created_at"]),
            expires_at=read_time(body["expires_at"]) if body["expires_at"] else None,
            sealed_data_key=base64.b64decode(body["sealed_data_key"]),
            labels=body.get("labels", {}),
            revision=revision,
        )


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An operator's API token as stored under its digest.

    `scopes`      "read", "call", "mint" and "manage" (operations of the management API), "connect" (servers that
                  require one).
    `account_ids`, `server_ids`  where it is valid; empty = everywhere.
    `mint`        what it may mint with the scope "mint"; None without that scope (admin_api/api_tokens/mint_limits.py).
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    account_ids: tuple[str, ...]
    server_ids: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    mint: Mapping[str, Json] | None = None

    def to_json(self) -> dict[str, Json]:
        """The body of the item stored under the API token's digest."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": list(self.scopes),
            "account_ids": list(self.account_ids),
            "server_ids": list(self.server_ids),
            "created_at": write_time(self.created_at),
            "expires_at": write_time(self.expires_at) if self.expires_at else None,
            **({"mint": dict(self.mint)} if self.mint is not None else {}),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Json]) -> ApiToken:
        """Inverse of `to_json`."""
        return cls(
            id=body["id"],
            name=body["name"],
            scopes=tuple(body["scopes"]),
            account_ids=tuple(body["account_ids"]),
            server_ids=tuple(body["server_ids"]),
            created_at=read_time(body["created_at"]),
            expires_at=read_time(body["expires_at"]) if body["expires_at"] else None,
            mint=body.get("mint"),
        )

    def covers(self, server: Grant) -> bool:
        """True when this token opens `server`, which requires one."""
        return self.covers_server(server.account.id, server.id)

    def covers_server(self, account_id: str, server_id: str) -> bool:
        """True when this token opens the server of these ids."""
        return (
            "connect" in self.scopes
            and (not self.account_ids or account_id in self.account_ids)
            and (not self.server_ids or server_id in self.server_ids)
        )


def mint_handle(random: Callable[[int], bytes]) -> str:
    """A new handle of an account. `random(n)` gives n unpredictable bytes (`secrets.token_bytes`)."""
    return _base64url(random(HANDLE_BYTES))


def mint_token(random: Callable[[int], bytes], account_handle: str) -> str:
    """A new token of the account that has this handle."""
    return account_handle + _base64url(random(TOKEN_BYTES))


def handle(token: str) -> str:
    """The handle of the account that a token belongs to."""
    return token[:HANDLE_CHARS]


def mint_secret(random: Callable[[int], bytes]) -> str:
    """A new secret of 43 characters that stands for itself."""
    return _base64url(random(SECRET_BYTES))


def mint_api_token(random: Callable[[int], bytes]) -> str:
    """A new API token: `pst_` and 43 characters."""
    return API_TOKEN_PREFIX + mint_secret(random)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def digest(token: str) -> str:
    """SHA-256 of a token as 64 hex digits: its key in the store. 208 random bits need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


class Expiring(Protocol):
    """What may expire: a grant, a server, one of its tokens, an API token."""

    @property
    def expires_at(self) -> datetime | None:
        """None = never."""


def keys_of(token: str) -> list[Key]:
    """The keys of what a token opens: its grant, and what its account's calls read."""
    known_by = digest(token)
    return [layout.token(known_by), layout.granted_account(handle(token), known_by)]


def is_live(item: Expiring, now: datetime) -> bool:
    """False from the very second of `expires_at` on, whatever the store still holds."""
    return item.expires_at is None or now < item.expires_at


def epoch(moment: datetime | None) -> int | None:
    """A time of expiry as the store keeps it: whole seconds, and never before the moment. None = never."""
    return None if moment is None else math.ceil(moment.timestamp())


def write_time(moment: datetime) -> str:
    """UTC, ISO 8601, seconds (with microseconds only where there are some): 2026-12-31T23:59:59Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """Inverse of `write_time`; any ISO 8601 time with an offset. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write it in UTC with a Z, as 2026-12-31T23:59:59Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from None
