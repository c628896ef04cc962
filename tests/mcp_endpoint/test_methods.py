"""The introduction and tools/call: what a client gets, and what is logged."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.gateway.audit import Audit
from functions.gateway.call_limits import CallRate
from functions.gateway.errors import UpstreamTimeout
from functions.gateway.grants import keys_of
from functions.gateway.json_text import Json
from functions.gateway.requests import UpstreamRequest
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.tracing import Tracer
from functions.gateway.upstream import UpstreamResponse
from functions.mcp_endpoint.methods import Methods
from functions.mcp_endpoint.traces import Traces
from functions.stores import layout
from functions.stores.store import Put
from tests.gateway.calling import catalog_of, tool
from tests.mcp_endpoint.endpoint import Bench, CannedSender, Request, legacy, modern, post
from tool_catalog.compiled_file import load

SEARCH = "mem_0_memories_search"
GET = "get_single_mem_0_memory_by_id"
DELETE = "delete_a_mem_0_memory_by_id"
MEMORY = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"


def _call(name: str, **arguments: Json) -> Request:
    return modern("tools/call", {"name": name, "arguments": arguments})


# Introduction.


@pytest.mark.parametrize("era", ["initialize", "server/discover"])
def test_instructions_begin_with_what_the_catalogue_says_and_end_with_the_expiry(bench: Bench, era: str) -> None:
    """OpenAI: the first 512 characters carry the essential."""
    client = {"name": "a", "version": "1"}
    request = (
        legacy("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}, version=None)
        if era == "initialize"
        else modern("server/discover")
    )
    said = load("mem0").instructions
    forever = post(bench.endpoint(), bench.mint(lives=None), request).json["result"]["instructions"]
    assert forever == said
    passing = post(bench.endpoint(), bench.mint(), request).json["result"]["instructions"]
    assert passing == f"{said} This server stops working at 2026-11-22T12:00:00Z."
    token = bench.mint(lives=None, pins={"user_id": "usr_1", "app_id": "app_1"})
    pinned = post(bench.endpoint(), token, request).json["result"]["instructions"]
    assert pinned == f"Pinned server: it fills user_id, app_id in on every call, so leave that out. {said}"


# Calling.


def test_a_result_is_text_and_the_same_object(bench: Bench) -> None:
    """2026-07-28 tools: structuredContent, and its JSON in a text block."""
    bench.sender = CannedSender(body={"id": "m1", "memory": "tea ☕"})
    result = post(bench.endpoint(), bench.mint(), _call(GET, id=MEMORY)).json["result"]
    assert result["structuredContent"] == {"id": "m1", "memory": "tea ☕"}
    assert result["content"] == [{"type": "text", "text": '{"id":"m1","memory":"tea ☕"}'}]
    assert result["isError"] is False


def test_the_upstream_rate_limit_rides_on_the_result_and_on_the_answer(bench: Bench) -> None:
    limits = {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "7", "x-ratelimit-reset": "30"}
    bench.sender = CannedSender(headers=limits)
    answer = post(bench.endpoint(), bench.mint(), _call(GET, id=MEMORY))
    told = {"limit": 100, "remaining": 7, "reset_seconds": 30, "retry_after_seconds": None}
    assert answer.json["result"]["_meta"]["postern/rate-limit"] == told
    assert answer.headers["ratelimit-limit"] == "100"
    assert answer.headers["ratelimit-remaining"] == "7"
    assert answer.headers["ratelimit-reset"] == "30"
    assert "retry-after" not in answer.headers


def test_a_failure_a_model_can_mend_is_a_result_with_iserror(bench: Bench) -> None:
    """2026-07-28 tools, "Error Handling": API failures and wrong arguments are results."""
    bench.sender = CannedSender(429, {"detail": "slow down"}, {"retry-after": "17"})
    answer = post(bench.endpoint(), bench.mint(), _call(GET, id=MEMORY))
    assert answer.status == 200
    assert answer.headers["retry-after"] == "17"
    result = answer.json["result"]
    assert result["isError"] is True
    assert "structuredContent" not in result, "some clients check it against outputSchema and hide the failure"
    told = json.loads(result["content"][0]["text"])
    assert (told["status_code"], told["is_remote_error"]) == (429, True)
    assert told["rate_limit"]["retry_after_seconds"] == 17
    assert result["_meta"]["postern/rate-limit"]["retry_after_seconds"] == 17


def test_wrong_arguments_reach_no_upstream(bench: Bench) -> None:
    answer = post(bench.endpoint(), bench.mint(), _call(GET, nonsense=1))
    assert answer.json["result"]["isError"] is True
    assert isinstance(bench.sender, CannedSender)
    assert bench.sender.sent == []


def test_the_trace_of_the_envelope_goes_upstream_and_nothing_else_of_the_caller_s(bench: Bench) -> None:
    bench.sender = sender = CannedSender()
    traces = Traces(Tracer(TraceSettings(upstreams=("api.mem0.ai",)), io.StringIO()))
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"}
    request = modern("tools/call", {"name": GET, "arguments": {"id": MEMORY}}, meta=trace)
    post(bench.endpoint(traces=traces), bench.mint(), request.adding(("x-custom", "mine"), ("cookie", "a=b")))
    sent = dict(sender.sent[0].headers)
    assert {name: sent[name] for name in trace} == trace
    assert not {"x-custom", "cookie", "user-agent"} & {name.lower() for name in sent}


@pytest.mark.parametrize(
    ("left_ms", "seconds"), [(None, 25.0), (60_000, 25.0), (10_000, 8.5), (1_500, 0.0), (200, -1.3)]
)
def test_an_upstream_gets_the_time_that_lambda_leaves_less_a_margin(
    bench: Bench, left_ms: int | None, seconds: float
) -> None:
    class Context:
        aws_request_id = "lambda-1"

        def get_remaining_time_in_millis(self) -> int | None:
            return left_ms

    bench.sender = sender = CannedSender()
    scope = {} if left_ms is None else {"aws.context": Context()}
    post(bench.endpoint(), bench.mint(), _call(GET, id=MEMORY), **scope)
    assert sender.deadlines == [pytest.approx(1_000.0 + seconds)], "on the clock of the event loop, which stands"


def test_a_result_tells_when_the_server_ends_and_says_so_to_the_model_at_the_end(bench: Bench) -> None:
    endpoint = bench.endpoint()
    forever = post(endpoint, bench.mint(lives=None), _call(GET, id=MEMORY)).json["result"]
    assert "postern/expires-at" not in forever["_meta"]
    token = bench.mint(lives=timedelta(minutes=15))
    early = post(endpoint, token, _call(GET, id=MEMORY)).json["result"]
    assert early["_meta"]["postern/expires-at"] == "2026-11-21T12:15:00Z"
    assert len(early["content"]) == 1
    bench.clock.move(minutes=5)
    late = post(endpoint, token, _call(GET, id=MEMORY)).json["result"]
    assert late["content"][0] == early["content"][0]
    assert late["content"][1:] == [
        {
            "type": "text",
            "text": "This MCP server stops working at 2026-11-21T12:15:00Z; finish or tell the user before then.",
        }
    ]


@pytest.mark.parametrize(("name", "blocks"), [("search", 1), ("fetch", 1), ("search_things", 2)])
def test_a_tool_that_deep_research_calls_answers_one_text_block_to_the_end(
    bench: Bench, name: str, blocks: int
) -> None:
    """ChatGPT reads the content of `search` and `fetch` as one JSON text; a reminder in front of the end breaks it."""
    bench.sender = CannedSender(body={"results": []})
    catalog = catalog_of(tool(name=name))
    endpoint = bench.endpoint(Methods(bench.settings, bench.sender, load_catalog=lambda _: catalog))
    token = bench.mint(lives=timedelta(minutes=5))
    for _ in range(3):
        result = post(endpoint, token, _call(name)).json["result"]
        assert len(result["content"]) == blocks
        assert json.loads(result["content"][0]["text"]) == {"results": []}
        assert result["_meta"]["postern/expires-at"]


def test_a_credential_that_does_not_open_is_told_without_a_secret(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    token = bench.mint()
    item, account = bench.store.get(keys_of(token))
    assert item is not None
    assert account is not None
    bench.store.write([Put(item.key, {**item.body, "sealed_data_key": account.body["sealed_credential"]})])
    answer = post(bench.endpoint(), token, _call(GET, id=MEMORY))
    assert answer.json["error"] == {
        "code": -32603,
        "message": "This server's stored credential does not open; its operator should mint a new URL",
    }
    assert "server srv_1 does not open" in caplog.text


# What is logged.


def _recorded(bench: Bench, request: Request) -> Json:
    lines = io.StringIO()
    audit = Audit(bench.settings, bench.store, lines)
    post(bench.endpoint(log=audit), bench.mint(), request.adding(("user-agent", "agent/2")))
    record = json.loads(lines.getvalue())
    assert len(lines.getvalue().splitlines()) == 1
    return record


def test_a_call_is_recorded_by_ids_and_sizes(bench: Bench) -> None:
    record = _recorded(bench, _call(GET, id=MEMORY))
    wanted = {
        "request_id": "request-1",
        "plane": "mcp",
        "server_id": "srv_1",
        "account_id": "acc_1",
        "integration": "mem0",
        "tool": GET,
        "method": "get",
        "access": "read",
        "outcome": "ok",
        "status": 200,
        "error": "",
        "upstream_status": 200,
        "upstream_requests": 1,
        "client_name": "tests",
        "client_version": "1",
    }
    assert {name: record[name] for name in wanted} == wanted
    assert MEMORY not in json.dumps(record)


@pytest.mark.parametrize(
    ("sender", "request_", "came_to"),
    [
        (CannedSender(503), _call(GET, id=MEMORY), ("error", 503, "UpstreamRefused")),
        (CannedSender(), _call(GET, nonsense=1), ("error", 400, "WrongArguments")),
        (CannedSender(), _call("no_such_tool"), ("refused", 404, "UnknownTool")),
    ],
)
def test_a_call_that_failed_is_recorded_as_what_it_came_to(
    bench: Bench, sender: CannedSender, request_: Request, came_to: tuple[str, int, str]
) -> None:
    bench.sender = sender
    record = _recorded(bench, request_)
    assert (record["outcome"], record["status"], record["error"]) == came_to


def test_a_legacy_client_is_recorded_by_its_user_agent(bench: Bench) -> None:
    record = _recorded(bench, legacy("tools/call", {"name": GET, "arguments": {"id": MEMORY}}))
    assert (record["client_name"], record["client_version"]) == ("agent", "2")


def test_an_upstream_that_refuses_the_credential_marks_the_account(bench: Bench) -> None:
    bench.sender = CannedSender(401, {"detail": "bad key"})
    _recorded(bench, _call(GET, id=MEMORY))
    state = bench.store.get([layout.account_state("acc_1")])[0]
    assert state is not None
    assert state.body["status"] == "needs_reauth"


class Unreachable(CannedSender):
    """No upstream: fails as a sender does."""

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        raise UpstreamTimeout(
            "no connection within 20 s; nothing was sent", sent=False, detail="timeout while connecting"
        )


def test_the_cause_of_a_failure_is_in_the_log_entry_and_not_in_the_result(bench: Bench) -> None:
    bench.sender = Unreachable()
    lines = io.StringIO()
    answer = post(bench.endpoint(log=Audit(bench.settings, bench.store, lines)), bench.mint(), _call(GET, id=MEMORY))
    entry = json.loads(lines.getvalue())
    assert (entry["error"], entry["detail"]) == ("UpstreamTimeout", "timeout while connecting")
    assert "while connecting" not in answer.body.decode()


@pytest.mark.parametrize("required", [False, True])
def test_the_principal_of_an_entry_is_the_api_token_that_was_accepted_else_the_server(
    bench: Bench, required: bool
) -> None:
    lines = io.StringIO()
    endpoint = bench.endpoint(log=Audit(bench.settings, bench.store, lines))
    token = bench.mint(require_api_token_auth=required)
    with_api_token = _call(GET, id=MEMORY).adding(("authorization", f"Bearer {bench.issue_api_token()}"))
    for request in (with_api_token, with_api_token.without("authorization"), with_api_token):
        post(endpoint, token, request)
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [entry["principal"] for entry in entries] == ["tok_1", "srv_1", "tok_1"]
    assert [entry["outcome"] for entry in entries] == ["ok", "refused" if required else "ok", "ok"]
    assert {entry["server_id"] for entry in entries} == {"srv_1"}


CREATE = "create_a_mem_0_memory"
WRITE = _call(CREATE, messages=[{"role": "user", "content": "x"}], user_id="u")


class Unreadable(CannedSender):
    """Answers with what no line of ours expects: a fault of ours after the upstream has answered."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self._status = status

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        await super().send(request, deadline)
        return UpstreamResponse(self._status, {}, None)  # type: ignore[arg-type]


class Breaks(CannedSender):
    """Fails in a way that no line of ours expects, after the request may have left."""

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        raise RuntimeError("m0-secret-key")


@pytest.mark.parametrize(
    ("sender", "happened", "upstream_status"),
    [
        (Unreadable(201), "the upstream answered 201, so it was carried out; do not repeat it", 201),
        (Unreadable(202), "the upstream answered 202, so it accepted the request; look whether it was", 202),
        (Breaks(), "whether it was carried out is unknown: look before you repeat it", None),
    ],
)
def test_a_fault_of_ours_after_the_request_was_sent_is_a_result_that_says_what_happened(
    bench: Bench, sender: CannedSender, happened: str, upstream_status: int | None
) -> None:
    bench.sender = sender
    lines = io.StringIO()
    endpoint = bench.endpoint(log=Audit(bench.settings, bench.store, lines))
    token = bench.mint()
    for _ in range(3):
        answer = post(endpoint, token, WRITE)
        assert (answer.status, answer.json["id"]) == (200, 1)
        assert answer.json["result"]["isError"] is True
        assert happened in answer.json["result"]["content"][0]["text"]
        assert "m0-secret-key" not in answer.body.decode()
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [entry["error"] for entry in entries] == ["LostResult"] * 3
    assert {entry["upstream_status"] for entry in entries} == {upstream_status}
    assert all(entry["detail"].startswith("unexpected ") for entry in entries)
    assert "m0-secret-key" not in lines.getvalue()


@pytest.mark.parametrize("name", ["x-ratelimit-limit", "ratelimit-reset", "retry-after"])
@pytest.mark.parametrize("value", ["9" * 5_000, "Wed, 21 Oct 99999999999 07:28:00 GMT"])
def test_no_header_of_the_upstream_hides_a_write_that_was_done(bench: Bench, name: str, value: str) -> None:
    bench.sender = CannedSender(200, {"results": []}, {name: value})
    lines = io.StringIO()
    answer = post(bench.endpoint(log=Audit(bench.settings, bench.store, lines)), bench.mint(), WRITE)
    assert (answer.status, answer.json["result"]["isError"]) == (200, False)
    assert json.loads(lines.getvalue())["outcome"] == "ok"


def test_a_log_that_cannot_be_written_hides_no_write_that_was_done(bench: Bench) -> None:
    class Full(io.StringIO):
        def write(self, line: str, /) -> int:
            raise OSError(28, "No space left on device")

    bench.sender = sender = CannedSender(200, {"results": []})
    endpoint = bench.endpoint(log=Audit(bench.settings, bench.store, Full()))
    token = bench.mint()
    for _ in range(3):
        assert post(endpoint, token, WRITE).json["result"]["isError"] is False
    assert len(sender.sent) == 3


def test_a_caller_who_is_not_admitted_leaves_an_entry_with_the_reason(bench: Bench) -> None:
    lines = io.StringIO()
    endpoint = bench.endpoint(log=Audit(bench.settings, bench.store, lines))
    token = bench.mint(require_api_token_auth=True)
    expired = bench.issue_api_token(lives=timedelta(0))
    plain = _call(GET, id=MEMORY).adding(("user-agent", "agent/2"))
    post(endpoint, token, plain)
    post(endpoint, token, plain.adding(("authorization", "Bearer pst_unknown")))
    post(endpoint, token, plain.adding(("authorization", f"Bearer {expired}")))
    other = bench.issue_api_token(server_ids=("srv_2",))
    post(endpoint, token, plain.adding(("authorization", f"Bearer {other}")))
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [entry["detail"] for entry in entries] == [
        "no API token",
        "unknown API token",
        "API token tok_1 has expired",
        "API token tok_1 is not for this server",
    ]
    wanted = {"principal": "srv_1", "server_id": "srv_1", "outcome": "refused", "status": 403, "error": "NotAdmitted"}
    for entry in entries:
        assert {name: entry[name] for name in wanted} == wanted
        assert (entry["client_name"], entry["client_version"], entry["tool"]) == ("agent", "2", "")
    for secret in (token, expired, other, "pst_unknown"):
        assert secret not in lines.getvalue()


def test_a_call_beyond_the_limit_of_a_server_is_a_429_that_sent_nothing(bench: Bench) -> None:
    bench.sender = sender = CannedSender(body={"id": MEMORY, "memory": "x"})
    endpoint = bench.endpoint()
    token = bench.mint(rate_limit=CallRate(60, 2))
    answers = [post(endpoint, token, _call(GET, id=MEMORY)) for _ in range(4)]
    assert [answer.json["result"]["isError"] for answer in answers] == [False, False, True, True]
    assert len(sender.sent) == 2
    refused = json.loads(answers[3].json["result"]["content"][0]["text"])
    assert (refused["status_code"], refused["is_remote_error"]) == (429, False)
    assert refused["message"].endswith("nothing was sent. Wait 1 s, then repeat the call")
    assert answers[3].json["result"]["_meta"]["postern/rate-limit"]["retry_after_seconds"] == 1
    assert answers[3].headers["retry-after"] == "1"
    other = bench.mint(id="srv_2")
    assert not post(endpoint, other, _call(GET, id=MEMORY)).json["result"]["isError"]


@pytest.mark.parametrize("icon", ["", "https://example.com/icon.svg"])
@pytest.mark.parametrize("website", ["", "https://example.com"])
def test_a_server_shows_the_icon_and_the_website_that_its_record_has(bench: Bench, icon: str, website: str) -> None:
    shown = replace(load("mem0"), icon=icon, website=website)
    endpoint = bench.endpoint(Methods(bench.settings, bench.sender, load_catalog=lambda _: shown))
    handshake = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    about = post(endpoint, bench.mint(), legacy("initialize", handshake)).json["result"]["serverInfo"]
    assert about.get("websiteUrl", "") == website
    assert [one["src"] for one in about.get("icons", [])] == [icon] * bool(icon)


def test_what_was_put_right_in_a_call_stands_in_its_result(bench: Bench) -> None:
    bench.sender = CannedSender(body={"id": MEMORY, "memory": "Likes tea."})
    endpoint, token = bench.endpoint(), bench.mint()
    for given, settled in (({"memory_id": MEMORY}, ['"memory_id" is called "id" here']), ({"id": MEMORY}, None)):
        result = post(endpoint, token, _call(GET, **given)).json["result"]
        assert result["isError"] is False
        assert result.get("_meta", {}).get("postern/settled") == settled
