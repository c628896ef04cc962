"""Bodies and answers of the operations on integrated accounts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from functions.admin_api.contract import Body, Identifier, Name, Word

MAX_CREDENTIAL_CHARS = 10_000
"""Characters of one credential field; the longest in use are service-account documents of about 3,000."""


class AccountCreate(Body):
    """Connect an upstream account. `id` may be chosen (letters, digits, `-` and `_`); without one it is made."""

    integration: Word
    name: Name | None = None
    credentials: dict[str, Any]
    context: dict[str, Any] = Field(default={})
    base_url: Annotated[str, Field(max_length=2_000)] | None = None
    id: Identifier | None = None


class AccountUpdate(Body):
    """What is absent stays. `credentials` are replaced as a whole; `context` is merged, null removes a value; null as
    `base_url` is the integration's own."""

    name: Name = ""
    credentials: dict[str, Any] = Field(default={})
    context: dict[str, Any] = Field(default={})
    base_url: Annotated[str, Field(max_length=2_000)] | None = None


class Account(BaseModel):
    """An integrated account. `status`: active, or needs_reauth after the upstream refused the credential."""

    id: str
    integration: str
    name: str
    base_url: str
    context: dict[str, str]
    status: Literal["active", "needs_reauth"]
    status_since: str | None
    created_at: str
    updated_at: str


class RemovedAccount(BaseModel):
    """A deleted account and the ids of what went with it."""

    id: str
    removed: dict[Literal["mcp_servers", "api_tokens"], list[str]]
