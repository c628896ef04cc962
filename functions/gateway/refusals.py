"""What the caller is told when an upstream says no: its own words, what they mean for the call, and what to do.

Error bodies have no common shape even within one API; the words are looked for in the places where APIs put them.
"""

from __future__ import annotations

from functions.gateway import json_text
from functions.gateway.errors import ToolFailure, UpstreamRefused, UpstreamUnreadable
from functions.gateway.json_text import Json
from functions.gateway.rate_limits import RateLimit
from functions.gateway.results import Cut, capped
from functions.gateway.upstream import UpstreamResponse
from tool_catalog.catalog import Catalog, Tool

SAID_CHARS = 1_000
"""Characters of the upstream's words that a message repeats."""

RAW_BYTES = 8_000
"""Bytes of an upstream's error body that are passed on whole; of a larger one only its words."""

READ_BYTES = 32_000
"""Bytes of an error body in which its words are looked for."""

SAID_DEPTH = 8
"""Levels of an error body in which its words are looked for."""

_WORDS = ("detail", "message", "error", "error_description", "errors", "details", "title")


def explain(tool: Tool, catalog: Catalog, response: UpstreamResponse, rate_limit: RateLimit | None) -> ToolFailure:
    """The failure that stands for an answer of status 300 or above."""
    status = response.status
    if status < 400:
        return UpstreamUnreadable(
            f"{tool.name}: {catalog.label} answered with a redirect ({status}), which is not followed; "
            "an operator should check the account's base URL",
            upstream_status=status,
            rate_limit=rate_limit,
        )
    document = _document(response)
    said = _said(document, SAID_DEPTH)
    quoted = f': "{said[:SAID_CHARS]}"' if said else ""
    if status >= 600:
        return UpstreamUnreadable(
            f"{tool.name}: {catalog.label} answered with status {status}, which HTTP does not have{quoted}; "
            f"{_effect(tool)}",
            upstream_status=status,
            rate_limit=rate_limit,
        )
    return UpstreamRefused(
        f"{tool.name}: {_meaning(tool, catalog, status, quoted, rate_limit)}",
        raw_response=document if len(response.body) <= RAW_BYTES else None,
        rate_limit=rate_limit,
        upstream_status=status,
    )


def _meaning(tool: Tool, catalog: Catalog, status: int, quoted: str, rate_limit: RateLimit | None) -> str:
    label = catalog.label
    if status == 401:
        return (
            f"{label} refused this account's credential (401){quoted}. "
            "Repeating the call will not help; an operator must reconnect the account"
        )
    if status == 403:
        return f"{label} does not allow this account to do that (403){quoted}"
    if status == 404:
        return f"{label} has no such thing (404){quoted}. Check the ids; list or search to find valid ones"
    if status == 409:
        return f"{label} sees a conflict with what is there (409){quoted}. Read the present state, then decide again"
    if status == 429:
        wait = rate_limit.retry_after_seconds if rate_limit else None
        pause = f"wait {wait} s" if wait is not None else "wait (no time was given; start with 10 s and double it)"
        return f"{label} is limiting the rate of calls (429){quoted}. Nothing was done; {pause}, then repeat the call"
    if status >= 500 or status == 408:
        return f"{label} failed ({status}){quoted}; {_effect(tool)}"
    return f"{label} refused the request ({status}){quoted}. Correct the arguments; repeating them will not help"


def _effect(tool: Tool) -> str:
    if tool.access == "read":
        return "nothing was changed; try again later"
    return "whether it was carried out is unknown: look before you repeat it"


def _document(response: UpstreamResponse) -> Json:
    """The body as JSON, else as text; of an HTML page nothing, for it is written for browsers."""
    text = response.body[:READ_BYTES].decode("utf-8", "replace").strip()
    try:
        return capped(json_text.decode_lenient(text, any_number=True), RAW_BYTES, RAW_BYTES, Cut()) if text else None
    except (json_text.NotJson, UpstreamUnreadable):
        is_html = "html" in response.headers.get("content-type", "") or text[:1] == "<"
        return None if is_html else text[:SAID_CHARS]


def _said(document: Json, depth: int) -> str:
    """The human words of an error body."""
    if isinstance(document, str):
        return document
    if depth == 0:
        return ""
    if isinstance(document, list):
        return "; ".join(filter(None, (_said(entry, depth - 1) for entry in document)))
    if not isinstance(document, dict):
        return ""
    words = [_said(document[name], depth - 1) for name in _WORDS if name in document]
    if any(words):
        return ": ".join(dict.fromkeys(filter(None, words)))
    members = ((name, _said(value, depth - 1)) for name, value in document.items())
    return "; ".join(f"{name}: {said}" for name, said in members if said)
