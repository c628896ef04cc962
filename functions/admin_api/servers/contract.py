"""Bodies and answers of the operations on MCP servers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from functions.admin_api.contract import (
    MAX_LISTED,
    MAX_NAME_CHARS,
    Arguments,
    Body,
    Changed,
    Changes,
    Moment,
    Name,
    Reference,
    Several,
    Word,
)
from functions.admin_api.labels import MAX_LABELS
from functions.admin_api.labels import problem as label_problem
from functions.gateway.call_limits import MAX_CALLS_PER_MINUTE
from functions.gateway.errors import phrase
from functions.gateway.grants import ConfirmBy, OutputSchemas, Profile, Views
from functions.gateway.json_text import Json
from functions.gateway.pins import ids

MAX_CONFIG_BYTES = 16_384
"""UTF-8 bytes of a server's config as JSON: it is part of every read of the data plane."""

MAX_COUNT = 1_000
"""Servers of one bulk request, over all its steps: more than a fleet of agents, and a typo stays cheap."""

MAX_GRACE_SECONDS = 7 * 24 * 3600
"""Longest time that a token lives after a rotation: a week, for clients that are configured by hand."""


def _pin(value: Json) -> str:
    if (problem := ids.problem(value)) is not None:
        raise ValueError(problem)
    return str(value)


def _labels(value: dict[str, str | None]) -> dict[str, str | None]:
    for key, one in value.items():
        if (wrong := label_problem(key, one)) is not None:
            raise ValueError(wrong)
    return value


Labels = Annotated[
    dict[str, str],
    Field(max_length=MAX_LABELS, description='Words for finding the server, e.g. {"team": "support"}.'),
    AfterValidator(_labels),
]
LabelChanges = Annotated[
    dict[str, str | None],
    Field(max_length=MAX_LABELS, description="Merged with the present labels. Null removes a label."),
    AfterValidator(_labels),
]
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
    profile: Profile | None = Field(
        default=None,
        description="How the tools are shown. `core`: only those that the integration marks as core. `discovery`: "
        "three tools that search, describe and call all the others. Default `full`.",
    )
    output_schemas: OutputSchemas | None = Field(
        default=None,
        description="How much of each tool's output schema is listed: `full`, its top level (`shallow`), or `none`. "
        "Results do not depend on it. Default `full`.",
    )
    views: Views | None = Field(
        default=None,
        description="Which clients are told of the pages that show results as cards: those that declare MCP Apps "
        "(`declared`), all (`always`), or none (`never`). Default `declared`.",
    )
    require_api_token_auth: bool | None = Field(
        default=None, description="A call must also carry an API token with the scope `connect`."
    )
    oauth: bool | None = Field(
        default=None,
        description="Where an API token is required, a client that was given none may open a page where its person "
        "signs in with one. Default true. With false, the API token comes in a header only.",
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
    confirm: Annotated[list[Word], Field(max_length=MAX_LISTED)] | None = Field(
        default=None,
        description="Whose calls are refused until they are confirmed: `destructive`, or names of tools that write.",
    )
    confirm_by: ConfirmBy | None = Field(
        default=None,
        description="What confirms a call. `code`: its repeat with the code of the refusal. `person`: in addition, the "
        "approval of a person at /approve. Default `code`.",
    )


class ServerCreate(Body):
    """Mint an MCP server."""

    name: Name | None = Field(default=None, description="A name for people. Without it, the id of the server.")
    labels: Labels = Field(default={})
    config: Config | None = Field(default=None, description="Without it, the server shows every tool.")
    expires_at: Moment | None = Field(
        default=None,
        description="The URL stops working at this second. Without it, the server lives until it is deleted.",
    )


class ServerUpdate(Changes):
    """Change an MCP server. An absent key leaves its value as it is."""

    name: Name = ""
    labels: LabelChanges = Field(default={})
    config: Config = Field(default=Config(), description="Merged with the present config by its top-level keys.")
    expires_at: Moment | None = Field(default=None, description="Null removes the expiry.")


class ServersCreate(Body):
    """Mint the MCP servers `NAME-1` to `NAME-COUNT`."""

    name: Annotated[str, Field(max_length=MAX_NAME_CHARS - 5)] = Field(
        min_length=1, description="What the names begin with. Each continues with - and its number."
    )
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)] = Field(description="How many servers there are to be.")
    from_number: Annotated[int, Field(ge=1, le=MAX_COUNT)] = Field(
        default=1, description="`next_number` of the previous answer; 1 to begin."
    )
    labels: Labels = Field(default={})
    config: Config | None = Field(default=None, description="Without it, the servers show every tool.")
    expires_at: Moment | None = Field(
        default=None,
        description="The URLs stop working at this second. Without it, the servers live until they are deleted.",
    )


class ServersChange(Body):
    """Change many MCP servers: those in `servers`, those with all of `labels`, or `all`."""

    action: Literal["revoke", "extend", "rotate", "label"] = Field(
        description="`revoke` removes the servers. `extend` moves their expiry to `expires_at` and never shortens a "
        "life. `rotate` gives new tokens. `label` changes labels."
    )
    servers: Annotated[list[Reference], Field(max_length=MAX_COUNT)] = Field(default=[], description="Ids or names.")
    labels: Annotated[list[str], Field(max_length=MAX_LABELS)] = Field(
        default=[], description='Labels that the servers have, e.g. ["team=support", "env"].'
    )
    all: bool = Field(default=False, description="Every live server.")
    expires_at: Moment | None = Field(default=None, description="With `extend`, the new expiry. Required there.")
    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = Field(
        default=0, description="With `rotate`, how long the present tokens still work. 0 ends them at once."
    )
    tokens_before: Moment | None = Field(
        default=None,
        description="With `rotate`, leave servers alone whose token was made at or after this time. Without it, the "
        "time of the request. Pass back the time in the first answer, so that no token is made twice.",
    )
    set_labels: LabelChanges = Field(default={})
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous answer, unchanged.")


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
    profile: Profile
    output_schemas: OutputSchemas
    views: Views
    require_api_token_auth: bool
    oauth: bool
    pins: dict[str, str]
    write_ids: dict[str, list[str]]
    fixed: dict[str, dict[str, Any]]
    defaults: dict[str, dict[str, Any]]
    strict: bool
    rate_limit: dict[str, int] | None
    confirm: list[str]
    confirm_by: ConfirmBy


class McpServer(BaseModel):
    """An MCP server."""

    id: str
    name: str
    integrated_account_id: str
    labels: dict[str, str]
    config: ServerConfigView
    expires_at: str | None
    tool_count: int
    created_by: str = Field(
        description="Id of the API token that minted the server, or the name of a workload: its trust and its run."
    )
    created_at: str
    updated_at: str
    last_used_at: str | None = Field(description="Time of the last call, to the minute.")
    token_made_at: str = Field(description="When the present token was made.")


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
    tokens: int = Field(description="What its name, description and input schema cost a model, about, in tokens.")


class ServerPreview(BaseModel):
    """The tools that a server with this config would show."""

    tool_count: int
    tokens: int = Field(
        description="What the listing costs a model, about: names, descriptions and input schemas, in tokens. With the "
        "profile `discovery`, those of its three tools."
    )
    tools: list[ToolSummary]
    not_fixed: NotFixed


class RemovedServer(BaseModel):
    """A revoked server, and the number of live tokens that were revoked with it."""

    id: str
    name: str
    integrated_account_id: str
    labels: dict[str, str]
    removed: dict[Literal["tokens"], int]


class CreatedServer(BaseModel):
    """What became of one name. Token and URL are shown in this answer only."""

    name: str
    outcome: Literal["minted", "kept"] = Field(
        description="`kept`: a live server has the name already. Rotate it if its URL is lost."
    )
    id: str
    expires_at: str | None
    token: str | None
    url: str | None


class CreatedServers(Several):
    """How far a request came. `next_number` continues it, and null ends it."""

    integrated_account_id: str
    result: list[CreatedServer]
    minted: int
    kept: int
    next_number: int | None
    labels: dict[str, str]
    not_fixed: dict[str, list[str]] = Field(
        description='An argument that is fixed for "*", and the tools of the servers that do not take it.'
    )

    def changes(self) -> list[Changed]:
        """See Several."""
        return [
            Changed("createServer", self.integrated_account_id, server.id, self.labels, 201)
            for server in self.result
            if server.outcome == "minted"
        ]


class ChangedServer(BaseModel):
    """What became of one server. Token and URL are there after `rotate`, and are shown in this answer only."""

    id: str
    name: str
    integrated_account_id: str
    outcome: Literal["done", "unchanged", "failed"] = Field(
        description="`unchanged`: the server was already as the request wants it, or it was gone."
    )
    status: int = Field(description="The status of a request for this server alone.")
    message: str | None = Field(description="Why it failed.")
    expires_at: str | None
    labels: dict[str, str]
    token: str | None = None
    url: str | None = None
    previous_token_expires_at: str | None = None


class ChangedServers(Several):
    """How far a request came. `next_cursor` continues it, and null ends it."""

    action: Literal["revoke", "extend", "rotate", "label"]
    result: list[ChangedServer]
    done: int
    unchanged: int
    failed: int
    tokens_before: str | None = Field(description="With `rotate`, the time to pass back.")
    next_cursor: str | None

    def changes(self) -> list[Changed]:
        """See Several."""
        action = {"revoke": "deleteServer", "rotate": "rotateServer"}.get(self.action, "updateServer")
        return [
            Changed(
                action,
                server.integrated_account_id,
                server.id,
                server.labels,
                server.status,
                error="" if server.outcome == "done" else phrase(server.status),
            )
            for server in self.result
            if server.outcome != "unchanged" and server.id
        ]
