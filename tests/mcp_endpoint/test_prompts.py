"""Prompts over MCP, in both eras: only those whose tools the server shows, with pinned arguments filled in."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from mcp_types import PromptReference
from mcp_types.methods import serialize_server_result

from functions.cli.tool_clients import connect
from functions.gateway import selection
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tests.mcp_endpoint.endpoint import Answer, Bench, legacy, modern, post, served
from tool_catalog import compiled_file

MEM0 = compiled_file.load("mem0")
SIX = (
    "remember_this",
    "verified_write",
    "consolidate_memories",
    "export_and_erase",
    "support_history",
    "weekly_audit",
)


class Visitor:
    """A client of one server, in one era."""

    def __init__(self, bench: Bench, era: str = "modern", **config: Any) -> None:
        self.endpoint, self.token = bench.endpoint(), bench.mint(**config)
        self.request = modern if era == "modern" else legacy

    def ask(self, method: str, **params: Json) -> Answer:
        return post(self.endpoint, self.token, self.request(method, params))

    def names(self) -> list[str]:
        return [prompt["name"] for prompt in self.ask("prompts/list").json["result"]["prompts"]]

    def text(self, prompt: str, **arguments: str) -> str:
        result = self.ask("prompts/get", name=prompt, arguments=arguments).json["result"]
        [message] = result["messages"]
        assert (message["role"], message["content"]["type"]) == ("user", "text")
        text: str = message["content"]["text"]
        return text


both_eras = pytest.mark.parametrize("era", ["modern", "legacy"])


@both_eras
def test_the_prompts_of_a_server_are_listed_with_their_arguments(bench: Bench, era: str) -> None:
    visitor = Visitor(bench, era)
    for _ in range(3):
        assert visitor.names() == list(SIX)
    result = visitor.ask("prompts/list").json["result"]
    assert result["prompts"][0] == {
        "name": "remember_this",
        "title": "Remember this",
        "description": MEM0.prompts["remember_this"].description,
        "arguments": [
            {"name": "user_id", "description": "The user to remember it for, e.g. usr_98765.", "required": True},
            {
                "name": "what",
                "description": "What to remember. Default what this conversation has shown so far.",
                "required": False,
            },
        ],
    }
    if era == "modern":
        assert (result["ttlMs"], result["cacheScope"], result["resultType"]) == (60_000, "private", "complete")
    assert visitor.ask("prompts/list", cursor="2").code == -32602
    assert visitor.ask("prompts/list", cursor="").json == visitor.ask("prompts/list").json


@both_eras
@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({"methods": ("read",)}, {"remember_this", "verified_write", "consolidate_memories", "export_and_erase"}),
        ({"tags": ("webhooks",)}, set(SIX)),
        ({"profile": "core"}, {"weekly_audit"}),
        ({"pins": {"user_id": "usr_1"}}, set()),
        ({"profile": "discovery"}, set()),
    ],
    ids=["read", "webhooks", "core", "pinned", "discovery"],
)
def test_a_prompt_is_offered_only_where_each_of_its_tools_is(
    bench: Bench, era: str, config: dict[str, Any], missing: set[str]
) -> None:
    visitor = Visitor(bench, era, **config)
    names = visitor.names()
    assert names == [name for name in SIX if name not in missing]
    shown = {tool.name for tool in selection.visible(MEM0, ServerConfig(**config))}
    assert all(set(MEM0.prompts[name].tools) <= shown for name in names)
    for name in missing:
        refused = visitor.ask("prompts/get", name=name, arguments={"user_id": "u"})
        assert refused.code == -32602
        assert f'no prompt "{name}" on this server' in refused.json["error"]["message"]


def test_the_text_holds_what_was_given_and_the_defaults(bench: Bench) -> None:
    visitor = Visitor(bench)
    text = visitor.text("support_history", user_id="usr_7")
    assert text.startswith('Prepare a support conversation with the customer "usr_7" about: anything.\n')
    assert "{" not in text
    assert 'about: {"refund"}' in visitor.text("support_history", user_id="usr_7", topic='{"refund"}')
    assert "{user_id}" in visitor.text("support_history", user_id="usr_7", topic="{user_id}")


def test_a_pinned_argument_is_filled_in_and_not_asked_for(bench: Bench) -> None:
    visitor = Visitor(bench, pins={"user_id": "usr_1"})
    prompts = visitor.ask("prompts/list").json["result"]["prompts"]
    assert "user_id" not in json.dumps([prompt["arguments"] for prompt in prompts])
    assert '"usr_1"' in visitor.text("consolidate_memories")
    assert '"usr_1"' in visitor.text("consolidate_memories", user_id="usr_1")
    foreign = visitor.ask("prompts/get", name="consolidate_memories", arguments={"user_id": "usr_2"})
    assert foreign.code == -32602
    assert foreign.json["error"]["message"] == (
        'Invalid params: "user_id" is pinned to "usr_1" by this server; leave it out'
    )


def test_a_server_of_the_profile_discovery_says_how_the_named_tools_are_called(bench: Bench) -> None:
    assert (
        Visitor(bench, profile="discovery")
        .text("support_history", user_id="u")
        .endswith("\nCall each tool that is named here through call_tool.\n")
    )


@both_eras
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"name": "remember_this"}, 'missing argument "user_id": The user to remember it for, e.g. usr_98765.'),
        (
            {"name": "remember_this", "arguments": {"user": "u"}},
            'unknown argument "user"; did you mean "user_id"? valid: user_id, what; missing argument "user_id": The '
            "user to remember it for, e.g. usr_98765.",
        ),
        ({"name": "remember_that"}, 'no prompt "remember_that" on this server; did you mean "remember_this"?'),
        ({"name": "remember_this", "arguments": {"user_id": 7}}, '"arguments" must be an object of strings'),
        ({}, '"name" must be a string'),
    ],
)
def test_a_wrong_request_for_a_prompt_says_what_is_right(
    bench: Bench, era: str, params: dict[str, Json], message: str
) -> None:
    refused = Visitor(bench, era).ask("prompts/get", **params)
    assert (refused.code, refused.json["error"]["message"]) == (-32602, f"Invalid params: {message}")


@both_eras
def test_values_that_a_record_lists_are_completed(bench: Bench, era: str) -> None:
    visitor = Visitor(bench, era)
    reference = {"type": "ref/prompt", "name": "export_and_erase"}

    def completed(argument: str, value: str) -> Json:
        argued = {"name": argument, "value": value}
        return visitor.ask("completion/complete", ref=reference, argument=argued).json["result"]["completion"]

    assert completed("erase", "") == {"values": ["yes", "no"], "total": 2, "hasMore": False}
    assert completed("erase", "y") == {"values": ["yes"], "total": 1, "hasMore": False}
    assert completed("user_id", "u") == {"values": [], "total": 0, "hasMore": False}


@both_eras
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ref": {"type": "ref/prompt", "name": "export_and_erase"}}, '"argument" must be an object'),
        (
            {"ref": {"type": "ref/prompt"}, "argument": {"name": "erase", "value": ""}},
            '"ref" must have the string "name"',
        ),
        ({"argument": {"name": "erase", "value": ""}}, '"ref" must be an object with the string "type"'),
        (
            {"ref": {"type": "ref/resource", "uri": "a:b"}, "argument": {"name": "erase", "value": ""}},
            "only arguments of prompts are completed",
        ),
        (
            {"ref": {"type": "ref/prompt", "name": "export_and_erase"}, "argument": {"name": "earse", "value": ""}},
            'prompt "export_and_erase" has no argument "earse"; did you mean "erase"?',
        ),
        (
            {"ref": {"type": "ref/prompt", "name": "nothing"}, "argument": {"name": "erase", "value": ""}},
            'no prompt "nothing" on this server',
        ),
    ],
)
def test_a_wrong_completion_says_what_is_right(bench: Bench, era: str, params: dict[str, Json], message: str) -> None:
    refused = Visitor(bench, era).ask("completion/complete", **params)
    assert refused.code == -32602
    assert message in refused.json["error"]["message"]


@both_eras
def test_prompts_are_announced_only_by_a_server_that_has_some(bench: Bench, era: str) -> None:
    def capabilities(**config: Any) -> Json:
        visitor = Visitor(bench, era, **config)
        if era == "modern":
            return visitor.ask("server/discover").json["result"]["capabilities"]
        client = {"name": "tests", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        return visitor.ask("initialize", **params).json["result"]["capabilities"]

    assert capabilities() == {"tools": {}, "prompts": {}, "completions": {}, "resources": {}}
    assert capabilities(tags=("webhooks",)) == {"tools": {}}


@pytest.mark.parametrize(("version", "shown"), [("2025-11-25", True), ("2025-06-18", False), ("2024-11-05", False)])
def test_the_icon_and_the_website_are_shown_where_the_revision_has_them(
    bench: Bench, version: str, shown: bool
) -> None:
    client = {"name": "tests", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client}
    answer = post(bench.endpoint(), bench.mint(), legacy("initialize", params, version=None))
    info = answer.json["result"]["serverInfo"]
    assert ("icons" in info, "websiteUrl" in info) == (shown, shown)
    discovered = post(bench.endpoint(), bench.mint(), modern("server/discover")).json["result"]
    named = discovered["_meta"]["io.modelcontextprotocol/serverInfo"]
    assert named["websiteUrl"] == "https://mem0.ai"
    [icon] = named["icons"]
    kind, _, data = icon["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data).startswith(b"<svg ")
    listed = post(bench.endpoint(), bench.mint(), modern("tools/list")).json["result"]
    assert "icons" not in listed["_meta"]["io.modelcontextprotocol/serverInfo"]


@pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
def test_the_official_models_take_every_answer(bench: Bench, revision: str) -> None:
    visitor = Visitor(bench, "modern" if revision >= "2026" else "legacy")
    for method, params in (
        ("prompts/list", {}),
        ("prompts/get", {"name": "weekly_audit"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "export_and_erase"}, "argument": {"name": "erase", "value": ""}},
        ),
    ):
        result = visitor.ask(method, **params).json["result"]
        taken = serialize_server_result(method, revision, result)
        if revision >= "2025-06-18":  # the first with titles
            assert taken == result


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_official_client_lists_gets_and_completes(bench: Bench, mode: str) -> None:
    async def story(url: str) -> None:
        async with connect(url, mode=mode) as client:
            listed = await client.list_prompts()
            assert [prompt.name for prompt in listed.prompts] == list(SIX)
            got = await client.get_prompt("weekly_audit", {"since": "2026-11-16"})
            assert "since 2026-11-16" in str(got.messages[0].content)
            reference = PromptReference(type="ref/prompt", name="export_and_erase")
            done = await client.complete(reference, {"name": "erase", "value": "n"})
            assert done.completion.values == ["no"]

    token = bench.mint()
    with served(bench.endpoint()) as origin:
        asyncio.run(story(f"{origin}/mcp/{token}"))


def test_every_prompt_of_a_catalogue_names_tools_that_exist_and_fills_every_field() -> None:
    for name in compiled_file.available():
        loaded = compiled_file.load(name)
        for prompt in loaded.prompts.values():
            assert set(prompt.tools) <= loaded.tools.keys()
            assert prompt.tools
