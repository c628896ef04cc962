"""Resources over MCP, in both eras: what a URI stands for is a tool's result, and pages are for clients that say so."""

from __future__ import annotations

import asyncio
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from mcp_types import TextResourceContents
from mcp_types.methods import serialize_server_result

from functions.cli.tool_clients import connect
from functions.gateway.audit import Audit
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.outcomes import UnknownTool
from functions.mcp_endpoint import resources
from functions.mcp_endpoint.methods import Methods
from functions.mcp_endpoint.protocol import RpcError
from tests.mcp_endpoint.endpoint import Answer, Bench, CannedSender, legacy, modern, post, served
from tool_catalog import compiled_file
from tool_catalog.catalog import McpResource

MEM0 = compiled_file.load("mem0")
UI = "io.modelcontextprotocol/ui"
DECLARED: Json = {"extensions": {UI: {"mimeTypes": ["text/html;profile=mcp-app"]}}}
ID = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"
MEMORY: Json = {
    "id": ID,
    "memory": "Prefers window seats.",
    "user_id": "usr_1",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}
SEARCH = "mem_0_memories_search"
VIEWED = (
    "list_all_mem_0_memories",
    SEARCH,
    "mem_0_memories_get_context",
    "mem_0_memories_get_conversation",
)


class Visitor:
    """A client of one server, in one era, with or without MCP Apps. It shakes hands as its era does."""

    def __init__(self, bench: Bench, era: str = "modern", *, declares: Json = None, **config: Any) -> None:
        self.log = io.StringIO()
        self.endpoint = bench.endpoint(log=Audit(bench.settings, None, self.log))
        self.token = bench.mint(**config)
        self.era, self.declares = era, declares
        self.session: str | None = None
        client = {"name": "tests", "version": "1"}
        handshake = {"protocolVersion": "2025-11-25", "capabilities": declares or {}, "clientInfo": client}
        self.introduced = self.ask("server/discover") if era == "modern" else self.ask("initialize", **handshake)
        self.session = self.introduced.headers.get("mcp-session-id")

    def ask(self, method: str, **params: Json) -> Answer:
        if self.era == "modern":
            declared = {"io.modelcontextprotocol/clientCapabilities": self.declares or {}}
            return post(self.endpoint, self.token, modern(method, params, meta=declared))
        request = legacy(method, params)
        return post(
            self.endpoint, self.token, request.adding(("mcp-session-id", self.session)) if self.session else request
        )

    def result(self, method: str, **params: Json) -> Json:
        answer = self.ask(method, **params)
        assert answer.status == 200, answer.body
        return answer.json["result"]

    def refusal(self, uri: str) -> tuple[int, str]:
        answer = self.ask("resources/read", uri=uri)
        error = answer.json["error"]
        assert answer.status < 500
        return error["code"], error["message"]


both_eras = pytest.mark.parametrize("era", ["modern", "legacy"])


def page_of(html: str) -> Json:
    """The view that a page holds."""
    [written] = re.findall(r'<script type="application/json" id="view">(.*?)</script>', html, re.DOTALL)
    return json.loads(written)


# Clients that declare nothing


@both_eras
@pytest.mark.parametrize(
    "config",
    [{}, {"profile": "core"}, {"pins": {"user_id": "usr_1"}}, {"profile": "discovery"}, {"output_schemas": "none"}],
    ids=["all", "core", "pinned", "discovery", "without schemas"],
)
def test_a_client_that_declares_nothing_sees_the_tools_byte_for_byte_as_without_views(
    bench: Bench, era: str, config: dict[str, Any]
) -> None:
    bare = replace(MEM0, views={}, mcp_resources=())
    without = Methods(bench.settings, bench.sender, load_catalog=lambda name: bare)
    token = bench.mint(**config)
    request = modern("tools/list") if era == "modern" else legacy("tools/list")
    shown, expected = bench.endpoint(), bench.endpoint(without)
    for _ in range(3):
        answer = post(shown, token, request)
        assert answer.body == post(expected, token, request).body
        assert b"ui://" not in answer.body
        assert "mcp-session-id" not in answer.headers


@both_eras
@pytest.mark.parametrize(
    "declares",
    [
        {},
        {"extensions": {}},
        {"extensions": None},
        {"extensions": {UI: {}}},
        {"extensions": {UI: {"mimeTypes": ["text/html+skybridge"]}}},
        {"extensions": {UI: {"mimeTypes": "text/html;profile=mcp-app"}}},
        {"extensions": {"io.modelcontextprotocol/other": {"mimeTypes": ["text/html;profile=mcp-app"]}}},
    ],
)
def test_a_declaration_of_something_else_is_none(bench: Bench, era: str, declares: Json) -> None:
    visitor = Visitor(bench, era, declares=declares)
    if visitor.introduced.status == 400:
        assert (era, declares) == ("modern", {"extensions": None})
        return
    assert "extensions" not in visitor.introduced.json["result"]["capabilities"]
    assert visitor.session is None
    assert b"ui://" not in visitor.ask("tools/list").body
    assert b"ui://" not in visitor.ask("resources/list").body


# Pages


@both_eras
def test_a_client_that_declares_mcp_apps_is_given_the_page_of_each_tool_that_has_one(bench: Bench, era: str) -> None:
    visitor = Visitor(bench, era, declares=DECLARED)
    capabilities = visitor.introduced.json["result"]["capabilities"]
    assert capabilities["extensions"] == {UI: {"mimeTypes": ["text/html;profile=mcp-app"]}}
    assert capabilities["resources"] == {}
    plain = {tool["name"]: tool for tool in Visitor(bench, era).result("tools/list")["tools"]}
    for _ in range(3):
        listed = visitor.result("tools/list")["tools"]
        assert [tool["name"] for tool in listed] == list(plain)
        for tool in listed:
            meta = tool.pop("_meta", None)
            uri = f"ui://mem0/{tool['name']}"
            assert meta == ({"ui": {"resourceUri": uri}} if tool["name"] in VIEWED else None)
            assert tool == plain[tool["name"]]
        [*pages] = visitor.result("resources/list")["resources"]
        assert [page["uri"] for page in pages] == [f"ui://mem0/{name}" for name in VIEWED]
        assert {page["mimeType"] for page in pages} == {"text/html;profile=mcp-app"}


@both_eras
def test_a_page_is_one_file_that_reaches_no_host(bench: Bench, era: str) -> None:
    visitor = Visitor(bench, era, declares=DECLARED)
    for name in VIEWED:
        result = visitor.result("resources/read", uri=f"ui://mem0/{name}")
        [content] = result["contents"]
        assert (content["uri"], content["mimeType"]) == (f"ui://mem0/{name}", "text/html;profile=mcp-app")
        nowhere: Json = {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []}
        assert content["_meta"]["ui"] == {"csp": nowhere, "prefersBorder": True}
        assert content["text"].startswith("<!doctype html>")
        view = page_of(content["text"])
        assert (view["tool"], view["singular"]) == (name, "memory")
        assert {"edit", "delete", "history"} <= view.keys()
        if era == "modern":
            assert (result["ttlMs"], result["cacheScope"], result["resultType"]) == (60_000, "private", "complete")


def test_a_page_offers_only_what_its_server_does(bench: Bench) -> None:
    def view(**config: Any) -> Json:
        visitor = Visitor(bench, declares=DECLARED, **config)
        [content] = visitor.result("resources/read", uri=f"ui://mem0/{SEARCH}")["contents"]
        return page_of(content["text"])

    assert {"edit", "delete", "history"} <= view(pins={"user_id": "usr_1"}).keys()
    assert {"edit", "delete", "history"} & view(methods=("read",)).keys() == {"history"}
    assert {"edit", "delete", "history"} & view(methods=("search", "update")).keys() == {"edit"}


@both_eras
@pytest.mark.parametrize("config", [{"tags": ("webhooks",)}, {"profile": "discovery"}, {"views": "never"}])
def test_a_server_without_a_viewed_tool_says_nothing_of_pages(bench: Bench, era: str, config: dict[str, Any]) -> None:
    visitor = Visitor(bench, era, declares=DECLARED, **config)
    assert "extensions" not in visitor.introduced.json["result"]["capabilities"]
    assert visitor.session is None
    assert b"ui://" not in visitor.ask("tools/list").body
    assert visitor.result("resources/list")["resources"] == []
    code, message = visitor.refusal(f"ui://mem0/{SEARCH}")
    assert code == -32602
    assert message.startswith(f'Resource not found: "ui://mem0/{SEARCH}"; ')


@both_eras
def test_a_server_may_tell_every_client_of_its_pages(bench: Bench, era: str) -> None:
    """Hosts that show pages without declaring it."""
    visitor = Visitor(bench, era, views="always")
    assert visitor.ask("tools/list").body.count(b'"resourceUri":"ui://mem0/') == len(VIEWED)
    assert len(visitor.result("resources/list")["resources"]) == len(VIEWED)


def test_a_legacy_session_carries_the_declaration_and_opens_nothing(bench: Bench) -> None:
    """Nothing is stored for it: any id that ends so says the same, also to another process, and a foreign id says
    nothing."""
    visitor = Visitor(bench, "legacy", declares=DECLARED)
    assert visitor.session == "request-1.views"
    for session, told in [("other.views", True), (".views", True), ("request-1", False), ("views", False), ("", False)]:
        visitor.session = session
        assert (b"ui://" in visitor.ask("tools/list").body) is told
    dead = post(bench.endpoint(), "A" * 43, legacy("tools/list").adding(("mcp-session-id", "request-1.views")))
    assert dead.code == 40401


# Results by URI


@both_eras
def test_resources_are_listed_and_those_with_a_variable_as_templates(bench: Bench, era: str) -> None:
    visitor = Visitor(bench, era)
    assert visitor.introduced.json["result"]["capabilities"]["resources"] == {}
    for _ in range(3):
        assert visitor.result("resources/list")["resources"] == []
        listed = visitor.result("resources/templates/list")
        assert [one["uriTemplate"] for one in listed["resourceTemplates"]] == [
            "mem0://users/{user_id}/memories",
            "mem0://memories/{id}",
        ]
    assert listed["resourceTemplates"][0] == {
        "uriTemplate": "mem0://users/{user_id}/memories",
        "name": "list_all_mem_0_memories",
        "title": "Memories of a user",
        "description": "What is remembered about one user, one fact a line.",
        "mimeType": "text/markdown",
    }
    if era == "modern":
        assert (listed["ttlMs"], listed["cacheScope"]) == (60_000, "private")
    for method in ("resources/list", "resources/templates/list"):
        assert visitor.ask(method, cursor="2").code == -32602


@both_eras
def test_what_a_server_pins_is_filled_in_so_that_a_host_can_list_it(bench: Bench, era: str) -> None:
    visitor = Visitor(bench, era, pins={"user_id": "usr/1 ä{id}"})
    [listed] = visitor.result("resources/list")["resources"]
    assert listed["uri"] == "mem0://users/usr%2F1%20%C3%A4%7Bid%7D/memories"
    bench.sender.body = {"results": [MEMORY, {**MEMORY, "memory": "Is called Ada."}], "next": None}  # type: ignore[attr-defined]
    [content] = visitor.result("resources/read", uri=listed["uri"])["contents"]
    assert content == {
        "uri": listed["uri"],
        "mimeType": "text/markdown",
        "text": "- Prefers window seats.\n- Is called Ada.",
    }
    [sent] = bench.sender.sent  # type: ignore[attr-defined]
    assert json.loads(sent.body)["filters"] == {"user_id": "usr/1 ä{id}"}


@both_eras
@pytest.mark.parametrize(
    ("config", "templates"),
    [
        ({"methods": ("search",)}, []),
        ({"methods": ("get",)}, ["mem0://memories/{id}"]),
        ({"tags": ("webhooks",)}, []),
        ({"profile": "discovery"}, ["mem0://users/{user_id}/memories", "mem0://memories/{id}"]),
    ],
)
def test_a_resource_is_offered_where_its_tool_is(
    bench: Bench, era: str, config: dict[str, Any], templates: list[str]
) -> None:
    visitor = Visitor(bench, era, **config)
    listed = visitor.result("resources/templates/list")["resourceTemplates"]
    assert [one["uriTemplate"] for one in listed] == templates
    assert ("resources" in visitor.introduced.json["result"]["capabilities"]) == bool(templates)
    if not templates:
        assert visitor.refusal(f"mem0://memories/{ID}")[0] == -32602
    assert bench.sender.sent == []  # type: ignore[attr-defined]


@both_eras
def test_to_read_is_to_call_the_tool_and_it_is_logged_so(bench: Bench, era: str) -> None:
    bench.sender = CannedSender(body=MEMORY, headers={"x-ratelimit-limit": "60", "x-ratelimit-remaining": "59"})
    visitor = Visitor(bench, era)
    for _ in range(3):
        answer = visitor.ask("resources/read", uri=f"mem0://memories/{ID}")
        [content] = answer.json["result"]["contents"]
        assert (content["mimeType"], json.loads(content["text"])["memory"]) == (
            "application/json",
            "Prefers window seats.",
        )
    if era == "modern":
        assert (answer.json["result"]["ttlMs"], answer.json["result"]["cacheScope"]) == (0, "private")
    entries = [json.loads(line) for line in visitor.log.getvalue().splitlines()]
    assert [(entry["tool"], entry["status"]) for entry in entries] == [("get_single_mem_0_memory_by_id", 200)] * 3
    assert [request.url for request in bench.sender.sent] == [f"https://api.mem0.ai/v1/memories/{ID}/"] * 3


@both_eras
@pytest.mark.parametrize(
    "uri",
    ["mem0://memories/", "mem0://memories", "mem0://memories/a/b", "mem0://nothing", "", "x", "file:///etc/passwd",
     "ui://mem0/nothing", "ui://mem0_oss/search", "mem0://memories/a?b", "MEM0://memories/a", "mem0://memories/a\n"],
)  # fmt: skip
def test_a_uri_of_nothing_is_refused_with_what_there_is(bench: Bench, era: str, uri: str) -> None:
    if era == "modern" and (not uri.isprintable() or not uri):
        pytest.skip("no header holds it")
    code, message = Visitor(bench, era).refusal(uri)
    assert code == -32602
    assert message.endswith("; this server has mem0://users/{user_id}/memories, mem0://memories/{id}")
    assert bench.sender.sent == []  # type: ignore[attr-defined]


@both_eras
def test_a_resource_outside_the_pins_is_refused_before_anything_is_sent(bench: Bench, era: str) -> None:
    """The list takes a pinned server's user only; a memory is read first, and one of somebody else is refused."""
    visitor = Visitor(bench, era, pins={"user_id": "usr_2"})
    code, message = visitor.refusal("mem0://users/usr_1/memories")
    assert code == -32602
    assert "Resource not found" in message
    bench.sender.body = MEMORY  # type: ignore[attr-defined]
    code, message = visitor.refusal(f"mem0://memories/{ID}")
    assert (code, "usr_1" in message) == (-32602, False)
    assert [request.verb for request in bench.sender.sent] == ["GET"]  # type: ignore[attr-defined]


@both_eras
@pytest.mark.parametrize(("status", "code"), [(404, -32602), (401, -32603), (429, -32603), (500, -32603)])
def test_a_read_that_fails_is_an_error_that_says_why(bench: Bench, era: str, status: int, code: int) -> None:
    bench.sender = CannedSender(status, {"detail": "No such thing."})
    visitor = Visitor(bench, era)
    for _ in range(3):
        answer = visitor.ask("resources/read", uri=f"mem0://memories/{ID}")
        assert answer.status == (400 if era == "modern" and code == -32602 else 200)
        error = answer.json["error"]
        assert error["code"] == code
        assert error["message"].startswith("Resource not read: get_single_mem_0_memory_by_id: ")
        assert (error["data"]["uri"], error["data"]["status_code"]) == (f"mem0://memories/{ID}", status)


def test_the_limit_of_a_server_holds_for_reads(bench: Bench) -> None:
    from functions.gateway.call_limits import CallRate

    bench.sender.body = MEMORY  # type: ignore[attr-defined]
    visitor = Visitor(bench, rate_limit=CallRate(60, 1))
    assert visitor.ask("resources/read", uri=f"mem0://memories/{ID}").code is None
    answer = visitor.ask("resources/read", uri=f"mem0://memories/{ID}")
    assert answer.code == -32603
    assert answer.json["error"]["data"]["status_code"] == 429


def test_a_list_that_goes_on_says_so(bench: Bench) -> None:
    bench.sender.body = {"results": [MEMORY], "next": "https://api.mem0.ai/v3/memories/?page=2"}  # type: ignore[attr-defined]
    visitor = Visitor(bench)
    first, rest = visitor.result("resources/read", uri="mem0://users/usr_1/memories")["contents"]
    assert first["text"] == "- Prefers window seats."
    assert (rest["mimeType"], rest["text"]) == (
        "text/plain",
        "This is not all; the tool list_all_mem_0_memories returns the rest.",
    )


def test_a_text_that_is_none_leaves_the_whole_result(bench: Bench) -> None:
    """An expression of the records that does not fit an answer loses nothing of it."""
    found = McpResource("a://{id}", SEARCH, "T", "D", {}, "text/plain", text="results[0].id")
    outcome: Any = type("Outcome", (), {"body": {"results": []}})()
    for text in ("results[0].id", "join('', results)", "length(results, 1)"):
        [content] = resources.contents("a://1", replace(found, text=text), outcome, '{"results":[]}')
        if text == "join('', results)":
            assert content["text"] == ""
        else:
            assert content == {"uri": "a://1", "mimeType": "application/json", "text": '{"results":[]}'}


def test_a_blob_is_the_bytes_that_the_result_holds() -> None:
    found = McpResource("a://{id}", SEARCH, "T", "D", {}, "image/png", blob="content")
    outcome: Any = type("Outcome", (), {"body": {"content": "iVBORw=="}})()
    assert resources.contents("a://1", found, outcome, "") == [
        {"uri": "a://1", "mimeType": "image/png", "blob": "iVBORw=="}
    ]


@both_eras
def test_everything_listed_and_read_passes_the_official_models(bench: Bench, era: str) -> None:
    bench.sender.body = MEMORY  # type: ignore[attr-defined]
    visitor = Visitor(bench, era, declares=DECLARED, pins={"user_id": "usr_1"})
    revision = "2026-07-28" if era == "modern" else "2025-11-25"
    for method, params in [
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": f"mem0://memories/{ID}"}),
        ("resources/read", {"uri": f"ui://mem0/{SEARCH}"}),
        ("tools/list", {}),
    ]:
        result = visitor.result(method, **params)
        passed = serialize_server_result(method, revision, result)
        assert passed == result


@pytest.mark.parametrize("integration", compiled_file.available())
def test_every_page_and_resource_of_a_shipped_integration_names_what_is_there(integration: str) -> None:
    loaded = compiled_file.load(integration)
    assert loaded.views.keys() <= loaded.tools.keys()
    for view in loaded.views.values():
        for action in resources.ACTIONS:
            assert view[action]["tool"] in loaded.tools
    for resource in loaded.mcp_resources:
        assert loaded.tools[resource.tool].access == "read"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_official_client_lists_and_reads(bench: Bench, mode: str) -> None:
    bench.sender.body = MEMORY  # type: ignore[attr-defined]
    token = bench.mint()

    async def read(origin: str) -> tuple[list[str], str]:
        async with connect(f"{origin}/mcp/{token}", mode=mode) as client:
            templates = (await client.list_resource_templates()).resource_templates
            [content] = (await client.read_resource(f"mem0://memories/{ID}")).contents
            assert isinstance(content, TextResourceContents)
            return [one.uri_template for one in templates], content.text

    with served(bench.endpoint()) as origin:
        templates, text = asyncio.run(read(origin))
    assert templates == ["mem0://users/{user_id}/memories", "mem0://memories/{id}"]
    assert json.loads(text)["id"] == ID


def test_a_resource_of_a_tool_that_is_not_there_is_not_found() -> None:
    [(uri, resource), *_] = resources.offered(ServerConfig(), MEM0)
    with pytest.raises(RpcError) as refused:
        resources.contents(uri, resource, UnknownTool("no such tool"), "")
    assert (refused.value.code, refused.value.message) == (-32602, "Resource not found: no such tool")
    assert refused.value.data == {"uri": uri}
