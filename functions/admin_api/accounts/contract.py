"""Bodies and answers of the operations on integrated accounts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from functions.admin_api.contract import Body, Changes, Identifier, Name, Word

MAX_CREDENTIAL_CHARS = 10_000
"""Characters of one credential field; the longest in use are service-account documents of about 3,000."""

MAX_CONTEXT_CHARS = 500
"""Characters of one context value: these values are ids that become parts of paths."""

BaseUrl = Annotated[str, Field(max_length=2_000)]


class AccountCreate(Body):
    """Connect an upstream account."""

    integration: Word = Field(description="The API that the account belongs to, e.g. mem0.")
    name: Name | None = Field(default=None, description="A name for people. Without it, the integration's label.")
    credentials: dict[str, Any] = Field(
        description='The credential fields of the integration, e.g. {"api_key": "..."}.'
    )
    context: dict[str, Any] = Field(
        default={}, description="Values for path parameters. Without them, the values that the probe finds."
    )
    base_url: BaseUrl | None = Field(default=None, description="Another address of the same API.")
    id: Identifier | None = Field(default=None, description="An id of your own. Without it, a new one is made.")


class AccountUpdate(Changes):
    """Change an account. An absent key leaves its value as it is."""

    name: Name = ""
    credentials: dict[str, Any] = Field(default={}, description="Replaces the credential as a whole.")
    context: dict[str, Any] = Field(default={}, description="Merged with the present context. Null removes a value.")
    base_url: BaseUrl | None = Field(default=None, description="Null stands for the integration's own address.")


class Account(BaseModel):
    """An integrated account."""

    id: str
    integration: str
    name: str
    base_url: str
    context: dict[str, str]
    status: Literal["active", "unverified", "needs_reauth"] = Field(
        description="`needs_reauth` after the upstream answered a call with 401; a new credential ends it. "
        "`unverified` when the integration has no probe, so that the credential was never verified."
    )
    status_since: str | None
    created_at: str
    updated_at: str


class RemovedAccount(BaseModel):
    """A deleted account and the ids of what this request deleted with it."""

    id: str
    removed: dict[Literal["mcp_servers", "api_tokens", "trusts"], list[str]]
    next_cursor: str | None = Field(
        description="Null when nothing of the account is left. Otherwise repeat the request with it: the account and "
        "all of its URLs are dead already, and items of its servers or API tokens are still to be removed."
    )
