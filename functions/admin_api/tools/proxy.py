"""Runs a tool for an agent without MCP, over the call line that MCP uses too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.tools.addresses import find
from functions.admin_api.tools.arguments import read_arguments
from functions.admin_api.tools.idempotency import Claim, Idempotency, Kept
from functions.gateway import audit, errors
from functions.gateway.call import run
from functions.gateway.http_frame import log_detail
from functions.gateway.json_text import Json, size
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from tool_catalog.catalog import Tool


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What came in.

    `tail`       the id or the method behind the resource, "" for none.
    `query`      the tool's arguments only.
    `principal`  the id of the API token that is asking.
    `deadline`   in seconds, on the event loop's clock.
    """

    verb: str
    resource: str
    tail: str
    query: Sequence[tuple[str, str]]
    body: bytes
    idempotency_key: str | None
    user_agent: str
    request_id: str
    principal: str
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
    """`clock` gives the present in UTC; `log` takes an entry of each call, None = none is written."""

    def __init__(
        self,
        *,
        settings: Settings,
        accounts: AccountLookup,
        sender: Sender,
        idempotency: Idempotency,
        log: audit.Audit | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._sender = sender
        self._idempotency = idempotency
        self._audit = log
        self._clock = clock

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
        account, data_key = prepared.account, prepared.data_key
        call = ToolCall(prepared.tool.name, prepared.arguments, self._clock(), request.deadline)
        target = account.target(data_key)
        catalog = self._accounts.catalog(account)
        elapsed = asyncio.get_running_loop().time
        started = elapsed()
        outcome = await run(call, target, catalog, sender=self._sender, settings=self._settings)
        if isinstance(outcome, Failed):
            log_detail(outcome.failure, request.request_id)
        answer = _answer(outcome)
        if self._audit is not None:
            caller = audit.Caller("proxy", request.principal, "", request.request_id, *audit.client(request.user_agent))
            seconds, result_bytes = elapsed() - started, size(answer.body)
            entry = audit.entry(caller, call, target, outcome, seconds=seconds, result_bytes=result_bytes, key=data_key)
            await run_in_threadpool(self._audit.write, entry)
        return answer, outcome.may_have_acted


def _answer(outcome: Done | Failed | UnknownTool) -> ProxyAnswer:
    """The HTTP answer to a call."""
    trace = outcome.trace
    headers = trace.rate_limit.headers() if trace.rate_limit else {}
    if trace.status is not None:
        headers["x-upstream-status"] = str(trace.status)
    match outcome:
        case Done():
            return ProxyAnswer(outcome.status, outcome.body, headers)
        case Failed():
            envelope = outcome.envelope()
            body = {"statusCode": envelope.pop("status_code"), **envelope}
            if isinstance(outcome.failure, errors.WrongArguments):
                body["details"] = {"problems": list(outcome.failure.problems)}
            return ProxyAnswer(outcome.status, body, headers)
        case UnknownTool():
            status, body, _ = errors.http(errors.NotFound(outcome.message))
            return ProxyAnswer(status, body, headers)
