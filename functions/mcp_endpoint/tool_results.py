"""The CallToolResult of a call: its outcome as text, and what stands in `_meta`, where no upstream can write."""

from __future__ import annotations

from datetime import datetime, timedelta

from functions.gateway.errors import ConfirmationNeeded
from functions.gateway.grants import Grant, write_time
from functions.gateway.json_text import Json, sendable
from functions.gateway.outcomes import Done, Failed, UnknownTool

NOTICE = timedelta(minutes=10)
"""In this time before a server's expiry, every result reminds the model of it."""

ONE_TEXT_BLOCK = ("search", "fetch")
"""Tools that ChatGPT's deep research and company knowledge call by these names; they read one text block as JSON."""


def written(outcome: Done | Failed | UnknownTool) -> str:
    """The text that a result holds, as JSON; "" where the answer is not a result."""
    match outcome:
        case Done():
            return sendable(outcome.body)
        case Failed():
            return sendable(outcome.envelope())
        case UnknownTool():
            return ""


def members(outcome: Done | Failed, written: str, grant: Grant, now: datetime) -> dict[str, Json]:
    """The CallToolResult without its structuredContent: the outcome as text, the upstream's rate limit, and when the
    server ends."""
    content = [{"type": "text", "text": written}]
    meta: dict[str, Json] = {}
    if outcome.trace.rate_limit is not None:
        meta["postern/rate-limit"] = outcome.trace.rate_limit.to_json()
    expires_at = grant.expires_at
    if expires_at is not None:
        end = meta["postern/expires-at"] = write_time(expires_at)
        if expires_at - now <= NOTICE and outcome.tool.name not in ONE_TEXT_BLOCK:
            notice = f"This MCP server stops working at {end}; finish or tell the user before then."
            content.append({"type": "text", "text": notice})
    found: dict[str, Json] = {"content": content, "isError": isinstance(outcome, Failed)}
    if isinstance(outcome, Done) and outcome.settled:
        meta["postern/settled"] = list(outcome.settled)
    if isinstance(outcome, Failed) and isinstance(outcome.failure, ConfirmationNeeded):
        meta["postern/confirmation"] = outcome.failure.to_json()
    return found | ({"_meta": meta} if meta else {})
