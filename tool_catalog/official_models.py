"""The official models of MCP, as a rule of the gate: what they refuse or lose, a client may never see."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic
from mcp_types.methods import serialize_server_result

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.schemas import Place

SERVED_REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
"""MCP revisions whose official models every compiled tool must pass."""

_ENVELOPES = {"2026-07-28": {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}}
"""Revision -> what a listing needs in addition to its tools."""


def check_definition(definition: Mapping[str, Json], place: Place, gate: Gate) -> None:
    """The models of every revision that is served accept the tool, and keep all of it."""
    for revision in SERVED_REVISIONS:
        listed = {"tools": [definition], **_ENVELOPES.get(revision, {})}
        try:
            served = serialize_server_result("tools/list", revision, listed)
        except pydantic.ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(map(str, detail["loc"]))
            gate.report(place, f"MCP {revision} refuses the tool: {where}: {detail['msg']}")
            continue
        if served["tools"] != listed["tools"]:
            gate.report(place, f"MCP {revision} would lose a part of the tool's definition")
