"""What holds for every compiled tool of every integration: found by itself, whatever records come later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from mcp_types.methods import serialize_server_result

from functions.gateway.grants import ServerConfig
from functions.gateway.prepared import prepare
from tool_catalog import catalog, compiled_file
from tool_catalog.atomic_write import write_atomically
from tool_catalog.catalog import Catalog, StoredTools, Tool
from tool_catalog.compiled_document import from_bytes, to_bytes
from tool_catalog.official_models import SERVED_REVISIONS

CATALOGS = [compiled_file.load(name) for name in compiled_file.available()]
TOOLS = [(loaded, tool) for loaded in CATALOGS for tool in loaded.tools.values()]
each_tool = pytest.mark.parametrize(("loaded", "tool"), TOOLS, ids=[tool.name for _, tool in TOOLS])


def keywords(schema: Any) -> Iterator[str]:
    """Every key of every object in a schema, property names included."""
    if isinstance(schema, dict):
        yield from schema
        for value in schema.values():
            yield from keywords(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keywords(value)


@each_tool
def test_all_four_annotations_are_explicit_and_agree_with_the_access(loaded: Catalog, tool: Tool) -> None:
    annotations = tool.definition["annotations"]
    assert set(annotations) == {"title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert annotations["readOnlyHint"] is (tool.access == "read")
    assert not (annotations["readOnlyHint"] and annotations["destructiveHint"])


@each_tool
def test_a_tool_that_only_reads_sends_a_verb_that_can_read(loaded: Catalog, tool: Tool) -> None:
    if tool.access == "read":
        assert tool.request.verb in ("GET", "POST")


@each_tool
def test_the_input_is_one_closed_flat_object_without_what_hosts_refuse(loaded: Catalog, tool: Tool) -> None:
    schema = tool.definition["inputSchema"]
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert set(schema) <= {"type", "properties", "required", "additionalProperties"}
    assert not {"$ref", "$defs", "x-mcp-header", "$schema", "$id"} & set(keywords(schema))
    for name, part in schema["properties"].items():
        assert part["description"], name


@each_tool
def test_the_output_is_an_object_that_no_documented_answer_can_break(loaded: Catalog, tool: Tool) -> None:
    schema = tool.definition["outputSchema"]
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert schema["type"] == "object"
    assert validator.is_valid({"result": [], "next_cursor": None, "result_count": 0})
    if tool.result.items is not None and tool.enveloped:
        for item in ({"anything": 1}, "text", None, [1]):
            assert validator.is_valid(
                {"result": [item], "next_cursor": "50.0.2", "result_count": 1, "_postern": {"truncated": {}}}
            )
    else:
        ours = {"result", tool.result.items}  # always an array, made by the gateway
        assert validator.is_valid({})
        assert validator.is_valid({name: None for name in schema.get("properties", {}) if name not in ours} | {"x": 1})


@each_tool
def test_every_value_of_a_request_has_one_source_and_every_argument_one_use(loaded: Catalog, tool: Tool) -> None:
    arguments = [parameter.argument for parameter in tool.request.parameters if parameter.argument is not None]
    assert len(arguments) == len(set(arguments))
    hidden = {tool.pin.argument} if tool.needs_pin and isinstance(tool.pin, catalog.PinFilter) else set()
    assert set(arguments) - hidden == set(tool.definition["inputSchema"]["properties"]) - hidden
    for parameter in tool.request.parameters:
        assert parameter.argument or parameter.context or parameter.value is not None


@each_tool
def test_the_example_is_valid_and_passes_the_tool_s_own_checks(loaded: Catalog, tool: Tool) -> None:
    assert jsonschema_rs.Draft202012Validator(dict(tool.definition["inputSchema"]), validate_formats=True).is_valid(
        tool.example
    )
    for check in tool.checks:
        assert not jsonschema_rs.Draft202012Validator(dict(check.schema)).is_valid(tool.example)


@pytest.mark.parametrize("loaded", CATALOGS, ids=lambda loaded: loaded.integration)
@pytest.mark.parametrize("revision", SERVED_REVISIONS)
def test_the_whole_list_passes_the_official_models_unchanged(loaded: Catalog, revision: str) -> None:
    envelope = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if revision >= "2026" else {}
    listed = [dict(tool.definition) for tool in loaded.tools.values()]
    assert serialize_server_result("tools/list", revision, {"tools": listed, **envelope})["tools"] == listed


@pytest.mark.parametrize("loaded", CATALOGS, ids=lambda loaded: loaded.integration)
def test_instructions_carry_the_essential_within_512_characters(loaded: Catalog) -> None:
    head = loaded.instructions[:512]
    assert "filters" in head
    assert '{"user_id": "usr_98765"}' in head


def test_tool_names_are_unique_across_integrations() -> None:
    names = [tool.name for _, tool in TOOLS]
    assert len(names) == len(set(names))


each_name = pytest.mark.parametrize("name", compiled_file.available())


@each_name
def test_a_compiled_file_is_one_json_document_whose_lines_the_reader_finds(name: str) -> None:
    content = (compiled_file.COMPILED / f"{name}.json").read_bytes()
    document = from_bytes(content)
    assert to_bytes(document) == content
    loaded = compiled_file.read(content, name)
    assert list(loaded.tools) == [tool["definition"]["name"] for tool in document["tools"]]
    for tool, written in zip(loaded.tools.values(), document["tools"], strict=True):
        assert tool.definition == written["definition"]
        assert tool.wire == prepare(tool, ServerConfig()).wire
        assert (tool.example, tool.resource, list(tool.tags)) == (
            written["example"],
            written["resource"],
            written["tags"],
        )
        assert tool.request.path == written["request"]["path"]


def test_reading_a_catalogue_parses_no_tool() -> None:
    """The work does not grow with what a tool holds: only its entry in the index is looked at."""
    content = (compiled_file.COMPILED / "mem0.json").read_bytes()
    for tool in compiled_file.read(content, "mem0").tools.values():
        assert not {"definition", "request", "example"} & vars(tool).keys()


@each_name
def test_a_tool_is_read_by_its_name_whatever_the_other_entries_hold(name: str) -> None:
    """The work does not grow with the number of tools: the other entries of the index are not decoded."""
    content = (compiled_file.COMPILED / f"{name}.json").read_bytes()
    whole = compiled_file.read(content, name).tools
    begin = content.index(b"\n") + 1
    lines = content[begin : content.index(compiled_file.BEFORE_DEFINITIONS)].split(compiled_file.BETWEEN_LINES)
    for number, (wanted, tool) in enumerate(whole.items()):
        others = [line if at == number else b"?" * len(line) for at, line in enumerate(lines)]
        index = compiled_file.BETWEEN_LINES.join(others)
        found = compiled_file.read(content[:begin] + index + content[begin + len(index) :], name).tools[wanted]
        assert vars(found)["stored"].parts() == vars(tool)["stored"].parts()
        assert (found.resource, found.tags, found.pin) == (tool.resource, tool.tags, tool.pin)


@each_name
def test_one_tool_is_one_value_however_it_is_asked_for(name: str) -> None:
    tools = compiled_file.read((compiled_file.COMPILED / f"{name}.json").read_bytes(), name).tools
    names = list(compiled_file.load(name).tools)
    last = tools[names[-1]]
    assert list(tools) == names
    assert [tool.name for tool in tools.values()] == names
    assert tools[names[-1]] is last
    assert [tools[one] for one in names] == list(tools.values())
    assert len(tools) == len(names)


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("absent", ["", "mem_0", '","', "\n", "\\", "\ud800", "search,", "[", "\x00", "é"])
def test_a_name_that_no_tool_has_is_not_found(absent: str, decoded: bool) -> None:
    tools = compiled_file.read((compiled_file.COMPILED / "mem0.json").read_bytes(), "mem0").tools
    assert not decoded or len(tools) > 1
    assert tools.get(absent) is None
    assert absent not in tools
    with pytest.raises(KeyError):
        tools[absent]


@each_name
@pytest.mark.parametrize("most", [1, 3_000, 20_000, 10**9])
def test_runs_hold_every_definition_once_and_in_order(name: str, most: int) -> None:
    tools = compiled_file.load(name).tools
    assert isinstance(tools, StoredTools)
    runs = list(tools.runs(most))
    assert b",".join(runs) == b",".join(tool.wire or b"" for tool in tools.values())
    longest = max(len(tool.wire or b"") for tool in tools.values())
    assert all(len(run) <= max(most, longest) for run in runs)
    assert len(runs) == (1 if most == 10**9 else len(tools) if most == 1 else len(runs))


@each_name
def test_what_is_known_before_a_tool_is_made_is_what_the_tools_say(name: str) -> None:
    tools = compiled_file.load(name).tools
    assert isinstance(tools, StoredTools)
    assert list(tools.pinned_only) == [tool.name for tool in tools.values() if tool.needs_pin]
    assert list(tools.queueing) == [tool.name for tool in tools.values() if tool.event is not None]


def test_a_file_that_is_compiled_anew_does_not_change_a_catalogue_that_was_read_before(tmp_path: Path) -> None:
    content = (compiled_file.COMPILED / "mem0.json").read_bytes()
    path = tmp_path / "mem0.json"
    path.write_bytes(content)
    before = compiled_file.load("mem0", tmp_path)
    write_atomically(path, (compiled_file.COMPILED / "mem0_oss.json").read_bytes())
    assert before == compiled_file.read(content, "mem0")


def test_a_first_line_of_any_length_is_read() -> None:
    document = from_bytes((compiled_file.COMPILED / "mem0_oss.json").read_bytes())
    document["instructions"] = "é" * 3 * compiled_file.FIRST_BYTES
    loaded = compiled_file.read(to_bytes(document), "mem0_oss")
    assert loaded.instructions == document["instructions"]
    assert [tool.definition for tool in loaded.tools.values()] == [tool["definition"] for tool in document["tools"]]
