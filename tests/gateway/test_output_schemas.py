"""How much of an output schema a listing holds."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from functions.gateway.grants import OutputSchemas
from functions.gateway.output_schemas import listed

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A memory.",
    "required": ["id"],
    "additionalProperties": True,
    "properties": {
        "id": {"type": "string", "description": "Its id.", "format": "uuid"},
        "owner": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}
DEFINITION: dict[str, Any] = {"name": "get_a_thing", "inputSchema": {"type": "object"}, "outputSchema": SCHEMA}


@pytest.mark.parametrize("choice", get_args(OutputSchemas))
def test_a_tool_without_an_output_schema_is_listed_as_it_is(choice: OutputSchemas) -> None:
    bare = {"name": "get_a_thing", "inputSchema": {"type": "object"}}
    assert listed(bare, choice) is bare


def test_full_is_the_documented_answer() -> None:
    assert listed(DEFINITION, "full") is DEFINITION


def test_shallow_is_the_top_level() -> None:
    assert listed(DEFINITION, "shallow")["outputSchema"] == {
        "type": "object",
        "description": "A memory.",
        "required": ["id"],
        "properties": {"id": {"type": "string", "description": "Its id."}, "owner": {"type": "object"}},
    }
    open_object = {**DEFINITION, "outputSchema": {"type": "object", "additionalProperties": True}}
    assert listed(open_object, "shallow")["outputSchema"] == {"type": "object"}


def test_none_is_nothing_and_the_definition_stays_as_it_was() -> None:
    assert listed(DEFINITION, "none") == {"name": "get_a_thing", "inputSchema": {"type": "object"}}
    assert DEFINITION["outputSchema"] is SCHEMA
