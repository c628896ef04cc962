"""What every part of the HTTP contract shares: strict bodies, the types of common members, pages and errors.

A string is not a number, and an unknown key is refused with the nearest valid name. Descriptions and limits stand in
the models alone: the OpenAPI document and the error messages are both made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from functions.admin_api.ids import ID, ID_RULE
from functions.admin_api.names import NAME_RULE, is_name
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json

MAX_NAME_CHARS = 200
"""Characters of a name that an operator gives: enough for a sentence, and short enough for a table."""

MAX_WORD_CHARS = 128
"""Characters of one word of a config: the longest tool name a client accepts."""

MAX_LISTED = 200
"""Entries of one list in a config: more than the tools of any catalogue that fits a model's context."""

MAX_LIMITS = 50
"""Accounts or servers that one API token can be limited to: they are part of its item, which every request reads."""

MAX_PAGE, DEFAULT_PAGE = 100, 25
"""Entries of one page of a listing: the most, and without `limit`."""


def _time(value: Json) -> datetime:
    example = "e.g. 2026-12-31T23:59:59Z"
    if not isinstance(value, str):
        raise ValueError(f"it must be an ISO 8601 time in UTC, {example}, or null for never")
    try:
        return read_time(value)
    except (ValueError, OverflowError) as error:
        reason = "it has no offset from UTC" if "offset" in str(error) else "it is not an ISO 8601 time"
        raise ValueError(f"{reason}; write it in UTC, {example}, or null for never") from None


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError(NAME_RULE)
    return value


def _identifier(value: str) -> str:
    if not ID.fullmatch(value):
        raise ValueError(ID_RULE)
    return value


Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_NAME_CHARS,
        description=f"A name for people, 1 to {MAX_NAME_CHARS} characters.",
    ),
    AfterValidator(_name),
]
"""It is unique among its kind, and can stand for the id in a path."""

Reference = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
"""An id or a name."""

Identifier = Annotated[
    str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": f"^{ID.pattern}$", "maxLength": 64})
]
Moment = Annotated[
    datetime, BeforeValidator(_time, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
Word = Annotated[str, Field(min_length=1, max_length=MAX_WORD_CHARS)]
Arguments = dict[str, Any]


class Body(BaseModel):
    """A request body: strict, unknown keys refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


def _without_defaults(schema: dict[str, Any]) -> None:
    for described in schema["properties"].values():
        described.pop("default", None)


class Changes(Body):
    """A body whose absent keys leave their values as they are."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


class ErrorBody(BaseModel):
    """Every error of this API. The last three members describe a failed upstream call."""

    model_config = ConfigDict(extra="forbid")

    statusCode: int  # noqa: N815 - the name on the wire
    error: str = Field(description="The name of the status.")
    message: str = Field(description="What was wrong, where, and what is valid. It never repeats a secret.")
    details: Any = None
    is_remote_error: bool | None = Field(default=None, description="True when the upstream reported the error.")
    raw_response: Any = Field(default=None, description="The upstream's own body.")
    rate_limit: dict[str, int | None] | None = Field(default=None, description="The upstream's rate limit.")


def in_a_sentence(description: str) -> str:
    """A description as the end of a sentence."""
    return description[0].lower() + description[1:].rstrip(".")


@dataclass(frozen=True, slots=True)
class Changed:
    """One change of a bulk operation, as the log shows it. `error` is the class of the error, "" for a success."""

    action: str
    account_id: str
    server_id: str
    labels: Mapping[str, str]
    status: int
    error: str = ""


Listed = TypeVar("Listed")


class Several(BaseModel):
    """The answer of a bulk operation. Each change in it has a log entry of its own."""

    def changes(self) -> list[Changed]:
        """What was changed, and what could not be changed."""
        raise NotImplementedError


class Page(BaseModel, Generic[Listed]):
    """One page of a listing."""

    result: list[Listed]
    next_cursor: str | None = Field(description="Pass it back unchanged for the next page. Null on the last page.")
