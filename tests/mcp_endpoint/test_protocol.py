"""The protocol, request by request. Each case names the sentence it comes from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.mcp_endpoint import protocol
from functions.mcp_endpoint.protocol import Call, Notification, Refusal
from tests.mcp_endpoint.endpoint import META, MODERN, Request, legacy, modern

TRANSPORT = "2026-07-28 transports"
BASIC = "2026-07-28 basic"
VERSIONING = "2026-07-28 versioning"
JSON_RPC = "JSON-RPC 2.0"
LEGACY = "2025-11-25 transports"
SDK = "official Python SDK 2.3"


def _read(request: Request) -> Call | Notification | Refusal:
    return protocol.read(request.lines, request.body)


def _body(request: Request, **members: Json) -> Request:
    """The request with these members of its message in place of its own; None takes one away."""
    message = {**json.loads(request.body), **members}
    return Request(request.lines, json.dumps({k: v for k, v in message.items() if v is not None}).encode())


SERVED = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

LIST = modern("tools/list")
CALL = modern("tools/call", {"name": "search", "arguments": {}})

REFUSED: list[tuple[str, Request, int, int, str]] = [
    (TRANSPORT, LIST.without("mcp-method"), 400, -32020, 'mcp-method is missing, the body\'s method is "tools/list"'),
    (TRANSPORT, LIST.having(("mcp-method", "prompts/list")), 400, -32020, 'mcp-method is "prompts/list"'),
    (TRANSPORT, LIST.having(("mcp-method", "TOOLS/LIST")), 400, -32020, 'mcp-method is "TOOLS/LIST"'),
    (TRANSPORT, LIST.adding(("mcp-method", "tools/list")), 400, -32020, "mcp-method appears more than once"),
    (TRANSPORT, LIST.adding(("mcp-name", "a"), ("mcp-name", "a")), 400, -32020, "mcp-name appears more than once"),
    (TRANSPORT, CALL.without("mcp-name"), 400, -32020, 'mcp-name is missing, params.name is "search"'),
    (TRANSPORT, CALL.having(("mcp-name", "fetch")), 400, -32020, 'mcp-name is "fetch", params.name is "search"'),
    (TRANSPORT, CALL.having(("mcp-name", "=?base64?!!?=")), 400, -32020, 'mcp-name is "=?base64?!!?="'),
    (TRANSPORT, CALL.having(("mcp-name", "=?BASE64?c2VhcmNo?=")), 400, -32020, 'mcp-name is "=?BASE64?c2VhcmNo?="'),
    (TRANSPORT, LIST.without("mcp-protocol-version"), 400, -32020, "mcp-protocol-version is missing"),
    (TRANSPORT, LIST.having(("mcp-protocol-version", "2025-11-25")), 400, -32020, 'mcp-protocol-version is "2025-11'),
    (TRANSPORT, LIST.having(("mcp-protocol-version", "2099-01-01")), 400, -32020, 'mcp-protocol-version is "2099-01'),
    (BASIC, modern("tools/list", meta={"io.modelcontextprotocol/clientInfo": "x"}), 400, -32602, "clientInfo must be"),
    (BASIC, modern("tools/list", meta={"io.modelcontextprotocol/logLevel": "loud"}), 400, -32602, "logLevel must be"),
    (
        BASIC,
        modern("tools/list", meta={"io.modelcontextprotocol/clientCapabilities": []}),
        400,
        -32602,
        "object of obj",
    ),
    (BASIC, modern("tools/list", meta={"progressToken": 1.5}), 400, -32602, "progressToken must be"),
    (BASIC, _body(LIST, params={}), 400, -32602, "params._meta lacks io.modelcontextprotocol/protocolVersion and io."),
    (
        BASIC,
        _body(LIST, params={"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN}}),
        400,
        -32602,
        "lacks io.",
    ),
    (BASIC, _body(LIST, id=1.5), 400, -32600, '"id" must be a string or an integer'),
    (BASIC, _body(LIST, id=True), 400, -32600, '"id" must be a string or an integer'),
    (BASIC, Request(LIST.lines, b'{"jsonrpc":"2.0","id":null,"method":"tools/list"}'), 400, -32600, '"id" must be'),
    (BASIC, Request(LIST.lines, b'{"jsonrpc":"2.0","id":1,"result":{}}'), 400, -32600, '"method" must be a string'),
    (JSON_RPC, _body(LIST, jsonrpc="1.0"), 400, -32600, '"jsonrpc" must be "2.0"'),
    (JSON_RPC, _body(LIST, params=[1]), 400, -32600, '"params" must be an object'),
    (JSON_RPC, Request(LIST.lines, b"[]"), 400, -32600, "The body is a batch (an array)"),
    (JSON_RPC, Request(LIST.lines, b"7"), 400, -32600, "The body is not an object"),
    (JSON_RPC, Request(LIST.lines, b"{"), 400, -32700, "Parse error: Expecting property name"),
    (JSON_RPC, Request(LIST.lines, b""), 400, -32700, "Parse error: Expecting value at line 1, column 1"),
    (JSON_RPC, Request(LIST.lines, b"\xff"), 400, -32700, "byte 0 is not UTF-8"),
    (JSON_RPC, Request(LIST.lines, b'{"a": NaN}'), 400, -32700, "NaN is not a JSON number"),
    (JSON_RPC, Request(LIST.lines, b'{"a": 1e999}'), 400, -32700, "the number 1e999 is out of range"),
    (JSON_RPC, Request(LIST.lines, b"9" * 5_000), 400, -32700, "a number of 5,000 digits is too long"),
    (JSON_RPC, Request(LIST.lines, b'{"a": "\\ud800"}'), 400, -32700, "half of a surrogate pair"),
    (JSON_RPC, Request(LIST.lines, b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}"), 400, -32700, "more than 100 levels"),
    (JSON_RPC, Request(LIST.lines, b"[" * 90_000), 400, -32700, "nested more than 100 levels deep"),
]


@pytest.mark.parametrize(("source", "request_", "status", "code", "words"), REFUSED)
def test_a_wrong_message_is_refused_with_its_status_and_code(
    source: str, request_: Request, status: int, code: int, words: str
) -> None:
    refusal = _read(request_)
    assert isinstance(refusal, Refusal), source
    assert (refusal.status, refusal.code) == (status, code), source
    assert words in refusal.message


def test_a_version_we_do_not_serve_is_answered_with_those_we_do() -> None:
    """2026-07-28 transports, "Protocol Version Header"."""
    refusal = _read(modern("tools/list", meta={"io.modelcontextprotocol/protocolVersion": "2099-01-01"}))
    assert refusal == Refusal(
        400,
        -32022,
        'Unsupported protocol version "2099-01-01"; this server has 2026-07-28',
        1,
        {"supported": ["2026-07-28"], "requested": "2099-01-01"},
    )


@pytest.mark.parametrize("version", ["2099-01-01", "2024-10-07", "x", "", "ä" * 30])
@pytest.mark.parametrize("params", [None, {}, {"_meta": {"progressToken": 1}}, {"cursor": "x"}])
def test_a_version_header_never_heard_of_is_told_those_that_are_served(version: str, params: Json) -> None:
    """2025-11-25 and 2026-07-28 transports: 400. The SDK asks such a client for a modern envelope it has no idea of."""
    refusal = _read(legacy("tools/list", params, version=version))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code, refusal.id) == (400, -32022, 1)
    assert refusal.data == {"supported": SERVED, "requested": version}
    assert refusal.message.endswith(f"this server has {', '.join(SERVED)}")


@pytest.mark.parametrize("request_", [modern("tools/list"), legacy("tools/list"), modern("tools/call", {"name": "x"})])
def test_a_progress_token_that_is_null_is_absent(request_: Request) -> None:
    """The SDKs write null for what is not there, and the official server takes it."""
    message = json.loads(request_.body)
    message.setdefault("params", {}).setdefault("_meta", {})["progressToken"] = None
    assert isinstance(_read(Request(request_.lines, json.dumps(message).encode())), Call)


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "nope", ""])
def test_a_method_that_is_not_served_is_404_to_a_modern_client(method: str) -> None:
    """2026-07-28 transports: 404 and -32601 for a method the server does not implement, removed ones included."""
    refusal = _read(modern(method))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code, refusal.id) == (404, -32601, 1)
    assert refusal.message.endswith(
        "this server has server/discover, tools/list, tools/call, prompts/list, prompts/get, completion/complete, "
        "resources/list, resources/templates/list, resources/read, tasks/get, tasks/update, tasks/cancel"
    )


@pytest.mark.parametrize("method", ["server/discover", "resources/subscribe", "nope"])
def test_a_method_that_is_not_served_is_200_to_a_legacy_client(method: str) -> None:
    """2025-11-25: a JSON-RPC error is an answer like any other."""
    refusal = _read(legacy(method))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (200, -32601)


@pytest.mark.parametrize("value", ["search", "  search\t", "=?base64?c2VhcmNo?="])
def test_a_name_header_is_compared_trimmed_and_decoded(value: str) -> None:
    """2026-07-28 transports, "Value Encoding"; RFC 9110, 5.5."""
    assert isinstance(_read(CALL.having(("mcp-name", value))), Call)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("plain", "plain"),
        ("", ""),
        ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        ("=?base64?IHBhZGRlZCA=?=", " padded "),
        ("=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"),
        ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ("=?base64??=", ""),
        ("=?base64?=", "=?base64?="),
        ("=?base64?YR==?=", None),
        ("=?base64?YQ?=", None),
        ("=?base64?/w==?=", None),
        ("=?base64?ä?=", None),
    ],
)
def test_a_header_value_is_decoded_by_the_specification(value: str, meaning: str | None) -> None:
    """2026-07-28 transports, "Value Encoding", with its examples; base64 has one spelling of each value."""
    assert protocol.decode_header(value) == meaning


@pytest.mark.parametrize("version", [None, *protocol.LEGACY_VERSIONS])
def test_the_header_selects_the_legacy_era(version: str | None) -> None:
    """2026-07-28 transports: a request without the header may be taken for 2025-03-26."""
    call = _read(legacy("tools/list", version=version))
    assert isinstance(call, Call)
    assert not call.modern
    assert call.version == (version or "2025-03-26")


def test_a_modern_envelope_is_modern_whatever_the_header_says() -> None:
    """2026-07-28 versioning: a request with modern metadata is served as modern, so a missing header is a mismatch."""
    refusal = _read(modern("tools/list").without("mcp-protocol-version"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == -32020


def test_initialize_is_legacy_even_with_a_modern_envelope() -> None:
    """2026-07-28 versioning: an initialize request selects legacy."""
    client = {"name": "a", "version": "1"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client, "_meta": META}
    call = _read(legacy("initialize", params, version=None))
    assert isinstance(call, Call)
    assert not call.modern


@pytest.mark.parametrize(
    ("asked", "answered"),
    [*((version, version) for version in protocol.LEGACY_VERSIONS), ("2026-07-28", "2025-11-25"), ("x", "2025-11-25")],
)
def test_initialize_answers_the_version_asked_for_or_the_newest(asked: str, answered: str) -> None:
    """2025-11-25 lifecycle, "Version Negotiation"."""
    params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    call = _read(legacy("initialize", params, version=None))
    assert isinstance(call, Call)
    result = protocol.initialize(call, title="T", instructions="I")
    assert result == {
        "protocolVersion": answered,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "postern", "title": "T", "version": protocol.SERVER_VERSION},
        "instructions": "I",
    }


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"protocolVersion": 3, "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}},
        {"protocolVersion": "x", "capabilities": [], "clientInfo": {"name": "a", "version": "1"}},
        {"protocolVersion": "x", "capabilities": {}, "clientInfo": {"name": "a"}},
        {"protocolVersion": "x", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}, "_meta": 3},
    ],
)
def test_a_handshake_with_wrong_parameters_is_invalid_params(params: Json) -> None:
    """2025-11-25 schema, InitializeRequest; official SDK: 200 with -32602."""
    refusal = _read(legacy("initialize", params, version=None))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (200, -32602)


@pytest.mark.parametrize(
    ("method", "params", "modern_code"),
    [
        ("tools/list", {"cursor": 3}, -32602),
        ("tools/call", {}, -32602),
        ("tools/call", {"name": 3}, -32020),
        ("tools/call", {"name": "a", "arguments": [1]}, -32602),
        ("tools/call", {"name": "a", "_meta": {"progressToken": [1]}}, -32602),
    ],
)
def test_parameters_of_wrong_types_are_invalid_params(method: str, params: Json, modern_code: int) -> None:
    """2025-11-25 and 2026-07-28 schema; 200 for legacy clients, 400 for modern ones."""
    for request, status, code in (
        (legacy(method, params), 200, -32602),
        (modern(method, params, meta=params.get("_meta")), 400, modern_code),
    ):
        refusal = _read(request)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.code) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}',
        b'{"jsonrpc":"2.0","error":{"code":1,"message":"x"}}',
    ],
)
def test_a_legacy_notification_or_response_is_accepted(body: bytes) -> None:
    """2025-11-25 transports: 202 for a notification or a response."""
    assert _read(Request(legacy("ping").lines, body)) == Notification()


@pytest.mark.parametrize("version", [b'"1.0"', b"2.0", b"null"])
def test_a_response_of_another_json_rpc_is_no_response(version: bytes) -> None:
    refusal = _read(Request(legacy("ping").lines, b'{"jsonrpc":%b,"id":1,"result":{}}' % version))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, -32600)


def test_a_modern_notification_needs_a_version_we_serve_and_no_other_header() -> None:
    """2026-07-28 transports: header requirements for notifications are not defined; SDK: the version is checked."""
    body = b'{"jsonrpc":"2.0","method":"notifications/x"}'
    assert _read(Request([("mcp-protocol-version", MODERN)], body)) == Notification()
    refusal = _read(Request([("mcp-protocol-version", "2099-01-01")], body))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code, refusal.id) == (400, -32022, None)


@pytest.mark.parametrize("id", [0, -1, 2**70, "", "a", "ü", "null"])
def test_an_error_echoes_the_id(id: Json) -> None:
    """2026-07-28 basic: error responses include the id of the request."""
    refusal = _read(modern("nope", id=id))
    assert isinstance(refusal, Refusal)
    assert refusal.id == id
    assert json.loads(protocol.error(refusal.code, refusal.message, refusal.id))["id"] == id


def test_an_id_that_cannot_be_read_is_null() -> None:
    """JSON-RPC 2.0, "Response object"; as the official SDK."""
    assert json.loads(protocol.error(-32700, "x")) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32700, "message": "x"},
    }


def test_the_id_of_any_readable_request_is_found() -> None:
    assert protocol.asker([], b'{"id": "a", "method": 3}') == protocol.Asker("a", legacy=False)
    for body in (b"", b"[]", b'{"id": null}', b'{"id": true}', b'{"id": 1.5}', b"{}"):
        assert protocol.asker([], body) == protocol.Asker(None, legacy=False)


def test_a_modern_result_says_its_type_and_who_answered() -> None:
    """2026-07-28 basic: resultType is required, serverInfo in _meta recommended."""
    call = _read(CALL)
    assert isinstance(call, Call)
    answer = json.loads(protocol.result(call, {"content": [], "_meta": {"a": 1}}, title="T"))
    assert answer == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "resultType": "complete",
            "content": [],
            "_meta": {
                "io.modelcontextprotocol/serverInfo": {
                    "name": "postern",
                    "title": "T",
                    "version": protocol.SERVER_VERSION,
                },
                "a": 1,
            },
        },
    }


def test_a_legacy_result_has_nothing_modern_in_it() -> None:
    call = _read(legacy("tools/list", id="x"))
    assert isinstance(call, Call)
    assert protocol.result(call, {}, title="T") == '{"jsonrpc":"2.0","id":"x","result":{}}'


@pytest.mark.parametrize("members", [{}, {"nextCursor": "2"}])
def test_frozen_tools_are_put_into_the_result_as_they_are(members: Json) -> None:
    call = _read(legacy("tools/list"))
    assert isinstance(call, Call)
    answer = json.loads(protocol.result(call, members, title="T", frozen={"tools": '[{"name":"a"},{"name":"b"}]'}))
    assert answer["result"] == {"tools": [{"name": "a"}, {"name": "b"}], **members}


def test_the_client_and_its_trace_are_read_from_the_envelope() -> None:
    """2026-07-28 basic, reserved keys: traceparent, tracestate, baggage."""
    trace = {"traceparent": "00-1-2-01", "tracestate": "a=b", "baggage": 7}
    call = _read(modern("tools/list", meta=trace))
    assert isinstance(call, Call)
    assert call.client == ("tests", "1")
    assert call.trace == {"traceparent": "00-1-2-01", "tracestate": "a=b"}


def test_half_a_surrogate_pair_of_an_upstream_does_not_break_the_answer() -> None:
    assert json_text.encode({"a": "\ud800"}) == b'{"a":"?"}'


def test_the_version_is_the_one_of_the_product() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == protocol.SERVER_VERSION
