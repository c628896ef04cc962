"""What the list of tools answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


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
