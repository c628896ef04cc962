"""Answers of the operations on integrations."""

from __future__ import annotations

from pydantic import BaseModel, Field


class IntegrationField(BaseModel):
    """One field of a credential or of a context."""

    name: str
    description: str
    required: bool
    secret: bool = Field(description="Input of this field should not be shown.")
    example: str | None


class Integration(BaseModel):
    """An API that can be connected, and what its servers can select and pin."""

    name: str = Field(description="The value of `integration` when an account is connected.")
    label: str
    base_url: str
    credentials: list[IntegrationField]
    context: list[IntegrationField]
    verifies_credentials: bool = Field(description="A probe verifies the credential before it is saved.")
    methods: list[str]
    tags: list[str]
    pinnable: list[str] = Field(description="Ids that a server can be pinned to.")
    tool_count: int


class Integrations(BaseModel):
    """Every integration of this deployment, in order of name."""

    result: list[Integration]
