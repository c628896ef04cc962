"""The management API as an ASGI application: routes, who is asking, bodies and queries in, errors out.

Every answer is JSON, every error `{statusCode, error, message, details}`; nothing may be cached, for some answers are
shown once. What a route does is in the file of its subject; here is only how HTTP reaches it.
"""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.admin_api import openapi, reading
from functions.admin_api.accounts.contract import AccountCreate, AccountUpdate, RemovedAccount
from functions.admin_api.accounts.keys import Keys
from functions.admin_api.accounts.service import Accounts
from functions.admin_api.api_tokens.contract import ApiTokenCreate
from functions.admin_api.api_tokens.service import ApiTokens, Operator
from functions.admin_api.ids import ID
from functions.admin_api.log import service as call_log
from functions.admin_api.log.service import CallLog
from functions.admin_api.servers.contract import Preview, Rotate, ServerCreate, ServerUpdate
from functions.admin_api.servers.schedules import NoSchedules, Scheduler
from functions.admin_api.servers.service import Servers
from functions.admin_api.tools import listing
from functions.admin_api.tools.idempotency import Idempotency
from functions.admin_api.tools.proxy import Proxy, ProxyRequest
from functions.gateway import errors, json_text
from functions.gateway.audit import Audit
from functions.gateway.errors import Invalid, NotFound, PosternError, TooLarge, WrongMediaType
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.wording import did_you_mean, shown
from functions.stores.store import Store, StoreError, StoreUnavailable
from tool_catalog.catalog import Catalog

MAX_PAGE, DEFAULT_PAGE = 100, 25
"""Entries of a listing's page."""

SHOWN_FRAMES = 6
"""Frames of an unexpected exception that are logged, as file:line; never its message, which may hold values."""

logger = logging.getLogger(__name__)

Endpoint = Callable[[Request, Operator], Awaitable[Response]]


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

    `catalogs`  integration -> its catalogue. `audit` writes a record of each proxy call; None = none is written.
    `root`      the root API token that the environment knows, or None (see api_tokens.SecretsManagerRoot).
    `clock`     the present in UTC. `monotonic`: seconds that never go back. `random(n)`: n unpredictable bytes.
    """
    accounts = Accounts(
        settings=settings, store=store, catalogs=catalogs, keys=keys, sender=sender, clock=clock, random=random
    )
    servers = Servers(store, accounts, scheduler or NoSchedules(), clock, random)
    api_tokens = ApiTokens(store, root, clock, random)
    running_for = timedelta(seconds=settings.call_timeout_seconds + 5)
    proxy = Proxy(
        settings=settings,
        accounts=accounts,
        sender=sender,
        idempotency=Idempotency(store, running_for, clock, random),
        record=audit,
        clock=clock,
        monotonic=monotonic,
    )
    log = CallLog(store, timedelta(days=settings.log_retention_days), clock)

    async def connect_account(request: Request, operator: Operator) -> Response:
        operator.check_unlimited("connect accounts")
        return _json(await accounts.create(await _read(request, AccountCreate, settings)), 201)

    async def list_accounts(request: Request, operator: Operator) -> Response:
        return _json(accounts.page(operator.account_ids, *_paging(request)))

    async def get_account(request: Request, operator: Operator) -> Response:
        return _json(accounts.view(_account_id(request, operator)))

    async def update_account(request: Request, operator: Operator) -> Response:
        account_id = _account_id(request, operator)
        await accounts.update(account_id, await _read(request, AccountUpdate, settings))
        servers.account_changed(account_id)
        return _json(accounts.view(account_id))

    async def delete_account(request: Request, operator: Operator) -> Response:
        account_id = _account_id(request, operator)
        there = accounts.delete(account_id)
        removed_servers = servers.account_removed(account_id)
        if not there and not removed_servers:
            raise NotFound(f"no integrated account {shown(account_id)}; GET /integrated-account lists them")
        removed_tokens = api_tokens.account_removed(account_id)
        return _json(
            RemovedAccount(id=account_id, removed={"mcp_servers": removed_servers, "api_tokens": removed_tokens})
        )

    async def create_server(request: Request, operator: Operator) -> Response:
        account_id = _account_id(request, operator)
        body = await _read(request, ServerCreate, settings)
        return _json(servers.create(account_id, body, operator.id, _mcp_url(request, settings)), 201)

    async def list_servers(request: Request, operator: Operator) -> Response:
        return _json(servers.page(_account_id(request, operator), *_paging(request)))

    async def get_server(request: Request, operator: Operator) -> Response:
        return _json(servers.view(_account_id(request, operator), request.path_params["server_id"]))

    async def update_server(request: Request, operator: Operator) -> Response:
        account_id = _account_id(request, operator)
        body = await _read(request, ServerUpdate, settings)
        return _json(servers.update(account_id, request.path_params["server_id"], body))

    async def delete_server(request: Request, operator: Operator) -> Response:
        return _json(servers.delete(_account_id(request, operator), request.path_params["server_id"]))

    async def rotate_server(request: Request, operator: Operator) -> Response:
        account_id = _account_id(request, operator)
        body = await _read(request, Rotate, settings, may_be_empty=True)
        server_id, mcp_url = request.path_params["server_id"], _mcp_url(request, settings)
        return _json(servers.rotate(account_id, server_id, body.grace_seconds, mcp_url))

    async def preview_server(request: Request, operator: Operator) -> Response:
        account_id = _account_id(request, operator)
        return _json(servers.preview(account_id, await _read(request, Preview, settings, may_be_empty=True)))

    async def list_tools(request: Request, operator: Operator) -> Response:
        account_id = _account_id(request, operator)
        query = _query(request, ("methods", "tags", "format", "has_description"))
        shape = query.get("format", [""])[-1]
        if shape and shape not in listing.FORMATS:
            raise Invalid(f"query: format is {shown(shape)}{did_you_mean(shape, list(listing.FORMATS))}")
        catalog = accounts.catalog(accounts.load(account_id))
        found = listing.tools(catalog, _words(query, "methods"), _words(query, "tags"))
        return _json({"result": [listing.FORMATS[shape](tool) if shape else tool.model_dump() for tool in found]})

    async def run_tool(request: Request, operator: Operator) -> Response:
        query = list(request.query_params.multi_items())
        account_ids = {value for name, value in query if name == "integrated_account_id"}
        if len(account_ids) != 1:
            raise Invalid("query: give integrated_account_id once, as /proxy/memories?integrated_account_id=ACCOUNT_ID")
        [account_id] = account_ids
        operator.check_account(account_id)
        answer = await proxy.call(
            account_id,
            ProxyRequest(
                verb=request.method,
                resource=request.path_params["resource"],
                tail=request.path_params.get("tail", ""),
                query=[pair for pair in query if pair[0] != "integrated_account_id"],
                body=await _body(request, settings, may_be_empty=True),
                idempotency_key=request.headers.get("idempotency-key"),
                user_agent=request.headers.get("user-agent", ""),
                request_id=_request_id(request, random),
                deadline=_deadline(request, settings, monotonic()),
            ),
        )
        return _json(answer.body, answer.status, answer.headers)

    async def create_api_token(request: Request, operator: Operator) -> Response:
        operator.check_unlimited("make API tokens")
        return _json(api_tokens.create(await _read(request, ApiTokenCreate, settings)), 201)

    async def list_api_tokens(request: Request, operator: Operator) -> Response:
        operator.check_unlimited("list API tokens")
        return _json(api_tokens.page(*_paging(request)))

    async def get_api_token(request: Request, operator: Operator) -> Response:
        operator.check_unlimited("read API tokens")
        return _json(api_tokens.view(request.path_params["token_id"]))

    async def revoke_api_token(request: Request, operator: Operator) -> Response:
        operator.check_unlimited("revoke API tokens")
        return _json(api_tokens.revoke(request.path_params["token_id"]))

    async def list_calls(request: Request, operator: Operator) -> Response:
        query = {name: values[-1] for name, values in _query(request, None).items()}
        limit, cursor = _limit(query.pop("limit", None)), query.pop("next_cursor", None)
        now = clock()
        since, until = _query_time(query, "created_at[gt]"), _query_time(query, "created_at[lt]")
        account_id = query.pop("integrated_account_id", None)
        if account_id is not None:
            operator.check_account(account_id)
            if not ID.fullmatch(account_id):
                raise Invalid(f"query: integrated_account_id is {shown(account_id)}, which is no account's id")
        wanted = call_log.Wanted(
            account_ids=[account_id] if account_id else operator.account_ids or accounts.ids(),
            since=since or now - timedelta(days=settings.log_retention_days),
            until=until or now + timedelta(seconds=1),  # other processes' clocks may be a little ahead
            equal=call_log.read_filters(query),
        )
        records, next_cursor = log.page(wanted, limit, cursor)
        return _json({"result": records, "next_cursor": next_cursor})

    async def describe(request: Request) -> Response:
        return _json(openapi.document(settings.public_url or str(request.base_url).rstrip("/")))

    def guarded(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def run(request: Request) -> Response:
            return await endpoint(request, api_tokens.authenticate(request.headers.get("authorization")))

        return _answered(run)

    def route(path: str, **by_verb: Endpoint) -> list[Route]:
        return [Route(path, guarded(endpoint), methods=[verb.upper()]) for verb, endpoint in by_verb.items()]

    proxied = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    server = "/integrated-account/{account_id}/mcp"
    routes = [
        Route("/openapi.json", _answered(describe), methods=["GET"]),
        *route("/integrated-account", get=list_accounts, post=connect_account),
        *route("/integrated-account/{account_id}", get=get_account, patch=update_account, delete=delete_account),
        *route("/integrated-account/{account_id}/tools", get=list_tools),
        *route(server, get=list_servers, post=create_server),
        *route(f"{server}/preview", post=preview_server),
        *route(f"{server}/{{server_id}}", get=get_server, patch=update_server, delete=delete_server),
        *route(f"{server}/{{server_id}}/rotate", post=rotate_server),
        *route("/api-token", get=list_api_tokens, post=create_api_token),
        *route("/api-token/{token_id}", get=get_api_token, delete=revoke_api_token),
        *route("/log", get=list_calls),
        Route("/proxy/{resource}", guarded(run_tool), methods=proxied),
        Route("/proxy/{resource}/{tail:path}", guarded(run_tool), methods=proxied),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _unrouted(routes)})
    app.router.redirect_slashes = False
    return app


def _answered(run: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """`run` with every error as an answer."""

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
            return _error(PosternError("the store failed; the log of this deployment says why"))
        except Exception as error:  # the last line of defence: nothing of ours reaches the caller
            frames = traceback.extract_tb(error.__traceback__)[-SHOWN_FRAMES:]
            where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
            logger.error("unexpected %s at %s", type(error).__name__, where)
            return _error(PosternError("unexpected; the log of this deployment says where"))

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


def _json(body: BaseModel | Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    document = body.model_dump() if isinstance(body, BaseModel) else body
    content = json_text.encode(document)
    dressed = {"cache-control": "no-store", "x-content-type-options": "nosniff", **(headers or {})}
    return Response(content, status, dressed, media_type="application/json")


async def _body(request: Request, settings: Settings, *, may_be_empty: bool) -> bytes:
    """The body's bytes. Raises TooLarge, WrongMediaType, Invalid."""
    most = settings.max_request_bytes
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLarge(f"the request body is over {most:,} bytes, the most that is taken")
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


async def _read(
    request: Request, model: type[reading.Read], settings: Settings, *, may_be_empty: bool = False
) -> reading.Read:
    return reading.read(model, await _body(request, settings, may_be_empty=may_be_empty) or b"{}")


def _account_id(request: Request, operator: Operator) -> str:
    """The account in the path, which the operator may touch."""
    account_id: str = request.path_params["account_id"]
    operator.check_account(account_id)
    return account_id


def _query(request: Request, known: Sequence[str] | None) -> dict[str, list[str]]:
    """Query parameters by name; `known` = None leaves the check to the caller. Raises Invalid."""
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        bare = name.removesuffix("[]")
        if known is not None and bare not in known:
            raise Invalid(f"query: unknown parameter {shown(name)}{did_you_mean(bare, known)}")
        query.setdefault(bare, []).append(value)
    return query


def _words(query: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """A list in a query: comma-separated, repeated, or both."""
    return [word.strip() for value in query.get(name, ()) for word in value.split(",") if word.strip()]


def _paging(request: Request) -> tuple[int, str | None]:
    """`limit` and the id that `next_cursor` stands for. Raises Invalid."""
    query = _query(request, ("limit", "next_cursor"))
    cursor = query["next_cursor"][-1] if "next_cursor" in query else None
    if cursor is not None and not ID.fullmatch(cursor):
        raise Invalid("next_cursor is not one this listing gave; leave it out to start from the first page")
    return _limit(query["limit"][-1] if "limit" in query else None), cursor


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_PAGE):
        raise Invalid(f"query: limit is {shown(text)}; it must be a whole number from 1 to {MAX_PAGE}")
    return int(text)


def _query_time(query: dict[str, str], name: str) -> datetime | None:
    text = query.pop(name, None)
    if text is None:
        return None
    try:
        return read_time(text.replace(" ", "+"))  # a plus sign that was not percent-encoded arrives as a space
    except (ValueError, OverflowError):
        raise Invalid(f"query: {name} is {shown(text)}; write a time in UTC, as 2026-12-31T23:59:59Z") from None


def _mcp_url(request: Request, settings: Settings) -> str:
    """What minted URLs start with."""
    return (settings.public_url or str(request.base_url)).rstrip("/") + "/mcp"


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
