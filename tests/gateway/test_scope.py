"""What a server forces on its calls, what it shows of that, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.gateway import arguments as argument_rules
from functions.gateway import errors, scope, selection
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tests.gateway.calling import MEM0, tool
from tool_catalog.catalog import Parameter, Scope

LIST = MEM0.tools["list_all_mem_0_memories"]
CREATE = MEM0.tools["create_a_mem_0_memory"]
ENTITY = MEM0.tools["get_single_mem_0_entity_by_id"]
BULK_DELETE = MEM0.tools["mem_0_memories_bulk_delete_by_filter"]
PINNED = ServerConfig(pins={"user_id": "usr_1"})
BOTH = ServerConfig(pins={"user_id": "usr_1", "app_id": "app_1"})


def names_in(schema: Json) -> set[str]:
    """Every property name anywhere in a schema."""
    if isinstance(schema, list):
        return set().union(*map(names_in, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})) | set().union(*map(names_in, schema.values()))


@pytest.mark.parametrize(
    ("config", "given", "sent"),
    [
        (PINNED, None, {"user_id": "usr_1"}),
        (PINNED, {}, {"user_id": "usr_1"}),
        (PINNED, {"user_id": "usr_1"}, {"user_id": "usr_1"}),
        (PINNED, {"user_id": "*"}, {"user_id": "usr_1"}),
        (PINNED, {"user_id": {"in": ["usr_1"]}}, {"user_id": "usr_1"}),
        (PINNED, {"user_id": {"eq": "usr_1"}}, {"user_id": "usr_1"}),
        (PINNED, {"agent_id": "a"}, {"agent_id": "a", "user_id": "usr_1"}),
        (PINNED, {"metadata": {"user_id": "usr_2"}}, {"metadata": {"user_id": "usr_2"}, "user_id": "usr_1"}),
        (
            PINNED,
            {"OR": [{"agent_id": "a"}]},
            {"user_id": "usr_1", "AND": [{"user_id": "usr_1"}, {"OR": [{"agent_id": "a"}]}]},
        ),
        (
            BOTH,
            {"NOT": {"run_id": "r"}},
            {
                "user_id": "usr_1",
                "app_id": "app_1",
                "AND": [{"user_id": "usr_1"}, {"app_id": "app_1"}, {"NOT": {"run_id": "r"}}],
            },
        ),
    ],
)
def test_a_filter_is_narrowed_to_the_pins(config: ServerConfig, given: Json, sent: Json) -> None:
    arguments = {} if given is None else {"filters": given}
    assert scope.apply(LIST, config, arguments) == {"filters": sent}


@pytest.mark.parametrize(
    "given",
    [
        {"user_id": "usr_2"},
        {"user_id": ""},
        {"user_id": None},
        {"user_id": ["usr_1"]},
        {"user_id": {}},
        {"user_id": {"ne": "usr_1"}},
        {"user_id": {"eq": "usr_2"}},
        {"user_id": {"in": ["usr_1", "usr_2"]}},
        {"user_id": {"in": []}},
        {"user_id": {"eq": "usr_1", "in": ["usr_2"]}},
        {"OR": [{"user_id": "usr_1"}, {"user_id": "usr_2"}]},
        {"AND": [{"NOT": {"OR": [{"user_id": "usr_2"}]}}]},
        {"NOT": {"user_id": {"ne": "usr_2"}}},
        {"categories": {"in": [{"user_id": "usr_2"}]}},
    ],
)
def test_a_filter_that_names_another_entity_is_refused_wherever_it_names_it(given: Json) -> None:
    with pytest.raises(errors.OutOfScope) as foreign:
        scope.apply(LIST, PINNED, {"filters": given})
    assert 'is outside this server\'s scope; it is pinned to user_id="usr_1"' in foreign.value.message


def test_the_refusal_says_what_was_named_and_what_is_pinned() -> None:
    with pytest.raises(errors.OutOfScope) as foreign:
        scope.apply(CREATE, BOTH, {"user_id": "usr_2"})
    assert foreign.value.message == (
        'create_a_mem_0_memory: user_id "usr_2" is outside this server\'s scope; it is pinned to user_id="usr_1", '
        'app_id="app_1". Leave the pinned ids out: they are filled in'
    )
    with pytest.raises(errors.OutOfScope) as foreign:
        scope.apply(CREATE, PINNED, {"user_id": "x" * 5_000})
    assert len(foreign.value.message) < 300


def test_pins_are_put_into_arguments_of_their_names() -> None:
    assert scope.apply(CREATE, BOTH, {"messages": []}) == {"messages": [], "user_id": "usr_1", "app_id": "app_1"}
    assert scope.apply(CREATE, PINNED, {"user_id": "usr_1"}) == {"user_id": "usr_1"}


@pytest.mark.parametrize(
    "given", [{}, {"entity_type": "user"}, {"id": "usr_1"}, {"entity_type": "user", "id": "usr_1"}]
)
def test_an_entity_may_be_left_unnamed_or_named_rightly(given: dict[str, str]) -> None:
    assert scope.apply(ENTITY, PINNED, given) == {"entity_type": "user", "id": "usr_1"}


@pytest.mark.parametrize(
    "given", [{"entity_type": "agent"}, {"id": "usr_2"}, {"entity_type": "app", "id": "usr_1"}, {"entity_type": None}]
)
def test_another_entity_is_refused(given: dict[str, Json]) -> None:
    with pytest.raises(errors.OutOfScope):
        scope.apply(ENTITY, PINNED, given)


def test_one_precedence_holds_between_defaults_arguments_fixed_and_pins() -> None:
    config = ServerConfig(
        pins={"user_id": "usr_1"},
        defaults={"*": {"infer": True, "timezone": "UTC"}, "create_a_mem_0_memory": {"infer": False}},
        fixed={"*": {"immutable": True, "top_k": 3}},
    )
    assert scope.apply(CREATE, config, {"timezone": "Europe/Berlin", "messages": []}) == {
        "infer": False,
        "timezone": "Europe/Berlin",
        "immutable": True,
        "messages": [],
        "user_id": "usr_1",
    }


@pytest.mark.parametrize("config", [PINNED, BOTH])
@pytest.mark.parametrize("name", [name for name, entry in MEM0.tools.items() if entry.pin is not None])
def test_pinned_ids_are_nowhere_in_the_schema_a_model_sees(config: ServerConfig, name: str) -> None:
    shown = scope.definition(MEM0.tools[name], config)["inputSchema"]
    assert not names_in(shown) & set(config.pins)
    assert not set(shown.get("required", ())) & set(config.pins)
    assert set(shown.get("required", ())) <= set(shown["properties"])


def test_a_pinned_tool_says_so_and_an_unpinned_one_is_the_compiled_one() -> None:
    assert scope.definition(CREATE, PINNED)["description"] == (
        CREATE.definition["description"]
        + ' This server is pinned to user_id="usr_1": that is filled in on every call, so leave it out; other ids are '
        "refused."
    )
    assert scope.definition(CREATE, ServerConfig()) is CREATE.definition


def test_a_pinned_entity_vanishes_with_its_type() -> None:
    assert scope.definition(ENTITY, PINNED)["inputSchema"]["properties"] == {}


def test_a_fixed_argument_vanishes_and_a_default_is_shown() -> None:
    config = ServerConfig(
        fixed={"*": {"infer": False}}, defaults={"create_a_mem_0_memory": {"messages": [{"role": "user"}]}}
    )
    schema = scope.definition(CREATE, config)["inputSchema"]
    assert "infer" not in schema["properties"]
    assert schema["properties"]["messages"]["default"] == [{"role": "user"}]
    assert "required" not in schema


def test_the_compiled_definition_is_never_changed() -> None:
    before = json.dumps(LIST.definition)
    config = ServerConfig(pins={"run_id": "r"}, fixed={"*": {"limit": 5}}, defaults={"*": {"show_expired": True}})
    scope.definition(LIST, config)
    scope.apply(LIST, config, {"filters": {"OR": []}})
    assert json.dumps(LIST.definition) == before


@pytest.mark.parametrize(
    ("entry", "arguments", "problems"),
    [
        (CREATE, {"messages": [{"role": "user", "content": "x"}], "user_id": "usr_1"}, []),
        (
            CREATE,
            {"messages": [{"role": "user", "content": "x"}], "user_id": 7},
            ['"user_id" is 7; it must be a string'],
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
    assert argument_rules.check(scope.offer(entry, PINNED), MEM0, arguments) == problems


def test_offers_are_prepared_once_for_each_set_of_forced_arguments() -> None:
    assert scope.offer(LIST, PINNED) is scope.offer(LIST, ServerConfig(pins={"user_id": "usr_1"}, methods=("read",)))
    assert scope.offer(LIST, PINNED) is not scope.offer(LIST, BOTH)
    assert (
        scope.offer(LIST, PINNED).wire
        == json.dumps(scope.definition(LIST, PINNED), ensure_ascii=False, separators=(",", ":")).encode()
    )


RECORDS = tool(
    "DELETE",
    "/batch/",
    Parameter("body", "memories", "memories"),
    name="bulk_delete",
    method="bulk_delete",
    pin=Scope("records", argument="memories", id="memory_id", read="get"),
)
RECORD = tool(name="update", method="update", pin=Scope("record", argument="id", read="get"))


@pytest.mark.parametrize(
    ("entry", "arguments", "ids"),
    [
        (RECORD, {"id": "a"}, ("a",)),
        (RECORD, {"id": 7}, ("7",)),
        (RECORDS, {"memories": [{"memory_id": "a"}, {"memory_id": "b"}, {"memory_id": "a"}]}, ("a", "b")),
        (RECORDS, {"memories": ["a", "b"]}, ("a", "b")),
    ],
)
def test_every_record_a_call_is_about_is_read_once(
    entry: Any, arguments: dict[str, Json], ids: tuple[str, ...]
) -> None:
    assert scope.records_to_read(entry, PINNED, arguments) == ids
    assert scope.records_to_read(entry, ServerConfig(), arguments) == ()


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        (RECORD, {}),
        (RECORD, {"id": None}),
        (RECORDS, {}),
        (RECORDS, {"memories": []}),
        (RECORDS, {"memories": [{"memory_id": "a"}, {"text": "b"}]}),
        (RECORDS, {"memories": [{"memory_id": ["a"]}]}),
    ],
)
def test_a_record_left_unnamed_is_refused_on_a_pinned_server(entry: Any, arguments: dict[str, Json]) -> None:
    with pytest.raises(errors.OutOfScope) as unnamed:
        scope.records_to_read(entry, PINNED, arguments)
    argument = entry.pin.argument
    assert unnamed.value.message == (
        f'{entry.name}: name every record in "{argument}"; this server is pinned to user_id="usr_1" and reads each '
        "record before it is touched"
    )


@pytest.mark.parametrize(
    ("record", "inside"),
    [
        ({"user_id": "usr_1", "app_id": "app_1", "agent_id": "a"}, True),
        ({"user_id": "usr_1", "app_id": None}, False),
        ({"user_id": "usr_1"}, False),
        ({"user_id": ["usr_1"], "app_id": "app_1"}, False),
        ([], False),
        (None, False),
        ("usr_1", False),
    ],
)
def test_a_record_is_inside_when_it_carries_every_pinned_id(record: Json, inside: bool) -> None:
    assert scope.holds(BOTH.pins, record) is inside


def test_a_pinned_filter_is_described_without_the_ids_that_are_filled_in() -> None:
    """The record's own text shows how to give a user_id: a model that does so would be refused."""
    shown = scope.definition(LIST, PINNED)["inputSchema"]
    assert shown["properties"]["filters"]["description"] == (
        "Further conditions, ANDed with user_id, which this server fills in. May be left out. Members of one level are "
        "ANDed; AND and OR take arrays of such objects, never both on one level."
    )
    assert "filters" not in shown.get("required", ())


def test_a_bulk_delete_under_a_pin_takes_no_second_id() -> None:
    """Mem0 does not say whether several ids mean what carries all of them, or what carries any."""
    shown = scope.definition(BULK_DELETE, PINNED)["inputSchema"]["properties"]["filters"]
    assert set(shown["properties"]) == {"metadata"}
    with pytest.raises(errors.OutOfScope) as split:
        scope.apply(BULK_DELETE, PINNED, {"filters": {"run_id": "r"}})
    assert split.value.message == (
        "mem_0_memories_bulk_delete_by_filter: with run_id a part of what is changed might not belong to "
        'user_id="usr_1", to which this server is pinned; leave run_id out'
    )
    assert scope.apply(BULK_DELETE, PINNED, {"filters": {"metadata": {"a": 1}}}) == {
        "filters": {"metadata": {"a": 1}, "user_id": "usr_1"}
    }
    assert BULK_DELETE not in selection.visible(MEM0, BOTH)


def test_an_id_that_would_split_a_write_off_the_pin_is_hidden_and_refused() -> None:
    """Mem0 gives each fact of one call to the user or to the agent, never to both."""
    shown = scope.definition(CREATE, PINNED)["inputSchema"]["properties"]
    assert {"user_id", "agent_id"}.isdisjoint(shown)
    assert {"app_id", "run_id"} <= set(shown)
    with pytest.raises(errors.OutOfScope) as split:
        scope.apply(CREATE, PINNED, {"agent_id": "a"})
    assert split.value.message == (
        "create_a_mem_0_memory: with agent_id a part of what is changed might not belong to "
        'user_id="usr_1", to which this server is pinned; leave agent_id out'
    )
    by_run = ServerConfig(pins={"run_id": "r"})
    assert scope.apply(CREATE, by_run, {"user_id": "u", "agent_id": "a"}) == {
        "user_id": "u",
        "agent_id": "a",
        "run_id": "r",
    }
