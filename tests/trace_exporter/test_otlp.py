"""Lines become OTLP that the official messages read, with the names of the semantic conventions and no value."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import semconv
from opentelemetry.semconv.schemas import Schemas

from functions.gateway.json_text import Json
from functions.trace_exporter import otlp
from tests.trace_exporter.collector import EXCHANGE, LINE, VERSION, attributes, exported, line


def read(*lines: str, **resource: str) -> Any:
    """The one resource of an exported request."""
    spans = [span for one in lines for span in otlp.read(one)]
    [found] = exported(otlp.request(spans, {"service.name": "postern", **resource})).resource_spans
    return found


def spans_of(*lines: str) -> list[Any]:
    [scope] = read(*lines).scope_spans
    return list(scope.spans)


def known_names() -> set[str]:
    """Every attribute that the conventions name, stable or not."""
    found = set()
    root = Path(semconv.__path__[0])
    for path in root.rglob("*_attributes.py"):
        module = ".".join(("opentelemetry.semconv", *path.relative_to(root).with_suffix("").parts))
        members = vars(importlib.import_module(module))
        found |= {value for name, value in members.items() if name.isupper() and isinstance(value, str)}
    return found


def test_a_call_is_a_server_span_with_a_client_span_for_each_request_to_the_upstream() -> None:
    server, client = spans_of(line())
    assert (server.name, server.kind.name, client.name, client.kind.name) == (
        "tools/call get_a_thing",
        "SPAN_KIND_SERVER",
        "GET /things/{id}/",
        "SPAN_KIND_CLIENT",
    )
    assert server.trace_id.hex() == client.trace_id.hex() == LINE["trace_id"]
    assert (server.span_id.hex(), client.span_id.hex()) == (LINE["span_id"], EXCHANGE["span_id"])
    assert (server.parent_span_id, client.parent_span_id.hex()) == (b"", LINE["span_id"])
    assert server.end_time_unix_nano - server.start_time_unix_nano == 40_000_000
    assert client.start_time_unix_nano - server.start_time_unix_nano == 1_000_000
    assert client.end_time_unix_nano - client.start_time_unix_nano == 30_000_000
    assert (server.status, client.status) == (None, None), "unset: nothing failed"
    assert attributes(server) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "jsonrpc.request.id": "7",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_a_thing",
        "network.protocol.name": "http",
        "network.transport": "tcp",
        "postern.request.id": "req_1",
        "postern.server.id": "srv_1",
        "postern.account.id": "acc_1",
        "postern.integration": "things",
        "postern.client.name": "claude-code",
        "postern.client.version": "2.1",
    }
    assert attributes(client) == {
        "http.request.method": "GET",
        "server.address": "api.example.com",
        "server.port": 443,
        "url.scheme": "https",
        "url.template": "/things/{id}/",
        "http.response.status_code": 200,
    }


def test_where_the_trace_comes_from_is_kept() -> None:
    link = ["1" * 32, "2" * 16]
    server, client = spans_of(line(parent_id="53995c3f42cd8ad8", state="a=1,b=2", link=link))
    assert (server.parent_span_id.hex(), server.trace_state, client.trace_state) == (
        "53995c3f42cd8ad8",
        "a=1,b=2",
        "a=1,b=2",
    )
    assert (server.flags, client.flags) == (0x301, 0x101)
    assert [(one.trace_id.hex(), one.span_id.hex()) for one in server.links] == [tuple(link)]
    [alone] = spans_of(line(upstream=None))
    assert (alone.flags, list(alone.links)) == (0x101, [])


@pytest.mark.parametrize(
    ("changed", "name", "error", "status"),
    [
        ({"method": "tools/list", "tool": None}, "tools/list", None, None),
        ({"error": "UpstreamTimeout"}, "tools/call get_a_thing", "tool_error", "UpstreamTimeout"),
        ({"code": -32602, "tool": None}, "tools/call", "-32602", "-32602"),
        ({"code": -32603, "error": "StoreError"}, "tools/call get_a_thing", "-32603", "StoreError"),
        ({"method": "prompts/get", "tool": None, "prompt": "recall"}, "prompts/get recall", None, None),
        ({"method": "resources/read"}, "resources/read", None, None),
        ({"method": "_OTHER", "tool": None, "code": -32700}, "_OTHER", "-32700", "-32700"),
    ],
)
def test_a_span_is_named_by_its_method_and_fails_with_our_code(
    changed: dict[str, Json], name: str, error: str | None, status: str | None
) -> None:
    span = spans_of(line(**changed))[0]
    found = attributes(span)
    assert (span.name, found.get("error.type")) == (name, error)
    assert found.get("postern.error") == changed.get("error")
    assert found.get("rpc.response.status_code") == (str(changed["code"]) if "code" in changed else None)
    assert (span.status.code.name, span.status.message) == ("STATUS_CODE_ERROR", status) if status else not span.status


@pytest.mark.parametrize(
    ("changed", "error", "failed"),
    [
        ({"status": 404}, "404", True),
        ({"status": 503, "resent": 1}, "503", True),
        ({"status": None, "error": "UpstreamTimeout"}, "UpstreamTimeout", True),
        ({"status": 200, "error": "UpstreamUnreadable"}, "UpstreamUnreadable", True),
        ({"status": 302}, None, False),
        ({"status": 202}, None, False),
    ],
)
def test_a_request_to_an_upstream_fails_as_the_conventions_say(
    changed: dict[str, Json], error: str | None, *, failed: bool
) -> None:
    _, client = spans_of(line(upstream=[{**EXCHANGE, **changed}]))
    found = attributes(client)
    assert found.get("error.type") == error
    assert found.get("http.response.status_code") == changed["status"]
    assert found.get("http.request.resend_count") == changed.get("resent")
    assert (client.status is not None) is failed


def test_labels_are_attributes_because_the_operator_chose_them() -> None:
    found = attributes(spans_of(line(labels={"team": "support"}, left_out=3))[0])
    assert (found["postern.label.team"], found["postern.upstream.left_out"]) == ("support", 3)


def test_the_conventions_know_every_name_that_is_not_ours() -> None:
    everything = line(
        error="UpstreamTimeout", code=-32602, prompt="recall", upstream=[{**EXCHANGE, "resent": 1, "error": "X"}]
    )
    names = {name for span in spans_of(everything) for name in attributes(span)}
    assert {name for name in names if not name.startswith("postern.")} <= known_names()
    assert Schemas(otlp.SCHEMA)


def test_the_scope_and_the_resource_say_what_made_the_spans() -> None:
    found = read(line(), team="memory")
    [scope] = found.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("postern", VERSION)
    assert attributes(found.resource) == {"service.name": "postern", "team": "memory"}


@pytest.mark.parametrize("member", ["kind", "trace_id", "span_id", "at", "ns", "method", "request_id", "server_id"])
def test_a_line_without_one_of_its_members_is_none(member: str) -> None:
    with pytest.raises(otlp.NotASpan):
        otlp.read(line(**{member: None}))


@pytest.mark.parametrize(
    "strange",
    [
        *("", "START RequestId: x", "[]", '"span"', "{}", "7", '{"kind":"span"}', '{"kind":"call"}', "[" * 5_000),
        line(kind="call"),
        line(upstream=7),
        line(upstream=[7]),
        line(upstream=[{}]),
        line(at="soon"),
        line(ns=[]),
        line(labels=[]),
        line(link=["1"]),
        line(link=["1", "2"]),
        line(trace_id="0af7"),
        line(span_id="B7AD6B7169203331"),
        line(parent_id="b7ad6b716920333x"),
        line(state=7),
        line(at=-1),
        line(at=2**64),
        line(upstream=[{**EXCHANGE, "span_id": ""}]),
    ],
)
def test_a_line_that_is_not_a_span_s_is_none(strange: str) -> None:
    with pytest.raises(otlp.NotASpan):
        otlp.read(strange)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(sorted(LINE)), anything)
def test_a_line_with_anything_in_it_is_read_or_none(member: str, value: Json) -> None:
    try:
        found = otlp.read(json.dumps({**LINE, member: value}))
    except otlp.NotASpan:
        return
    assert exported(otlp.request(found, {"service.name": "postern"}))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"{}", (0, "")),
        (b"", (0, "")),
        (b"OK", (0, "")),
        (b"[]", (0, "")),
        (b'{"partialSuccess":{}}', (0, "")),
        (b'{"partialSuccess":null}', (0, "")),
        (b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}', (3, "too old")),
        (b'{"partialSuccess":{"rejectedSpans":3}}', (3, "")),
        (b'{"partialSuccess":{"rejectedSpans":"many","errorMessage":"x"}}', (0, "")),
        (b'{"partialSuccess":{"errorMessage":"a\\nb\\u0007' + b"x" * 500 + b'"}}', (0, f"ab{'x' * 198}")),
    ],
)
def test_what_a_collector_rejected_is_read_out_of_its_answer(body: bytes, found: tuple[int, str]) -> None:
    assert otlp.rejected(body) == found


def test_lines_are_sent_in_batches_and_never_divided() -> None:
    of_a_line = otlp.read(line(upstream=[EXCHANGE] * 9))
    batches = list(otlp.batches([of_a_line] * 250))
    assert [len(batch) for batch in batches] == [1_000, 1_000, 500]
    assert [len(batch) for batch in otlp.batches([of_a_line * 101])] == [1_010]
    assert list(otlp.batches([])) == []
