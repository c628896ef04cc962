"""The HTTP side of the endpoint: who may come in, and in what shape.

=========================================  ============================================================================
`POST /mcp/{token}`                        the endpoint, with and without a slash at the end; never a redirect
`POST /mcp`                                the same, the token in `Authorization: Bearer` or `X-API-Key`
`OPTIONS` of any path                      204 with CORS headers
`GET /health`                              200 while the process answers
`GET /.well-known/openai-apps-challenge`   the text of settings.openai_apps_challenge
anything else                              404; clients look for OAuth metadata and must find plainly none
=========================================  ============================================================================

A dead token of any kind is a 404 with one fixed JSON-RPC error. There is never a 401 and never a WWW-Authenticate: both
make clients start an OAuth sign-in that does not exist. Every answer, refusals included, carries CORS headers.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from functions.gateway import errors, json_text
from functions.gateway.audit import Audit
from functions.gateway.grants import API_TOKEN_PREFIX, TOKEN, ApiToken, Grant, digest, is_live
from functions.gateway.http_frame import Frame, bearer
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.mcp_endpoint import protocol, tools
from functions.mcp_endpoint.protocol import Call, Notification, Refusal, RpcError
from functions.stores import layout
from functions.stores.store import Item, Key, StoreUnavailable
from tool_catalog import catalog as catalogs
from tool_catalog.catalog import Catalog

JSON = "application/json"

DEAD = "This MCP URL is unknown, revoked or expired; ask whoever gave it to you for a new one"
MISSING = "No MCP token; send it in the path (/mcp/TOKEN), as Authorization: Bearer TOKEN, or as X-API-Key: TOKEN"
NO_SECOND_FACTOR = (
    "This MCP server also asks for an API token; send one as Authorization: Bearer pst_... (or as X-API-Key where "
    "Authorization holds the MCP token). Its operator can issue one"
)
WRONG_SECOND_FACTOR = (
    "The API token was not accepted: it is unknown, revoked, expired or not for this server. Its operator can issue one"
)

ALLOWED_HEADERS = (
    "accept, authorization, baggage, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, "
    "mcp-session-id, traceparent, tracestate, x-api-key"
)
"""What a browser may send, besides the `mcp-param-*` headers it asks for. `*` would not cover Authorization."""

EXPOSED_HEADERS = "ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after"

PREFLIGHT_SECONDS = "7200"
"""How long a browser may keep a preflight; the most that Chromium takes."""

logger = logging.getLogger(__name__)


class Reads(Protocol):
    """The part of the store contract that the hot path needs."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The endpoint as an ASGI application. It has no start-up and no shut-down: lifespan events are left unanswered.

    `audit`         writes a record of each tool call; None = none is written.
    `load_catalog`  name of an integration -> its catalogue. Raises CatalogError.
    `execute`       carries out a tools/call.
    `new_id`        id of a request in the log where the platform gives none.
    """

    settings: Settings
    store: Reads
    sender: Sender
    audit: Audit | None = None
    load_catalog: Callable[[str], Catalog] = catalogs.load
    execute: tools.Execute = tools.execute
    listings: tools.Listings = field(default_factory=tools.Listings)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = lambda: os.urandom(8).hex()
    frame: Frame = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", Frame(self.settings, _failure, self.new_id))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await self.answer(Request(scope, receive))
            await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """Any request, its answer dressed with the headers that every answer carries."""
        response = await self.frame.answer(request, self._answer)
        origin = request.headers.get("origin")
        allowed = self.settings.allowed_origins
        if "*" in allowed:
            response.headers["access-control-allow-origin"] = "*"
        else:
            response.headers["vary"] = "Origin"
            if origin in allowed:
                response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = EXPOSED_HEADERS
        return response

    async def _answer(self, request: Request) -> Response:
        return self._foreign(request, request.headers.get("origin")) or await self._routed(request)

    def _foreign(self, request: Request, origin: str | None) -> Response | None:
        """The refusal of a host or origin that is not served."""
        hosts, origins = self.settings.allowed_hosts, self.settings.allowed_origins
        host = request.headers.get("host", "").lower()
        if hosts and host not in hosts and host.rpartition(":")[0] not in hosts:
            return _json(421, protocol.error(42101, "This host name is not served here"))
        if origin is not None and "*" not in origins and origin not in origins:
            return _refuse(errors.Forbidden("This origin is not allowed here"))
        return None

    async def _routed(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight(request)
        match request.scope["path"].removesuffix("/").split("/")[1:]:
            case ["mcp", token]:
                return await self._post(request, token)
            case ["mcp"]:
                return await self._post(request, None)
            case ["health"]:
                return _json(200, b'{"status":"ok"}')
            case [".well-known", "openai-apps-challenge"] if self.settings.openai_apps_challenge:
                return Response(self.settings.openai_apps_challenge, media_type="text/plain")
        status, body, _ = errors.http(errors.NotFound("There is nothing here; the endpoint is POST /mcp/{token}"))
        return _json(status, json_text.encode(body))

    async def _post(self, request: Request, path_token: str | None) -> Response:
        """From a request at the endpoint to its answer: every refusal in its order, then the method."""
        if request.method != "POST":
            refusal = _json(405, protocol.error(40501, "Only POST is served here: JSON answers, no event stream"))
            refusal.headers["allow"] = "POST, OPTIONS"
            return refusal
        media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != JSON:
            return _refuse(errors.WrongMediaType("Send the message as Content-Type: application/json"))
        body = await self.frame.body(request)
        now = self.clock()
        presented = _presented(request)
        token = path_token if path_token is not None else next(filter(TOKEN.fullmatch, presented), "")
        others = [secret for secret in presented if secret != token]
        api_token = next((secret for secret in others if secret.startswith(API_TOKEN_PREFIX)), next(iter(others), None))
        try:
            server = self._admit(token, api_token, bool(presented), now)
        except errors.Refused as refused:
            return _refuse(refused, protocol.request_id(body))
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers.raw]
        message = protocol.read(headers, body)
        if isinstance(message, Notification):
            return Response(status_code=202)
        if isinstance(message, Refusal):
            return _json(message.status, protocol.error(message.code, message.message, message.id, message.data))
        try:
            return await self._method(message, server, token, now, request)
        except RpcError as error:
            content = protocol.error(error.code, error.message, message.id, error.data)
            return _json(protocol.status(message, error.code), content)

    def _admit(self, token: str, api_token: str | None, presented: bool, now: datetime) -> Grant:
        """The live server of a token, its second factor checked. One read. Raises Refused."""
        if not TOKEN.fullmatch(token):
            raise errors.NotFound(DEAD if token or presented else MISSING)
        keys = [layout.token(digest(token))]
        if api_token is not None:
            keys.append(layout.api_token(digest(api_token)))
        try:
            items = self.store.get(keys)
        except StoreUnavailable as outage:
            logger.warning("the store is unavailable: %s", outage)
            raise errors.Unavailable(
                f"This endpoint cannot look up URLs at the moment; try again in {outage.retry_after} s",
                retry_after=outage.retry_after,
            ) from outage
        if items[0] is None:
            raise errors.NotFound(DEAD)
        server = Grant.from_json(items[0].body, items[0].version)
        if not is_live(server, now):
            logger.info("server %s was called after its expiry", server.id)
            raise errors.NotFound(DEAD)
        if server.config.require_api_token_auth:
            if api_token is None:
                raise errors.Forbidden(NO_SECOND_FACTOR)
            second = ApiToken.from_json(items[1].body) if items[1] is not None else None
            if second is None or not is_live(second, now) or not second.covers(server):
                logger.info("server %s was called with an API token that is not accepted", server.id)
                raise errors.Forbidden(WRONG_SECOND_FACTOR)
        return server

    async def _method(self, call: Call, server: Grant, token: str, now: datetime, request: Request) -> Response:
        """Carry out one method. Raises RpcError."""
        try:
            catalog = self.load_catalog(server.integration)
        except catalogs.CatalogError as missing:
            logger.error("server %s: %s", server.id, missing)
            raise RpcError(
                protocol.INTERNAL_ERROR, f'This deployment has no integration "{server.integration}"'
            ) from missing
        frozen: bytes | None = None
        headers: Mapping[str, str] = {}
        members: dict[str, Any]
        match call.method, call.modern:
            case "initialize", False:
                text = tools.instructions(server, catalog)
                members = protocol.initialize(call, title=server.name, instructions=text)
            case "ping", False:
                members = {}
            case "server/discover", True:
                text = tools.instructions(server, catalog)
                members = protocol.discover(instructions=text, ttl_ms=tools.ttl_ms(server, now))
            case "tools/list", modern:
                frozen, members = self.listings.page(server, catalog, digest(token), call.params.get("cursor"))
                if modern:
                    members |= {"ttlMs": tools.ttl_ms(server, now), "cacheScope": "private"}
            case "tools/call", _:
                outcome = await tools.call_tool(
                    tools.ToolCall(
                        request=call,
                        name=call.params["name"],
                        arguments=call.params.get("arguments") or {},
                        server=server,
                        catalog=catalog,
                        token=token,
                        now=now,
                        deadline=self.frame.deadline(request),
                        monotonic=self.monotonic,
                        sender=self.sender,
                        settings=self.settings,
                        audit=self.audit,
                        request_id=self.frame.request_id(request),
                        user_agent=request.headers.get("user-agent", ""),
                    ),
                    self.execute,
                )
                members = outcome.members
                headers = outcome.rate_limit.headers() if outcome.rate_limit else {}
            case _:
                raise AssertionError("protocol.read lets no other method through")
        return _json(200, protocol.result(call, members, title=server.name, tools=frozen), headers)


def _presented(request: Request) -> list[str]:
    """The secrets in the headers: `Authorization: Bearer`, then `X-API-Key`."""
    presented = [bearer(request.headers.get("authorization")), request.headers.get("x-api-key", "").strip()]
    return [secret for secret in presented if secret]


def _preflight(request: Request) -> Response:
    asked = request.headers.get("access-control-request-headers", "")
    mirrored = [
        name for name in asked.lower().replace(" ", "").split(",") if name.startswith(protocol.PARAMETER_HEADER)
    ]
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "POST, GET, OPTIONS",
            "access-control-allow-headers": ", ".join([ALLOWED_HEADERS, *mirrored]),
            "access-control-max-age": PREFLIGHT_SECONDS,
        },
    )


def _refuse(error: errors.Refused, id: protocol.RequestId | None = None) -> Response:
    """A refusal of the transport, readable as JSON-RPC."""
    status, _, headers = errors.http(error)
    fault = errors.jsonrpc(error)
    return _json(status, protocol.error(fault["code"], fault["message"], id), headers)


def _failure(error: errors.PosternError) -> Response:
    """The response to an error that no method answered: a refusal, or a fault of ours that shows nothing."""
    if isinstance(error, errors.Refused):
        return _refuse(error)
    return _json(500, protocol.error(protocol.INTERNAL_ERROR, "Internal error"))


def _json(status: int, content: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, status, headers, media_type=JSON)
