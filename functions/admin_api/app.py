"""The management API as an ASGI application: how HTTP reaches the operations.

Every answer is JSON, every error is `{statusCode, error, message, details}`. No answer may be cached, because some are
shown once. What an operation does is in its row of operations.py.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TextIO

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from functions.admin_api import openapi, reading
from functions.admin_api.accounts.keys import Keys
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.accounts.service import Accounts
from functions.admin_api.api_tokens.operator import NOBODY, Operator
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.approvals.service import Approvals
from functions.admin_api.console import files
from functions.admin_api.console.sign_in import SignInLinks
from functions.admin_api.contract import Body, Several
from functions.admin_api.extension import archive
from functions.admin_api.ids import ID
from functions.admin_api.integrations.service import Integrations
from functions.admin_api.log.decisions import Decision, Decisions, Outcome
from functions.admin_api.log.service import Log
from functions.admin_api.names import ANY
from functions.admin_api.oauth.consents import Consents
from functions.admin_api.operations import OPERATIONS, Asked, Operation, Services
from functions.admin_api.parameters import Query, read_query
from functions.admin_api.servers.bulk import Bulk
from functions.admin_api.servers.schedules import NoSchedules, Scheduler
from functions.admin_api.servers.service import Servers
from functions.admin_api.texts import Text
from functions.admin_api.tools.idempotency import Idempotency
from functions.admin_api.tools.listing import Tools
from functions.admin_api.tools.proxy import Proxy, ProxyAnswer
from functions.admin_api.trusts.identities import Identities, NotTrusted, is_identity_token
from functions.admin_api.trusts.service import Trusts
from functions.gateway import errors
from functions.gateway.audit import Audit
from functions.gateway.errors import Forbidden, Invalid, PosternError, Refused, Unauthenticated, WrongMediaType
from functions.gateway.http_frame import Frame, bearer, dressed
from functions.gateway.json_text import Json, encode
from functions.gateway.metrics import Count, uncounted
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.wording import shown
from functions.stores.store import Store, StoreUnavailable
from tool_catalog.catalog import Catalog

CLAIM_MARGIN_SECONDS = 5
"""How much longer than the longest call a claimed idempotency key is taken for running."""

PATH_KINDS = {"id_or_method": "path"}
"""Path parameters that may hold slashes, and Starlette's word for them."""

Answer = BaseModel | ProxyAnswer | Text | Json
"""What an operation returns."""


def create_app(
    settings: Settings,
    store: Store,
    catalogs: Mapping[str, Catalog],
    keys: Keys,
    sender: Sender,
    *,
    audit: Audit | None = None,
    decision_lines: TextIO | None = None,
    scheduler: Scheduler | None = None,
    root: Callable[[], str | None] = lambda: None,
    count: Count = uncounted,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Starlette:
    """The application.

    `catalogs`   integration -> its catalogue.
    `audit`      writes a log entry for each proxy call; None = none is written.
    `decision_lines`  takes a line for each decision; None = only the store has them.
    `root`       returns the root API token of the environment, or None (see api_tokens/root.py).
    `count`      counts the failures that are ours, and the callers that are refused.
    `clock`      the present in UTC.
    `random(n)`  n unpredictable bytes.
    """
    lookup = AccountLookup(store, catalogs, keys)
    lead = timedelta(hours=settings.webhook_lead_hours)
    servers = Servers(store, lookup, scheduler or NoSchedules(), clock=clock, random=random, lead=lead)
    finding = servers.finding
    api_tokens = ApiTokens(store, lookup, root, clock, random)
    trusts, identities = Trusts(settings, store, lookup, clock, random), Identities(settings, store, clock)
    retention = timedelta(days=settings.log_retention_days)
    running_for = timedelta(seconds=settings.call_timeout_seconds + CLAIM_MARGIN_SECONDS)
    services = Services(
        integrations=Integrations(catalogs),
        accounts=Accounts(
            settings=settings,
            store=store,
            lookup=lookup,
            servers=servers,
            api_tokens=api_tokens,
            trusts=trusts,
            sender=sender,
            clock=clock,
            random=random,
        ),
        servers=servers,
        bulk=Bulk(servers, finding, clock),
        api_tokens=api_tokens,
        trusts=trusts,
        tools=Tools(lookup),
        proxy=Proxy(
            settings=settings,
            accounts=lookup,
            sender=sender,
            idempotency=Idempotency(store, running_for, clock, random),
            log=audit,
            clock=clock,
        ),
        log=Log(
            store=store,
            accounts=lookup,
            servers=finding,
            api_tokens=api_tokens,
            retention=retention,
            clock=clock,
        ),
        sign_in_links=SignInLinks(store, api_tokens, clock, random),
        approvals=Approvals(store, lookup, finding, clock),
        consents=Consents(store, finding, clock),
    )
    decisions = Decisions(store, retention, decision_lines, clock)
    authorization = None
    if settings.management_url:
        from functions.admin_api.oauth.app import AuthorizationServer  # late: a deployment may have none

        authorization = AuthorizationServer(
            settings, store, api_tokens=api_tokens, decisions=decisions, clock=clock, random=random
        )

    frame = Frame(settings, _error, ClientDisconnect, lambda: random(8).hex(), count)

    def framed(run: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await frame.answer(request, run)

        return answer

    def looked_up(
        operation: Operation, operator: Operator, path: Mapping[str, str], query: Query
    ) -> tuple[Mapping[str, str], Query]:
        """Path and query with the ids of what they name. Raises Invalid, NotFound, Conflict."""
        found = dict(path)
        account = path.get("account_id", "")
        if account == ANY and not operation.any_account:
            raise Invalid(f'this operation needs one account; give its id or name in place of "{ANY}"')
        if account == ANY and "server_id" in path:
            found["account_id"], found["server_id"] = finding.anywhere(path["server_id"], operator.account_ids)
        elif account and account != ANY:
            found["account_id"] = lookup.id_of(account)
        if query.values.get("integrated_account_id") is not None:
            account_id = lookup.id_of(query["integrated_account_id"])
            query = replace(query, values={**query.values, "integrated_account_id": account_id})
        return found, query

    async def identified(authorization: str | None) -> Operator:
        """Who asks, by an API token or an identity token. Raises Unauthenticated, NotTrusted, Unavailable."""
        if is_identity_token(secret := bearer(authorization)):
            return await identities.admit(secret)
        return await run_in_threadpool(api_tokens.authenticate, authorization)

    async def ask(operation: Operation, request: Request) -> Answer:
        operator = NOBODY
        if operation.scopes:
            operator = await identified(request.headers.get("authorization"))
            request.state.principal = operator.id
            operator.check_scope(operation.scopes, workloads=operation.workloads)
        if operation.unlimited:
            operator.check_unlimited(operation.unlimited)
        query = read_query(operation.query, request.query_params.multi_items(), free=operation.free_query)
        path, query = await run_in_threadpool(looked_up, operation, operator, request.path_params, query)
        request.state.path = path
        for account_id in (path.get("account_id"), query.values.get("integrated_account_id")):
            if account_id is not None and account_id != ANY:
                operator.check_account(account_id)
        account_ids: Sequence[str] = ()
        if operation.any_account:
            account_ids = sorted(operator.account_ids) if path["account_id"] == ANY else [path["account_id"]]
        asked = Asked(
            operator=operator,
            path=path,
            account_ids=account_ids,
            query=query,
            body=await _body(operation, request, frame),
            verb=request.method,
            headers=request.headers,
            origin=_origin(request, settings),
            request_id=frame.request_id(request),
            now=clock(),
            deadline=asyncio.get_running_loop().time() + frame.seconds_left(request),
        )
        request.state.changed = _named(asked.body) if isinstance(asked.body, Body) else []
        if inspect.iscoroutinefunction(operation.run):
            answer: Answer = await operation.run(services, asked)
            return answer
        return await run_in_threadpool(operation.run, services, asked)

    async def decide(operation: Operation, request: Request, ended: Answer | Exception) -> None:
        """Write the log entry of a request if its operation has one."""
        refused_token = isinstance(ended, Unauthenticated | Forbidden)
        if refused_token:
            count("refused_admissions", error=type(ended).__name__, request_id=frame.request_id(request))
        refused_preview = operation.logs == "refusal" and isinstance(ended, Refused)
        if not (operation.logs == "decision" or refused_token or refused_preview):
            return
        unknown = isinstance(ended, Unauthenticated | NotTrusted)
        if unknown and decisions.skips():
            return
        entry = _decision(operation, request, ended, clock(), frame.request_id(request))
        if unknown:
            entry = replace(entry, repeated=decisions.skipped())
        entries = _each(entry, ended) if isinstance(ended, Several) else [entry]
        await run_in_threadpool(decisions.write, entries)

    def route(operation: Operation) -> Route:
        async def run(request: Request) -> Response:
            try:
                answer = await ask(operation, request)
            except Exception as error:
                await decide(operation, request, error)
                raise
            await decide(operation, request, answer)
            return _answer(operation, answer)

        return Route(_pattern(operation.path), framed(run), methods=[operation.verb.upper()])

    async def describe(request: Request) -> Response:
        return _json(openapi.document(_origin(request, settings)))

    routes = [
        Route("/openapi.json", framed(describe), methods=["GET"]),
        *(route(operation) for operation in OPERATIONS),
        *(authorization.routes() if authorization is not None else ()),
        Route("/extension.zip", framed(archive.serve), methods=["GET"]),
        Route("/console", framed(files.serve), methods=["GET"]),
        Route("/console/{file:path}", framed(files.serve), methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _unrouted(routes)})
    app.router.redirect_slashes = False
    return app


def _decision(
    operation: Operation, request: Request, ended: Answer | Exception, now: datetime, request_id: str
) -> Decision:
    """The log entry of a request. An id in it is one that may exist; any other text in the path is left out."""
    failed = isinstance(ended, Exception)
    status = _status(ended) if isinstance(ended, Exception) else operation.status
    outcome: Outcome = "ok" if not failed else "refused" if status < 500 else "error"
    named = getattr(request.state, "path", request.path_params)
    path = {name: value for name, value in named.items() if ID.fullmatch(value)}
    ids = {
        "account_id": path.get("account_id", ""),
        "server_id": path.get("server_id", ""),
        "api_token_id": path.get("token_id", ""),
        "trust_id": path.get("trust_id", ""),
    }
    if operation.makes and not failed:
        ids[operation.makes] = getattr(ended, "id", "")
    client_name, _, client_version = request.headers.get("user-agent", "").partition(" ")[0].partition("/")
    return Decision(
        time=now,
        request_id=request_id,
        principal=getattr(request.state, "principal", "") or (ids["api_token_id"] if not operation.scopes else ""),
        action=operation.name,
        **ids,
        changed=getattr(request.state, "changed", ()),
        outcome=outcome,
        status=status,
        error=type(ended).__name__ if failed else "",
        client_name=client_name,
        client_version=client_version,
        labels=getattr(ended, "labels", {}),
    )


def _each(entry: Decision, answer: Several) -> list[Decision]:
    """An entry for each change of a bulk operation."""
    return [
        replace(
            entry,
            action=change.action,
            account_id=change.account_id,
            server_id=change.server_id,
            labels=change.labels,
            status=change.status,
            outcome="ok" if not change.error else "refused" if change.status < 500 else "error",
            error=change.error,
        )
        for change in answer.changes()
    ]


def _status(error: Exception) -> int:
    if isinstance(error, PosternError):
        return errors.http(error)[0]
    return 503 if isinstance(error, StoreUnavailable) else 500


def _named(body: BaseModel, prefix: str = "") -> list[str]:
    """The fields that a body names, e.g. ["config.methods", "expires_at"]."""
    names = []
    for name in sorted(body.model_fields_set):
        value = getattr(body, name)
        names += _named(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else [prefix + name]
    return names


def _pattern(path: str) -> str:
    for name, kind in PATH_KINDS.items():
        path = path.replace(f"{{{name}}}", f"{{{name}:{kind}}}")
    return path


def _answer(operation: Operation, answer: Answer) -> Response:
    if isinstance(answer, ProxyAnswer):
        return _json(answer.body, answer.status, answer.headers)
    if isinstance(answer, Text):
        return Response(answer.content, operation.status, dict(answer.headers), media_type=answer.media_type)
    return _json(answer.model_dump() if isinstance(answer, BaseModel) else answer, operation.status)


def _error(error: PosternError) -> Response:
    status, body, headers = errors.http(error)
    if "status_code" in body:
        body = {"statusCode": body.pop("status_code"), **body}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
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
    return dressed(Response(encode(document), status, headers, media_type="application/json"))


async def _body(operation: Operation, request: Request, frame: Frame[Response]) -> Json:
    """The body as the operation wants it. Raises TooLarge, WrongMediaType, Invalid."""
    if operation.body is None:
        return None
    raw = await _bytes(request, frame, may_be_empty=not operation.body_required)
    return reading.read(operation.body, raw or b"{}") if isinstance(operation.body, type) else raw


async def _bytes(request: Request, frame: Frame[Response], *, may_be_empty: bool) -> bytes:
    body = await frame.body(request)
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
