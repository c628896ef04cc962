"""tools/list and tools/call: one straight line each."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from functions.gateway import audit, credentials, errors, json_text, selection
from functions.gateway.call import Caller, call
from functions.gateway.grants import Grant, write_time
from functions.gateway.http_frame import log_detail
from functions.gateway.json_text import Json
from functions.gateway.prepared import prepare
from functions.gateway.rate_limits import RateLimit
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.mcp_endpoint import parameter_headers
from functions.mcp_endpoint.protocol import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, Call, RpcError
from tool_catalog.catalog import Catalog

LISTING_TTL_MS = 60_000
"""How long a client may keep a listing, in ms. A changed filter holds for calls at once."""

PAGE_BYTES = 4_000_000
"""Size of a listing's page; a Lambda answers with 6 MB at most, and its event format escapes every quote."""

LISTINGS_KEPT = 128
"""Listings kept per process, some 100 kB each; the oldest goes first."""

NOTICE = timedelta(minutes=10)
"""From so long before a server's expiry on, every result tells the model about it."""

ONE_TEXT_BLOCK = ("search", "fetch")
"""Tools that ChatGPT's deep research and company knowledge call by these names; they read one text block as JSON."""

LOGGED_NAME_CHARS = 64
"""Characters kept of a tool's or client's name, which the caller chooses."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tools/call on its way. `deadline` is on the clock of `time.monotonic()`, in seconds."""

    request: Call
    name: str
    arguments: Mapping[str, Json] = field(repr=False)
    server: Grant
    catalog: Catalog
    token: str = field(repr=False)
    now: datetime
    deadline: float
    monotonic: Callable[[], float]
    sender: Sender
    settings: Settings
    audit: audit.Audit | None
    request_id: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Members of a CallToolResult, and what the upstream said about its rate limit."""

    members: dict[str, Json]
    rate_limit: RateLimit | None = None


Execute = Callable[[ToolCall], Awaitable[Outcome]]
"""Carries out a call. Raises RpcError."""


class Listings:
    """The content of `tools` for every server seen, frozen as bytes and split into pages."""

    def __init__(self, page_bytes: int = PAGE_BYTES, kept: int = LISTINGS_KEPT) -> None:
        self._page_bytes = page_bytes
        self._kept = kept
        self._pages: dict[tuple[str, int], tuple[bytes, ...]] = {}

    def page(
        self, server: Grant, catalog: Catalog, token_digest: str, cursor: str | None
    ) -> tuple[bytes, dict[str, Json]]:
        """One page and, where there is another, `{"nextCursor": ...}`. Raises RpcError for a cursor we did not give."""
        key = (token_digest, server.revision)
        pages = self._pages.get(key)
        if pages is None:
            while len(self._pages) >= self._kept:
                del self._pages[next(iter(self._pages))]
            pages = self._pages[key] = self._split(server, catalog)
        number = 0 if cursor is None else _cursors(server, len(pages)).get(cursor, -1)
        if number < 0:
            raise RpcError(INVALID_PARAMS, "Invalid params: this cursor is not valid; list again without a cursor")
        following = {number: text for text, number in _cursors(server, len(pages)).items()}.get(number + 1)
        return pages[number], {"nextCursor": following} if following else {}

    def _split(self, server: Grant, catalog: Catalog) -> tuple[bytes, ...]:
        pages: list[list[bytes]] = [[]]
        size = 0
        for tool in selection.visible(catalog, server.config):
            wire = prepare(tool, server.config).wire
            if pages[-1] and size + len(wire) > self._page_bytes:
                pages.append([])
                size = 0
            pages[-1].append(wire)
            size += len(wire) + 1
        return tuple(b",".join(page) for page in pages)


def _cursors(server: Grant, pages: int) -> dict[str, int]:
    """Cursor -> number of the page, for every page but the first. A changed server has other cursors."""
    return {f"{server.revision}-{number}": number for number in range(1, pages)}


def ttl_ms(server: Grant, now: datetime) -> int:
    """How long a listing of this server may be kept: never beyond its end."""
    if server.expires_at is None:
        return LISTING_TTL_MS
    return min(LISTING_TTL_MS, int((server.expires_at - now) / timedelta(milliseconds=1)))


def instructions(server: Grant, catalog: Catalog) -> str:
    """What a host tells its model about this server."""
    sentences = [catalog.instructions]
    if server.config.pins:
        # First, for a host may show its model the first 512 characters only.
        pins = ", ".join(server.config.pins)
        sentences.insert(0, f"Pinned server: it fills {pins} in on every call, so leave that out.")
    if server.expires_at is not None:
        sentences.append(f"This server stops working at {write_time(server.expires_at)}.")
    return " ".join(filter(None, sentences))


async def call_tool(tool_call: ToolCall, execute: Execute) -> Outcome:
    """Answer a tools/call. Raises RpcError."""
    server, now = tool_call.server, tool_call.now
    if tool_call.request.modern:
        _check_parameter_headers(tool_call)
    outcome = await execute(tool_call)
    members = dict(outcome.members)
    meta: dict[str, Json] = dict(members.get("_meta", {}))
    if outcome.rate_limit is not None:
        meta["postern/rate-limit"] = outcome.rate_limit.to_json()
    if server.expires_at is not None:
        end = meta["postern/expires-at"] = write_time(server.expires_at)
        if server.expires_at - now <= NOTICE and "content" in members and tool_call.name not in ONE_TEXT_BLOCK:
            notice = f"This MCP server stops working at {end}; finish or tell the user before then."
            members["content"] = [*members["content"], {"type": "text", "text": notice}]
    if meta:
        members["_meta"] = meta
    return Outcome(members, outcome.rate_limit)


def _check_parameter_headers(tool_call: ToolCall) -> None:
    """Raises RpcError where a header that mirrors an argument differs from it."""
    if not (tool_call.arguments or tool_call.request.parameter_headers):
        return
    try:
        prepared = selection.find(tool_call.catalog, tool_call.server.config, tool_call.name)
    except errors.UnknownTool:
        return  # told by the call itself
    if parameter_headers.MARK.encode() not in prepared.wire:
        return
    problem = parameter_headers.problem(
        prepared.definition["inputSchema"], tool_call.arguments, tool_call.request.parameter_headers
    )
    if problem:
        raise RpcError(HEADER_MISMATCH, f"Header mismatch: {problem}")


async def execute(tool_call: ToolCall) -> Outcome:
    """The call line of the gateway, its failures told to the model, and one audit record of how it ended."""
    server = tool_call.server
    try:
        credential = credentials.open_with_token(
            server.sealed_credential, server.sealed_data_key, tool_call.token, server.account_id
        )
    except credentials.SealError:
        logger.error("the sealed credential of server %s does not open with its token", server.id)
        raise RpcError(
            INTERNAL_ERROR, "This server's stored credential does not open; its operator should mint a new URL"
        ) from None
    caller = Caller(
        server=server,
        catalog=tool_call.catalog,
        credential=credential,
        sender=tool_call.sender,
        settings=tool_call.settings,
        now=tool_call.now,
        deadline=tool_call.deadline,
        trace=tool_call.request.trace,
    )
    started = tool_call.monotonic()
    failure: errors.PosternError | None = None
    try:
        answer = await call(caller, tool_call.name, tool_call.arguments)
        body, rate_limit = answer.body, answer.rate_limit
    except errors.UnknownTool as unknown:
        failure = unknown
    except errors.ToolFailure as failed:
        log_detail(failed, tool_call.request_id)
        failure = failed
        body, rate_limit = errors.tool_result(failed), failed.rate_limit
    text = "" if isinstance(failure, errors.UnknownTool) else json_text.text(body)
    _record(tool_call, caller, failure, len(text.encode("utf-8", "replace")), tool_call.monotonic() - started)
    if isinstance(failure, errors.UnknownTool):
        fault = errors.jsonrpc(failure)
        raise RpcError(fault["code"], f"Unknown tool: {fault['message']}")
    members: dict[str, Json] = {"content": [{"type": "text", "text": text}], "isError": failure is not None}
    if failure is None:
        # Not with an error: the TypeScript SDK 1.x checks structuredContent against outputSchema even then, and throws
        # its own complaint in place of what went wrong.
        members["structuredContent"] = body
    return Outcome(members, rate_limit)


def _record(
    tool_call: ToolCall, caller: Caller, failure: errors.PosternError | None, size: int, seconds: float
) -> None:
    """One audit record of a call, and the account's state where the upstream refused its credential."""
    if tool_call.audit is None:
        return
    server, upstream = tool_call.server, caller.upstream
    tool = tool_call.catalog.tools.get(tool_call.name)
    name, _, version = (tool_call.request.client or tool_call.user_agent).partition("/")
    refused = isinstance(failure, errors.UnknownTool)
    status = failure.status_code if isinstance(failure, errors.ToolFailure) else 404 if refused else 200
    tool_call.audit.record(
        audit.CallRecord(
            time=tool_call.now,
            request_id=tool_call.request_id,
            plane="mcp",
            server_id=server.id,
            account_id=server.account_id,
            integration=server.integration,
            tool=tool_call.name[:LOGGED_NAME_CHARS],
            method=tool.method if tool else "",
            access=tool.access if tool else "",
            outcome="refused" if refused else "error" if failure else "ok",
            status=status,
            error=type(failure).__name__ if failure else "",
            upstream_status=upstream.status,
            upstream_requests=upstream.requests,
            duration_ms=seconds * 1000,
            upstream_ms=upstream.seconds * 1000,
            result_bytes=size,
            client_name=name[:LOGGED_NAME_CHARS],
            client_version=version[:LOGGED_NAME_CHARS],
            argument_hash=audit.argument_hash(tool_call.arguments, credentials.token_key(tool_call.token)),
        )
    )
    if upstream.status == 401:
        tool_call.audit.needs_reauth(server, tool_call.now)
