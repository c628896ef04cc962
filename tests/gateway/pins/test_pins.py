"""How each kind of pin is put on a tool: the ids go into the arguments, and other ids are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from functions.gateway import errors, pins, selection
from functions.gateway.grants import ServerConfig
from functions.gateway.prepared import prepare
from tests.gateway.calling import MEM0, catalog_of, tool
from tool_catalog.catalog import (
    NoPin,
    Pin,
    PinAnswer,
    PinArguments,
    PinEntity,
    PinFilter,
    PinObject,
    PinObjects,
    Tool,
)
from tool_catalog.request_template import Parameter

Json = Any

LIST = MEM0.tools["list_all_mem_0_memories"]
CREATE = MEM0.tools["create_a_mem_0_memory"]
ENTITY = MEM0.tools["get_single_mem_0_entity_by_id"]
BULK_DELETE = MEM0.tools["mem_0_memories_bulk_delete_by_filter"]
PINNED = ServerConfig(pins={"user_id": "usr_1"})
BOTH = ServerConfig(pins={"user_id": "usr_1", "app_id": "app_1"})


def apply(entry: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> dict[str, Json]:
    return pins.apply(entry, config.pins, arguments, write_ids=config.write_ids)


def definition(entry: Tool, config: ServerConfig) -> Mapping[str, Json]:
    return prepare(entry, config).definition


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
    assert apply(LIST, config, arguments) == {"filters": sent}


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
    with pytest.raises(errors.OutsidePins) as foreign:
        apply(LIST, PINNED, {"filters": given})
    assert 'but this server is pinned to user_id="usr_1"' in foreign.value.message


def test_the_refusal_says_what_was_named_and_what_is_pinned() -> None:
    with pytest.raises(errors.OutsidePins) as foreign:
        apply(CREATE, BOTH, {"user_id": "usr_2"})
    assert foreign.value.message == (
        'user_id is "usr_2", but this server is pinned to user_id="usr_1", '
        'app_id="app_1". Leave the pinned ids out; the server fills them in'
    )
    with pytest.raises(errors.OutsidePins) as foreign:
        apply(CREATE, PINNED, {"user_id": "x" * 5_000})
    assert len(foreign.value.message) < 300


def test_pins_are_put_into_arguments_of_their_names() -> None:
    assert apply(CREATE, BOTH, {"messages": []}) == {"messages": [], "user_id": "usr_1", "app_id": "app_1"}
    assert apply(CREATE, PINNED, {"user_id": "usr_1"}) == {"user_id": "usr_1"}


@pytest.mark.parametrize(
    "given", [{}, {"entity_type": "user"}, {"id": "usr_1"}, {"entity_type": "user", "id": "usr_1"}]
)
def test_an_entity_may_be_left_unnamed_or_named_rightly(given: dict[str, str]) -> None:
    assert apply(ENTITY, PINNED, given) == {"entity_type": "user", "id": "usr_1"}


@pytest.mark.parametrize(
    "given", [{"entity_type": "agent"}, {"id": "usr_2"}, {"entity_type": "app", "id": "usr_1"}, {"entity_type": None}]
)
def test_another_entity_is_refused(given: dict[str, Json]) -> None:
    with pytest.raises(errors.OutsidePins):
        apply(ENTITY, PINNED, given)


OBJECTS = tool(
    "DELETE",
    "/batch/",
    Parameter("body", "memories", "memories"),
    name="bulk_delete",
    method="bulk_delete",
    pin=PinObjects(argument="memories", id="memory_id", read="get"),
)
OBJECT = tool(name="update", method="update", pin=PinObject(argument="id", read="get"))
READER = tool(path="/{id}/", name="get", method="get", pin=PinObject(argument="id", read="get"))
LOADED = catalog_of(OBJECT, OBJECTS, READER)


def to_read(entry: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> tuple[str, ...]:
    reading = pins.reading(LOADED, entry, config.pins, arguments)
    return () if reading is None else reading.ids


@pytest.mark.parametrize(
    ("entry", "arguments", "ids"),
    [
        (OBJECT, {"id": "a"}, ("a",)),
        (OBJECT, {"id": 7}, ("7",)),
        (OBJECTS, {"memories": [{"memory_id": "a"}, {"memory_id": "b"}, {"memory_id": "a"}]}, ("a", "b")),
        (OBJECTS, {"memories": ["a", "b"]}, ("a", "b")),
    ],
)
def test_every_object_a_call_is_about_is_read_once(
    entry: Any, arguments: dict[str, Json], ids: tuple[str, ...]
) -> None:
    assert to_read(entry, PINNED, arguments) == ids
    assert to_read(entry, ServerConfig(), arguments) == ()


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        (OBJECT, {}),
        (OBJECT, {"id": None}),
        (OBJECT, {"id": True}),  # it would be read as True and sent as true
        (OBJECT, {"id": 7.0}),
        (OBJECTS, {}),
        (OBJECTS, {"memories": []}),
        (OBJECTS, {"memories": [{"memory_id": "a"}, {"text": "b"}]}),
        (OBJECTS, {"memories": [{"memory_id": ["a"]}]}),
        (OBJECTS, {"memories": ["a", False]}),
    ],
)
def test_an_object_left_unnamed_is_refused_on_a_pinned_server(entry: Any, arguments: dict[str, Json]) -> None:
    with pytest.raises(errors.OutsidePins) as unnamed:
        to_read(entry, PINNED, arguments)
    argument = entry.pin.argument
    assert unnamed.value.message == (
        f'name every object in "{argument}"; this server is pinned to user_id="usr_1" and reads each '
        "object before the call"
    )


@pytest.mark.parametrize(
    ("document", "inside"),
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
def test_an_object_is_inside_when_it_carries_every_pinned_id(document: Json, inside: bool) -> None:
    assert pins.holds(BOTH.pins, document) is inside


def test_an_object_is_read_by_the_tool_and_the_argument_of_its_own_record() -> None:
    reading = pins.reading(LOADED, OBJECTS, PINNED.pins, {"memories": ["a"]})
    assert reading == pins.Reading(READER, "id", ("a",))
    assert pins.reading(LOADED, READER, PINNED.pins, {"id": "a"}) is None, "its own answer is judged"


@pytest.mark.parametrize(
    ("entry", "at"),
    [
        (READER, "@"),
        (OBJECT, None),
        (OBJECTS, None),
        (tool(pin=PinAnswer(at="payload")), "payload"),
        (tool(pin=NoPin()), None),
        (tool(), None),
        (CREATE, None),
        (LIST, None),
        (ENTITY, None),
    ],
)
def test_an_answer_is_judged_where_the_request_could_find_foreign_objects(entry: Tool, at: str | None) -> None:
    assert pins.judged_at(entry, PINNED.pins) == at
    assert pins.judged_at(entry, {}) is None


def test_an_entity_of_a_type_that_the_record_does_not_map_is_not_offered() -> None:
    people = tool(
        path="/{kind}/{id}/",
        properties={"kind": {"enum": ["owner", "guest"]}, "id": {"type": "string"}},
        pin=PinEntity(argument="kind", id="id", types={"owner_ref": "owner"}),
    )
    assert pins.enforceable(people, {"owner_ref": "o"})
    assert not pins.enforceable(people, {"guest_ref": "g"})
    assert not pins.enforceable(people, {"owner_ref": "o", "guest_ref": "g"})
    assert apply(people, ServerConfig(pins={"owner_ref": "o"}), {}) == {"kind": "owner", "id": "o"}


def test_a_bulk_delete_under_a_pin_takes_no_second_id() -> None:
    """Mem0 does not say whether several ids mean what carries all of them, or what carries any."""
    shown = definition(BULK_DELETE, PINNED)["inputSchema"]["properties"]["filters"]
    assert set(shown["properties"]) == {"metadata"}
    with pytest.raises(errors.OutsidePins) as split:
        apply(BULK_DELETE, PINNED, {"filters": {"run_id": "r"}})
    assert split.value.message == (
        "with run_id a part of the change might not belong to "
        'user_id="usr_1", to which this server is pinned; leave run_id out'
    )
    assert apply(BULK_DELETE, PINNED, {"filters": {"metadata": {"a": 1}}}) == {
        "filters": {"metadata": {"a": 1}, "user_id": "usr_1"}
    }
    assert BULK_DELETE not in selection.visible(MEM0, BOTH)


def test_an_id_that_would_split_a_write_off_the_pin_is_hidden_and_refused() -> None:
    """Mem0 gives each fact of one call to the user or to the agent, never to both."""
    shown = definition(CREATE, PINNED)["inputSchema"]["properties"]
    assert {"user_id", "agent_id"}.isdisjoint(shown)
    with pytest.raises(errors.OutsidePins) as split:
        apply(CREATE, PINNED, {"agent_id": "a"})
    assert split.value.message == (
        "with agent_id a part of the change might not belong to "
        'user_id="usr_1", to which this server is pinned; leave agent_id out'
    )
    by_run = ServerConfig(pins={"run_id": "r"}, write_ids={"user_id": ("*",), "agent_id": ("a",)})
    assert apply(CREATE, by_run, {"user_id": "u", "agent_id": "a"}) == {
        "user_id": "u",
        "agent_id": "a",
        "run_id": "r",
    }


def test_a_write_names_the_pins_and_no_other_id() -> None:
    """A memory with another server's run in it would be the first thing that server finds."""
    with pytest.raises(errors.OutsidePins) as unlisted:
        apply(CREATE, PINNED, {"messages": [], "run_id": "board-room"})
    assert unlisted.value.message == (
        'run_id is "board-room", but this server is pinned to user_id="usr_1", and its writes '
        "may not name that id; leave run_id out"
    )
    shown = definition(CREATE, PINNED)["inputSchema"]["properties"]
    assert {"user_id", "agent_id", "app_id", "run_id"}.isdisjoint(shown)


def test_a_write_may_name_the_ids_that_the_config_lists() -> None:
    listed = ServerConfig(pins={"user_id": "usr_1"}, write_ids={"run_id": ("r1", "r2"), "app_id": ("*",)})
    given = {"run_id": "r2", "app_id": "anything"}
    assert apply(CREATE, listed, given) == {**given, "user_id": "usr_1"}
    with pytest.raises(errors.OutsidePins) as unlisted:
        apply(CREATE, listed, {"run_id": "r3"})
    assert unlisted.value.message.endswith('its writes may not name that id; valid: "r1", "r2"')
    shown = definition(CREATE, listed)["inputSchema"]["properties"]
    assert shown["run_id"]["enum"] == ["r1", "r2"]
    assert "enum" not in shown["app_id"]
    assert {"user_id", "agent_id"}.isdisjoint(shown), "the split holds whatever the config lists"
    with pytest.raises(errors.OutsidePins):
        apply(CREATE, ServerConfig(pins={"user_id": "u"}, write_ids={"agent_id": ("*",)}), {"agent_id": "a"})


def test_a_read_may_be_narrowed_by_any_id() -> None:
    conversation = MEM0.tools["mem_0_memories_get_conversation"]
    assert apply(conversation, PINNED, {"run_id": "r"}) == {"run_id": "r", "user_id": "usr_1"}
    assert "run_id" in definition(conversation, PINNED)["inputSchema"]["properties"]


@pytest.mark.parametrize(
    ("required", "left"),
    [(["user_id"], None), (["user_id", "topic"], ["topic"]), (["topic"], ["topic"]), ([], None)],
)
def test_a_filter_does_not_ask_for_the_ids_that_are_pinned(required: list[str], left: list[str] | None) -> None:
    text = {"type": "string"}
    schema = {
        "type": "object",
        "properties": {"user_id": text, "topic": text},
        "required": required,
        "additionalProperties": False,
        "minProperties": 1,
    }
    entry = tool(properties={"filters": schema}, pin=PinFilter("filters", "plain"))
    accepted = prepare(entry, PINNED).accepted["properties"]["filters"]
    assert accepted.get("required") == left
    assert "minProperties" not in accepted
    assert prepare(entry, ServerConfig()).accepted["properties"]["filters"]["required"] == required


TEXT = {"type": "string"}
WHERE: dict[str, Json] = {
    "type": "object",
    "properties": {"user_id": TEXT, "app_id": TEXT, "topic": TEXT},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("pin", "config", "offered"),
    [
        (None, {}, True),
        (None, {"user_id": "u"}, False),
        (PinArguments(("user_id", "app_id")), {"user_id": "u"}, True),
        (PinArguments(("user_id", "app_id")), {"user_id": "u", "app_id": "a"}, True),
        (PinArguments(("user_id",)), {"user_id": "u", "app_id": "a"}, False),
        (PinArguments(("user_id", "app_id"), splits=("user_id", "app_id")), {"user_id": "u"}, True),
        (PinArguments(("user_id", "app_id"), splits=("user_id", "app_id")), {"user_id": "u", "app_id": "a"}, False),
        (PinArguments(("user_id", "app_id"), splits=("user_id", "run_id")), {"user_id": "u", "app_id": "a"}, True),
        (PinArguments(("user_id",), required=True), {}, False),
        (PinArguments(("user_id",), required=True), {"user_id": "u"}, True),
        (PinFilter("where", "plain"), {"user_id": "u", "app_id": "a"}, True),
        (PinFilter("where", "plain"), {"run_id": "r"}, False),
        (PinFilter("where", "plain", splits=("user_id", "app_id")), {"user_id": "u", "app_id": "a"}, False),
        (PinFilter("where", "plain", splits=("user_id", "app_id")), {"user_id": "u"}, True),
        (PinFilter("absent", "plain", required=True), {"run_id": "r"}, True),
        (PinFilter("absent", "plain", required=True), {}, False),
        (PinFilter("absent", "plain", splits=("run_id", "user_id")), {"run_id": "r", "user_id": "u"}, False),
        (PinFilter("bare", "plain"), {"user_id": "u"}, False),
        (PinEntity("kind", "id", {"user_id": "user"}), {"user_id": "u"}, True),
        (PinEntity("kind", "id", {"user_id": "user"}), {"app_id": "a"}, False),
        (PinEntity("kind", "id", {"user_id": "user", "app_id": "app"}), {"user_id": "u", "app_id": "a"}, False),
        (PinObject("id", "get"), {"user_id": "u"}, True),
        (PinObjects("ids", "id", "get"), {"user_id": "u"}, True),
        (PinAnswer("@"), {"user_id": "u"}, True),
        (NoPin(), {"user_id": "u"}, True),
        (PinAnswer("@", required=True), {}, False),
    ],
)
def test_a_tool_is_offered_where_its_pins_can_be_enforced(
    pin: Pin | None, config: dict[str, str], offered: bool
) -> None:
    entry = tool(properties={"where": WHERE, "bare": {"type": "object"}}, pin=pin)
    assert pins.enforceable(entry, config) is offered


@pytest.mark.parametrize(
    ("pin", "filled"),
    [
        (PinArguments(("user_id",)), {"user_id"}),
        (PinEntity("kind", "id", {"user_id": "user"}), {"kind", "id"}),
        (PinObject("id", "get"), set()),
        (PinObjects("ids", "id", "get"), set()),
        (PinAnswer("@"), set()),
        (NoPin(), set()),
        (None, set()),
        (PinFilter("absent", "plain"), set()),
    ],
)
def test_the_arguments_that_a_pin_fills_in_are_accepted_and_not_shown(pin: Pin | None, filled: set[str]) -> None:
    properties = dict.fromkeys(("user_id", "kind", "id", "ids", "topic"), TEXT)
    narrowed = pins.hide(tool(properties=properties, pin=pin), {"user_id": "u"}, properties)
    assert narrowed.filled == filled
    assert narrowed.shown == {name: TEXT for name in properties if name not in filled}
    assert narrowed.accepted == properties
    whole = pins.hide(tool(properties=properties, pin=pin), {}, properties)
    assert (whole.shown, whole.accepted, whole.filled) == (properties, properties, frozenset())


def test_a_write_shows_the_ids_that_it_may_name_and_a_read_shows_all() -> None:
    properties = dict.fromkeys(("user_id", "app_id", "run_id", "agent_id", "topic"), TEXT)
    pin = PinArguments(("user_id", "app_id", "run_id", "agent_id"), splits=("user_id", "agent_id"))
    listed = {"run_id": ("r1", "r2"), "app_id": ("*",), "agent_id": ("a",)}
    write = tool(properties=properties, pin=pin, access="write")
    narrowed = pins.hide(write, {"user_id": "u"}, properties, write_ids=listed)
    assert narrowed.shown == {"app_id": TEXT, "run_id": {**TEXT, "enum": ["r1", "r2"]}, "topic": TEXT}
    assert narrowed.filled == {"user_id", "agent_id"}
    assert pins.hide(write, {"user_id": "u"}, properties).shown == {"topic": TEXT}
    one = pins.hide(write, {"user_id": "u"}, properties, write_ids={"app_id": ("*",)})
    assert one.shown == {"app_id": TEXT, "topic": TEXT}, "run_id is not listed"
    read = tool(properties=properties, pin=pin, access="read")
    assert pins.hide(read, {"user_id": "u"}, properties).shown == {"app_id": TEXT, "run_id": TEXT, "topic": TEXT}


def test_a_filter_is_shown_without_the_pins_and_says_what_fills_them_in() -> None:
    entry = tool(
        properties={"where": WHERE, "topic": TEXT}, pin=PinFilter("where", "plain", splits=("user_id", "app_id"))
    )
    properties = entry.definition["inputSchema"]["properties"]
    narrowed = pins.hide(entry, {"user_id": "u"}, properties)
    assert narrowed.filled == {"where"}
    assert narrowed.accepted == properties
    assert narrowed.shown == {
        "topic": TEXT,
        "where": {
            "type": "object",
            "properties": {"topic": TEXT},
            "additionalProperties": False,
            "description": "Further conditions, ANDed with user_id, which this server fills in. May be left out. All "
            "members must match.",
        },
    }
    four = dict.fromkeys(("user_id", "run_id", "app_id", "agent_id"), "x")
    described = pins.hide(entry, four, properties).shown["where"]["description"]
    assert described.startswith("Further conditions, ANDed with agent_id, app_id, run_id, user_id, which")
    many = [f"id_{letter}" for letter in "abcdefghijkl"]  # a set of so many is in order by chance almost never
    described = pins.hide(entry, dict.fromkeys(reversed(many), "x"), properties).shown["where"]["description"]
    assert described.startswith(f"Further conditions, ANDed with {', '.join(many)}, which")
    both = tool(properties={"where": WHERE}, pin=PinFilter("where", "plain"))
    shown = pins.hide(both, {"user_id": "u", "app_id": "a"}, properties).shown["where"]
    assert shown["properties"] == {"topic": TEXT}
    assert shown["description"].startswith("Further conditions, ANDed with app_id, user_id, which")


def test_the_rest_of_a_filter_asks_for_what_it_asked_for_on_every_level() -> None:
    inner = {"type": "object", "properties": {"user_id": TEXT, "n": TEXT}, "required": ["user_id", "n"]}
    other = {"type": "object", "minProperties": 1}
    where = {
        "type": "object",
        "properties": {"user_id": TEXT, "AND": {"type": "array", "items": {"anyOf": [inner, other]}}},
        "required": ["AND"],
        "minProperties": 1,
    }
    entry = tool(properties={"where": where}, pin=PinFilter("where", "mem0"))
    accepted = pins.hide(entry, {"user_id": "u"}, entry.definition["inputSchema"]["properties"]).accepted["where"]
    optional = {"type": "object", "properties": {"user_id": TEXT, "n": TEXT}, "required": ["n"]}
    assert accepted == {
        "type": "object",
        "properties": {"user_id": TEXT, "AND": {"type": "array", "items": {"anyOf": [optional, other]}}},
        "required": ["AND"],
    }


@pytest.mark.parametrize(
    "pin", [PinArguments(("user_id",)), PinFilter("where", "mem0"), PinEntity("kind", "id", {"user_id": "user"}), None]
)
def test_a_server_without_pins_sends_what_it_was_given(pin: Pin | None) -> None:
    for given in ({}, {"where": None}, {"where": {"user_id": "u"}, "kind": "app", "user_id": "v"}):
        sent = pins.apply(tool(properties={"where": WHERE}, pin=pin), {}, given)
        assert sent == given
        assert sent is not given


def test_the_first_id_that_would_split_a_write_is_named() -> None:
    entry = tool(pin=PinArguments(("a", "b", "c"), splits=("a", "b", "c", "d")), access="write")
    for given, named in (
        ({"b": "1", "c": "2"}, "b"),
        ({"d": "1", "b": "2", "c": "3"}, "d"),
        ({"a": "x", "c": "y"}, "c"),
    ):
        with pytest.raises(errors.OutsidePins) as split:
            pins.apply(entry, {"a": "x"}, given)
        assert split.value.message.startswith(f"with {named} a part of the change might not belong to")


@pytest.mark.parametrize("pin", [PinObject("id", "get"), PinObjects("ids", "id", "get"), PinAnswer("@"), NoPin(), None])
def test_arguments_that_no_pin_goes_into_are_copied(pin: Pin | None) -> None:
    given = {"id": "a", "user_id": "other"}
    for config in ({}, {"user_id": "u"}):
        sent = pins.apply(tool(pin=pin), config, given)
        assert sent == given
        assert sent is not given


def test_a_filter_that_is_null_or_left_out_is_the_pins() -> None:
    entry = tool(properties={"where": WHERE}, pin=PinFilter("where", "plain"))
    nothing: tuple[dict[str, Json], ...] = ({}, {"where": None}, {"where": {}})
    for given in nothing:
        assert pins.apply(entry, {"user_id": "u"}, given) == {"where": {"user_id": "u"}}
    assert pins.apply(entry, {"user_id": "u"}, {"where": {"topic": "t"}, "a": 1}) == {
        "where": {"topic": "t", "user_id": "u"},
        "a": 1,
    }
    with pytest.raises(errors.OutsidePins) as foreign:
        pins.apply(entry, {"user_id": "u"}, {"where": {"user_id": "v"}})
    assert foreign.value.message.startswith('user_id is "v", but this server is pinned to user_id="u".')
    assert foreign.value.__suppress_context__


def test_the_entity_of_a_pin_is_named_by_its_type_and_its_id() -> None:
    entry = tool(pin=PinEntity("kind", "id", {"user_id": "user"}))
    assert pins.apply(entry, {"user_id": "u"}, {"more": 1}) == {"more": 1, "kind": "user", "id": "u"}
    for given, named in (({"kind": "app"}, 'kind is "app"'), ({"id": "v", "kind": "user"}, 'id is "v"')):
        with pytest.raises(errors.OutsidePins) as foreign:
            pins.apply(entry, {"user_id": "u"}, given)
        assert foreign.value.message.startswith(f'{named}, but this server is pinned to user_id="u".')


@pytest.mark.parametrize(
    ("write_ids", "given", "refused"),
    [
        ({}, {"run_id": "r"}, 'run_id is "r"'),
        ({}, {"run_id": "r", "app_id": "a"}, 'app_id is "a"'),
        ({"run_id": ("r",)}, {"run_id": "r"}, None),
        ({"run_id": ("r",)}, {"run_id": "s"}, 'run_id is "s"'),
        ({"run_id": ("*",)}, {"run_id": "s"}, None),
        ({"run_id": ("r",)}, {"run_id": None}, "run_id is null"),
    ],
)
def test_a_write_names_only_listed_ids(write_ids: Json, given: dict[str, Json], refused: str | None) -> None:
    entry = tool(pin=PinArguments(("user_id", "run_id", "app_id")), access="write")
    if refused is None:
        assert pins.apply(entry, {"user_id": "u"}, given, write_ids=write_ids) == {**given, "user_id": "u"}
    else:
        with pytest.raises(errors.OutsidePins) as unlisted:
            pins.apply(entry, {"user_id": "u"}, given, write_ids=write_ids)
        assert unlisted.value.message.startswith(f"{refused}, but this server is pinned to")
    read = tool(pin=PinArguments(("user_id", "run_id", "app_id")), access="read")
    assert pins.apply(read, {"user_id": "u"}, given) == {**given, "user_id": "u"}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"user_id": "u", "topic": "t"}, {"topic": "t"}),
        ({"where": {"user_id": "u", "topic": "t"}}, {"where": {"topic": "t"}}),
        ({"where": {"user_id": "u"}}, {}),
        ({"where": {}}, {}),
        ({"where": "text", "user_id": "u"}, {"where": "text"}),
        ({"other": {"user_id": "u"}}, {"other": {"user_id": "u"}}),
        (
            {"where": {"AND": [{"user_id": "u"}, {"user_id": "u", "topic": "t"}, [], "x"]}},
            {"where": {"AND": [{"topic": "t"}, "x"]}},
        ),
        ({"where": {"NOT": {"user_id": "u", "topic": "t"}}}, {"where": {"NOT": {"topic": "t"}}}),
    ],
)
def test_arguments_are_shown_without_what_the_pins_fill_in(given: dict[str, Json], left: dict[str, Json]) -> None:
    entry = tool(properties={"where": WHERE}, pin=PinFilter("where", "mem0"))
    assert pins.without(entry, {"user_id": "u"}, given) == left
    assert pins.without(entry, {}, {"where": {"topic": "t"}}) == {"where": {"topic": "t"}}
    assert pins.without(tool(pin=NoPin()), {"user_id": "u"}, {"where": {"user_id": "u"}}) == {"where": {"user_id": "u"}}


def test_the_reader_of_several_objects_takes_the_id_in_its_own_argument() -> None:
    reader = tool(path="/{thing}/", name="get", method="get", pin=PinObject(argument="thing", read="get"))
    other = tool(path="/{thing}/", name="look", method="get", pin=PinAnswer("@"))
    batch = tool("DELETE", pin=PinObjects("ids", "id", "get"), name="batch")
    judged = tool("DELETE", pin=PinObjects("ids", "id", "look"), name="judged")
    catalog = catalog_of(reader, other, batch, judged)
    assert pins.reading(catalog, batch, {"user_id": "u"}, {"ids": [1, "1", 2]}) == pins.Reading(
        reader, "thing", ("1", "2")
    )
    found = pins.reading(catalog, judged, {"user_id": "u"}, {"ids": ["a"]})
    assert found is not None
    assert (found.reader, found.argument) == (other, "ids")
    for entry in (tool(pin=PinAnswer("@")), tool(pin=NoPin()), tool(), CREATE, LIST, ENTITY):
        assert pins.reading(catalog, entry, {"user_id": "u"}, {"id": "a"}) is None


def test_an_object_outside_the_pins_is_refused_by_the_name_it_was_found_under() -> None:
    pins.check_object(BOTH.pins, {"user_id": "usr_1", "app_id": "app_1"}, "memory m-1")
    with pytest.raises(errors.OutsidePins) as outside:
        pins.check_object(BOTH.pins, {"user_id": "usr_1"}, "memory m-1")
    assert outside.value.message == (
        'memory m-1 is outside the pins of this server (user_id="usr_1", app_id="app_1"); only objects that carry the '
        "pinned ids can be read or changed here"
    )
