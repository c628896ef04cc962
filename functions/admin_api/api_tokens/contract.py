"""Bodies and answers of the operations on API tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from functions.admin_api.contract import Body, Identifier, Moment, Name


class ApiTokenCreate(Body):
    """`manage` is this API; `connect` is the second factor of servers that ask for one. Empty limits = everywhere."""

    name: Name
    scopes: Annotated[list[Literal["manage", "connect"]], Field(min_length=1, max_length=2)]
    account_ids: Annotated[list[Identifier], Field(max_length=50)] = Field(default=[])
    server_ids: Annotated[list[Identifier], Field(max_length=50)] = Field(default=[])
    expires_at: Moment | None = None


class ApiToken(BaseModel):
    """An API token without its secret."""

    id: str
    name: str
    scopes: list[Literal["manage", "connect"]]
    account_ids: list[str]
    server_ids: list[str]
    expires_at: str | None
    created_at: str


class MintedApiToken(ApiToken):
    """The answer to create, and the only place where `token` is ever shown."""

    token: str


class RemovedApiToken(BaseModel):
    """A revoked API token."""

    id: str
