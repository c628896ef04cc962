"""One span for each request of an admitted caller, whatever becomes of it; and the trace in the log entry of a call."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from functions.gateway.audit import Audit
from functions.gateway.grants import digest
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.tracing import Tracer
from functions.mcp_endpoint.methods import Methods
from functions.mcp_endpoint.traces import Traces
from functions.stores import layout
from functions.stores.store import Put
from functions.trace_exporter import otlp
from tests.mcp_endpoint.endpoint import Answer, Bench, CannedSender, Request, legacy, modern, post

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
MEMORY = "0b6f1d5e-7a0b-4f53-9d0c-3a1f0f5f0a11"
GET = "get_single_mem_0_memory_by_id"
CREATE = "create_a_mem_0_memory"
DELETE = "delete_a_mem_0_memory_by_id"
READER = "get_single_mem_0_event_by_id"
LABELS = {"team": "support"}


class Visited:
    """An endpoint that traces, its lines, and its log entries."""

    def __init__(self, bench: Bench, **settings: Any) -> None:
        self.bench = bench
        self.spans, self.entries = io.StringIO(), io.StringIO()
        self.token = bench.mint()
        traces = Traces(Tracer(TraceSettings(**{"endpoint": "http://c", **settings}), self.spans))
        audit = Audit(Settings(environment="prod"), None, self.entries)
        self.methods = Methods(bench.settings, bench.sender, audit, confirmations=bench.store)
        self.endpoint = bench.endpoint(self.methods, traces=traces)

    def ask(self, request: Request, token: str = "") -> Answer:
        return post(self.endpoint, token or self.token, request)

    @property
    def lines(self) -> list[dict[str, Json]]:
        return [json.loads(line) for line in self.spans.getvalue().splitlines()]

    @property
    def log(self) -> list[dict[str, Json]]:
        return [json.loads(line) for line in self.entries.getvalue().splitlines()]


def get(id: str = MEMORY, **meta: str) -> Request:
    return modern("tools/call", {"name": GET, "arguments": {"id": id}}, meta=meta)


@pytest.mark.parametrize("era", [legacy, modern])
def test_each_request_has_one_span_that_an_exporter_reads(bench: Bench, era: Any) -> None:
    visited = Visited(bench)
    methods = ["tools/list", "prompts/list", "resources/list"] + (["ping"] if era is legacy else ["server/discover"])
    for method in methods:
        visited.ask(era(method))
    assert [line["method"] for line in visited.lines] == methods
    found = [otlp.read(line) for line in visited.spans.getvalue().splitlines()]
    assert [[span["name"] for span in spans] for spans in found] == [[method] for method in methods]
    assert len({line["trace_id"] for line in visited.lines}) == len(methods)


def test_a_call_has_its_tool_its_upstream_and_its_trace_in_the_log(bench: Bench) -> None:
    bench.sender = CannedSender(body={"id": MEMORY, "memory": "tea"})
    visited = Visited(bench)
    answer = visited.ask(get(traceparent=PARENT).adding(("user-agent", "an-agent/1")))
    assert answer.json["result"]["isError"] is False
    [line], [entry] = visited.lines, visited.log
    assert {name: line[name] for name in line if name not in ("at", "ns", "span_id", "upstream")} == {
        "kind": "span",
        "trace_id": TRACE,
        "parent_id": SPAN,
        "method": "tools/call",
        "tool": GET,
        "version": "2026-07-28",
        "id": "1",
        "server_id": "srv_1",
        "account_id": "acc_1",
        "integration": "mem0",
        "request_id": "request-1",
        "client_name": "tests",
        "client_version": "1",
    }
    assert [(one["path"], one["status"]) for one in line["upstream"]] == [("/v1/memories/{memory_id}/", 200)]
    assert (entry["trace_id"], entry["request_id"]) == (TRACE, "request-1")
    assert MEMORY not in visited.spans.getvalue()


def test_a_call_that_a_person_is_asked_about_is_named_in_the_span_of_each_round(bench: Bench) -> None:
    bench.sender = CannedSender(body={"message": "Memory deleted successfully!"})
    visited = Visited(bench)
    guarded = bench.mint(id="srv_2", confirm=("destructive",))
    forms: Json = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    call: Json = {"name": DELETE, "arguments": {"id": MEMORY}}
    asked = visited.ask(modern("tools/call", call, meta=forms), guarded).json["result"]
    assert asked["resultType"] == "input_required"
    yes: Json = {"confirmation": {"action": "accept", "content": {"confirm": True}}}
    repeat = {**call, "requestState": asked["requestState"], "inputResponses": yes}
    done = visited.ask(modern("tools/call", repeat, meta=forms), guarded).json["result"]
    assert done["isError"] is False, done
    # A request whose state is not ours ends before the call line, and its span has the tool nevertheless.
    assert visited.ask(modern("tools/call", {**repeat, "requestState": "x"}, meta=forms), guarded).code == -32602
    assert [(line["tool"], line.get("error"), line.get("code")) for line in visited.lines] == [
        (DELETE, "ConfirmationNeeded", None),
        (DELETE, None, None),
        (DELETE, None, -32602),
    ]


def test_a_look_at_a_task_has_the_request_that_it_made_and_its_trace_in_the_log(bench: Bench) -> None:
    event = {"id": MEMORY, "event_id": MEMORY, "event_type": "ADD", "status": "PENDING", "results": None}
    bench.sender = CannedSender(body=event)
    visited = Visited(bench)
    capability: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    meta: Json = {"io.modelcontextprotocol/clientCapabilities": capability}
    write = {"messages": [{"role": "user", "content": "I prefer window seats."}], "user_id": "usr_1"}
    task_id = visited.ask(modern("tools/call", {"name": CREATE, "arguments": write}, meta=meta)).json["result"][
        "taskId"
    ]
    for _ in range(3):
        asked = modern("tasks/get", {"taskId": task_id}, meta=meta).adding(("mcp-name", task_id))
        assert visited.ask(asked).json["result"]["status"] == "working"
    queued, *looks = visited.lines
    assert (queued["method"], queued["tool"]) == ("tools/call", CREATE)
    assert [(line["method"], line["tool"], len(line["upstream"])) for line in looks] == [("tasks/get", READER, 1)] * 3
    assert [entry["trace_id"] for entry in visited.log] == [line["trace_id"] for line in visited.lines]
    assert task_id not in visited.spans.getvalue()


def test_a_call_that_fails_names_our_class_of_error_and_none_of_its_words(bench: Bench) -> None:
    bench.sender = CannedSender(status=403, body={"detail": "sécret words"})
    visited = Visited(bench)
    visited.ask(get())
    visited.ask(modern("tools/call", {"name": GET, "arguments": {"nonsense": "secret"}}))
    refused, wrong = visited.lines
    assert (refused["error"], refused["upstream"][0]["status"]) == ("UpstreamRefused", 403)
    assert (wrong["error"], wrong["tool"], "upstream" in wrong) == ("WrongArguments", GET, False)
    assert "cret" not in visited.spans.getvalue()
    assert [entry["trace_id"] for entry in visited.log] == [refused["trace_id"], wrong["trace_id"]]


def test_a_name_that_the_caller_made_up_is_in_no_span(bench: Bench) -> None:
    visited = Visited(bench)
    visited.ask(modern("tools/call", {"name": "made_up"}))
    visited.ask(modern("prompts/get", {"name": "made_up"}))
    visited.ask(modern("made/up"))
    visited.ask(modern("resources/read", {"uri": "mem0://made_up"}))
    lines = visited.lines
    assert [(line["method"], line["code"]) for line in lines] == [
        ("tools/call", -32602),
        ("prompts/get", -32602),
        ("_OTHER", -32601),
        ("resources/read", -32602),
    ]
    assert "made" not in visited.spans.getvalue()


def test_a_prompt_that_is_there_is_named(bench: Bench) -> None:
    visited = Visited(bench)
    [first, *_] = visited.ask(legacy("prompts/list")).json["result"]["prompts"]
    given = {argument["name"]: "x" for argument in first["arguments"]}
    visited.ask(legacy("prompts/get", {"name": first["name"], "arguments": given}))
    assert visited.lines[-1]["prompt"] == first["name"]


def test_a_message_that_cannot_be_read_has_a_span_too_and_a_notification_has_none(bench: Bench) -> None:
    visited = Visited(bench)
    broken = Request([("content-type", "application/json"), ("user-agent", "an-agent/1.2 x")], b"{")
    visited.ask(broken)
    visited.ask(Request(broken.lines, b'{"jsonrpc":"2.0","method":"notifications/initialized"}'))
    [line] = visited.lines
    assert (line["method"], line["code"], line["client_name"], line["client_version"]) == (
        "_OTHER",
        -32700,
        "an-agent",
        "1.2",
    )


def test_who_is_not_admitted_fills_no_backend(bench: Bench) -> None:
    visited = Visited(bench)
    guarded = bench.mint(id="srv_2", require_api_token_auth=True)
    for token in ("t" * 43, guarded):
        assert visited.ask(get(traceparent=PARENT), token).status in (403, 404)
    assert visited.lines == []


def test_a_fault_of_ours_ends_its_span_as_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    visited = Visited(bench)

    def broken(*_: object) -> None:
        raise LookupError("a secret value")

    monkeypatch.setattr(visited.methods, "prompts", broken)
    assert visited.ask(modern("prompts/list")).status == 500
    [line] = visited.lines
    assert (line["code"], line["error"]) == (-32603, "LookupError")
    assert "secret" not in visited.spans.getvalue()


def test_a_trace_that_is_not_sampled_writes_nothing_and_is_in_the_log(bench: Bench) -> None:
    bench.sender = CannedSender(body={"id": MEMORY, "memory": "tea"})
    visited = Visited(bench)
    visited.ask(get(traceparent=PARENT.removesuffix("1") + "0"))
    assert visited.lines == []
    assert [entry["trace_id"] for entry in visited.log] == [TRACE]


def test_labels_of_the_operator_are_told(bench: Bench) -> None:
    visited = Visited(bench)
    key = layout.token(digest(visited.token))
    [item] = bench.store.get([key])
    assert item is not None
    bench.store.write([Put(key, {**item.body, "labels": LABELS})])
    visited.ask(legacy("ping"))
    assert visited.lines[0]["labels"] == LABELS
