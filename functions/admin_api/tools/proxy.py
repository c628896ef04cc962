"""The tools of an account over plain HTTP, for agents without MCP: one address for each, the same call line as MCP.

::

    GET    /proxy/{resource}              list        POST  /proxy/{resource}           create
    GET    /proxy/{resource}/{id}         get         PATCH /proxy/{resource}/{id}      update (PUT too)
    DELETE /proxy/{resource}/{id}         delete      POST  /proxy/{resource}/{method}  any method by its name

Arguments are query parameters (`limit=5`, `filters[user_id]=u1`, `ids[]=a`, or JSON as a value), members of a JSON
body, or both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.service import Accounts
from functions.admin_api.reading import read_json
from functions.admin_api.tools.idempotency import Idempotency, Kept
from functions.gateway import audit, credentials, errors, json_text
from functions.gateway.call import Caller, call
from functions.gateway.errors import Invalid, NotFound
from functions.gateway.grants import Grant, ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.wording import did_you_mean, shown
from tool_catalog.catalog import Catalog, Tool

LOGGED_CLIENT_CHARS = 64
"""Characters kept of the client's name and of its version, from its User-Agent."""

MAX_KEY_STEPS = 8
"""Brackets in one query key: deeper than any filter an upstream takes."""

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")
_VERBS = {"list": "GET", "get": "GET", "create": "POST", "update": "PATCH", "delete": "DELETE"}


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What came in. `tail` is the id or method in the path, "" for none; `query` holds the tool's arguments only.

    `deadline` is on the clock of `time.monotonic()`, in seconds.
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


class Proxy:
    """`monotonic` gives seconds for measuring, `clock` the present in UTC."""

    def __init__(
        self,
        *,
        settings: Settings,
        accounts: Accounts,
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
        """Carry out one call. Raises Refused for a request that is no call; a call that fails is an answer."""
        account = self._accounts.load(account_id)
        catalog = self._accounts.catalog(account)
        tool = find(catalog, request.verb, request.resource, request.tail)
        arguments = read_arguments(tool, request)
        data_key = self._accounts.data_key(account)
        if request.idempotency_key is None or tool.access == "read":
            return (await self._run(account, tool, arguments, data_key, request))[0]
        claim = self._idempotency.claim(account_id, request.idempotency_key, tool.name, arguments, data_key)
        if isinstance(claim, Kept):
            return ProxyAnswer(claim.status, claim.body, {**claim.headers, "idempotency-replayed": "true"})
        try:
            answer, acted = await self._run(account, tool, arguments, data_key, request)
        except BaseException:
            claim.lose()
            raise
        if acted:
            claim.keep(Kept(answer.status, answer.body, answer.headers))
        else:
            claim.release()
        return answer

    async def _run(
        self,
        account: AccountItem,
        tool: Tool,
        arguments: dict[str, Json],
        data_key: bytes,
        request: ProxyRequest,
    ) -> tuple[ProxyAnswer, bool]:
        """The answer, and whether the upstream may have acted."""
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
            self._audit.record(
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
                    result_bytes=json_text.size(body),
                    client_name=name[:LOGGED_CLIENT_CHARS],
                    client_version=version.split(" ")[0][:LOGGED_CLIENT_CHARS],
                    argument_hash=audit.argument_hash(arguments, data_key),
                )
            )
            if caller.upstream.status == 401:
                self._audit.needs_reauth(caller.server, now)
        return ProxyAnswer(status, body, headers), _may_have_acted(failure)


def address(tool: Tool) -> tuple[str, str]:
    """Verb and path of a tool's proxy call, as ("GET", "/proxy/memories/{id}")."""
    path = f"/proxy/{tool.resource}"
    if tool.method in ("get", "update", "delete") and (name := id_argument(tool)) is not None:
        return _VERBS[tool.method], f"{path}/{{{name}}}"
    if tool.method in _VERBS:
        return _VERBS[tool.method], path
    return "POST", f"{path}/{tool.method}"


def id_argument(tool: Tool) -> str | None:
    """The argument that the last part of a by-id address fills: `id`, else the last one in the upstream's path that the
    account's context cannot give; None when there is none."""
    in_path = [parameter for parameter in tool.request.parameters if parameter.location == "path"]
    arguments = [parameter.argument for parameter in in_path if parameter.argument and parameter.context is None]
    if "id" in arguments:
        return "id"
    return arguments[-1] if arguments else None


def find(catalog: Catalog, verb: str, resource: str, tail: str) -> Tool:
    """The tool of an address. Raises NotFound with the addresses there are."""
    tools = [tool for tool in catalog.tools.values() if tool.resource == resource]
    if not tools:
        resources = sorted({tool.resource for tool in catalog.tools.values()})
        raise NotFound(f"no resource {shown(resource)}{did_you_mean(resource, resources)}")
    verb = {"PUT": "PATCH", "HEAD": "GET"}.get(verb, verb)
    for tool in tools:
        own_verb, path = address(tool)
        if own_verb == verb and ((path.endswith("}") and tail) or (path == f"/proxy/{resource}" and not tail)):
            return tool
        if verb == "POST" and tail == tool.method:
            return tool
    asked = f"{verb} /proxy/{resource}" + (f"/{tail[:80]}" if tail else "")
    raise NotFound(f"{asked}: no such call; valid: {', '.join(' '.join(address(tool)) for tool in tools)}")


def read_arguments(tool: Tool, request: ProxyRequest) -> dict[str, Json]:
    """The tool's arguments from path, query and body. Raises Invalid for what cannot be read; the call line checks the
    rest."""
    arguments = _query_arguments(tool, request.query)
    for name, value in _body_arguments(tool, request.body).items():
        if name in arguments:
            raise Invalid(f'"{name}" is in the query and in the body; send it once')
        arguments[name] = value
    _, path = address(tool)
    if path.endswith("}") and request.verb != "POST":  # behind POST stands the method's name, not an id
        name = id_argument(tool) or ""
        if arguments.get(name, request.tail) != request.tail:
            raise Invalid(f'"{name}" is {shown(arguments[name])} and {shown(request.tail)} in the path; send it once')
        arguments[name] = request.tail
    return arguments


def _body_arguments(tool: Tool, raw: bytes) -> dict[str, Json]:
    if not raw.strip():
        return {}
    document = read_json(raw)
    if isinstance(document, dict):
        return document
    whole = [p.argument for p in tool.request.parameters if p.location == "body" and p.name == "" and p.argument]
    if whole:
        return {whole[0]: document}
    raise Invalid("the request body must be a JSON object that holds the arguments")


def _query_arguments(tool: Tool, pairs: Sequence[tuple[str, str]]) -> dict[str, Json]:
    properties: Mapping[str, Json] = tool.definition["inputSchema"]["properties"]
    texts: dict[str, Json] = {}
    for key, text in pairs:
        match = _KEY.fullmatch(key)
        steps = _STEP.findall(match[2]) if match else []
        if match is None or len(steps) > MAX_KEY_STEPS:
            raise Invalid(f"query: {shown(key)} cannot be read; nest as filters[user_id]=u1, list as ids[]=a&ids[]=b")
        _place(texts, [match[1], *steps], text, key)
    return {name: _typed(value, properties.get(name, {})) for name, value in texts.items()}


def _place(root: dict[str, Json], steps: Sequence[str], text: str, key: str) -> None:
    """Put a text into the nested texts; an empty step appends, and so does a repeated key."""
    node: dict[str, Json] = root
    *parents, last = steps
    append = last == ""
    if append:
        *parents, last = parents
    for step in parents:
        node = node.setdefault(step, {})
        if not isinstance(node, dict) or step == "":
            raise Invalid(f"query: {shown(key)} does not fit the other parameters; send nested values as JSON instead")
    before = node.get(last)
    if isinstance(before, dict):
        raise Invalid(f"query: {shown(key)} does not fit the other parameters; send nested values as JSON instead")
    if append or before is not None:
        node[last] = [*(before if isinstance(before, list) else [] if before is None else [before]), text]
    else:
        node[last] = text


def _typed(value: Json, schema: Json) -> Json:
    """Texts as the values that the schema asks for; what does not fit stays a text, for the argument check to tell."""
    if not isinstance(schema, dict):
        schema = {}
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {name: _typed(entry, properties.get(name, {})) for name, entry in value.items()}
    if isinstance(value, list):
        return [_typed(entry, schema.get("items", {})) for entry in value]
    kinds = _kinds(schema)
    if value[:1] in ("{", "[") and ("object" in kinds or "array" in kinds):
        try:
            return read_json(value.encode("utf-8", "surrogatepass"))
        except Invalid:
            return value
    if "string" in kinds or not kinds:
        return value
    if "boolean" in kinds and value in ("true", "false"):
        return value == "true"
    if "integer" in kinds and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if "number" in kinds and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value):
        return float(value)
    if "array" in kinds:
        return [_typed(entry, schema.get("items", {})) for entry in value.split(",")]
    return value


def _kinds(schema: Mapping[str, Json]) -> set[str]:
    """JSON types that a schema names, in its branches too."""
    named = schema.get("type", [])
    kinds = {named} if isinstance(named, str) else set(named)
    for branch in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        kinds |= _kinds(branch)
    if "enum" in schema and not kinds:
        kinds.add("string")
    return kinds


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
    """The upstream's own status, as far as it goes with a body."""
    return upstream_status if upstream_status in (200, 201, 202) else 200


def _may_have_acted(failure: errors.ToolFailure | None) -> bool:
    """False only when it is sure that the upstream changed nothing, so that the same call may simply be made again."""
    match failure:
        case errors.WrongArguments() | errors.OutOfScope():
            return False
        case errors.UpstreamRefused():
            return failure.status_code >= 500
        case errors.ToolFailure():
            return failure.sent
        case None:
            return True
