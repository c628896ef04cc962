"""The result of each MCP method for a caller who was let in: one straight line each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from functions.gateway import audit, offered_texts, prompts, selection
from functions.gateway.call import act_on_event, follow, run
from functions.gateway.call_limits import CallLimits, CallRate, Marks
from functions.gateway.credentials import SealError, token_key
from functions.gateway.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallLimited,
    ConfirmationNeeded,
    PosternError,
    ToolFailure,
)
from functions.gateway.grants import Grant, ServerConfig, Target, digest, write_time
from functions.gateway.http_frame import log_detail
from functions.gateway.json_text import Json, encode
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.value_classes import dataclass, field
from functions.mcp_endpoint import protocol, resources, tool_results
from functions.mcp_endpoint.listings import PAGE_BYTES, WRONG_CURSOR, Listings
from functions.mcp_endpoint.protocol import Call, RpcError
from tool_catalog import compiled_file
from tool_catalog.catalog import DISCOVERY_NAMES, Catalog, Prompt, Tool

if TYPE_CHECKING:
    from functions.gateway.confirmation import Confirmer, Kept
    from functions.gateway.tracing import Span

LISTING_TTL_MS = 60_000
"""How long a client may keep a listing, in ms. A changed selection holds for calls at once."""

DISCOVERY = "Find tools with {}, read one with {}, and call it with {}.".format(*DISCOVERY_NAMES)
"""What the instructions of a server with the profile `discovery` say first."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request that was let in. `seconds_left` is how long its answer may take; `span` is None where nothing is
    traced."""

    grant: Grant
    token: str = field(repr=False)
    principal: str
    now: datetime
    seconds_left: float
    request_id: str
    user_agent: str
    span: Span | None = None

    def within(self, span: Span) -> Visit:
        """The request with the span that it is."""
        return Visit(
            self.grant,
            self.token,
            self.principal,
            self.now,
            self.seconds_left,
            self.request_id,
            self.user_agent,
            span,
        )


@dataclass(frozen=True, slots=True)
class MethodResult:
    """Members of a JSON-RPC result. `frozen` holds further ones as JSON already; `headers` are HTTP's."""

    members: dict[str, Json]
    frozen: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Methods:
    """The methods of one process.

    `log`           takes an entry of each tool call; None = none is written.
    `load_catalog`  name of an integration -> its catalogue. Raises CatalogError.
    `shared`        the store where several processes count the calls of a server that sets a limit.
    `confirmations` the store where servers that ask for confirmations keep which codes were used.
    `random(n)`     n unpredictable bytes.
    """

    def __init__(
        self,
        settings: Settings,
        sender: Sender,
        log: audit.Audit | None = None,
        *,
        load_catalog: Callable[[str], Catalog] = compiled_file.load,
        page_bytes: int = PAGE_BYTES,
        shared: Marks | None = None,
        confirmations: Kept | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._settings = settings
        self.waits = sender.waits
        self._sender = sender
        self._log = log
        self._load_catalog = load_catalog
        self._listings = Listings(page_bytes)
        self._confirmations = confirmations
        self._random = random
        self._limits = CallLimits(CallRate(settings.calls_per_minute, settings.call_burst), shared)

    async def answer(self, call: Call, visit: Visit) -> MethodResult:
        """Carry out one method. Raises RpcError."""
        catalog = self._catalog(visit.grant)
        match call.method:
            case "initialize":
                introduction = self._introduction(call, visit, catalog)
                return MethodResult(
                    protocol.initialize(call, **introduction),
                    headers=resources.session(call, introduction["capabilities"], visit.request_id),
                )
            case "server/discover":
                return MethodResult(
                    {
                        **protocol.discover(**self._introduction(call, visit, catalog)),
                        **protocol.cacheable(ttl_ms(visit.grant, visit.now)),
                    }
                )
            case "ping":
                return MethodResult({})
            case "tools/list":
                return self._list_tools(call, visit, catalog)
            case "tools/call":
                return await self.call_tool(call, visit, catalog)
            case "prompts/list":
                config = visit.grant.config
                found = [prompts.definition(prompt, config) for prompt in self.prompts(visit, catalog)]
                return _listed(call, visit, "prompts", found)
            case "prompts/get":
                return MethodResult(self.get_prompt(call, visit, catalog))
            case "completion/complete":
                return MethodResult(self.complete(call, visit, catalog))
            case "resources/list":
                return _listed(call, visit, "resources", resources.listed(call, visit.grant.config, catalog))
            case "resources/templates/list":
                return _listed(call, visit, "resourceTemplates", resources.templates(visit.grant.config, catalog))
            case "resources/read":
                return await self.read_resource(call, visit, catalog)
            case "tasks/get" | "tasks/update" | "tasks/cancel":
                return await self._task(call, visit, catalog)
        raise AssertionError("protocol.read lets no other method through")

    def _introduction(self, call: Call, visit: Visit, catalog: Catalog) -> dict[str, Any]:
        """What the handshake and its modern counterpart say about a server."""
        about: dict[str, Json] = {"websiteUrl": catalog.website} if catalog.website else {}
        if catalog.icon:
            about["icons"] = [{"src": catalog.icon, "mimeType": "image/svg+xml", "sizes": ["any"]}]
        return {
            "title": visit.grant.name,
            "instructions": instructions(visit.grant, catalog),
            "capabilities": protocol.capabilities(
                prompts=bool(catalog.prompts and self.prompts(visit, catalog)),
                resources=bool(resources.offered(visit.grant.config, catalog)),
                views=resources.shows_views(call, visit.grant.config)
                and resources.has_views(visit.grant.config, catalog),
                tasks=call.follows_tasks and selection.queues(catalog, visit.grant.config),
            ),
            "about": about,
        }

    def prompts(self, visit: Visit, catalog: Catalog) -> list[Prompt]:
        """The prompts of this server: those of which it shows every tool."""
        return prompts.offered(catalog, partial(selection.offers, catalog, visit.grant.config))

    def get_prompt(self, call: Call, visit: Visit, catalog: Catalog) -> dict[str, Json]:
        """The messages of one prompt. Raises RpcError."""
        try:
            prompt = prompts.find(self.prompts(visit, catalog), call.params["name"])
            given: dict[str, str] = call.params.get("arguments") or {}
            if call.modern and (prompts.missing(prompt, visit.grant.config, given) or "inputResponses" in call.params):
                from functions.mcp_endpoint import asking  # other clients need none of it

                given = asking.answered_arguments(call) | given
                asked = asking.prompt_arguments(call, prompts.missing(prompt, visit.grant.config, given))
                if asked is not None:
                    return asked
            written = prompts.text(prompt, visit.grant.config, given)
            if visit.span is not None:
                visit.span.prompt = prompt.name
        except prompts.WrongPrompt as wrong:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {wrong}") from None
        message = {"role": "user", "content": {"type": "text", "text": written}}
        return {"description": prompt.description, "messages": [message]}

    def complete(self, call: Call, visit: Visit, catalog: Catalog) -> dict[str, Json]:
        """Values of an argument of a prompt. Raises RpcError."""
        reference, argument = call.params["ref"], call.params["argument"]
        if reference["type"] != "ref/prompt":
            raise RpcError(INVALID_PARAMS, "Invalid params: only arguments of prompts are completed; ref is ref/prompt")
        try:
            prompt = prompts.find(self.prompts(visit, catalog), reference["name"])
            values = prompts.completion(prompt, visit.grant.config, argument["name"], argument["value"])
        except prompts.WrongPrompt as wrong:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {wrong}") from None
        return {"completion": {"values": values, "total": len(values), "hasMore": False}}

    def _list_tools(self, call: Call, visit: Visit, catalog: Catalog) -> MethodResult:
        views = resources.shows_views(call, visit.grant.config)
        page = self._listings.page(visit.grant, catalog, digest(visit.token), call.params.get("cursor"), views)
        members: dict[str, Json] = {"nextCursor": page.next_cursor} if page.next_cursor else {}
        return MethodResult(members | _may_be_kept(call, visit), {"tools": page.tools})

    async def call_tool(self, call: Call, visit: Visit, catalog: Catalog) -> MethodResult:
        """A tool's result, its failure reported to the model. Raises RpcError."""
        tool = catalog.tools.get(call.params["name"])
        if tool is not None and _has_more(call, tool, visit.grant.config) and selection.shows(tool, visit.grant.config):
            if visit.span is not None:
                visit.span.tool = tool.name
            return await self._call_in_rounds(call, visit, catalog, tool)
        arguments = call.params.get("arguments") or {}
        outcome, written = await self._carried_out(call, visit, catalog, call.params["name"], arguments)
        return _tool_result(outcome, written, visit)

    async def _call_in_rounds(self, call: Call, visit: Visit, catalog: Catalog, tool: Tool) -> MethodResult:
        """A call that may ask the client's side for something, or whose outcome may be a task. Raises RpcError."""
        from functions.mcp_endpoint import asking, tasks  # other calls need none of it

        tasks.check_tool(call, tool)
        opened = _opened(visit)
        _, target = opened
        rounds = asking.Rounds(call, tool, visit.grant, target, visit.now, self._random)
        round = rounds.resumed()
        if (asked := rounds.question(round)) is not None:
            return MethodResult(asked)
        outcome, written = await self._carried_out(
            call, visit, catalog, tool.name, round.arguments, opened=opened, declined=round.declined
        )
        if (
            isinstance(outcome, Failed)
            and isinstance(outcome.failure, ConfirmationNeeded)
            and (asked := rounds.confirmation(round, outcome.failure)) is not None
        ):
            return MethodResult(asked)
        if isinstance(outcome, Done) and outcome.event_id is not None and call.follows_tasks:
            members = tasks.created(visit.grant, target, tool, outcome.event_id, now=visit.now, random=self._random)
            return MethodResult(members, headers=_limit_headers(outcome))
        return _tool_result(outcome, written, visit)

    async def read_resource(self, call: Call, visit: Visit, catalog: Catalog) -> MethodResult:
        """The page of a tool, or the result of the tool that a URI stands for. Raises RpcError."""
        uri, config = call.params["uri"], visit.grant.config
        if (page := resources.page(uri, config, catalog)) is not None:
            return MethodResult({"contents": [page], **_may_be_kept(call, visit)})
        found = resources.find(uri, config, catalog)
        outcome, written = await self._carried_out(call, visit, catalog, found.resource.tool, found.arguments)
        contents = resources.contents(uri, found.resource, outcome, written)
        # What a tool returns may change with the next call.
        fresh = protocol.cacheable(0) if call.modern else {}
        return MethodResult({"contents": contents, **fresh}, headers=_limit_headers(outcome))

    async def _task(self, call: Call, visit: Visit, catalog: Catalog) -> MethodResult:
        """What became of a task, or what a client says about it. Raises RpcError."""
        from functions.mcp_endpoint import tasks  # other clients need none of it

        tasks.check_declared(call)
        await self.waits.turn()
        grant = visit.grant
        key, target = _opened(visit)
        task = tasks.opened(call.params["taskId"], grant, target, catalog, self._settings)
        elapsed = self.waits.now
        started = elapsed()
        try:
            self._admit(visit, elapsed)
        except CallLimited as limited:
            raise RpcError(int(limited.status) * 100 + 1, limited.message) from None
        deadline = started + visit.seconds_left
        members: dict[str, Json] = {}
        outcome: Done | Failed
        if call.method == "tasks/get":
            reader, given = task.queued.reader.tool, {task.queued.event.argument: task.queued.event_id}
            asked = ToolCall(reader.name, given, visit.now, deadline, visit.span)
            state, trace = await follow(task.queued, asked, target, catalog, sender=self._sender)
            members = tasks.detailed(task, state, trace, grant, visit.now)
            lost = state.kind in ("unknown", "gone")
            outcome = Failed(reader, ToolFailure(state.why), trace) if lost else Done(reader, {}, trace)
        else:
            name, given = tasks.action(task, call)
            tool = catalog.tools.get(name or "")
            if tool is None:
                return MethodResult({})  # the upstream cannot be told
            asked = ToolCall(tool.name, given, visit.now, deadline, visit.span)
            outcome = await act_on_event(tool, asked, target, catalog, sender=self._sender)
        if visit.span is not None:
            visit.span.note(outcome)
        if self._log is not None:
            caller, size, seconds = _caller(call, visit), len(encode(members)), elapsed() - started
            self._log.write(audit.entry(caller, asked, target, outcome, seconds=seconds, result_bytes=size, key=key))
        if isinstance(outcome, Failed) and not members and not outcome.failure.is_remote:
            raise RpcError(INTERNAL_ERROR, outcome.message)
        return MethodResult(members)

    async def _carried_out(
        self,
        call: Call,
        visit: Visit,
        catalog: Catalog,
        name: str,
        arguments: Mapping[str, Json],
        *,
        opened: tuple[bytes, Target] | None = None,
        declined: bool = False,
    ) -> tuple[Done | Failed | UnknownTool, str]:
        """The call line of the gateway, and one log entry of how it ended. With the outcome comes the text that its
        result holds, as JSON. `opened` is what `_opened` returned, where it was needed before."""
        await self.waits.turn()
        key, target = opened or _opened(visit)
        elapsed = self.waits.now
        started = elapsed()
        deadline = started + visit.seconds_left
        asked = ToolCall(name, arguments, visit.now, deadline, visit.span)

        line = run
        if visit.grant.config.profile == "discovery" and call.method == "tools/call":
            from functions.gateway import discovery  # other servers need none of it

            asked, line = discovery.meant(asked), discovery.run
        outcome = await line(
            asked,
            target,
            catalog,
            sender=self._sender,
            settings=self._settings,
            admit=partial(self._admit, visit, elapsed),
            confirmer=self._confirmer(visit, target, declined=declined) if target.config.confirm else None,
        )
        if isinstance(outcome, Failed):
            log_detail(outcome.failure, visit.request_id)
        if visit.span is not None:
            visit.span.note(outcome)
        written = tool_results.written(outcome)
        if self._log is not None:
            caller = _caller(call, visit)
            seconds, size = elapsed() - started, len(written.encode())
            self._log.write(audit.entry(caller, asked, target, outcome, seconds=seconds, result_bytes=size, key=key))
        return outcome, written

    def _admit(self, visit: Visit, elapsed: Callable[[], float]) -> None:
        """Count one call of this server. Raises CallLimited for one that has to wait."""
        grant = visit.grant
        self._limits.take(grant.id, grant.config.rate_limit, elapsed, visit.now.timestamp())

    def _confirmer(self, visit: Visit, target: Target, *, declined: bool) -> Confirmer:
        """What asks for the confirmations of this server and takes them."""
        from functions.gateway.confirmation import Confirmer  # other servers need none of it

        grant, origin = visit.grant, self._settings.management_url
        return Confirmer(
            server_id=grant.id,
            server_name=grant.name,
            account_id=grant.account.id,
            key=target.signing_key,
            by=grant.config.confirm_by,
            store=self._confirmations,
            now=visit.now,
            random=self._random,
            declined=declined,
            page=f"{origin.rstrip('/')}/console#/approve" if origin else "",
        )

    def write_refusal(
        self, grant: Grant, refused: PosternError, now: datetime, request_id: str, user_agent: str
    ) -> None:
        """One log entry of a caller who held the URL and was not admitted."""
        if self._log is not None:
            caller = audit.Caller("mcp", grant.id, grant.id, request_id, *audit.client(user_agent), grant.labels)
            self._log.write(audit.refusal(caller, grant, now, refused))

    def _catalog(self, grant: Grant) -> Catalog:
        integration = grant.account.integration
        try:
            return self._load_catalog(integration)
        except compiled_file.CatalogError as missing:
            logger.error("server %s: %s", grant.id, missing)
            raise RpcError(INTERNAL_ERROR, f'This deployment has no integration "{integration}"') from missing


def _listed(call: Call, visit: Visit, name: str, entries: list[dict[str, Json]]) -> MethodResult:
    """A listing of one page. Raises RpcError for a cursor."""
    if call.params.get("cursor"):
        raise RpcError(INVALID_PARAMS, WRONG_CURSOR)
    return MethodResult({name: entries, **_may_be_kept(call, visit)})


def _may_be_kept(call: Call, visit: Visit) -> dict[str, Json]:
    """What the answer of a server says about caching: nothing, where the client is of the legacy era."""
    return protocol.cacheable(ttl_ms(visit.grant, visit.now)) if call.modern else {}


def _has_more(call: Call, tool: Tool, config: ServerConfig) -> bool:
    """True for a call that may take more than one request: one that asks, is confirmed, or queues something."""
    if not call.modern:
        return tool.event is not None and tool.event.required
    asks = bool(tool.asks) or bool(config.confirm) or "inputResponses" in call.params or "requestState" in call.params
    return asks or tool.event is not None


def _tool_result(outcome: Done | Failed | UnknownTool, written: str, visit: Visit) -> MethodResult:
    """The result of a call that was carried out. Raises RpcError for a tool that this server does not have."""
    if isinstance(outcome, UnknownTool):
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {outcome.message}")
    # Not with an error: the TypeScript SDK 1.x checks structuredContent against outputSchema even then, and throws its
    # own complaint in place of what went wrong.
    frozen = {"structuredContent": written} if isinstance(outcome, Done) else {}
    members = tool_results.members(outcome, written, visit.grant, visit.now)
    return MethodResult(members, frozen, _limit_headers(outcome))


def _limit_headers(outcome: Done | Failed | UnknownTool) -> Mapping[str, str]:
    """The upstream's rate limit as headers."""
    limit = outcome.trace.rate_limit
    return limit.headers() if limit else {}


def ttl_ms(grant: Grant, now: datetime) -> int:
    """How long a listing of this server may be kept: never beyond its end."""
    if grant.expires_at is None:
        return LISTING_TTL_MS
    return min(LISTING_TTL_MS, int((grant.expires_at - now) / timedelta(milliseconds=1)))


def instructions(grant: Grant, catalog: Catalog) -> str:
    """What a host shows its model about this server."""
    sentences = [offered_texts.without(catalog.instructions, selection.hidden(catalog, grant.config))]
    if grant.config.pins:
        # First, because a host may show its model the first 512 characters only.
        pins = ", ".join(grant.config.pins)
        sentences.insert(0, f"Pinned server: it fills {pins} in on every call, so leave that out.")
    if grant.config.profile == "discovery":
        sentences.insert(0, DISCOVERY)
    if grant.expires_at is not None:
        sentences.append(f"This server stops working at {write_time(grant.expires_at)}.")
    return " ".join(filter(None, sentences))


def _opened(visit: Visit) -> tuple[bytes, Target]:
    """The token's key, and what a call needs of the grant, its credential opened with that key. Raises RpcError."""
    key = token_key(visit.token)
    try:
        return key, visit.grant.target(key)
    except SealError:
        logger.error("the sealed credential of server %s does not open with its token", visit.grant.id)
        raise RpcError(
            INTERNAL_ERROR, "This server's stored credential does not open; its operator should mint a new URL"
        ) from None


def _caller(call: Call, visit: Visit) -> audit.Caller:
    name, version = call.client or audit.client(visit.user_agent)
    grant, trace_id = visit.grant, visit.span.trace_id if visit.span is not None else ""
    return audit.Caller("mcp", visit.principal, grant.id, visit.request_id, name, version, grant.labels, trace_id)
