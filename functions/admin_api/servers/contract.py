"""Bodies and answers of the operations on MCP servers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from functions.admin_api.contract import MAX_NAME_CHARS, Arguments, Body, Moment, Name, Word
from functions.gateway.json_text import Json

MAX_CONFIG_BYTES = 16_384
"""UTF-8 bytes of a server's config as JSON: it is part of every read of the data plane."""

MAX_GRACE_SECONDS = 7 * 24 * 3600
"""Longest time that a token may live on after it was rotated: a week, for clients that are configured by hand."""


def _pin(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a pin must be a non-empty string")
    if value == "*":
        raise ValueError('a pin names one entity; "*" would be every entity. Leave the pin out to allow them all')
    return value


Pin = Annotated[str, BeforeValidator(_pin), Field(min_length=1, max_length=MAX_NAME_CHARS)]


class Config(Body):
    """What a server shows and forces; see the record types in `gateway/servers.py`. null is the default of its key."""

    methods: Annotated[list[Word], Field(max_length=200)] | None = None
    tags: Annotated[list[Word], Field(max_length=200)] | None = None
    require_api_token_auth: bool | None = None
    pins: dict[str, Pin] | None = None
    fixed: dict[str, Arguments] | None = None
    defaults: dict[str, Arguments] | None = None


class ServerCreate(Body):
    """Mint an MCP server. Without `config` it shows every tool; without `expires_at` it lives until it is deleted."""

    name: Name
    config: Config | None = None
    expires_at: Moment | None = None


class ServerUpdate(Body):
    """What is absent stays. `config` is merged by its top-level keys; `expires_at` null lets the server live on."""

    name: Name = ""
    config: Config = Config()
    expires_at: Moment | None = None


class Rotate(Body):
    """`grace_seconds`: how long the present token goes on working beside the new one; 0 = not at all."""

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = 0


class Preview(Body):
    """A config, as for a new server."""

    config: Config | None = None


class ServerConfigView(BaseModel):
    """A server's config with every key."""

    methods: list[str]
    tags: list[str]
    require_api_token_auth: bool
    pins: dict[str, str]
    fixed: dict[str, dict[str, Any]]
    defaults: dict[str, dict[str, Any]]


class McpServer(BaseModel):
    """An MCP server. `last_used_at` is kept to the minute."""

    id: str
    name: str
    integrated_account_id: str
    config: ServerConfigView
    expires_at: str | None
    tool_count: int
    created_by: str
    created_at: str
    updated_at: str
    last_used_at: str | None


class MintedServer(McpServer):
    """The answer to create and rotate, and the only place where `token` and `url` are ever shown."""

    token: str
    url: str
    previous_token_expires_at: str | None = None


class ToolSummary(BaseModel):
    """One tool that a config would show."""

    name: str
    title: str
    resource: str
    method: str
    access: Literal["read", "write"]
    destructive: bool
    tags: list[str]


class ServerPreview(BaseModel):
    """What a server with this config would show."""

    tool_count: int
    tools: list[ToolSummary]


class RemovedServer(BaseModel):
    """A deleted server and how many live tokens went with it."""

    id: str
    removed: dict[Literal["tokens"], int]
