"""Bodies and answers of the operations on trusts."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from functions.admin_api.api_tokens.contract import MintLimits
from functions.admin_api.contract import MAX_LIMITS, Body, Changes, Identifier, Name

MAX_URL_CHARS = 500
"""Characters of an issuer and of an audience; those in use have under a hundred."""

MAX_CLAIMS, MAX_VALUES, MAX_VALUE_CHARS = 20, 20, 300
"""Claims of a trust, values of a claim, and characters of a value: more than a rule that somebody reviews."""


def _exact(value: str) -> str:
    if "*" in value:
        raise ValueError("values are compared whole, so a * matches nothing else; list each value")
    if value != value.strip() or not value.isprintable():
        raise ValueError("values are compared whole; this one has a space at an end, or a character that is not shown")
    return value


Value = Annotated[str, Field(min_length=1, max_length=MAX_VALUE_CHARS), AfterValidator(_exact)]
Claims = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=100)],
        Annotated[list[Value], Field(min_length=1, max_length=MAX_VALUES)],
    ],
    Field(min_length=1, max_length=MAX_CLAIMS),
]
CLAIMS = 'Claims that the identity token must have, each with the values it may have, e.g. {"repository": ["o/r"]}.'
ACCOUNT_IDS = "The accounts whose servers it may mint; at least one."
MINT = "What it may mint."

Accounts = Annotated[list[Identifier], Field(min_length=1, max_length=MAX_LIMITS)]


class TrustCreate(Body):
    """Trust the identity tokens of an issuer that have these claims."""

    name: Name
    issuer: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)] = Field(
        description="The issuer of the identity tokens: github, gitlab, or the https URL of another one."
    )
    audience: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)] | None = Field(
        default=None,
        description="The audience of the identity tokens, which no other trust has. Default: /trust/ID at this API.",
    )
    claims: Claims = Field(description=CLAIMS)
    account_ids: Accounts = Field(description=ACCOUNT_IDS)
    mint: MintLimits = Field(description=MINT)


class TrustUpdate(Changes):
    """Change a trust. Each key replaces the whole value."""

    claims: Claims = Field(default={}, description=CLAIMS)
    account_ids: Accounts = Field(default=[], description=ACCOUNT_IDS)
    mint: MintLimits = Field(default=MintLimits(max_lifetime_seconds=1), description=MINT)


class Trust(BaseModel):
    """A trust. It holds no secret."""

    id: str
    name: str
    issuer: str
    audience: str = Field(description="What a workload asks its identity token for.")
    claims: dict[str, list[str]]
    account_ids: list[str]
    mint: MintLimits
    created_at: str
    updated_at: str


class RemovedTrust(BaseModel):
    """A trust that admits nobody any more. The servers that were minted under it live until they expire."""

    id: str
    name: str
