"""The header ladder of modern requests, against the official SDK's pure classifier and against sense."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundLadderRejection,
    classify_inbound_request,
    decode_header_value,
    encode_header_value,
    find_duplicated_routing_header,
)

from functions.gateway.json_text import Json
from functions.mcp_endpoint import protocol
from functions.mcp_endpoint.protocol import Call, Notification, Refusal

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"

VERSIONS = st.sampled_from(["2026-07-28", "2026-07-28", "2099-01-01", ""])
METHODS = st.sampled_from(["tools/list", "tools/call", "server/discover", "Tools/list", ""])
NAMES = st.one_of(st.text(min_size=1, max_size=6), st.sampled_from(["search", "=?base64?c2VhcmNo?="]))

HEADER_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(str.strip)


@st.composite
def modern_requests(draw: st.DrawFn) -> tuple[list[tuple[str, str]], dict[str, Json]]:
    """Header lines and a body that mostly agree."""
    version, method, name = draw(VERSIONS), draw(METHODS), draw(NAMES)
    params: dict[str, Json] = {"_meta": {VERSION: version, CAPABILITIES: {}}}
    lines = [("mcp-protocol-version", version), ("mcp-method", method)]
    if method == "tools/call":
        params["name"] = name
        lines.append(("mcp-name", draw(st.one_of(st.just(encode_header_value(name)), HEADER_VALUES))))
    for key in draw(st.sets(st.sampled_from([VERSION, CAPABILITIES, "other"]), max_size=1)):
        params["_meta"].pop(key, None)
    for index in draw(st.sets(st.integers(1, len(lines) - 1), max_size=1)):
        change = draw(st.sampled_from(["drop", "repeat", "other"]))
        if change == "drop":
            del lines[index]
        else:
            lines.append((lines[index][0], lines[index][1] if change == "repeat" else draw(HEADER_VALUES)))
    return lines, {"jsonrpc": "2.0", "id": draw(st.integers()), "method": method, "params": params}


@given(modern_requests())
def test_the_ladder_stops_where_the_official_one_does(request: tuple[list[tuple[str, str]], dict[str, Json]]) -> None:
    lines, body = request
    ours = protocol.read(lines, json.dumps(body).encode())
    if find_duplicated_routing_header(lines) is not None:
        code: int | None = -32020
    else:
        theirs = classify_inbound_request(body, headers=dict(lines))
        code = theirs.code if isinstance(theirs, InboundLadderRejection) else None
    if code is None:
        if isinstance(ours, Refusal):
            assert (ours.status, ours.code) == (404, -32601)
            assert body["method"] not in protocol.MODERN_METHODS
        else:
            assert isinstance(ours, Call)
    else:
        assert isinstance(ours, Refusal)
        version = dict(lines).get("mcp-protocol-version")
        envelope = (body.get("params") or {}).get("_meta") or {}
        if code == -32602 and version not in (None, *protocol.SERVED_VERSIONS) and protocol.VERSION_KEY not in envelope:
            code = -32022  # a version never heard of is told those that are served, whatever else is missing
        assert (ours.code, ours.status, ours.id) == (code, ERROR_CODE_HTTP_STATUS[code], body["id"])


@given(HEADER_VALUES | st.text(max_size=10).map(encode_header_value) | HEADER_VALUES.map("=?base64?{}?=".format))
def test_header_values_are_decoded_as_the_official_sdk_does(value: str) -> None:
    assert protocol.decode_header(value) == decode_header_value(value)


@given(st.text())
def test_what_a_client_encodes_is_what_we_read(value: str) -> None:
    if value.isascii() or max(value, default="") < "\ud800":
        assert protocol.decode_header(encode_header_value(value)) == value


@given(
    st.lists(st.tuples(st.sampled_from([*protocol.ROUTING_HEADERS, "mcp-param-a"]), st.text(max_size=9)), max_size=4),
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["jsonrpc", "id", "method", "params", "_meta", "name", "arguments", "cursor"]),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
@example([], b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":[]}}')
def test_no_bytes_and_no_headers_break_the_reader(lines: list[tuple[str, str]], body: bytes) -> None:
    message = protocol.read(lines, body)
    assert isinstance(message, Call | Notification | Refusal)
    if isinstance(message, Refusal):
        assert 200 <= message.status < 500
        answer = json.loads(protocol.error(message.code, message.message, message.id, message.data))
        assert answer["error"]["message"]


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.integers(), max_size=4), st.booleans())
def test_a_result_survives_the_wire(members: dict[str, Json], modern: bool) -> None:
    members = {f"x-{name}": value for name, value in members.items()}
    call = Call("id", "tools/list", {}, modern, "2026-07-28" if modern else "2025-11-25")
    choices: list[dict[str, str]] = [{}, {"tools": "[]"}]
    for frozen in choices:
        result = json.loads(protocol.result(call, members, title="T", frozen=frozen))["result"]
        assert {name: result[name] for name in members} == members
        assert ("resultType" in result) == modern
        assert ("tools" in result) == (bool(frozen))
