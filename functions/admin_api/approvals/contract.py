"""Bodies and answers of the two operations on a call that waits for an approval."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from functions.admin_api.contract import Body


class ApprovalCode(Body):
    """Name the call."""

    code: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="The code in the refusal.")


class Approval(BaseModel):
    """A call that waits for an approval, or has one. Once the call is made, it is no longer found."""

    server: str = Field(description="Name of the MCP server.")
    tool: str
    title: str
    arguments: str = Field(description="The arguments as JSON text, at most the first 2,000 characters.")
    arguments_chars: int = Field(description="Characters of the whole text. The approval covers all of them.")
    touches: str = Field(description='What the call would touch, e.g. "12 memories". Empty where it is not known.')
    shown: Any = Field(default=None, description="The upstream's own view of the one object that is touched.")
    expires_at: str = Field(description="Until then the call can be approved and made.")
    approved_by: str | None = Field(description="Id of the API token that approved it. Null while it waits.")
