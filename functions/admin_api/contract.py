"""What every part of the HTTP contract shares: strict bodies, the types of common members, pages and errors.

A string is not a number, and an unknown key is refused with the nearest valid name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from functions.admin_api.ids import ID
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json

MAX_NAME_CHARS = 200


def _time(value: Json) -> datetime:
    example = "as 2026-12-31T23:59:59Z"
    if not isinstance(value, str):
        raise ValueError(f"it must be an ISO 8601 time in UTC, {example}, or null for never")
    try:
        return read_time(value)
    except (ValueError, OverflowError) as error:
        reason = "it has no offset from UTC" if "offset" in str(error) else "it is not an ISO 8601 time"
        raise ValueError(f"{reason}; write it {example}, or null for never") from None


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
Identifier = Annotated[str, Field(pattern=rf"^{ID.pattern}$", max_length=64)]
Moment = Annotated[
    datetime, BeforeValidator(_time, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
Word = Annotated[str, Field(min_length=1, max_length=128)]
Arguments = dict[str, Any]


class Body(BaseModel):
    """A request body: strict, unknown keys refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


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
