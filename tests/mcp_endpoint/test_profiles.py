"""How a server shows its tools: core, full and discovery, and how much of the output schemas. What a call does is the
same under each of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from functions.gateway import discovery, model_tokens, selection
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tests.mcp_endpoint.endpoint import Answer, Bench, CannedSender, legacy, modern, post
from tool_catalog.catalog import DISCOVERY_NAMES
from tool_catalog.compiled_file import load

MEM0 = load("mem0")
SEARCH = "mem_0_memories_search"
DELETE = "delete_a_mem_0_memory_by_id"
GOLDEN = Path(__file__).parents[1] / "golden" / "messages" / "discovery.json"
LISTS = (("tools/list", "tools"), ("prompts/list", "prompts"))
MEMORY = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"


class Visitor:
    """A client of one server, which it calls in both eras in turn."""

    def __init__(self, bench: Bench, **config: Any) -> None:
        self.endpoint, self.token, self.calls = bench.endpoint(), bench.mint(**config), 0

    def ask(self, method: str, **params: Json) -> Answer:
        self.calls += 1
        return post(self.endpoint, self.token, (modern if self.calls % 2 else legacy)(method, params))

    def tools(self) -> list[dict[str, Json]]:
        listed: list[dict[str, Json]] = self.ask("tools/list").json["result"]["tools"]
        return listed

    def call(self, tool: str, /, **arguments: Json) -> Json:
        return self.ask("tools/call", name=tool, arguments=arguments).json["result"]


# Core.


def test_the_core_profile_lists_the_marked_tools_and_has_no_others(bench: Bench) -> None:
    visitor = Visitor(bench, profile="core")
    names = [tool["name"] for tool in visitor.tools()]
    assert names == [tool.name for tool in MEM0.tools.values() if tool.core]
    assert names[0] == "mem_0_memories_remember"
    assert "mem_0_memories_stats" not in names
    hidden = visitor.ask("tools/call", name="mem_0_memories_stats", arguments={})
    assert hidden.code == -32602
    assert not visitor.call(SEARCH, query="seats", filters={"user_id": "usr_1"})["isError"]


def test_the_core_profile_is_a_selection_like_the_others(bench: Bench) -> None:
    names = [tool["name"] for tool in Visitor(bench, profile="core", methods=("read",)).tools()]
    assert SEARCH in names
    assert not [name for name in names if MEM0.tools[name].access != "read"]


# Output schemas.


def test_output_schemas_are_listed_whole_by_their_top_level_or_not_at_all(bench: Bench) -> None:
    full, shallow, none = (
        {tool["name"]: tool for tool in Visitor(bench, output_schemas=choice).tools()}
        for choice in ("full", "shallow", "none")
    )
    assert full.keys() == shallow.keys() == none.keys()
    assert full[SEARCH]["outputSchema"]["properties"]["results"]["items"]
    assert shallow[SEARCH]["outputSchema"]["properties"]["results"] == {"type": "array", "description": "Best first."}
    assert shallow[SEARCH]["outputSchema"].keys() == {"type", "properties"}
    assert shallow["list_all_mem_0_memories"]["outputSchema"]["required"] == ["result", "next_cursor", "result_count"]
    assert all("outputSchema" not in tool for tool in none.values())
    assert {**none[SEARCH], "outputSchema": full[SEARCH]["outputSchema"]} == full[SEARCH]


@pytest.mark.parametrize("choice", ["full", "shallow", "none"])
def test_a_result_does_not_depend_on_what_is_listed_of_it(bench: Bench, choice: str) -> None:
    visitor = Visitor(bench, output_schemas=choice, pins={"user_id": "usr_1"})
    for _ in range(3):
        assert visitor.call(SEARCH, query="seats")["structuredContent"]["results"] == []


# Discovery.


def test_discovery_lists_three_tools_for_less_than_400_tokens(bench: Bench) -> None:
    listed = Visitor(bench, profile="discovery").tools()
    assert [tool["name"] for tool in listed] == list(DISCOVERY_NAMES)
    assert sum(map(model_tokens.of_tool, listed)) <= 400


def test_the_three_tools_and_the_prompts_are_on_the_wire_as_reviewed(bench: Bench) -> None:
    """UPDATE_GOLDEN=1 rewrites what is expected."""
    visitor = Visitor(bench, profile="discovery", pins={"user_id": "usr_1"})
    wire = {method: visitor.ask(method).json["result"][key] for method, key in LISTS}
    wire["prompts/get"] = visitor.ask("prompts/get", name="export_and_erase").json["result"]["messages"]
    wire["search_tools"] = visitor.call("search_tools", query="delete everything of the user")["structuredContent"]
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(wire, indent=1, ensure_ascii=False) + "\n")
    assert json.loads(GOLDEN.read_text()) == wire


def test_what_is_found_can_be_read_and_then_called(bench: Bench) -> None:
    visitor = Visitor(bench, profile="discovery", pins={"user_id": "usr_1"})
    found = visitor.call("search_tools", query="find memories that answer a question", limit=2)["structuredContent"]
    assert found["tools"][0] == {
        "name": SEARCH,
        "does": "Finds the memories that matter to a question, best first.",
        "access": "read",
        "required": ["query"],
    }
    read = visitor.call("get_tool_schema", name=SEARCH)["structuredContent"]
    assert read["inputSchema"]["required"] == ["query"]
    assert "user_id" not in read["inputSchema"]["properties"]["filters"]["properties"]
    assert "usr_1" in read["description"]
    answered = visitor.call("call_tool", name=SEARCH, arguments={"query": "seats"})
    assert answered["structuredContent"]["results"] == []
    assert isinstance(bench.sender, CannedSender)
    assert b'"user_id":"usr_1"' in (bench.sender.sent[-1].body or b"")


@pytest.mark.parametrize(
    "form",
    [
        {"name": SEARCH, "arguments": {"query": "seats", "filters": {"user_id": "u"}}},
        {"name": SEARCH, "arguments": '{"query": "seats", "filters": {"user_id": "u"}}'},
        {"name": SEARCH, "query": "seats", "filters": {"user_id": "u"}},
    ],
    ids=["object", "text", "beside the name"],
)
def test_a_call_through_call_tool_is_the_call_of_the_tool(bench: Bench, form: dict[str, Json]) -> None:
    discovering, direct = Visitor(bench, profile="discovery"), Visitor(bench)
    for _ in range(3):
        through = discovering.ask("tools/call", name="call_tool", arguments=form).json["result"]
        itself = direct.ask("tools/call", name=SEARCH, arguments={"query": "seats", "filters": {"user_id": "u"}})
        assert through["content"] == itself.json["result"]["content"]
    assert isinstance(bench.sender, CannedSender)
    bodies = {request.body for request in bench.sender.sent}
    assert len(bodies) == 1


def test_the_checks_of_a_tool_and_the_pins_of_a_server_hold_through_call_tool(bench: Bench) -> None:
    visitor = Visitor(bench, profile="discovery", pins={"user_id": "usr_1"})
    foreign = visitor.call("call_tool", name=SEARCH, arguments={"query": "x", "filters": {"user_id": "usr_2"}})
    assert foreign["isError"]
    assert "pinned" in foreign["content"][0]["text"]
    nothing = visitor.call("call_tool", name="mem_0_memories_bulk_delete_by_filter", arguments={})
    assert nothing["isError"]
    assert isinstance(bench.sender, CannedSender)
    assert bench.sender.sent == []


def test_a_hidden_tool_is_neither_found_nor_read_nor_called(bench: Bench) -> None:
    visitor = Visitor(bench, profile="discovery", methods=("read",))
    found = visitor.call("search_tools", query="delete a memory", limit=20)["structuredContent"]["tools"]
    assert found
    assert {entry["access"] for entry in found} == {"read"}
    read = visitor.call("get_tool_schema", name=DELETE)
    assert read["isError"]
    assert f'no tool \\"{DELETE}\\" on this server' in read["content"][0]["text"]
    refused = visitor.ask("tools/call", name="call_tool", arguments={"name": DELETE, "arguments": {"id": MEMORY}})
    assert refused.code == -32602
    assert refused.json["error"]["message"].endswith("search_tools finds the tools of this server")


def test_a_search_without_a_match_says_so_and_what_there_is(bench: Bench) -> None:
    visitor = Visitor(bench, profile="discovery", tags=("webhooks",))
    body = visitor.call("search_tools", query="weather")["structuredContent"]
    assert body["tools"] == []
    assert body["message"] == (
        'None of the 4 tools matches "weather". They are about webhooks; search for one of these words, or for what '
        "the tool does"
    )


def test_wrong_arguments_of_the_three_tools_are_told_as_of_any_tool(bench: Bench) -> None:
    visitor = Visitor(bench, profile="discovery")
    for name, arguments, said in (
        ("search_tools", {}, 'missing argument "query"'),
        ("search_tools", {"query": "x", "limit": 99}, '"limit" is 99; it must be at most 20'),
        ("get_tool_schema", {"tool": SEARCH}, 'missing argument "name"'),
        ("call_tool", {"arguments": {}}, 'missing argument "name"'),
        ("call_tool", {"name": "call_tool", "arguments": {}}, "name a tool that search_tools finds"),
    ):
        refused = visitor.call(name, **arguments)
        assert refused["isError"]
        assert said in refused["content"][0]["text"].replace('\\"', '"')


@pytest.mark.parametrize(
    ("config", "destructive", "reads"),
    [
        ({}, True, False),
        ({"methods": ("read",)}, False, True),
        ({"methods": ("create",)}, False, False),
    ],
    ids=["all", "read", "create"],
)
def test_call_tool_is_as_dangerous_as_what_it_reaches(
    bench: Bench, config: dict[str, Json], destructive: bool, reads: bool
) -> None:
    listed = {tool["name"]: tool["annotations"] for tool in Visitor(bench, profile="discovery", **config).tools()}
    assert (listed["call_tool"]["destructiveHint"], listed["call_tool"]["readOnlyHint"]) == (destructive, reads)
    assert listed["search_tools"]["readOnlyHint"]


def test_the_instructions_begin_with_how_tools_are_found(bench: Bench) -> None:
    result = Visitor(bench, profile="discovery").ask("server/discover").json["result"]
    assert result["instructions"].startswith(
        "Find tools with search_tools, read one with get_tool_schema, and call it with call_tool. "
    )


@pytest.mark.parametrize(
    ("query", "among_first"),
    [
        ("delete everything of a user", "mem_0_memories_bulk_delete_by_filter"),
        ("add memory", "mem_0_memories_remember"),
        ("add_memories", "create_a_mem_0_memory"),
        ("list all webhooks", "list_all_mem_0_webhooks"),
        ("the history of a memory", "list_all_mem_0_memory_history"),
        ("invite a person to a project", "create_a_mem_0_project_member"),
        ("status of a queued operation", "get_single_mem_0_event_by_id"),
        ("export memories", "create_a_mem_0_export"),
        ("which users exist", "list_all_mem_0_entities"),
        ("change instructions of project", "update_a_mem_0_project_by_id"),
    ],
)
def test_a_search_in_a_model_s_words_finds_the_tool(query: str, among_first: str) -> None:
    tools = selection.visible(MEM0, ServerConfig())
    assert among_first in [tool.name for tool in discovery.search(MEM0, tools, query)][: discovery.USUAL]
