"""The HTTP contract of the management API: what a body may hold, what an answer holds, and the words for a bad body.

Strict: a string is not a number, and an unknown key is refused with the nearest valid name. Problems are told all at
once, each as `where: what is wrong; what is valid`. A value under `credentials` is never repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from functions.gateway.errors import Invalid, invalid
from functions.gateway.grants import read_time

Json = Any

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Ids of accounts, servers and API tokens."""

MAX_NAME_CHARS = 200

MAX_CONFIG_BYTES = 16_384
"""UTF-8 bytes of a server's config as JSON: it is part of every read of the data plane."""

MAX_GRACE_SECONDS = 7 * 24 * 3600
"""Longest time that a token may live on after it was rotated: a week, for clients that are configured by hand."""

MAX_CREDENTIAL_CHARS = 10_000
"""Characters of one credential field; the longest in use are service-account documents of about 3,000."""

SHOWN_CHARS = 80
"""Characters of an offending value that a message repeats."""


def _time(value: Json) -> datetime:
    example = "as 2026-12-31T23:59:59Z"
    if not isinstance(value, str):
        raise ValueError(f"it must be an ISO 8601 time in UTC, {example}, or null for never")
    try:
        return read_time(value)
    except (ValueError, OverflowError) as error:
        reason = "it has no offset from UTC" if "offset" in str(error) else "it is not an ISO 8601 time"
        raise ValueError(f"{reason}; write it {example}, or null for never") from None


def _pin(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a pin must be a non-empty string")
    if value == "*":
        raise ValueError('a pin names one entity; "*" would be every entity. Leave the pin out to allow them all')
    return value


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
Identifier = Annotated[str, Field(pattern=rf"^{ID.pattern}$", max_length=64)]
Moment = Annotated[
    datetime, BeforeValidator(_time, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
Pin = Annotated[str, BeforeValidator(_pin), Field(min_length=1, max_length=MAX_NAME_CHARS)]
Word = Annotated[str, Field(min_length=1, max_length=128)]
Arguments = dict[str, Any]


class Body(BaseModel):
    """A request body: strict, unknown keys refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


class AccountCreate(Body):
    """Connect an upstream account. `id` may be chosen (letters, digits, `-` and `_`); without one it is made."""

    integration: Word
    name: Name | None = None
    credentials: dict[str, Any]
    context: dict[str, Any] = {}
    base_url: Annotated[str, Field(max_length=2_000)] | None = None
    id: Identifier | None = None


class AccountUpdate(Body):
    """What is absent stays. `credentials` are replaced as a whole; `context` is merged, null removes a value; null as
    `base_url` is the integration's own."""

    name: Name = ""
    credentials: dict[str, Any] = {}
    context: dict[str, Any] = {}
    base_url: Annotated[str, Field(max_length=2_000)] | None = None


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


class ApiTokenCreate(Body):
    """`manage` is this API; `connect` is the second factor of servers that ask for one. Empty limits = everywhere."""

    name: Name
    scopes: Annotated[list[Literal["manage", "connect"]], Field(min_length=1, max_length=2)]
    account_ids: Annotated[list[Identifier], Field(max_length=50)] = []
    server_ids: Annotated[list[Identifier], Field(max_length=50)] = []
    expires_at: Moment | None = None


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


class RemovedServer(BaseModel):
    """A deleted server and how many live tokens went with it."""

    id: str
    removed: dict[Literal["tokens"], int]


class RemovedAccount(BaseModel):
    """A deleted account and the ids of what went with it."""

    id: str
    removed: dict[Literal["mcp_servers", "api_tokens"], list[str]]


class RemovedApiToken(BaseModel):
    """A revoked API token."""

    id: str


class AgentTool(BaseModel):
    """A tool for agents without MCP. `input_schema` is both schemas in one flat object, as a call takes it."""

    name: str
    title: str
    description: str
    resource: str
    method: str
    access: Literal["read", "write"]
    tags: list[str]
    required: list[str]
    query_schema: dict[str, Any]
    body_schema: dict[str, Any]
    input_schema: dict[str, Any]
    response_schema: dict[str, Any] | None
    call: str


class ErrorBody(BaseModel):
    """Every error of this API. Of a failed upstream call the last three say what the upstream answered."""

    model_config = ConfigDict(extra="forbid")

    statusCode: int  # noqa: N815 - the name on the wire
    error: str
    message: str
    details: Any = None
    is_remote_error: bool | None = None
    raw_response: Any = None
    rate_limit: dict[str, int | None] | None = None


Listed = TypeVar("Listed")


class Page(BaseModel, Generic[Listed]):
    """One page of a listing; pass `next_cursor` back unchanged for the next one, null = there is none."""

    result: list[Listed]
    next_cursor: str | None


Read = TypeVar("Read", bound=Body)


def read(model: type[Read], raw: bytes) -> Read:
    """A request body. Raises Invalid with every problem."""
    document = read_object(raw)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid([_problem(model, entry) for entry in error.errors()]) from None


def read_object(raw: bytes) -> dict[str, Json]:
    """A JSON object that UTF-8 can hold. Raises Invalid."""
    document = read_json(raw)
    if not isinstance(document, dict):
        raise Invalid(f"the request body is {_kind(document)}; it must be a JSON object")
    return document


def read_json(raw: bytes) -> Json:
    """Any JSON value that UTF-8 can hold. Raises Invalid."""
    try:
        document = json.loads(raw, parse_constant=_no_constant)
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeError:
        raise Invalid("the request body is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise Invalid(
            f"the request body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError):
        raise Invalid("the request body is not JSON: a number is out of range, or it is nested too deep") from None
    return document


def nearest(word: str, valid: Sequence[str]) -> str:
    """`; did you mean "x"? valid: a, x` for the words that would have been valid."""
    close = get_close_matches(word, valid, n=1, cutoff=0.6)
    suggestion = f'; did you mean "{close[0]}"?' if close else ";"
    return f"{suggestion} valid: {', '.join(valid) or 'none'}"


def show(value: Json) -> str:
    """A value as a message repeats it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "..."


_MUST_BE = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}


def _problem(model: type[Body], error: Mapping[str, Any]) -> str:
    """One pydantic error in our words."""
    path = [str(step) for step in error["loc"] if step != "[key]"]
    where = ".".join(path)
    kind, context = error["type"], error.get("ctx", {})
    value = "not right" if path[:1] == ["credentials"] else show(error["input"])
    match kind:
        case "extra_forbidden":
            return f"{where}: unknown key{nearest(path[-1], _keys(model, path[:-1]))}"
        case "missing":
            return f"{where}: missing; {_purpose(model, where)}"
        case "literal_error":
            options = [option for option in ("manage", "connect") if option in context["expected"]]
            return f"{where} is {value}{nearest(str(error['input']), options)}"
        case "string_too_short" | "too_short":
            return f"{where} is empty; it needs at least one {'character' if kind[0] == 's' else 'entry'}"
        case "string_too_long":
            return f"{where} is {len(error['input'])} characters long; at most {context['max_length']} are taken"
        case "too_long":
            return f"{where} has {len(error['input'])} entries; at most {context['max_length']} are taken"
        case "greater_than_equal" | "less_than_equal":
            return f"{where} is {value}; it must be a whole number from 0 to {MAX_GRACE_SECONDS}"
        case "string_pattern_mismatch":
            return (
                f"{where} is {value}; an id is letters, digits, - and _, at most 64, and starts with a letter or digit"
            )
        case "value_error":
            return f"{where} is {value}; {context['error']}"
        case _ if kind in _MUST_BE:
            return f"{where} is {value}; it must be {_MUST_BE[kind]}"
        case _:
            return f"{where} is {value}; {error['msg']}"


_PURPOSES = {
    "integration": "which API this account is of, as mem0",
    "credentials": 'the integration\'s credential fields, as {"api_key": "..."}',
    "name": "any text that tells it from the others",
    "scopes": 'what the token is for, as ["connect"]; valid: manage, connect',
}


def _purpose(model: type[Body], where: str) -> str:
    assert model.model_fields[where].is_required()
    return _PURPOSES[where]


def _keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Valid keys of the object at `path`."""
    for step in path:
        annotation = model.model_fields[step].annotation
        model = next(kind for kind in (annotation, *get_args(annotation)) if _is_model(kind))
    return list(model.model_fields)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kind(value: Json) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _no_constant(name: str) -> Json:
    raise ValueError(name)
