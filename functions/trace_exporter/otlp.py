"""OTLP as JSON: the lines of requests become one `ExportTraceServiceRequest`, and its answer becomes a number.

Attributes have the names of OpenTelemetry's semantic conventions: SCHEMA for HTTP, and for MCP the GenAI conventions of
November 2026, which are in development. Two attributes that they ask for are left out. `url.full` would hold ids out of
arguments and pins, so `url.template` stands in its place; `mcp.resource.uri` would, too. What the conventions have no
word for begins with `postern.`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.gateway.tracing import KIND

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the semantic conventions that the attributes follow."""

SCOPE: Mapping[str, str] = {"name": "postern", "version": "0.1.0"}
"""What made the spans; the version is the product's, as in pyproject.toml (a test compares them)."""

SERVER, CLIENT = 2, 3
"""Kinds of spans."""

ERROR = 2
"""The status of a span whose request failed."""

SAMPLED, KNOWN_REMOTE, REMOTE = 0x1, 0x100, 0x200
"""Flags of a span: its trace is sampled; it is known whether its parent is elsewhere, and the parent is."""

TOOL_ERROR = "tool_error"
"""`error.type` of a call whose result says that it failed (GenAI conventions, MCP)."""

MAX_SPANS = 1_000
"""Spans in one request, some 830 kB. A line is never divided."""

MAX_TEXT = 200
"""Characters of the collector's own words that are logged."""


NUMBERS = ("at", "code", "left_out", "ns", "port", "resent", "status")
"""Members of a line, and of what it says of a request to an upstream, that are whole numbers."""

MAX_NUMBER = (1 << 63) - 1
"""Largest whole number that a field of OTLP holds."""

_TRACE_ID, _SPAN_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")


class NotASpan(ValueError):
    """A line is not one that the data plane wrote for a request."""


def read(line: str) -> list[dict[str, Json]]:
    """The spans of one line: that of the request, and those of its requests to upstreams. Raises NotASpan."""
    try:
        found = json_text.decode(line)
        if found["kind"] != KIND or not all(map(_is_ours, found, found.values())):
            raise NotASpan
        return [_server(found), *(_client(found, each) for each in found.get("upstream", ()))]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotASpan(type(error).__name__) from None


def batches(spans: Iterable[Sequence[dict[str, Json]]]) -> Iterator[list[dict[str, Json]]]:
    """The spans of lines in lists of at most MAX_SPANS, where no single line has more."""
    batch: list[dict[str, Json]] = []
    for some in spans:
        if batch and len(batch) + len(some) > MAX_SPANS:
            yield batch
            batch = []
        batch += some
    if batch:
        yield batch


def request(spans: Sequence[dict[str, Json]], resource: Mapping[str, str]) -> bytes:
    """The body of a request that exports these spans."""
    scope = {"scope": dict(SCOPE), "spans": list(spans), "schemaUrl": SCHEMA}
    of = {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope], "schemaUrl": SCHEMA}
    return json_text.encode({"resourceSpans": [of]})


def rejected(body: bytes) -> tuple[int, str]:
    """How many spans a collector rejected of a request that it answered with success, and its words for that. A body
    that is not the answer of a collector rejects nothing: the status has said that it took them."""
    try:
        partial = json_text.decode_lenient(body)["partialSuccess"]
        return int(partial.get("rejectedSpans") or 0), said(partial.get("errorMessage"))
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0, ""


def said(words: Json) -> str:
    """Words of a collector as far as a log line can hold them."""
    return "".join(filter(str.isprintable, words))[:MAX_TEXT] if isinstance(words, str) else ""


def _is_ours(name: str, value: Json) -> bool:
    """True for a member with a value of its kind. One that a collector cannot read would cost all spans that are sent
    with it."""
    if name in NUMBERS:
        return value is None or (type(value) is int and abs(value) <= MAX_NUMBER)
    if name == "upstream":
        return all(all(map(_is_ours, each, each.values())) for each in value)
    if name == "labels":
        return all(isinstance(text, str) for text in value.values())
    return isinstance(value, list) if name == "link" else isinstance(value, str)


def _server(line: Mapping[str, Json]) -> dict[str, Json]:
    method, tool, prompt = line["method"], line.get("tool"), line.get("prompt")
    parent = _id(_SPAN_ID, line["parent_id"]) if "parent_id" in line else None
    target = (tool if method == "tools/call" else None) or prompt
    code = line.get("code")
    error = str(code) if code else TOOL_ERROR if line.get("error") else ""
    attributes = {
        "mcp.method.name": method,
        "mcp.protocol.version": line.get("version"),
        "jsonrpc.request.id": line.get("id"),
        "gen_ai.operation.name": "execute_tool" if method == "tools/call" else None,
        "gen_ai.tool.name": tool,
        "gen_ai.prompt.name": prompt,
        "rpc.response.status_code": str(code) if code else None,
        "error.type": error,
        "network.protocol.name": "http",
        "network.transport": "tcp",
        "postern.error": line.get("error"),
        "postern.request.id": line["request_id"],
        "postern.server.id": line["server_id"],
        "postern.account.id": line["account_id"],
        "postern.integration": line["integration"],
        "postern.client.name": line.get("client_name"),
        "postern.client.version": line.get("client_version"),
        "postern.upstream.left_out": line.get("left_out"),
        **{f"postern.label.{name}": value for name, value in line.get("labels", {}).items()},
    }
    span = {
        **_common(line, line["span_id"], line["at"], line["ns"]),
        "name": f"{method} {target}" if target else method,
        "kind": SERVER,
        "parentSpanId": parent,
        "attributes": _attributes(attributes),
        "flags": SAMPLED | KNOWN_REMOTE | (REMOTE if parent else 0),
        "status": {"code": ERROR, "message": line.get("error") or str(code)} if error else None,
    }
    if link := line.get("link"):
        trace_id, span_id = link
        linked = {"traceId": _id(_TRACE_ID, trace_id), "spanId": _id(_SPAN_ID, span_id)}
        span["links"] = [{**linked, "flags": KNOWN_REMOTE | REMOTE}]
    return {name: value for name, value in span.items() if value}


def _client(line: Mapping[str, Json], made: Mapping[str, Json]) -> dict[str, Json]:
    status = made["status"]
    failed = status is not None and status >= HTTPStatus.BAD_REQUEST
    error = made["error"] or (str(status) if failed else None)
    attributes = {
        "http.request.method": made["verb"],
        "server.address": made["host"],
        "server.port": made["port"],
        "url.scheme": made["scheme"],
        "url.template": made["path"],
        "http.response.status_code": status,
        "http.request.resend_count": made["resent"],
        "error.type": error,
    }
    span = {
        **_common(line, made["span_id"], line["at"] + made["at"], made["ns"]),
        "name": f"{made['verb']} {made['path']}",
        "kind": CLIENT,
        "parentSpanId": line["span_id"],
        "attributes": _attributes(attributes),
        "flags": SAMPLED | KNOWN_REMOTE,
        "status": {"code": ERROR, "message": made["error"]} if made["error"] else {"code": ERROR} if failed else None,
    }
    return {name: value for name, value in span.items() if value}


def _common(line: Mapping[str, Json], span_id: str, at: int, took: int) -> dict[str, Json]:
    if not 0 < at <= at + took <= MAX_NUMBER:
        raise NotASpan
    return {
        "traceId": _id(_TRACE_ID, line["trace_id"]),
        "spanId": _id(_SPAN_ID, span_id),
        "traceState": line.get("state"),
        "startTimeUnixNano": f"{at:d}",
        "endTimeUnixNano": f"{at + took:d}",
    }


def _id(form: re.Pattern[str], text: str) -> str:
    """An id as it stands. Raises NotASpan."""
    if not form.fullmatch(text):
        raise NotASpan
    return text


def _attributes(values: Mapping[str, Json]) -> list[Json]:
    """Attributes in their form of JSON, in which a whole number is a string. What says nothing is left out."""
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}}
        for name, value in values.items()
        if value
    ]
