"""What a model sees of an input schema where the record shows less than is checked: wider, never narrower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from functions.gateway import arguments
from functions.gateway.grants import ServerConfig
from functions.gateway.prepared import prepare
from tool_catalog import compiled_file
from tool_catalog.building import build
from tool_catalog.compiled_document import to_bytes

GRAMMAR = """        shelf:
          type: object
          description: Which shelves.
          properties:
            room: {type: string}
            OR:
              type: array
              items:
                type: object
                properties: {room: {type: string}}
                additionalProperties: false
                shown: {type: object}
          additionalProperties: false
"""

MEM0 = compiled_file.load("mem0")
FILTERS: list[dict[str, Any]] = [
    {"user_id": "usr_98765"},
    {"user_id": {"in": ["usr_1", "usr_2"]}},
    {"AND": [{"user_id": "u"}, {"OR": [{"categories": {"in": ["travel"]}}, {"created_at": {"gte": "2026-01-01"}}]}]},
    {"run_id": "r", "NOT": [{"metadata": {"source": {"ne": "crm"}}}], "updated_at": "2026-01-01"},
    {
        "agent_id": {"eq": "a"},
        "memory_ids": ["9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"],
        "expiration_date": {"lt": "2027"},
    },
]


def shelf_of(library: Path) -> tuple[Any, Any]:
    """The argument `shelf` as it is checked, and as it is shown."""
    document, problems = build(library)
    assert problems == []
    assert document is not None
    tool = compiled_file.read(to_bytes(document), "library").tools["list_all_library_books"]
    return (
        tool.definition["inputSchema"]["properties"]["shelf"],
        tool.listed["inputSchema"]["properties"]["shelf"],
    )


def test_a_part_is_shown_short_and_checked_in_full(library: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(
        "books.yaml",
        "        shelf: {type: string, description: 'Only this shelf, e.g. \"A3\". Default all.'}\n",
        GRAMMAR,
    )
    edit("books.yaml", "{shelf: A3}", "{shelf: {room: north, OR: [{room: A3}]}}")
    edit("books.yaml", "    checks: [known_shelf]\n", "")
    edit("integration.yaml", (library / "integration.yaml").read_text().partition("checks:")[2], "  {}\n")
    checked, shown = shelf_of(library)
    assert checked["properties"]["OR"]["items"] == {
        "type": "object",
        "properties": {"room": {"type": "string"}},
        "additionalProperties": False,
    }
    assert shown == {
        "type": "object",
        "description": "Which shelves.",
        "properties": {"room": {"type": "string"}, "OR": {"type": "array", "items": {"type": "object"}}},
    }


@pytest.mark.parametrize("name", ["list_all_mem_0_memories", "mem_0_memories_search"])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_host_that_checks_what_is_shown_lets_every_valid_filter_pass(name: str, filters: dict[str, Any]) -> None:
    tool = MEM0.tools[name]
    given = {"filters": filters} | (
        {"query": "seats"} if "query" in tool.definition["inputSchema"]["properties"] else {}
    )
    assert jsonschema_rs.Draft202012Validator(tool.definition["inputSchema"]).is_valid(given)
    assert jsonschema_rs.Draft202012Validator(tool.listed["inputSchema"]).is_valid(given)


def test_what_is_not_shown_is_checked_all_the_same() -> None:
    prepared = prepare(MEM0.tools["list_all_mem_0_memories"], ServerConfig())
    [problem] = arguments.check(prepared, {"filters": {"AND": [{"user_id": "u"}, {"user": "v"}]}})
    assert problem.startswith('"filters.AND[1]" has no member "user"')


def test_a_pin_leaves_both_what_is_shown_and_what_is_checked() -> None:
    prepared = prepare(MEM0.tools["mem_0_memories_search"], ServerConfig(pins={"user_id": "usr_98765"}))
    shown = prepared.definition["inputSchema"]["properties"]["filters"]["properties"]
    assert "user_id" not in shown
    assert shown["AND"] == {"type": "array", "items": {"type": "object"}}
    assert shown["agent_id"] == {"anyOf": [{"type": "string"}, {"type": "object"}]}
    assert "user_id" in prepared.accepted["properties"]["filters"]["properties"]
    assert prepared.accepted["properties"]["filters"]["properties"]["agent_id"]["properties"]["in"]["type"] == "array"
