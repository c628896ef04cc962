"""The tasks extension: a queued write as a task, its states as the upstream has them, and ids that must not count."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from functions.gateway.audit import Audit
from functions.gateway.call_limits import CallRate
from functions.gateway.errors import UpstreamTimeout, UpstreamUnreachable
from functions.gateway.grants import digest
from functions.gateway.json_text import Json
from functions.gateway.requests import UpstreamRequest
from functions.gateway.upstream import UpstreamResponse
from functions.mcp_endpoint.methods import Methods
from functions.stores import layout
from functions.stores.store import Put
from tests.mcp_endpoint.endpoint import Answer, Bench, CannedSender, legacy, modern, post
from tool_catalog.catalog import Catalog, EventStates
from tool_catalog.compiled_file import load

CREATE = "create_a_mem_0_memory"
READER = "get_single_mem_0_event_by_id"
EVENT = "2c4d1f44-4f7b-4b2f-9f6e-7b5b4f5a1234"
WRITE = {"messages": [{"role": "user", "content": "I prefer window seats."}], "user_id": "usr_1"}
TASKS: Json = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
PENDING = {"id": EVENT, "event_type": "ADD", "status": "PENDING", "results": None}
DONE = {**PENDING, "status": "SUCCEEDED", "results": [{"id": "m-1"}]}


class Upstream(CannedSender):
    """Queues every write; `event` is what a read of the event answers."""

    event: Any = PENDING
    failure: Exception | None = None
    """Raised for everything that is not a read."""

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        if self.failure is not None and request.verb != "GET":
            raise self.failure
        if request.verb == "GET":
            if isinstance(self.event, Exception):
                raise self.event
            self.status, self.body = self.event if isinstance(self.event, tuple) else (200, self.event)
        else:
            self.status, self.body = 200, {"event_id": EVENT, "status": "PENDING"}
        return await super().send(request, deadline)


@pytest.fixture(name="upstream", autouse=True)
def _upstream(bench: Bench) -> Upstream:
    bench.sender = upstream = Upstream()
    return upstream


def ask(
    bench: Bench, token: str, method: str, params: Json, meta: Json = TASKS, *, methods: Methods | None = None
) -> Answer:
    request = modern(method, params, meta=meta)
    if "taskId" in params:
        request = request.adding(("mcp-name", params["taskId"]))
    return post(bench.endpoint(methods), token, request)


def created(bench: Bench, token: str, **more: Any) -> dict[str, Json]:
    result: dict[str, Json] = ask(bench, token, "tools/call", {"name": CREATE, "arguments": WRITE}, **more).json[
        "result"
    ]
    return result


def got(bench: Bench, token: str, task_id: str, **more: Any) -> dict[str, Json]:
    result: dict[str, Json] = ask(bench, token, "tasks/get", {"taskId": task_id}, **more).json["result"]
    return result


def test_a_queued_write_is_a_task_for_a_client_that_declares_it(bench: Bench) -> None:
    result = created(bench, bench.mint())
    task_id = result.pop("taskId")
    assert result.pop("_meta")
    assert result == {
        "resultType": "task",
        "status": "working",
        "createdAt": "2026-11-21T12:00:00Z",
        "lastUpdatedAt": "2026-11-21T12:00:00Z",
        "ttlMs": 86_400_000,
        "pollIntervalMs": 1_000,
    }
    assert EVENT not in task_id
    assert task_id.replace("-", "").replace("_", "").isalnum()


def test_the_task_follows_the_event_to_its_result(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint()
    task_id = created(bench, token)["taskId"]
    bench.clock.move(seconds=3)
    working = got(bench, token, task_id)
    assert (working["resultType"], working["status"], working["taskId"]) == ("complete", "working", task_id)
    assert (working["createdAt"], working["lastUpdatedAt"]) == ("2026-11-21T12:00:00Z", "2026-11-21T12:00:03Z")
    assert not {"result", "error", "inputRequests", "requestState"} & working.keys()
    upstream.event = DONE
    for _ in range(3):  # it stays readable
        done = got(bench, token, task_id)
        assert done["status"] == "completed"
        assert done["result"]["isError"] is False
        assert json.loads(done["result"]["content"][0]["text"]) == done["result"]["structuredContent"]
        assert done["result"]["structuredContent"]["results"] == [{"id": "m-1"}]


def test_an_event_that_failed_completes_the_task_with_an_error(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint()
    task_id = created(bench, token)["taskId"]
    upstream.event = {**PENDING, "status": "FAILED", "error": "no model"}
    task = got(bench, token, task_id)
    assert (task["status"], task["result"]["isError"]) == ("completed", True)
    envelope = json.loads(task["result"]["content"][0]["text"])
    assert envelope["message"].startswith(f"{CREATE}: the upstream accepted the call and then failed")
    assert envelope["raw_response"]["error"] == "no model"
    assert "structuredContent" not in task["result"]


def test_an_event_that_is_gone_fails_the_task(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint()
    task_id = created(bench, token)["taskId"]
    upstream.event = (404, {"detail": "Not found."})
    task = got(bench, token, task_id)
    assert task["status"] == "failed"
    assert task["error"]["code"] == -32603
    assert "result" not in task


@pytest.mark.parametrize("event", [(500, {}), (429, {}), (401, {}), UpstreamTimeout("no answer in 1 s")])
def test_an_event_that_cannot_be_read_leaves_the_task_working(bench: Bench, upstream: Upstream, event: Any) -> None:
    token = bench.mint()
    task_id = created(bench, token)["taskId"]
    upstream.event = event
    task = got(bench, token, task_id)
    assert task["status"] == "working"
    assert task["statusMessage"].startswith("The state could not be read: ")


def test_other_clients_get_the_write_s_own_result(bench: Bench) -> None:
    token = bench.mint()
    for request in (modern, legacy):
        result = post(bench.endpoint(), token, request("tools/call", {"name": CREATE, "arguments": WRITE})).json[
            "result"
        ]
        assert result["structuredContent"]["status"] == "PENDING"
        assert "taskId" not in result


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("declared", [{}, {"extensions": {}}, {"extensions": {"io.modelcontextprotocol/ui": {}}}])
def test_a_client_that_did_not_declare_tasks_is_told_what_is_needed(bench: Bench, method: str, declared: Json) -> None:
    meta = {"io.modelcontextprotocol/clientCapabilities": declared}
    answer = ask(bench, bench.mint(), method, {"taskId": "x", "inputResponses": {}}, meta)
    assert (answer.status, answer.code) == (400, -32021)
    needed: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    assert answer.json["error"]["data"] == {"requiredCapabilities": needed}


def test_ids_of_other_servers_and_forged_ones_are_unknown(bench: Bench, upstream: Upstream) -> None:
    token, other = bench.mint(), bench.mint(id="srv_2")
    task_id = created(bench, token)["taskId"]
    before = len(upstream.sent)
    changed = ("B" if task_id[50] != "B" else "C").join([task_id[:50], task_id[51:]])
    cases = [(other, task_id), (token, changed), (token, ""), (token, EVENT), (token, "x" * 5_000), (token, "A" * 160)]
    for where, given in cases:
        for method in ("tasks/get", "tasks/cancel"):
            answer = ask(bench, where, method, {"taskId": given})
            assert (answer.status, answer.code) == (400, -32602), (given, answer.body)
    assert len(upstream.sent) == before, "nothing is asked of the upstream for an id that is not ours"


def test_a_task_of_a_tool_that_the_server_no_longer_shows_is_unknown(bench: Bench) -> None:
    token = bench.mint()
    task_id = created(bench, token)["taskId"]
    assert got(bench, token, task_id)["status"] == "working"
    [item] = bench.store.get([layout.token(digest(token))])
    assert item is not None
    bench.store.write([Put(item.key, {**item.body, "config": {**item.body["config"], "methods": ["read"]}})])
    for _ in range(3):
        assert ask(bench, token, "tasks/get", {"taskId": task_id}).code == -32602


def test_a_task_of_a_tool_that_is_no_longer_in_the_catalogue_is_unknown(bench: Bench, upstream: Upstream) -> None:
    token, loaded = bench.mint(), load("mem0")
    task_id = created(bench, token)["taskId"]
    for gone in (CREATE, READER):
        others = {name: tool for name, tool in loaded.tools.items() if name != gone}
        methods = Methods(bench.settings, upstream, load_catalog=lambda _, left=others: replace(loaded, tools=left))  # type: ignore[misc]
        assert ask(bench, token, "tasks/get", {"taskId": task_id}, methods=methods).code == -32602


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tasks/get", {}),
        ("tasks/get", {"taskId": 5}),
        ("tasks/cancel", {"taskId": None}),
        ("tasks/update", {"taskId": "x"}),
        ("tasks/update", {"taskId": "x", "inputResponses": []}),
    ],
)
def test_wrong_parameters_are_the_specification_s_error(bench: Bench, method: str, params: Mapping[str, Json]) -> None:
    request = modern(method, params, meta=TASKS)
    if isinstance(params.get("taskId"), str):
        request = request.adding(("mcp-name", params["taskId"]))
    answer = post(bench.endpoint(), bench.mint(), request)
    assert (answer.status, answer.code) in {(400, -32602), (400, -32020)}


def test_the_header_must_name_the_task(bench: Bench) -> None:
    token = bench.mint()
    task_id = created(bench, token)["taskId"]
    request = modern("tasks/get", {"taskId": task_id}, meta=TASKS)
    for wrong in (request, request.adding(("mcp-name", "another"))):
        assert post(bench.endpoint(), token, wrong).code == -32020


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
def test_methods_that_were_removed_are_not_found(bench: Bench, method: str) -> None:
    assert ask(bench, bench.mint(), method, {"taskId": "x"}).code == -32601
    assert post(bench.endpoint(), bench.mint(), legacy("tasks/get", {"taskId": "x"})).code == -32601


def test_the_extension_is_offered_where_a_tool_may_become_a_task(bench: Bench) -> None:
    for methods, offered in (((), True), (("read",), False)):
        token = bench.mint(methods=methods)
        capabilities = ask(bench, token, "server/discover", {}).json["result"]["capabilities"]
        assert ("io.modelcontextprotocol/tasks" in capabilities.get("extensions", {})) is offered
        assert "tasks" not in capabilities
        plain = ask(bench, token, "server/discover", {}, {}).json["result"]["capabilities"]
        assert "extensions" not in plain


# What an upstream can do in addition: events that ask, that are answered and that are ended.


def asking(catalog: Catalog) -> Catalog:
    """Mem0, as if its events asked for input and could be ended."""
    states = EventStates(
        running="status == 'PENDING'",
        cancelled="status == 'CANCELLED'",
        asks="asks",
        answer="mem_0_events_answer",
        cancel="mem_0_events_cancel",
    )
    reader = replace(catalog.tools[READER], states=states)
    answer, cancel = (
        replace(
            catalog.tools["update_a_mem_0_webhook_by_id"],
            name=f"mem_0_events_{name}",
            event=None,
            request=replace(
                reader.request,
                verb=verb,
                parameters=(
                    *reader.request.parameters,
                    replace(reader.request.parameters[0], location="body", name="answers", argument="answers"),
                ),
            ),
        )
        for name, verb in (("answer", "POST"), ("cancel", "DELETE"))
    )
    return replace(catalog, tools={**catalog.tools, READER: reader, answer.name: answer, cancel.name: cancel})


QUESTION = {"method": "elicitation/create", "params": {"message": "Sure?", "requestedSchema": {"type": "object"}}}


def test_an_event_that_asks_is_answered_through_the_task(bench: Bench, upstream: Upstream) -> None:
    catalog, lines = asking(load("mem0")), io.StringIO()
    methods = Methods(bench.settings, upstream, Audit(bench.settings, None, lines), load_catalog=lambda _: catalog)
    token = bench.mint()
    task_id = created(bench, token, methods=methods)["taskId"]
    upstream.event = {**PENDING, "asks": {"sure": QUESTION}}
    task = got(bench, token, task_id, methods=methods)
    assert (task["status"], task["inputRequests"]) == ("input_required", {"sure": QUESTION})
    answers = {"sure": {"action": "accept", "content": {"ok": True}}}
    params = {"taskId": task_id, "inputResponses": answers}
    acknowledged = ask(bench, token, "tasks/update", params, methods=methods).json["result"]
    assert acknowledged.keys() == {"resultType", "_meta"}
    assert json.loads(upstream.sent[-1].body or b"") == {"answers": answers}
    assert upstream.sent[-1].verb == "POST"
    cancelled = ask(bench, token, "tasks/cancel", {"taskId": task_id}, methods=methods).json["result"]
    assert cancelled.keys() == {"resultType", "_meta"}
    assert upstream.sent[-1].verb == "DELETE"
    upstream.event = {**PENDING, "status": "CANCELLED"}
    assert got(bench, token, task_id, methods=methods)["status"] == "cancelled"
    tools = [json.loads(line)["tool"] for line in lines.getvalue().splitlines()]
    assert tools == [CREATE, READER, "mem_0_events_answer", "mem_0_events_cancel", READER]


def test_an_upstream_that_cannot_be_told_gets_nothing(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint()
    task_id = created(bench, token)["taskId"]
    before = len(upstream.sent)
    for method in ("tasks/cancel", "tasks/update"):
        result = ask(bench, token, method, {"taskId": task_id, "inputResponses": {"x": {}}}).json["result"]
        assert result.keys() == {"resultType", "_meta"}
    assert len(upstream.sent) == before
    assert got(bench, token, task_id)["status"] == "working"


def test_what_could_not_be_sent_about_a_task_is_an_error(bench: Bench, upstream: Upstream) -> None:
    catalog, lines = asking(load("mem0")), io.StringIO()
    methods = Methods(bench.settings, upstream, Audit(bench.settings, None, lines), load_catalog=lambda _: catalog)
    token = bench.mint()
    task_id = created(bench, token, methods=methods)["taskId"]
    upstream.failure = UpstreamUnreachable("no connection to api.mem0.ai (refused or unreachable)")
    for _ in range(3):
        answer = ask(bench, token, "tasks/cancel", {"taskId": task_id}, methods=methods)
        assert answer.code == -32603
        assert "no connection to api.mem0.ai" in answer.json["error"]["message"]
    logged = [json.loads(line) for line in lines.getvalue().splitlines()][1:]
    assert [(line["tool"], line["error"]) for line in logged] == [("mem_0_events_cancel", "UpstreamUnreachable")] * 3


def test_looking_at_a_task_counts_as_a_call(bench: Bench) -> None:
    token = bench.mint(rate_limit=CallRate(60, 2))
    task_id = created(bench, token)["taskId"]
    methods = Methods(bench.settings, bench.sender)
    assert [ask(bench, token, "tasks/get", {"taskId": task_id}, methods=methods).code for _ in range(3)] == [
        None,
        None,
        42901,
    ]


def test_a_tool_that_is_of_use_as_a_task_only_refuses_other_clients(bench: Bench, upstream: Upstream) -> None:
    loaded = load("mem0")
    event = loaded.tools[CREATE].event
    assert event is not None
    required = replace(loaded.tools[CREATE], event=replace(event, required=True))
    catalog = replace(loaded, tools={**loaded.tools, CREATE: required})
    methods = Methods(bench.settings, upstream, load_catalog=lambda _: catalog)
    answer = ask(bench, bench.mint(), "tools/call", {"name": CREATE, "arguments": WRITE}, {}, methods=methods)
    assert (answer.status, answer.code, upstream.sent) == (400, -32021, [])
    assert created(bench, bench.mint(), methods=methods)["resultType"] == "task"
