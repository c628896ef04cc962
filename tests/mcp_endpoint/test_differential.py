"""The endpoint against the official SDK's low-level server over the same tools: thousands of requests, right and wrong.

Status, error code and meaning must be the same; every difference that is meant is in DIFFERENCES with its reason, and
one that no request shows any more fails the test.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import mcp_types
import pytest
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError

from functions.gateway.errors import INVALID_PARAMS
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prompts import WrongPrompt, completion, definition, find, offered
from functions.gateway.prompts import text as prompt_text
from functions.mcp_endpoint import resources
from functions.mcp_endpoint.methods import MethodResult, Methods, Visit
from functions.mcp_endpoint.protocol import LEGACY_VERSIONS, Call, RpcError, cacheable
from tests.conformance import fixture
from tests.mcp_endpoint.endpoint import META, MODERN, Answer, Bench, Request, exchange_async, legacy, modern
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_file import load

Random = random.Random

REQUESTS = 4_000
"""Generated requests per run: about 10 s, most of it the SDK's."""

TOOL = "list_all_mem_0_memories"


NOT_JSON = (b"NaN", b"Infinity", b"\\ud800")


@dataclass(frozen=True)
class Difference:
    """What we answer otherwise than the SDK, on purpose. `holds` sees the request, our answer and the SDK's."""

    name: str
    reason: str
    holds: Callable[[Request, Answer, Answer], bool]


def _message(request: Request) -> Json:
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        return None


def _header(request: Request, name: str) -> str | None:
    return next((value for header, value in request.lines if header == name), None)


def _is_legacy(request: Request) -> bool:
    return _header(request, "mcp-protocol-version") in (None, *LEGACY_VERSIONS)


def _params(request: Request) -> dict[str, Json]:
    message = _message(request)
    params = message.get("params") if isinstance(message, dict) else None
    return params if isinstance(params, dict) else {}


def _has_envelope(request: Request) -> bool:
    meta = _params(request).get("_meta")
    return isinstance(meta, dict) and "io.modelcontextprotocol/protocolVersion" in meta


DIFFERENCES = (
    Difference(
        "unreadable-shape-is-invalid-request",
        "A legacy body that is no JSON-RPC message (a batch, a wrong envelope) is -32600 Invalid Request by JSON-RPC; "
        "the SDK says -32602 and repeats its validator's text. Status 400 both.",
        lambda request, ours, theirs: (
            _is_legacy(request) and (ours.status, ours.code, theirs.status, theirs.code) == (400, -32600, 400, -32602)
        ),
    ),
    Difference(
        "id-of-no-valid-type",
        "An id that is null, a boolean, a fraction or a structure: MCP forbids it, so -32600; the SDK's legacy side "
        "takes the message for a notification, answers 202 and leaves the caller waiting.",
        lambda request, ours, theirs: (
            _is_legacy(request) and (ours.status, ours.code, theirs.status) == (400, -32600, 202)
        ),
    ),
    Difference(
        "modern-envelope-decides-the-era",
        "A request with a modern envelope is modern (2026-07-28, versioning), so without a modern version header "
        "it is a header mismatch; the SDK goes by the header alone and serves it as legacy.",
        lambda request, ours, theirs: (
            _is_legacy(request)
            and _has_envelope(request)
            and ours.status in (400, 404)
            and ours.code in (-32020, -32602)
        ),
    ),
    Difference(
        "method-not-offered-before-its-parameters",
        "A method we do not offer is -32601 whatever its parameters; the SDK checks those of the specified methods "
        "first and answers -32602.",
        lambda request, ours, theirs: ours.code == -32601 and theirs.code == -32602,
    ),
    Difference(
        "cursor-we-did-not-give",
        "An invalid cursor is -32602 (2026-07-28, pagination); the SDK leaves cursors to the handler, and this one "
        "ignores them.",
        lambda request, ours, theirs: ours.code == -32602 and theirs.code is None and "cursor" in _params(request),
    ),
    Difference(
        "json-that-is-not-json",
        "NaN and Infinity are not JSON, half a surrogate pair is not text: -32700; the SDK parses them where it can.",
        lambda request, ours, theirs: ours.code == -32700 and any(text in request.body for text in NOT_JSON),
    ),
    Difference(
        "numbers-and-depth-we-cannot-pass-on",
        "A number beyond a double and nesting over 100 levels are -32700: no upstream request could be built of them; "
        "the SDK parses them where its parser can.",
        lambda request, ours, theirs: ours.code == -32700 and (b"1e999" in request.body or b"[" * 101 in request.body),
    ),
    Difference(
        "version-never-heard-of",
        "A version header of no revision, on a request without an envelope, is -32022 with those that are served; "
        "the SDK asks for the envelope with -32602. Status 400 both.",
        lambda request, ours, theirs: (
            not _has_envelope(request) and (ours.status, ours.code, theirs.code) == (400, -32022, -32602)
        ),
    ),
    Difference(
        "bytes-that-are-not-utf-8",
        "MCP messages are UTF-8 (basic, transports); the SDK's modern side also reads a byte order mark and UTF-16.",
        lambda request, ours, theirs: (
            ours.code == -32700 and request.body[:1] in (b"\xef", b"\xff") and theirs.code != -32700
        ),
    ),
    Difference(
        "unused-multi-round-parameters",
        "inputResponses and requestState belong to a round trip we never start, so they are ignored like any unknown "
        "parameter; the SDK checks their types.",
        lambda request, ours, theirs: (
            theirs.code == -32602
            and ours.code != -32602
            and bool({"inputResponses", "requestState"} & _params(request).keys())
        ),
    ),
    Difference(
        "progress-token-of-null",
        "A progress token of null is absent, because SDKs write null for what is not there; the SDK takes it with some "
        "methods, and calls it invalid with the others.",
        lambda request, ours, theirs: (
            theirs.code == -32602
            and ours.code != -32602
            and isinstance(meta := _params(request).get("_meta"), dict)
            and meta.get("progressToken", 0) is None
        ),
    ),
    Difference(
        "header-white-space",
        "White space around a header's value is no part of it (RFC 9110); HTTP servers trim it before the SDK sees it, "
        "here nothing does.",
        lambda request, ours, theirs: any(value != value.strip() for _, value in request.lines),
    ),
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """A few of Mem0's tools."""
    mem0 = load("mem0")
    return replace(mem0, tools=dict(list(mem0.tools.items())[:8]))


class _Methods(Methods):
    """Calls that always give their own name, on both sides; and a resource is read without its call."""

    async def read_resource(self, call: Call, visit: Visit, catalog: Catalog) -> MethodResult:
        uri = call.params["uri"]
        resources.find(uri, visit.grant.config, catalog)
        members: dict[str, Json] = {"contents": [{"uri": uri, "text": ""}]}
        return MethodResult(members | (cacheable(0) if call.modern else {}))

    async def call_tool(self, call: Call, visit: Visit, catalog: Catalog) -> MethodResult:
        name = call.params["name"]
        if name not in catalog.tools:
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {name}")
        return MethodResult({"content": [fixture.text(name)], "isError": False})


@asynccontextmanager
async def _sdk(catalog: Catalog) -> Any:
    """The official low-level server over the same tools, as an ASGI application."""
    listed = [mcp_types.Tool.model_validate(dict(tool.definition)) for tool in catalog.tools.values()]

    async def list_tools(context: Any, params: Any) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(tools=listed)

    async def call_tool(context: Any, params: mcp_types.CallToolRequestParams) -> mcp_types.CallToolResult:
        if params.name not in catalog.tools:
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {params.name}")
        return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text=params.name)])

    prompts = offered(catalog, catalog.tools.__contains__)

    async def list_prompts(context: Any, params: Any) -> mcp_types.ListPromptsResult:
        listed = [mcp_types.Prompt.model_validate(definition(prompt, ServerConfig())) for prompt in prompts]
        return mcp_types.ListPromptsResult(prompts=listed)

    async def get_prompt(context: Any, params: mcp_types.GetPromptRequestParams) -> mcp_types.GetPromptResult:
        try:
            written = prompt_text(find(prompts, params.name), ServerConfig(), params.arguments or {})
        except WrongPrompt as wrong:
            raise MCPError(code=INVALID_PARAMS, message=str(wrong)) from None
        content = mcp_types.TextContent(type="text", text=written)
        return mcp_types.GetPromptResult(messages=[mcp_types.PromptMessage(role="user", content=content)])

    async def complete(context: Any, params: mcp_types.CompleteRequestParams) -> mcp_types.CompleteResult:
        if not isinstance(params.ref, mcp_types.PromptReference):
            raise MCPError(code=INVALID_PARAMS, message="only prompts are completed")
        try:
            prompt = find(prompts, params.ref.name)
            values = completion(prompt, ServerConfig(), params.argument.name, params.argument.value)
        except WrongPrompt as wrong:
            raise MCPError(code=INVALID_PARAMS, message=str(wrong)) from None
        return mcp_types.CompleteResult(completion=mcp_types.Completion(values=values))

    config = ServerConfig()

    async def list_resources(context: Any, params: Any) -> mcp_types.ListResourcesResult:
        return mcp_types.ListResourcesResult(resources=[])

    async def list_resource_templates(context: Any, params: Any) -> mcp_types.ListResourceTemplatesResult:
        listed = [mcp_types.ResourceTemplate.model_validate(one) for one in resources.templates(config, catalog)]
        return mcp_types.ListResourceTemplatesResult(resource_templates=listed)

    async def read_resource(context: Any, params: mcp_types.ReadResourceRequestParams) -> mcp_types.ReadResourceResult:
        try:
            resources.find(params.uri, config, catalog)
        except RpcError as error:
            raise MCPError(code=error.code, message=error.message) from None
        return mcp_types.ReadResourceResult(contents=[mcp_types.TextResourceContents(uri=params.uri, text="")])

    server: Any = Server(
        "oracle",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_list_resources=list_resources,
        on_list_resource_templates=list_resource_templates,
        on_read_resource=read_resource,
    )
    server.get_tool_input_schema = lambda name: (
        catalog.tools[name].definition["inputSchema"] if name in catalog.tools else None
    )
    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
    async with manager.run():
        yield manager.handle_request


# Every valid request that the others are made from.
def _valid(rng: Random) -> Request:
    client = {"name": "tests", "version": "1"}
    offered = rng.choice([*LEGACY_VERSIONS, MODERN, "1999-01-01"])
    handshake = {"protocolVersion": offered, "capabilities": {}, "clientInfo": client}
    arguments = rng.choice([{}, {"filters": {"user_id": "ä"}}, None])
    call: Json = {"name": rng.choice([TOOL, "no_such_tool", "nö"])}
    if arguments is not None:
        call["arguments"] = arguments
    listing = rng.choice([None, {}, {"cursor": "zzz"}, {"cursor": ""}, {"cursor": None}])
    uri = rng.choice(["mem0://memories/9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10", "mem0://nothing", "nö"])
    reading = rng.choice(
        [
            ("resources/list", listing),
            ("resources/templates/list", listing),
            ("resources/read", {"uri": uri}),
            ("resources/read", None),
            ("resources/subscribe", None),
        ]
    )
    prompt, argument = rng.choice(["remember_this", "no_such_prompt", "nö"]), rng.choice(["user_id", "user"])
    prompting = rng.choice(
        [
            ("prompts/list", listing),
            ("prompts/get", {"name": prompt, "arguments": {argument: "usr_1"}}),
            ("prompts/get", {"name": prompt}),
            (
                "completion/complete",
                {"ref": {"type": "ref/prompt", "name": prompt}, "argument": {"name": argument, "value": "u"}},
            ),
            (
                "completion/complete",
                {"ref": {"type": "ref/resource", "uri": "a:b"}, "argument": {"name": argument, "value": "u"}},
            ),
        ]
    )
    removed = rng.choice(
        ["ping", "initialize", "logging/setLevel", "tasks/list", "TOOLS/LIST", "", "subscriptions/listen"]
    )
    id = rng.choice([1, 0, -7, "a", "", "ü", 2**63, "x" * 60])
    if rng.random() < 0.45:
        method, params = rng.choice(
            [("initialize", handshake), ("ping", None), ("tools/list", listing), ("tools/call", call), reading,
             prompting, ("server/discover", None), ("nope", {})]
        )  # fmt: skip
        return legacy(method, params, id=id, version=rng.choice([None, *LEGACY_VERSIONS]))
    method, params = rng.choice(
        [("server/discover", None), ("tools/list", listing), ("tools/call", call), ("tools/call", call), reading,
         prompting, (removed, None)]
    )  # fmt: skip
    request = modern(method, params, id=id)
    if isinstance(params, dict) and "nö" in (params.get("name"), params.get("uri")):
        return request.having(("mcp-name", _encoded("nö")))
    return request


def _encoded(value: str) -> str:
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


WRONG: tuple[Json, ...] = (None, True, 1.5, [], {}, "x", 7, "1e999")


def _with_wrong_header(request: Request, rng: Random) -> Request:
    names = ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-unknown"]
    name = rng.choice(names)
    value = _header(request, name) or "x"
    return rng.choice(
        [
            request.without(name),
            request.adding((name, value)),
            request.adding((name, "other")),
            request.having((name, "")),
            request.having((name, value.upper())),
            request.having((name, _encoded(value))),
            request.having((name, "=?base64?!!?=")),
            request.having((name, f"=?base64?{base64.b64encode(value.encode() + b'x').decode()[:-1]}?=")),
            request.having((name, f" {value}  ")),
            request.having(("mcp-protocol-version", rng.choice(["2099-01-01", "x", *LEGACY_VERSIONS, MODERN]))),
        ]
    )


def _with_wrong_body(request: Request, rng: Random) -> Request:
    message = _message(request)
    if not isinstance(message, dict):
        return request
    member = rng.choice(["jsonrpc", "id", "method", "params"])
    if rng.random() < 0.3:
        message.pop(member, None)
    else:
        message[member] = rng.choice(WRONG)
    return Request(request.lines, json.dumps(message).encode())


def _with_wrong_params(request: Request, rng: Random) -> Request:
    message = _message(request)
    if not isinstance(message, dict) or not isinstance(message.get("params"), dict):
        return request
    params = message["params"]
    names = [
        "name",
        "uri",
        "arguments",
        "cursor",
        "_meta",
        "protocolVersion",
        "clientInfo",
        "capabilities",
        "requestState",
    ]
    if message.get("method") == "completion/complete":
        names = ["ref", "argument", "_meta"]
    name = rng.choice(names)
    if rng.random() < 0.3:
        params.pop(name, None)
    else:
        params[name] = rng.choice([*WRONG, TOOL, {"name": "x", "version": "1"}, {"name": "x"}])
    return Request(request.lines, json.dumps(message).encode())


def _with_wrong_meta(request: Request, rng: Random) -> Request:
    message = _message(request)
    if not isinstance(message, dict) or not isinstance(message.get("params"), dict | None):
        return request
    params = message["params"] = message.get("params") or {}
    meta = params["_meta"] = params["_meta"] if isinstance(params.get("_meta"), dict) else {}
    name = rng.choice([*META, "progressToken", "io.modelcontextprotocol/logLevel", "traceparent", "x"])
    if rng.random() < 0.3:
        meta.pop(name, None)
    else:
        meta[name] = rng.choice([*WRONG, MODERN, "2025-11-25", "debug", {"sampling": {}}, {"sampling": 3}])
    return Request(request.lines, json.dumps(message).encode())


def _garbage(request: Request, rng: Random) -> Request:
    body = request.body
    return Request(
        request.lines,
        rng.choice(
            [
                body[: rng.randrange(len(body) + 1)],
                b"[" + body + b"]",
                b"\xef\xbb\xbf" + body,
                body.decode(errors="replace").encode("utf-16"),
                body.replace(b"{", b'{"n": NaN, ', 1),
                body.replace(b"{", b'{"n": 1e999, ', 1),
                body.replace(b"{", b'{"n": "\\ud800", ', 1),
                body.replace(b"{", b'{"n": ' + b"[" * 5000 + b"]" * 5000 + b", ", 1),
                body.replace(b"{", b'{"n": ' + b"[" * 150 + b"]" * 150 + b", ", 1),
                body.replace(b"{", b'{"n": ' + b"9" * 5000 + b", ", 1),
                b'{"jsonrpc":"2.0","id":1,"result":{}}',
                b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}',
                b'{"jsonrpc":"2.0","id":1,"result":[]}',
                b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
                b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
                b'{"jsonrpc":"2.0","method":"x","params":[]}',
                b"null",
                b"",
                bytes(rng.randrange(256) for _ in range(20)),
            ]
        ),
    )


CHANGES = (
    *(_with_wrong_header, _with_wrong_header, _with_wrong_body, _with_wrong_params, _with_wrong_meta),
    _garbage,
)


def _generated(rng: Random) -> Iterator[Request]:
    for _ in range(REQUESTS):
        request = _valid(rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            request = rng.choice(CHANGES)(request, rng)
        yield request


def _meaning(answer: Answer) -> Json:
    """What an answer says, as far as both sides must say the same."""
    if not answer.body:
        return answer.status, None
    document = answer.json
    if "error" in document:
        return answer.status, document["error"]["code"]
    result = document["result"]
    return answer.status, {
        "id": document["id"],
        "tools": [tool["name"] for tool in result.get("tools", ())],
        "templates": [template["uriTemplate"] for template in result.get("resourceTemplates", ())],
        "contents": [content["uri"] for content in result.get("contents", ())],
        "text": [block["text"] for block in result.get("content", ())],
        "version": result.get("protocolVersion"),
        "supported": result.get("supportedVersions"),
        "type": result.get("resultType"),
        "scope": result.get("cacheScope"),
    }


@pytest.mark.slow
def test_generated_requests_mean_the_same_to_the_official_server(bench: Bench, catalog: Catalog) -> None:
    token = bench.mint()
    endpoint = bench.endpoint(_Methods(bench.settings, bench.sender, load_catalog=lambda name: catalog))
    seen: Counter[str] = Counter()
    agreed: Counter[int] = Counter()

    async def compare() -> None:
        async with _sdk(catalog) as oracle:
            for number, request in enumerate(_generated(random.Random(20261121))):
                ours = await exchange_async(endpoint, "POST", f"/mcp/{token}", request.lines, request.body)
                theirs = await exchange_async(oracle, "POST", "/", request.lines, request.body)
                assert ours.status < 500
                if _meaning(ours) == _meaning(theirs):
                    agreed[ours.status] += 1
                    continue
                known = [entry.name for entry in DIFFERENCES if entry.holds(request, ours, theirs)]
                assert known, (
                    f"request {number}: we mean {_meaning(ours)} {ours.body[:300]!r}, the SDK {_meaning(theirs)} "
                    f"{theirs.body[:300]!r} to {request.lines} {request.body[:600]!r}"
                )
                seen[known[0]] += 1

    asyncio.run(compare())
    assert {entry.name for entry in DIFFERENCES} - seen.keys() == set(), "a difference that no request shows"
    assert agreed.total() > REQUESTS * 0.7
    assert {200, 202, 400, 404} <= agreed.keys()
