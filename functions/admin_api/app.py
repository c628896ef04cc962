"""The management API as an ASGI application: how HTTP reaches the operations.

Every answer is JSON, every error is `{statusCode, error, message, details}`. No answer may be cached, because some are
shown once. What an operation does is in its row of operations.py.
"""

from __future__ import annotations

import inspect
import logging
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.admin_api import openapi, reading
from functions.admin_api.accounts.keys import Keys
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.accounts.service import Accounts
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.log.service import CallLog
from functions.admin_api.operations import OPERATIONS, Asked, Operation, Services
from functions.admin_api.parameters import read_query
from functions.admin_api.servers.schedules import NoSchedules, Scheduler
from functions.admin_api.servers.service import Servers
from functions.admin_api.tools.idempotency import Idempotency
from functions.admin_api.tools.listing import Tools
from functions.admin_api.tools.proxy import Proxy, ProxyAnswer
from functions.gateway import errors
from functions.gateway.audit import Audit
from functions.gateway.errors import Invalid, PosternError, TooLarge, WrongMediaType
from functions.gateway.json_text import Json, encode
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.wording import shown
from functions.stores.store import Store, StoreError, StoreUnavailable
from tool_catalog.catalog import Catalog

SHOWN_FRAMES = 6
"""Frames of an unexpected exception that are logged, as file:line; never its message, which may hold values."""

CLAIM_MARGIN_SECONDS = 5
"""How much longer than the longest call a claimed idempotency key is taken for running."""

PATH_KINDS = {"id_or_method": "path"}
"""Path parameters that may hold slashes, and Starlette's word for them."""

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    store: Store,
    catalogs: Mapping[str, Catalog],
    keys: Keys,
    sender: Sender,
    *,
    audit: Audit | None = None,
    scheduler: Scheduler | None = None,
    root: Callable[[], str | None] = lambda: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Starlette:
    """The application.

    `catalogs`   integration -> its catalogue.
    `audit`      writes a log entry for each proxy call; None = none is written.
    `root`       returns the root API token of the environment, or None (see api_tokens/root.py).
    `clock`      the present in UTC.
    `monotonic`  seconds that never go back.
    `random(n)`  n unpredictable bytes.
    """
    lookup = AccountLookup(store, catalogs, keys)
    servers = Servers(store, lookup, scheduler or NoSchedules(), clock, random)
    api_tokens = ApiTokens(store, root, clock, random)
    running_for = timedelta(seconds=settings.call_timeout_seconds + CLAIM_MARGIN_SECONDS)
    services = Services(
        accounts=Accounts(
            settings=settings,
            store=store,
            lookup=lookup,
            servers=servers,
            api_tokens=api_tokens,
            sender=sender,
            clock=clock,
            monotonic=monotonic,
            random=random,
        ),
        servers=servers,
        api_tokens=api_tokens,
        tools=Tools(lookup),
        proxy=Proxy(
            settings=settings,
            accounts=lookup,
            sender=sender,
            idempotency=Idempotency(store, running_for, clock, random),
            record=audit,
            clock=clock,
            monotonic=monotonic,
        ),
        log=CallLog(store, lookup, timedelta(days=settings.log_retention_days), clock),
    )

    async def ask(operation: Operation, request: Request) -> Response:
        operator = await run_in_threadpool(api_tokens.authenticate, request.headers.get("authorization"))
        operator.check_scope(operation.scopes)
        if operation.unlimited:
            operator.check_unlimited(operation.unlimited)
        query = read_query(operation.query, request.query_params.multi_items(), free=operation.free_query)
        for account_id in (request.path_params.get("account_id"), query.values.get("integrated_account_id")):
            if account_id is not None:
                operator.check_account(account_id)
        asked = Asked(
            operator=operator,
            path=request.path_params,
            query=query,
            body=await _body(operation, request, settings),
            verb=request.method,
            headers=request.headers,
            mcp_url=_origin(request, settings) + "/mcp",
            request_id=_request_id(request, random),
            deadline=_deadline(request, settings, monotonic()),
        )
        if inspect.iscoroutinefunction(operation.run):
            return _answer(operation, await operation.run(services, asked))
        return _answer(operation, await run_in_threadpool(operation.run, services, asked))

    def route(operation: Operation) -> Route:
        async def run(request: Request) -> Response:
            return await ask(operation, request)

        return Route(_pattern(operation.path), _answered(run), methods=[operation.verb.upper()])

    async def describe(request: Request) -> Response:
        return _json(openapi.document(_origin(request, settings)))

    routes = [
        Route("/openapi.json", _answered(describe), methods=["GET"]),
        *(route(operation) for operation in OPERATIONS),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _unrouted(routes)})
    app.router.redirect_slashes = False
    return app


def _pattern(path: str) -> str:
    for name, kind in PATH_KINDS.items():
        path = path.replace(f"{{{name}}}", f"{{{name}:{kind}}}")
    return path


def _answer(operation: Operation, answer: BaseModel | ProxyAnswer | Json) -> Response:
    if isinstance(answer, ProxyAnswer):
        return _json(answer.body, answer.status, answer.headers)
    return _json(answer.model_dump() if isinstance(answer, BaseModel) else answer, operation.status)


def _answered(run: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """`run`, with every error as an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await run(request)
        except PosternError as error:
            return _error(error)
        except StoreUnavailable as error:
            logger.warning("the store is unavailable: %s", error)
            return _error(errors.Unavailable("the store is busy; try again", retry_after=error.retry_after))
        except StoreError as error:
            logger.error("the store failed: %s", error)
            return _error(PosternError("the store failed; the log of this deployment names the cause"))
        except Exception as error:  # the last line of defence: nothing of ours reaches the caller
            frames = traceback.extract_tb(error.__traceback__)[-SHOWN_FRAMES:]
            where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
            logger.error("unexpected %s at %s", type(error).__name__, where)
            return _error(PosternError("unexpected error; the log of this deployment names the place"))

    return answer


def _error(error: PosternError) -> Response:
    status, body, headers = errors.http(error)
    if "status_code" in body:
        body = {"statusCode": body.pop("status_code"), **body}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if status >= 500 and error.detail:
        logger.error("%s: %s", type(error).__name__, error.detail)
    return _json(body, status, headers)


def _unrouted(routes: Sequence[Route]) -> Callable[[Request, Exception], Response]:
    """The answer to a path or a verb that is not served, with the ones that are."""

    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        served = [route for route in routes if route.path_regex.match(request.url.path)]
        verbs = sorted({verb for route in served for verb in route.methods or ()} - {"HEAD"})
        phrase = errors.phrase(error.status_code)
        if served:
            message = f"{request.method} is not served at this path; valid: {', '.join(verbs)}"
            headers = {"allow": ", ".join(verbs)}
        else:
            message = f"nothing is served at {request.url.path[:80]}; GET /openapi.json lists every path"
            headers = {}
        return _json({"statusCode": error.status_code, "error": phrase, "message": message}, error.status_code, headers)

    return answer


def _json(document: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    dressed = {"cache-control": "no-store", "x-content-type-options": "nosniff", **(headers or {})}
    return Response(encode(document), status, dressed, media_type="application/json")


async def _body(operation: Operation, request: Request, settings: Settings) -> Json:
    """The body as the operation wants it. Raises TooLarge, WrongMediaType, Invalid."""
    if operation.body is None:
        return None
    raw = await _bytes(request, settings, may_be_empty=not operation.body_required)
    return reading.read(operation.body, raw or b"{}") if isinstance(operation.body, type) else raw


async def _bytes(request: Request, settings: Settings, *, may_be_empty: bool) -> bytes:
    most = settings.max_request_bytes
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLarge(f"the request body is over {most:,} bytes, which is the limit")
        chunks.append(chunk)
    body = b"".join(chunks)
    if not body.strip():
        if may_be_empty:
            return b""
        raise Invalid("the request body is empty; send a JSON object")
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise WrongMediaType(f"the request body is {shown(media_type)}; send Content-Type: application/json")
    return body


def _origin(request: Request, settings: Settings) -> str:
    """Where this API is reached."""
    return (settings.public_url or str(request.base_url)).rstrip("/")


def _request_id(request: Request, random: Callable[[int], bytes]) -> str:
    context = request.scope.get("aws.context")
    return str(context.aws_request_id) if context is not None else random(8).hex()


def _deadline(request: Request, settings: Settings, now: float) -> float:
    """When a call must have its answer, on the clock of `now`, in seconds: the settings' time, or what is left of the
    platform's if that is less."""
    seconds = float(settings.call_timeout_seconds)
    context = request.scope.get("aws.context")
    if context is not None:
        left = context.get_remaining_time_in_millis() - settings.deadline_margin_ms
        seconds = max(0.0, min(seconds, left / 1000))
    return now + seconds
