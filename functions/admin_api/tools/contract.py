"""What the list of tools holds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class AgentTool(BaseModel):
    """A tool for agents without MCP."""

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
    input_schema: dict[str, Any] = Field(description="Both schemas as one flat object, which a call accepts.")
    response_schema: dict[str, Any] | None
    call: str = Field(description="Verb and path of the proxy call, e.g. GET /proxy/memories/{id}.")
