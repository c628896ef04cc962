"""The engine over HTTP: the routes, and what each request passes through before its operation runs."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.memory_engine.core import Core
from functions.memory_engine.engine import Engine
from functions.memory_engine.json_text import BadJson, decode, encode
from functions.memory_engine.rate_limit import RateLimit
from functions.memory_engine.resources import (
    entities,
    events,
    exports,
    memory_reads,
    memory_writes,
    organizations,
    profiles,
    webhooks,
)
from functions.memory_engine.resources.calls import Answer, Call, Refusal, query_pairs
from functions.memory_engine.settings import EngineSettings
from functions.memory_engine.storage.opening import DatabaseUnavailable

logger = logging.getLogger(__name__)

THREADS = 8
"""Operations that run at one time. More would only wait for the interpreter lock."""

Operation = Callable[[Core, Call], Answer]

_ORG = "/api/v1/orgs/organizations/"
_PROJECTS = _ORG + "{org_id}/projects/"

# The first match wins. An entity id may be any text, so paths that name the kind of entity come before the others.
OPERATIONS: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/v1/ping/", memory_reads.ping),
    ("POST", "/v3/memories/add/", memory_writes.add),
    ("POST", "/v3/memories/search/", memory_reads.search_v3),
    ("POST", "/v3/memories/", memory_reads.list_v3),
    ("POST", "/v2/memories/search/", memory_reads.search_v2),
    ("POST", "/v2/memories/", memory_reads.list_v2),
    ("POST", "/v1/memories/search/", memory_reads.search_v1),
    ("GET", "/v1/memories/events/", memory_reads.all_history),
    ("GET", "/v1/memories/", memory_reads.list_v1),
    ("POST", "/v1/memories/", memory_writes.add_v1),
    ("DELETE", "/v1/memories/", memory_writes.delete_all),
    ("GET", "/v1/memories/{memory_id}/", memory_reads.read),
    ("PUT", "/v1/memories/{memory_id}/", memory_writes.update),
    ("DELETE", "/v1/memories/{memory_id}/", memory_writes.delete),
    ("GET", "/v1/memories/{entity_type:kind}/{entity_id}/", memory_reads.of_entity),
    ("GET", "/v1/memories/{memory_id}/history/", memory_reads.history),
    ("GET", "/v1/memories/{entity_type}/{entity_id}/", memory_reads.of_entity),
    ("PUT", "/v1/batch/", memory_writes.batch_update),
    ("DELETE", "/v1/batch/", memory_writes.batch_delete),
    ("POST", "/v1/feedback/", memory_writes.feedback),
    ("POST", "/v1/summary/", memory_reads.summary),
    ("GET", "/v1/stats/", memory_reads.stats),
    ("GET", "/v1/entities/", entities.list_all),
    ("GET", "/v1/entities/filters/", entities.filter_options),
    ("DELETE", "/v1/entities/{entity_type}/{entity_id}/", entities.delete_by_number),
    ("GET", "/v2/entities/{entity_type}/{entity_id}/", entities.read),
    ("DELETE", "/v2/entities/{entity_type}/{entity_id}/", entities.delete),
    ("GET", "/v2/entities/{entity_type}/{entity_id}/profile/", profiles.read),
    ("POST", "/v1/{kind:kind}s/", entities.create),
    ("GET", "/v1/events/", events.list_all),
    ("GET", "/v1/event/{event_id}/", events.read),
    ("POST", "/v1/exports/", exports.create),
    ("POST", "/v1/exports/get/", exports.read),
    ("POST", "/v2/profiles/jobs/", profiles.create_job),
    ("GET", "/v2/profiles/jobs/{job_id}/", profiles.read_job),
    ("GET", "/v2/profiles/settings/", profiles.read_settings),
    ("POST", "/v2/profiles/settings/", profiles.update_settings),
    ("GET", _ORG, organizations.list_organizations),
    ("POST", _ORG, organizations.create_organization),
    ("GET", _ORG + "{org_id}/", organizations.read_organization),
    ("DELETE", _ORG + "{org_id}/", organizations.delete_organization),
    ("GET", _ORG + "{org_id}/members/", organizations.list_members),
    ("POST", _ORG + "{org_id}/members/", organizations.add_member),
    ("PUT", _ORG + "{org_id}/members/", organizations.update_member),
    ("DELETE", _ORG + "{org_id}/members/", organizations.remove_member),
    ("GET", _PROJECTS, organizations.list_projects),
    ("POST", _PROJECTS, organizations.create_project),
    ("GET", _PROJECTS + "{project_id}/", organizations.read_project),
    ("PATCH", _PROJECTS + "{project_id}/", organizations.update_project),
    ("DELETE", _PROJECTS + "{project_id}/", organizations.delete_project),
    ("GET", _PROJECTS + "{project_id}/members/", organizations.list_members),
    ("POST", _PROJECTS + "{project_id}/members/", organizations.add_member),
    ("PUT", _PROJECTS + "{project_id}/members/", organizations.update_member),
    ("DELETE", _PROJECTS + "{project_id}/members/", organizations.remove_member),
    ("GET", "/api/v1/webhooks/projects/{project_id}/", webhooks.list_all),
    ("POST", "/api/v1/webhooks/projects/{project_id}/", webhooks.create),
    ("PUT", "/api/v1/webhooks/{webhook_id}/", webhooks.update),
    ("DELETE", "/api/v1/webhooks/{webhook_id}/", webhooks.delete),
)

_INVALID_KEY = {"detail": "Invalid API key. You can find your API key on https://app.mem0.ai/dashboard/api-keys."}
_NO_KEY = {"detail": "Authentication credentials were not provided."}


def create_app(settings: EngineSettings) -> Starlette:
    """The engine as an ASGI application. Opens the file now. Raises DatabaseUnavailable or SettingsError.

    Its `Engine` is `app.state.engine`. The lifespan starts the background work and closes the file at the end. A
    server without lifespan calls `app.state.engine.start()` and `.close()` itself.
    """
    engine = Engine(settings)
    front = _Front(engine.core)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        engine.start()
        try:
            yield
        finally:
            await to_thread.run_sync(engine.close)

    app = Starlette(
        routes=_routes(front),
        lifespan=lifespan,
        middleware=[Middleware(_EncodedPaths)],
        exception_handlers={HTTPException: _plain_refusal},
    )
    app.router.redirect_slashes = False
    app.state.engine = engine
    return app


def _routes(front: _Front) -> list[Route]:
    """One route per path, with all its methods, so that a wrong method is 405."""
    by_path: dict[str, dict[str, Operation]] = {}
    for method, path, operation in OPERATIONS:
        by_path.setdefault(path, {})[method] = operation
    routes = []
    for path, operations in by_path.items():
        for concrete, fixed in _concrete(path):
            endpoint = partial(front.serve, operations, fixed)
            routes.append(Route(concrete, _endpoint(endpoint), methods=list(operations)))
    return routes


def _endpoint(serve: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        response: Response = await serve(request)
        return response

    return endpoint


def _concrete(path: str) -> list[tuple[str, dict[str, str]]]:
    """Replaces `{name:kind}` by each kind of entity."""
    for name in ("entity_type", "kind"):
        marker = f"{{{name}:kind}}"
        if marker in path:
            return [(path.replace(marker, kind), {name: kind}) for kind in entities.TYPES]
    return [(path, {})]


class _EncodedPaths:
    """Routes on the path as it was sent, so that an id may hold an encoded slash. Operations receive decoded ids."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].split(b"?")[0].decode("latin-1")}
        await self._app(scope, receive, send)


class _Front:
    """The steps of every request, in this order: delay, key, limit, failure on demand, body, operation."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._settings = core.settings
        limit = core.settings.rate_limit_per_minute
        self._limit = RateLimit(limit) if limit else None
        self._threads: CapacityLimiter | None = None

    async def serve(self, operations: dict[str, Operation], fixed: dict[str, str], request: Request) -> Response:
        if self._threads is None:
            self._threads = CapacityLimiter(THREADS)
        headers: dict[str, str] = {}
        try:
            if self._settings.latency_ms:
                await asyncio.sleep(self._settings.latency_ms / 1000)
            key = self._key(request)
            if self._limit is not None:
                verdict = self._limit.take(key, self._settings.clock().timestamp())
                headers = verdict.headers()
                if verdict.retry_after:
                    text = f"Request was throttled. Expected available in {verdict.retry_after} seconds."
                    raise Refusal(429, {"detail": text})
            self._fail_on_demand()
            call = Call(
                method=request.method,
                path={**{name: unquote(value) for name, value in request.path_params.items()}, **fixed},
                query=query_pairs(request.scope["query_string"]),
                body=await self._body(request),
                url=str(request.url.replace(query="")),
                headers=request.headers,
            )
            method = "GET" if request.method == "HEAD" else request.method
            answer = await to_thread.run_sync(operations[method], self._core, call, limiter=self._threads)
            return _json(answer.status, answer.body, headers)
        except Refusal as refusal:
            return _json(refusal.status, refusal.body, {**headers, **refusal.headers})
        except ClientDisconnect:
            return _json(400, {"detail": "The request ended before its body did."}, headers)
        except (sqlite3.OperationalError, DatabaseUnavailable) as problem:
            logger.error("the memory file cannot be used: %s", problem)
            return _json(503, {"detail": f"The memory file cannot be used now: {problem}. Try again."}, headers)
        except Exception as problem:
            if type(problem) is sqlite3.DatabaseError:
                logger.exception("the memory file is damaged")
                return _json(500, {"detail": "The memory file is damaged; restore it from a copy."}, headers)
            logger.exception("%s %s failed", request.method, request.scope["path"])
            return _json(500, {"detail": "Internal server error."}, headers)

    def _key(self, request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if not scheme:
            raise Refusal(401, _NO_KEY, {"WWW-Authenticate": "Token"})
        accepted = self._settings.api_keys
        valid = [hmac.compare_digest(key.encode(), one.encode()) for one in accepted]
        if scheme.lower() != "token" or not key or (accepted and not any(valid)):
            raise Refusal(401, _INVALID_KEY, {"WWW-Authenticate": "Token"})
        return key

    def _fail_on_demand(self) -> None:
        if self._settings.failure_rate:
            drawn = int.from_bytes(self._settings.random_bytes(4), "big") / 2**32
            if drawn < self._settings.failure_rate:
                raise Refusal(503, {"detail": "Service temporarily unavailable, try again later."})

    async def _body(self, request: Request) -> Any:
        limit = self._settings.max_body_bytes
        raw = bytearray()
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > limit:
                raise Refusal(
                    413, {"detail": f"The request body is over the limit of {limit} bytes; send less at once."}
                )
        if not raw:
            return None
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise Refusal(415, {"detail": f'Unsupported media type "{kind[:80]}" in request.'})
        try:
            return decode(bytes(raw))
        except BadJson as problem:
            raise Refusal(400, {"detail": f"JSON parse error - {problem}"}) from None


async def _plain_refusal(request: Request, problem: Exception) -> Response:
    """The router's refusals: an unknown path (e.g. without the last slash), or a wrong method."""
    assert isinstance(problem, HTTPException)
    if problem.status_code == 405:
        return _json(405, {"detail": f'Method "{request.method}" not allowed.'}, dict(problem.headers or {}))
    return _json(problem.status_code, {"detail": "Not found."}, {})


def _json(status: int, body: Any, headers: dict[str, str]) -> Response:
    return Response(encode(body), status, headers, media_type="application/json")
