"""Bodies and answers of the operations on API tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from functions.admin_api.contract import MAX_LIMITS, MAX_LISTED, Body, Identifier, Moment, Name, Word
from functions.admin_api.servers.contract import Pin

MAX_LIFETIME_SECONDS = 366 * 24 * 3600
"""Longest life of a server that an API token with the scope `mint` makes: a year."""

Scope = Literal["read", "call", "mint", "connect", "manage"]
"""What an API token may do.

`read` sees everything and changes nothing. `call` lists and runs tools. `mint` makes servers within limits. `manage`
admits to every operation. `connect` opens the servers that require an API token, and no operation.
"""

Limits = Annotated[list[Identifier], Field(max_length=MAX_LIMITS)]


class MintLimits(Body):
    """What an API token with the scope `mint` may make."""

    methods: Annotated[list[Word], Field(max_length=MAX_LISTED)] = Field(
        default=[], description="Its servers show at most the tools of these methods. Empty means all."
    )
    tags: Annotated[list[Word], Field(max_length=MAX_LISTED)] = Field(
        default=[], description="Its servers show at most the tools with one of these tags. Empty means all."
    )
    pins: dict[str, Pin] = Field(default={}, description="Its servers have these pins.")
    max_lifetime_seconds: Annotated[int, Field(ge=1, le=MAX_LIFETIME_SECONDS)] = Field(
        description="Its servers expire at most this long after they are minted, in seconds."
    )


class ApiTokenCreate(Body):
    """Make an API token."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5)] = Field(
        description='What the token may do, e.g. ["read"]; valid: read, call, mint, connect, manage.'
    )
    account_ids: Limits = Field(default=[], description="The only accounts it is valid for. Empty means all.")
    server_ids: Limits = Field(
        default=[], description="The only servers it is valid for. Empty means all. For the scope `connect` alone."
    )
    expires_at: Moment | None = Field(default=None, description="Without it, the token lives until it is revoked.")
    mint: MintLimits | None = Field(default=None, description="Required with the scope `mint`, and for it alone.")


class ApiToken(BaseModel):
    """An API token without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    account_ids: list[str]
    server_ids: list[str]
    expires_at: str | None
    created_at: str
    mint: MintLimits | None = None


class MintedApiToken(ApiToken):
    """An API token with its secret, which is shown in this answer only."""

    token: str


class Me(BaseModel):
    """The API token of this request, and what it may do."""

    id: str
    name: str
    scopes: list[Scope]
    account_ids: list[str] = Field(description="The only accounts that the token is valid for. Empty means all.")
    expires_at: str | None
    mint: MintLimits | None
    operations: list[str] = Field(description="Names of the operations that admit the token.")


class RemovedApiToken(BaseModel):
    """A revoked API token."""

    id: str
    name: str
