"""Runs a tool for an agent without MCP, over the call line that MCP uses too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.tools.addresses import find
from functions.admin_api.tools.arguments import read_arguments
from functions.admin_api.tools.idempotency import Claim, Idempotency, Kept
from functions.gateway import audit, credentials, errors
from functions.gateway.call import Caller, call
from functions.gateway.grants import Grant, ServerConfig
from functions.gateway.http_frame import log_detail
from functions.gateway.json_text import Json, size
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from tool_catalog.catalog import Tool

LOGGED_CLIENT_CHARS = 64
"""Characters kept of the client's name and of its version, from its User-Agent."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What came in.

    `tail`      the id or the method behind the resource, "" for none.
    `query`     the tool's arguments only.
    `deadline`  in seconds, on the clock of `time.monotonic()`.
    """

    verb: str
    resource: str
    tail: str
    query: Sequence[tuple[str, str]]
    body: bytes
    idempotency_key: str | None
    user_agent: str
    request_id: str
    deadline: float


@dataclass(frozen=True, slots=True)
class ProxyAnswer:
    """What goes out."""

    status: int
    body: Json
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that is ready to be made. `claim` is its idempotency key's, or the answer that is kept under that key."""

    account: AccountItem
    tool: Tool
    arguments: Mapping[str, Json]
    data_key: bytes = field(repr=False)
    claim: Claim | Kept | None


class Proxy:
    """`monotonic` gives seconds for measuring, `clock` the present in UTC."""

    def __init__(
        self,
        *,
        settings: Settings,
        accounts: AccountLookup,
        sender: Sender,
        idempotency: Idempotency,
        record: audit.Audit | None,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._sender = sender
        self._idempotency = idempotency
        self._audit = record
        self._clock = clock
        self._monotonic = monotonic

    async def call(self, account_id: str, request: ProxyRequest) -> ProxyAnswer:
        """Carry out one call. A call that fails is an answer; raises Refused for a request that is not a call."""
        prepared = await run_in_threadpool(self._prepare, account_id, request)
        claim = prepared.claim
        if isinstance(claim, Kept):
            return ProxyAnswer(claim.status, claim.body, {**claim.headers, "idempotency-replayed": "true"})
        try:
            answer, acted = await self._run(prepared, request)
        except BaseException:
            if claim is not None:
                claim.lose()  # on the event loop: a cancelled request could not wait for a thread
            raise
        if claim is not None and acted:
            await run_in_threadpool(claim.keep, Kept(answer.status, answer.body, answer.headers))
        elif claim is not None:
            await run_in_threadpool(claim.release)
        return answer

    def _prepare(self, account_id: str, request: ProxyRequest) -> Prepared:
        """What the call needs of the store and the key service."""
        account = self._accounts.load(account_id)
        tool, address = find(self._accounts.catalog(account), request.verb, request.resource, request.tail)
        arguments = read_arguments(tool, address, request.tail, request.query, request.body)
        data_key = self._accounts.data_key(account)
        claim = None
        if request.idempotency_key is not None and tool.access == "write":
            claim = self._idempotency.claim(account_id, request.idempotency_key, tool.name, arguments, data_key)
        return Prepared(account, tool, arguments, data_key, claim)

    async def _run(self, prepared: Prepared, request: ProxyRequest) -> tuple[ProxyAnswer, bool]:
        """The answer, and whether the upstream may have acted."""
        account, tool, arguments = prepared.account, prepared.tool, prepared.arguments
        data_key = prepared.data_key
        now = self._clock()
        caller = Caller(
            server=_server(account),
            catalog=self._accounts.catalog(account),
            credential=credentials.open_credential(account.sealed_credential, data_key, account.id),
            sender=self._sender,
            settings=self._settings,
            now=now,
            deadline=request.deadline,
        )
        started = self._monotonic()
        failure: errors.ToolFailure | None = None
        try:
            answer = await call(caller, tool.name, arguments)
            limits = answer.rate_limit.headers() if answer.rate_limit else {}
            status, body = _success(caller.upstream.status), answer.body
        except errors.ToolFailure as failed:
            log_detail(failed, request.request_id)
            failure = failed
            status, body, limits = errors.http(failed)
            status, body = int(body.pop("status_code")), {"statusCode": status, **body}
            if isinstance(failed, errors.WrongArguments):
                body["details"] = {"problems": list(failed.problems)}
        headers = dict(limits)
        if caller.upstream.status is not None:
            headers["x-upstream-status"] = str(caller.upstream.status)
        if self._audit is not None:
            name, _, version = request.user_agent.partition("/")
            await run_in_threadpool(
                self._audit.record,
                audit.CallRecord(
                    time=now,
                    request_id=request.request_id,
                    plane="proxy",
                    server_id="",
                    account_id=account.id,
                    integration=account.integration,
                    tool=tool.name,
                    method=tool.method,
                    access=tool.access,
                    outcome="error" if failure else "ok",
                    status=status,
                    error=type(failure).__name__ if failure else "",
                    upstream_status=caller.upstream.status,
                    upstream_requests=caller.upstream.requests,
                    duration_ms=(self._monotonic() - started) * 1000,
                    upstream_ms=caller.upstream.seconds * 1000,
                    result_bytes=size(body),
                    client_name=name[:LOGGED_CLIENT_CHARS],
                    client_version=version.split(" ")[0][:LOGGED_CLIENT_CHARS],
                    argument_hash=audit.argument_hash(arguments, data_key),
                ),
            )
            if caller.upstream.status == 401:
                await run_in_threadpool(self._audit.needs_reauth, caller.server, now)
        return ProxyAnswer(status, body, headers), _may_have_acted(failure)


def _server(account: AccountItem) -> Grant:
    """The account as a server without a filter, for the call line."""
    return Grant(
        id="",
        name="",
        account_id=account.id,
        integration=account.integration,
        base_url=account.base_url,
        context=account.context,
        config=ServerConfig(),
        created_at=account.created_at,
        expires_at=None,
        sealed_credential=account.sealed_credential,
        sealed_data_key=b"",
    )


def _success(upstream_status: int | None) -> int:
    """The upstream's own status if it is one that has a body."""
    return upstream_status if upstream_status in (200, 201, 202) else 200


def _may_have_acted(failure: errors.ToolFailure | None) -> bool:
    """False only when the upstream certainly changed nothing, so that the same call can be made again."""
    match failure:
        case errors.WrongArguments() | errors.OutOfScope():
            return False
        case errors.UpstreamRefused():
            return failure.status_code >= 500
        case errors.ToolFailure():
            return failure.sent
        case None:
            return True
