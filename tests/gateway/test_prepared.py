"""A tool as one server shows it: schema narrowed, prepared once, with hints of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from functions.gateway import arguments as argument_rules
from functions.gateway import forced, pins
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import encode
from functions.gateway.portable_schema import portable
from functions.gateway.prepared import prepare, wire
from tests.gateway.calling import MEM0, tool
from tool_catalog.catalog import Tool
from tool_catalog.request_template import Parameter

Json = Any

LIST = MEM0.tools["list_all_mem_0_memories"]
CREATE = MEM0.tools["create_a_mem_0_memory"]
ENTITY = MEM0.tools["get_single_mem_0_entity_by_id"]
BULK_DELETE = MEM0.tools["mem_0_memories_bulk_delete_by_filter"]
PINNED = ServerConfig(pins={"user_id": "usr_1"})
BOTH = ServerConfig(pins={"user_id": "usr_1", "app_id": "app_1"})


def apply(entry: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> dict[str, Json]:
    return pins.apply(entry, config.pins, forced.merged(entry, config, arguments))


def definition(entry: Tool, config: ServerConfig) -> Mapping[str, Json]:
    return prepare(entry, config).definition


def names_in(schema: Json) -> set[str]:
    """Every property name anywhere in a schema."""
    if isinstance(schema, list):
        return set().union(*map(names_in, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})) | set().union(*map(names_in, schema.values()))


def test_one_precedence_holds_between_defaults_arguments_fixed_and_pins() -> None:
    config = ServerConfig(
        pins={"user_id": "usr_1"},
        defaults={"*": {"infer": True, "timezone": "UTC"}, "create_a_mem_0_memory": {"infer": False}},
        fixed={"*": {"immutable": True, "top_k": 3}},
    )
    assert apply(CREATE, config, {"timezone": "Europe/Berlin", "messages": []}) == {
        "infer": False,
        "timezone": "Europe/Berlin",
        "immutable": True,
        "messages": [],
        "user_id": "usr_1",
    }


@pytest.mark.parametrize("config", [PINNED, BOTH])
@pytest.mark.parametrize("name", [name for name, entry in MEM0.tools.items() if entry.pin is not None])
def test_pinned_ids_are_nowhere_in_the_schema_a_model_sees(config: ServerConfig, name: str) -> None:
    shown = definition(MEM0.tools[name], config)["inputSchema"]
    assert not names_in(shown) & set(config.pins)
    assert not set(shown.get("required", ())) & set(config.pins)
    assert set(shown.get("required", ())) <= set(shown["properties"])


def test_a_pinned_tool_says_so_and_an_unpinned_one_is_the_compiled_one() -> None:
    assert definition(CREATE, PINNED)["description"] == (
        CREATE.definition["description"]
        + ' This server is pinned to user_id="usr_1": it fills that in on every call, so leave it out; other ids are '
        "refused."
    )
    compiled = CREATE.definition
    assert definition(CREATE, ServerConfig()) == {**compiled, "inputSchema": portable(compiled["inputSchema"])}


def test_a_pinned_entity_vanishes_with_its_type() -> None:
    assert definition(ENTITY, PINNED)["inputSchema"]["properties"] == {}


def test_a_fixed_argument_vanishes_and_a_default_is_shown() -> None:
    config = ServerConfig(
        fixed={"*": {"infer": False}}, defaults={"create_a_mem_0_memory": {"messages": [{"role": "user"}]}}
    )
    schema = definition(CREATE, config)["inputSchema"]
    assert "infer" not in schema["properties"]
    assert schema["properties"]["messages"]["default"] == [{"role": "user"}]
    assert "required" not in schema


def test_the_compiled_definition_is_never_changed() -> None:
    before = json.dumps(LIST.definition)
    config = ServerConfig(pins={"run_id": "r"}, fixed={"*": {"limit": 5}}, defaults={"*": {"show_expired": True}})
    definition(LIST, config)
    apply(LIST, config, {"filters": {"OR": []}})
    assert json.dumps(LIST.definition) == before


@pytest.mark.parametrize(
    ("entry", "arguments", "problems"),
    [
        (CREATE, {"messages": [{"role": "user", "content": "x"}], "user_id": "usr_1"}, []),
        (
            CREATE,
            {"messages": [{"role": "user", "content": "x"}], "user_id": 7},
            ['"user_id" is 7; it must be a string: Owner: a user, e.g. "usr_98765"'],
        ),
        (LIST, {}, []),
        (LIST, {"filters": {}}, []),
        (LIST, {"filters": {"user_id": "usr_1"}}, []),
        (BULK_DELETE, {"filters": {"user_id": "usr_1"}}, []),
        (ENTITY, {}, []),
        (ENTITY, {"id": "usr_1"}, []),
    ],
)
def test_a_call_may_name_what_is_pinned_though_the_schema_no_longer_does(
    entry: Any, arguments: dict[str, Json], problems: list[str]
) -> None:
    assert argument_rules.check(prepare(entry, PINNED), arguments) == problems


def test_tools_are_prepared_once_for_each_set_of_forced_arguments() -> None:
    assert prepare(LIST, PINNED) is prepare(LIST, ServerConfig(pins={"user_id": "usr_1"}, methods=("read",)))
    assert prepare(LIST, PINNED) is not prepare(LIST, BOTH)
    assert (
        prepare(LIST, PINNED).wire
        == json.dumps(definition(LIST, PINNED), ensure_ascii=False, separators=(",", ":")).encode()
    )


def test_a_pinned_filter_is_described_without_the_ids_that_are_filled_in() -> None:
    """The filter's own text shows how to give a user_id: a model that does so would be refused."""
    shown = definition(LIST, PINNED)["inputSchema"]
    assert shown["properties"]["filters"]["description"] == (
        "Further conditions, ANDed with user_id, which this server fills in. May be left out. Members of one level are "
        "ANDed; AND and OR take arrays of such objects, never both on one level."
    )
    assert "filters" not in shown.get("required", ())


FIND = tool(
    "POST",
    "/find/",
    Parameter("body", "where", "where"),
    Parameter("body", "name", "name"),
    properties={
        "where": {"type": "object", "properties": {"owner": {"type": "string"}, "state": {"type": "string"}}},
        "name": {"type": "string"},
    },
)
TWICE = tool(
    properties={
        "from": {"type": "object", "properties": {"owner": {"type": "string"}}},
        "to": {"type": "object", "properties": {"owner": {"type": "string"}}},
    }
)


@pytest.mark.parametrize(
    ("entry", "name", "value", "hint"),
    [
        (FIND, "owner", "o", '"owner" is not a top-level argument; nest it: {"where": {"owner": "o"}}'),
        (
            FIND,
            "owner",
            "x" * 500,
            '"owner" is not a top-level argument; nest it: {"where": {"owner": "' + "x" * 179 + "...",
        ),
        (
            FIND,
            "find",
            {"name": "n"},
            '"find" is not an argument of this tool; give its members at the top level: {"name": "n"}',
        ),
        (FIND, "find", {"size": 1}, None),
        (FIND, "find", {}, None),
        (FIND, "size", 1, None),
        (TWICE, "owner", "o", None),
    ],
)
def test_a_hint_comes_from_the_tool_at_hand(entry: Tool, name: str, value: Json, hint: str | None) -> None:
    assert prepare(entry, ServerConfig()).hint(name, value) == hint


def test_a_pinned_id_at_the_wrong_place_is_reported_as_pinned() -> None:
    assert argument_rules.check(prepare(LIST, PINNED), {"user_id": "usr_2"}) == [
        '"user_id" is pinned to "usr_1" by this server; leave it out'
    ]
    search = MEM0.tools["search"]
    assert argument_rules.check(prepare(search, PINNED), {"query": "x", "user_id": "usr_1"}) == [
        '"user_id" is pinned to "usr_1" by this server; leave it out'
    ]


def test_a_fixed_argument_that_a_caller_gives_is_reported_as_fixed() -> None:
    config = ServerConfig(fixed={"*": {"name": "n"}})
    assert prepare(FIND, config).hint("name", "m") == '"name" is fixed by this server; leave it out'


DELETE_ENTITY = MEM0.tools["delete_a_mem_0_entity_by_id"]


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [(BULK_DELETE, {}), (BULK_DELETE, {"filters": {}}), (DELETE_ENTITY, {})],
)
def test_a_pinned_destructive_tool_does_not_run_on_an_empty_object(entry: Tool, arguments: dict[str, Json]) -> None:
    [problem] = argument_rules.check(prepare(entry, PINNED), arguments)
    assert problem.startswith("this tool removes or overwrites data, so a call must give an argument: one of ")
    assert '"all"' in problem


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        (BULK_DELETE, {"all": True}),
        (BULK_DELETE, {"filters": {"user_id": "usr_1"}}),
        (BULK_DELETE, {"filters": {"metadata": {"source": "crm"}}}),
        (DELETE_ENTITY, {"all": True}),
        (DELETE_ENTITY, {"id": "usr_1"}),
    ],
)
def test_a_pinned_destructive_tool_runs_with_one_explicit_argument(entry: Tool, arguments: dict[str, Json]) -> None:
    assert argument_rules.check(prepare(entry, PINNED), arguments) == []


def test_the_confirmation_is_shown_by_pinned_servers_only_and_must_be_true() -> None:
    shown = definition(BULK_DELETE, PINNED)["inputSchema"]["properties"]["all"]
    assert (
        shown["description"] == 'Everything of user_id="usr_1". Needed where no other argument is given. One of: true.'
    )
    assert argument_rules.check(prepare(BULK_DELETE, PINNED), {"all": False}) == ['"all" is false; valid: true']
    assert "all" not in definition(BULK_DELETE, ServerConfig())["inputSchema"]["properties"]
    assert "all" not in definition(LIST, PINNED)["inputSchema"]["properties"]
    project = MEM0.tools["delete_a_mem_0_project_by_id"]
    assert argument_rules.check(prepare(project, ServerConfig()), {}), "the default project is not deleted unnamed"


def test_a_tool_that_was_not_compiled_is_written_as_it_is_defined() -> None:
    made = tool(properties={"q": {"type": "string"}})
    assert made.wire is None
    assert json.loads(wire(made, ServerConfig())) == json.loads(encode(made.definition))
    assert wire(LIST, ServerConfig()) == LIST.wire
