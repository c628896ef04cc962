"""Answers of the operations on integrations."""

from __future__ import annotations

from pydantic import BaseModel, Field

from functions.gateway.grants import Profile


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
    core_tool_count: int = Field(
        description="Tools that the profile `core` shows. 0: the integration marks none and has no such profile."
    )
    profiles: list[Profile] = Field(description="Values of `config.profile` that its servers can have.")
    tokens: dict[Profile, int] = Field(
        description="What the listing of each profile costs a model, about, in tokens: names, descriptions and input "
        "schemas of an unpinned server. A profile that the integration does not have is left out."
    )


class Integrations(BaseModel):
    """Every integration of this deployment, in order of name."""

    result: list[Integration]
