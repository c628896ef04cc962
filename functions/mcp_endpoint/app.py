"""The HTTP side of the endpoint: paths, refusals of the transport, and the headers that browsers need.

=========================================  ============================================================================
`POST /mcp/{token}`                        the endpoint, with and without a slash at the end; never a redirect
`POST /mcp`                                the same, the token in `Authorization: Bearer` or `X-API-Key`
`GET` of both, accepting `text/html`       a page for people: how to add the URL to a client, and when it ends
`OPTIONS` of any path                      204 with CORS headers
`GET /health`                              200 while the process answers
`GET /.well-known/openai-apps-challenge`   the text of settings.openai_apps_challenge
`GET /.well-known/oauth-protected-resource/mcp/{token}`, and the same behind `/mcp/{token}`: see sign_in.py
anything else                              404; clients look for OAuth metadata and must find plainly none
=========================================  ============================================================================

A dead token of any kind gets one fixed JSON-RPC error: with HTTP 200 in answer to a legacy request, otherwise with 404
(`protocol.Asker` has the reason). Only a live server that offers OAuth answers 401 with WWW-Authenticate: elsewhere,
both would make clients start a sign-in that does not exist. Every answer, refusals included, carries CORS headers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from functions.gateway import errors, json_text
from functions.gateway.doorway import ANY, SECRET_HEADER, Doorway
from functions.gateway.http_frame import Frame, bearer, dressed
from functions.gateway.metrics import Batch, Count, uncounted
from functions.gateway.settings import Settings
from functions.gateway.value_classes import dataclass, field
from functions.mcp_endpoint import admission, protocol, sign_in
from functions.mcp_endpoint.admission import NotAdmitted, Reads, SignInNeeded
from functions.mcp_endpoint.http import Departed, Receive, Request, Response, Scope, Send, of_asgi, send_asgi
from functions.mcp_endpoint.methods import Methods, Visit
from functions.mcp_endpoint.protocol import Asker, Notification, Refusal, RpcError

if TYPE_CHECKING:
    from functions.mcp_endpoint.traces import Traces

JSON = "application/json"

NOBODY = Asker(None, False)
"""Who is refused before a message is read."""

ALLOWED_HEADERS = (
    "accept, authorization, baggage, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, "
    "mcp-session-id, traceparent, tracestate, x-api-key"
)
"""What a browser may send. `*` would not cover Authorization."""

EXPOSED_HEADERS = "mcp-session-id, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after"

PREFLIGHT_SECONDS = "7200"
"""How long a browser may keep a preflight; the most that Chromium takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The endpoint as an ASGI application. It has no start-up and no shut-down: lifespan events are left unanswered.

    `clock`   the present in UTC. `new_id`: the id of a request in the log where the platform gives none.
    `count`   counts the failures that are ours. `traces`: None where nothing is traced.
    """

    settings: Settings
    store: Reads
    methods: Methods
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_id: Callable[[], str] = lambda: os.urandom(8).hex()
    count: Count = uncounted
    traces: Traces | None = None
    frame: Frame[Response] = field(init=False)
    doorway: Doorway = field(init=False)
    dead: Batch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dead", Batch(self.count, "dead_urls"))
        object.__setattr__(
            self,
            "doorway",
            Doorway(self.settings.allowed_hosts, self.settings.allowed_origins, self.settings.origin_secret),
        )
        object.__setattr__(self, "frame", Frame(self.settings, _refuse, Departed, self.new_id, self.count))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send_asgi(await self.answer(of_asgi(scope, receive)), send)

    async def answer(self, request: Request) -> Response:
        """Any request, its answer dressed with the headers that every answer carries."""
        return self._shared(request, await self.frame.answer(request, self._routed))

    def refusal(self, request: Request, refused: errors.Refused) -> Response:
        """The answer to a request that is refused before it is read, e.g. because too many wait."""
        return self._shared(request, dressed(_refuse(refused)))

    def _shared(self, request: Request, response: Response) -> Response:
        """The response with what lets web pages read it."""
        origin = request.headers.get("origin")
        if ANY in self.doorway.origins:
            response.headers["access-control-allow-origin"] = ANY
        else:
            response.headers["vary"] = "Origin"
            if origin is not None and self.doorway.admits(origin):
                response.headers["access-control-allow-origin"] = origin
        also = response.headers.get("access-control-expose-headers")
        response.headers["access-control-expose-headers"] = f"{EXPOSED_HEADERS}, {also}" if also else EXPOSED_HEADERS
        return response

    async def _routed(self, request: Request) -> Response:
        self.doorway.check(
            request.values("host"),
            request.values("origin"),
            request.scope.get("aws.host", ""),
            request.headers.get(SECRET_HEADER, ""),
        )
        if request.method == "OPTIONS":
            return _preflight()
        match request.path.removesuffix("/").split("/")[1:]:
            case ["mcp", token]:
                return self._page(token) if _is_for_people(request) else await self._post(request, token)
            case ["mcp"]:
                return self._page("") if _is_for_people(request) else await self._post(request, None)
            case [".well-known", "oauth-protected-resource", "mcp", token] | [
                "mcp",
                token,
                ".well-known",
                "oauth-protected-resource",
            ] if described := sign_in.metadata(request, self.settings, self.store, token, self.clock()):
                return _json(200, described)
            case ["health"]:
                return _json(200, '{"status":"ok"}')
            case [".well-known", "openai-apps-challenge"] if self.settings.openai_apps_challenge:
                challenge = self.settings.openai_apps_challenge
                return Response(200, challenge, {"content-type": "text/plain; charset=utf-8"})
        # Not as JSON-RPC: clients look for OAuth metadata here.
        status, body, _ = errors.http(errors.NotFound("There is nothing here; the endpoint is POST /mcp/{token}"))
        return _json(status, json_text.sendable(body))

    def _page(self, token: str) -> Response:
        """The page of a token. Raises Unavailable while the store cannot be read."""
        from functions.mcp_endpoint.page import page  # late: no client asks for it

        try:
            return page(admission.admit(admission.presented(token, "", ""), self.store, self.clock()).grant)
        except NotAdmitted as refused:
            return page(refused.grant)
        except errors.NotFound:
            return page(None)

    async def _post(self, request: Request, path_token: str | None) -> Response:
        """From a request at the endpoint to its answer: every refusal in its order, then the method."""
        if request.method != "POST":
            refusal = _refuse(errors.WrongVerb("Only POST is served here: JSON answers, no event stream"))
            refusal.headers["allow"] = "POST, OPTIONS"
            return refusal
        media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != JSON:
            raise errors.WrongMediaType("Send the message as Content-Type: application/json")
        if self.traces is not None:
            self.traces.arrived(request)
        body = await self.frame.body(request)
        now = self.clock()
        secrets = admission.presented(
            path_token, bearer(request.headers.get("authorization")), request.headers.get("x-api-key", "").strip()
        )
        try:
            may_sign_in = sign_in.may_sign_in(request, self.settings, path_token, access_token=secrets.has_access_token)
            admitted = admission.admit(secrets, self.store, now, sign_in=may_sign_in)
        except errors.Refused as refused:
            if isinstance(refused, NotAdmitted):
                self.methods.write_refusal(
                    refused.grant, refused, now, self.frame.request_id(request), request.headers.get("user-agent", "")
                )
            self.frame.note(refused, refused.__cause__, request)
            asker = await self.methods.waits.in_turn(len(body), protocol.asker, request.lines, body)
            if asker.status(refused.status) == HTTPStatus.OK:
                self.dead.add()  # AWS counts answers of 4xx only
            refusal = _refuse(refused, asker)
            if isinstance(refused, SignInNeeded):
                refusal.headers.update(sign_in.challenge(request, self.settings, secrets.token, refused))
            return refusal
        message = await self.methods.waits.in_turn(len(body), protocol.read, request.lines, body)
        if isinstance(message, Notification):
            return Response(202)
        if isinstance(message, Refusal):
            if self.traces is not None:
                self.traces.refuse(request, message, admitted.grant, self.frame.request_id(request))
            return _json(message.status, protocol.error(message.code, message.message, message.id, message.data))
        visit = Visit(
            grant=admitted.grant,
            token=secrets.token,
            principal=admitted.principal,
            now=now,
            seconds_left=self.frame.seconds_left(request),
            request_id=self.frame.request_id(request),
            user_agent=request.headers.get("user-agent", ""),
        )
        try:
            if self.traces is None:
                result = await self.methods.answer(message, visit)
            else:
                result = await self.traces.answer(request, message, visit, self.methods)
        except RpcError as error:
            if error.code == errors.INTERNAL_ERROR:
                self.count("server_errors", error="RpcError", request_id=visit.request_id)
            content = protocol.error(error.code, error.message, message.id, error.data)
            return _json(protocol.status(message, error.code), content)
        content = protocol.result(message, result.members, title=admitted.grant.name, frozen=result.frozen)
        return _json(200, content, result.headers)


def _is_for_people(request: Request) -> bool:
    """True for the request of a browser. MCP clients never accept HTML."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "").lower()


def _preflight() -> Response:
    return Response(
        204,
        headers={
            "access-control-allow-methods": "POST, GET, OPTIONS",
            "access-control-allow-headers": ALLOWED_HEADERS,
            "access-control-max-age": PREFLIGHT_SECONDS,
        },
    )


def _refuse(error: errors.PosternError, asker: Asker = NOBODY) -> Response:
    """The answer to an error that no method answered: a refusal, or a fault of ours that shows nothing."""
    if not isinstance(error, errors.Refused):
        return _json(500, protocol.error(errors.INTERNAL_ERROR, "Internal error", asker.id))
    status, _, headers = errors.http(error)
    return _json(asker.status(status), protocol.error(errors.rpc_code(error), error.message, asker.id), headers)


def _json(status: int, content: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, content, {**(headers or {}), "content-type": JSON})
