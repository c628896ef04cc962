"""Bodies and answers of the operations on API tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from functions.admin_api.contract import MAX_LIMITS, Body, Identifier, Moment, Name

Scope = Literal["read", "call", "connect", "manage"]
"""What an API token may do.

`read` sees everything and changes nothing. `call` lists and runs tools. `manage` admits to every operation. `connect`
opens the servers that require an API token, and no operation.
"""

Limits = Annotated[list[Identifier], Field(max_length=MAX_LIMITS)]


class ApiTokenCreate(Body):
    """Make an API token."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] = Field(
        description='What the token may do, e.g. ["read"]; valid: read, call, connect, manage.'
    )
    account_ids: Limits = Field(default=[], description="The only accounts it is valid for. Empty means all.")
    server_ids: Limits = Field(
        default=[], description="The only servers it is valid for. Empty means all. For the scope `connect` alone."
    )
    expires_at: Moment | None = Field(default=None, description="Without it, the token lives until it is revoked.")


class ApiToken(BaseModel):
    """An API token without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    account_ids: list[str]
    server_ids: list[str]
    expires_at: str | None
    created_at: str


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
    operations: list[str] = Field(description="Names of the operations that admit the token.")


class RemovedApiToken(BaseModel):
    """A revoked API token."""

    id: str
