"""Bodies and answers of the operations on MCP servers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from functions.admin_api.contract import MAX_LISTED, Arguments, Body, Changes, Moment, Name, Word
from functions.gateway.call_limits import MAX_CALLS_PER_MINUTE
from functions.gateway.json_text import Json
from functions.gateway.pins import ids

MAX_CONFIG_BYTES = 16_384
"""UTF-8 bytes of a server's config as JSON: it is part of every read of the data plane."""

MAX_GRACE_SECONDS = 7 * 24 * 3600
"""Longest time that a token lives after a rotation: a week, for clients that are configured by hand."""


def _pin(value: Json) -> str:
    if (problem := ids.problem(value)) is not None:
        raise ValueError(problem)
    return str(value)


Pin = Annotated[str, BeforeValidator(_pin), Field(json_schema_extra={"minLength": 1, "maxLength": ids.MAX_CHARS})]


class CallRate(Body):
    """How many calls a server takes."""

    calls_per_minute: Annotated[int, Field(ge=1, le=MAX_CALLS_PER_MINUTE)] = Field(
        description="Calls per minute in the long run. A call beyond them is refused with the seconds to wait."
    )
    burst: Annotated[int, Field(ge=1, le=MAX_CALLS_PER_MINUTE)] | None = Field(
        default=None, description="Calls at once. Without it, the calls of ten seconds."
    )


class Config(Body):
    """Which tools a server shows, and what it forces. Null stands for the default of its key."""

    methods: Annotated[list[Word], Field(max_length=MAX_LISTED)] | None = Field(
        default=None, description="`read`, `write`, `custom`, or names of methods or tools. Empty means all."
    )
    tags: Annotated[list[Word], Field(max_length=MAX_LISTED)] | None = Field(
        default=None, description="A tool must have one of these tags. Empty means all."
    )
    require_api_token_auth: bool | None = Field(
        default=None, description="A call must also carry an API token with the scope `connect`."
    )
    pins: dict[str, Pin] | None = Field(default=None, description='Ids forced on every call, e.g. {"user_id": "u_1"}.')
    write_ids: dict[str, list[str]] | None = Field(
        default=None,
        description="On a pinned server, the other ids that writes may name, e.g. "
        '{"run_id": ["run_1"]}; "*" allows every id of that name.',
    )
    fixed: dict[str, Arguments] | None = Field(
        default=None, description='{tool name or "*": {argument: value}}: sent on every call and hidden from the model.'
    )
    defaults: dict[str, Arguments] | None = Field(
        default=None, description='{tool name or "*": {argument: value}}: sent where the model gives no value.'
    )
    strict: bool | None = Field(
        default=None, description='Show only tools that take every argument of `fixed["*"]`; the others are hidden.'
    )
    rate_limit: CallRate | None = Field(
        default=None, description="How many calls the server takes. Without it, the deployment's own limit holds."
    )


class ServerCreate(Body):
    """Mint an MCP server."""

    name: Name
    config: Config | None = Field(default=None, description="Without it, the server shows every tool.")
    expires_at: Moment | None = Field(
        default=None,
        description="The URL stops working at this second. Without it, the server lives until it is deleted.",
    )


class ServerUpdate(Changes):
    """Change an MCP server. An absent key leaves its value as it is."""

    name: Name = ""
    config: Config = Field(default=Config(), description="Merged with the present config by its top-level keys.")
    expires_at: Moment | None = Field(default=None, description="Null removes the expiry.")


class Rotate(Body):
    """Give an MCP server a new token."""

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = Field(
        default=0, description="How long the present token still works. 0 ends it at once."
    )


class Preview(Body):
    """Try a config."""

    config: Config | None = None


class ServerConfigView(BaseModel):
    """A server's config with every key."""

    methods: list[str]
    tags: list[str]
    require_api_token_auth: bool
    pins: dict[str, str]
    write_ids: dict[str, list[str]]
    fixed: dict[str, dict[str, Any]]
    defaults: dict[str, dict[str, Any]]
    strict: bool
    rate_limit: dict[str, int] | None


class McpServer(BaseModel):
    """An MCP server."""

    id: str
    name: str
    integrated_account_id: str
    config: ServerConfigView
    expires_at: str | None
    tool_count: int
    created_by: str = Field(description="Id of the API token that minted the server.")
    created_at: str
    updated_at: str
    last_used_at: str | None = Field(description="Time of the last call, to the minute.")


NotFixed = Annotated[
    dict[str, list[str]],
    Field(description='Argument of `config.fixed["*"]` -> shown tools that do not take it, and are called without it.'),
]


class ConfiguredServer(McpServer):
    """An MCP server whose config was just given, and what that config cannot do."""

    not_fixed: NotFixed


class MintedServer(ConfiguredServer):
    """An MCP server with its token and URL, which are shown in this answer only."""

    token: str
    url: str
    previous_token_expires_at: str | None = Field(
        default=None, description="When the previous token stops working. Null after a mint."
    )


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
    """The tools that a server with this config would show."""

    tool_count: int
    tools: list[ToolSummary]
    not_fixed: NotFixed


class RemovedServer(BaseModel):
    """A revoked server, and the number of live tokens that were revoked with it."""

    id: str
    removed: dict[Literal["tokens"], int]
