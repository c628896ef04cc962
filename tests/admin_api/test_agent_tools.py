"""The tool list for agents without MCP: what a framework binds as it is."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from functions.gateway.portable_schema import portable
from tests.admin_api.conftest import Plane, ScriptedUpstream
from tool_catalog import compiled_file


def names(plane: Plane, account: str, query: str) -> list[str]:
    return [tool["name"] for tool in plane.ok("GET", f"/integrated-account/{account}/tools{query}")["result"]]


def test_a_tool_carries_both_schemas_and_one_flat_one(plane: Plane, account: str) -> None:
    result = plane.ok("GET", f"/integrated-account/{account}/tools?methods=update&tags=memories")["result"]
    [tool] = [tool for tool in result if tool["name"] == "update_a_mem_0_memory_by_id"]
    definition = compiled_file.load("mem0").tools["update_a_mem_0_memory_by_id"].definition
    assert tool["input_schema"] == definition["inputSchema"]
    assert tool["description"] == definition["description"]
    assert tool["response_schema"] == definition.get("outputSchema")
    assert list(tool["query_schema"]["properties"]) == ["id"]
    assert list(tool["body_schema"]["properties"]) == ["text", "metadata", "expiration_date"]
    assert tool["required"] == definition["inputSchema"]["required"]
    assert (tool["resource"], tool["method"], tool["access"], tool["tags"]) == (
        "memories",
        "update",
        "write",
        ["memories"],
    )
    assert tool["call"] == "PATCH /proxy/memories/{id}"


def test_every_property_is_in_exactly_one_of_both_schemas(plane: Plane, account: str) -> None:
    for tool in plane.ok("GET", f"/integrated-account/{account}/tools")["result"]:
        query, body = tool["query_schema"]["properties"], tool["body_schema"]["properties"]
        assert not query.keys() & body.keys()
        assert query | body == tool["input_schema"]["properties"]
        assert sorted(tool["query_schema"]["required"] + tool["body_schema"]["required"]) == sorted(tool["required"])


@pytest.mark.parametrize(
    "query",
    [
        "?methods=read,delete",
        "?methods=read&methods=delete",
        "?methods[]=read&methods[]=delete",
        "?methods=read,%20delete",
    ],
)
def test_methods_are_a_comma_list_or_repeated(plane: Plane, account: str, query: str) -> None:
    expected = [
        tool.name for tool in compiled_file.load("mem0").tools.values()
        if (tool.access == "read" or tool.method == "delete") and not tool.needs_pin
    ]  # fmt: skip
    assert names(plane, account, query) == expected


def test_methods_and_tags_must_both_let_a_tool_pass(plane: Plane, account: str) -> None:
    assert "get_single_mem_0_event_by_id" in names(plane, account, "?methods=get&tags=events")
    assert "get_single_mem_0_memory_by_id" not in names(plane, account, "?methods=get&tags=events")


def test_the_filters_are_the_ones_of_a_server(plane: Plane, account: str) -> None:
    preview = plane.ok("POST", f"/integrated-account/{account}/mcp/preview", {"config": {"methods": ["write"]}})
    assert names(plane, account, "?methods=write") == [tool["name"] for tool in preview["tools"]]


def test_openai_takes_its_format_as_it_is(plane: Plane, account: str) -> None:
    result = plane.ok("GET", f"/integrated-account/{account}/tools?format=openai")["result"]
    assert len(result) == len(names(plane, account, ""))
    for tool in result:
        assert tool.keys() == {"type", "function"}
        assert tool["type"] == "function"
        function = tool["function"]
        assert function.keys() == {"name", "description", "parameters"}
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"])
        assert function["parameters"]["type"] == "object"
        jsonschema.Draft202012Validator.check_schema(function["parameters"])


def test_anthropic_takes_its_format_as_it_is(plane: Plane, account: str) -> None:
    for tool in plane.ok("GET", f"/integrated-account/{account}/tools?format=anthropic")["result"]:
        assert tool.keys() == {"name", "description", "input_schema"}
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool["name"])
        assert tool["input_schema"]["type"] == "object"
        assert not {"oneOf", "anyOf", "allOf", "$ref"} & tool["input_schema"].keys()


def test_gemini_and_bedrock_take_their_formats_as_they_are(plane: Plane, account: str) -> None:
    gemini = plane.ok("GET", f"/integrated-account/{account}/tools?format=gemini")["result"]
    bedrock = plane.ok("GET", f"/integrated-account/{account}/tools?format=bedrock")["result"]
    assert len(gemini) == len(bedrock) == len(names(plane, account, ""))
    for function, tool in zip(gemini, bedrock, strict=True):
        assert function.keys() == {"name", "description", "parameters"}
        assert tool == {
            "toolSpec": {
                "name": function["name"],
                "description": function["description"],
                "inputSchema": {"json": function["parameters"]},
            }
        }
        assert function["parameters"] == portable(function["parameters"]), "already in the portable form"


@pytest.mark.parametrize("query", ["?has_description=true", "?has_description=false"])
def test_has_description_is_taken_because_every_tool_has_one(plane: Plane, account: str, query: str) -> None:
    assert names(plane, account, query) == names(plane, account, "")


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("?method=read", ['query: unknown parameter "method"; did you mean "methods"?']),
        ("?methods=raed", ['"raed" is unknown; did you mean "read"?']),
        ("?tags=memorys", ['"memorys" is unknown; did you mean "memories"']),
        ("?methods=bulk_update&tags=events", ["methods and tags match no tool together"]),
        ("?format=openia", ['query: format is "openia"; did you mean "openai"? valid: openai, anthropic, gemini']),
    ],
)
def test_a_bad_query_is_told_what_is_valid(plane: Plane, account: str, query: str, parts: list[str]) -> None:
    message = plane.refused("GET", f"/integrated-account/{account}/tools{query}", status=400)["message"]
    assert all(part in message for part in parts), message


def test_the_address_in_every_tool_runs_that_tool(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    """With the example of its record and nothing else known, an agent reaches the upstream path of that tool."""
    compiled = compiled_file.load("mem0")
    for tool in plane.ok("GET", f"/integrated-account/{account}/tools")["result"]:
        verb, path = tool["call"].split(" ")
        arguments: dict[str, Any] = dict(compiled.tools[tool["name"]].example)
        if path.endswith("}"):
            name = path.rsplit("{")[1].rstrip("}")
            path = path.replace(f"{{{name}}}", str(arguments.pop(name)))
        before = len(upstream.received)
        in_query = {name: arguments.pop(name) for name in [*arguments] if name in tool["query_schema"]["properties"]}
        query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in in_query.items()}
        answer = plane.call(verb, path, arguments or None, params={"integrated_account_id": account, **query})
        assert answer.status_code != 400, (tool["name"], answer.text)
        assert len(upstream.received) > before, (tool["name"], answer.text)
        template = compiled.tools[tool["name"]].request
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template.path))
        assert upstream.received[-1].verb == template.verb
        assert re.fullmatch(pattern, upstream.received[-1].path.split("?")[0]), tool["name"]


def test_every_tool_runs_by_the_name_of_its_method_too(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    """One address for all of them: what a small agent needs."""
    compiled = compiled_file.load("mem0")
    for tool in plane.ok("GET", f"/integrated-account/{account}/tools")["result"]:
        before = len(upstream.received)
        example = dict(compiled.tools[tool["name"]].example)
        path = f"/proxy/{tool['resource']}/{tool['method']}"
        answer = plane.call("POST", path, example, params={"integrated_account_id": account})
        assert len(upstream.received) > before, (tool["name"], answer.text)
