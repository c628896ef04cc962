"""Whatever a caller gives, the pins hold in what is sent, and another entity's id is refused wherever it stands."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.gateway import scope, selection
from functions.gateway.errors import OutOfScope
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tests.gateway.calling import MEM0
from tool_catalog.catalog import Tool

NAMES = ("user_id", "agent_id", "app_id", "run_id")
IDS = st.sampled_from(["own", "other", "*", ""])
PINS = st.dictionaries(st.sampled_from(NAMES), st.just("own"), min_size=1, max_size=4)
VALUES = st.one_of(
    IDS,
    st.none(),
    st.fixed_dictionaries({"eq": IDS}),
    st.fixed_dictionaries({"ne": IDS}),
    st.fixed_dictionaries({"in": st.lists(IDS, max_size=2)}),
    st.just({}),
)
CONDITIONS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2)
TREES = st.recursive(
    CONDITIONS,
    lambda inner: st.builds(
        lambda plain, logic: {**plain, **logic},
        CONDITIONS,
        st.dictionaries(
            st.sampled_from(["AND", "OR", "NOT", "categories"]), inner | st.lists(inner, max_size=2), max_size=2
        ),
    ),
    max_leaves=8,
)


def of_kind(kind: str) -> list[Tool]:
    return [entry for entry in MEM0.tools.values() if entry.pin is not None and entry.pin.kind == kind]


def means_only(pinned: str, value: Json) -> bool:
    return value in (pinned, "*") or value in ({"eq": pinned}, {"in": [pinned]})


def ids_named(pins: Mapping[str, str], node: Json) -> list[tuple[str, Json]]:
    """Every (pinned name, value) in a filter, wherever it stands."""
    if isinstance(node, list):
        return [found for entry in node for found in ids_named(pins, entry)]
    if not isinstance(node, dict):
        return []
    here = [(name, value) for name, value in node.items() if name in pins]
    return here + [found for name, value in node.items() if name not in pins for found in ids_named(pins, value)]


def satisfied(node: Json, record: Mapping[str, Json]) -> bool:
    """A filter evaluated on a record, as Mem0's grammar means it."""
    if isinstance(node, list):
        return all(satisfied(entry, record) for entry in node)
    for name, value in node.items():
        if name == "AND":
            found = satisfied(value, record)
        elif name == "OR":
            entries = value if isinstance(value, list) else [value]
            found = any(satisfied(entry, record) for entry in entries) or not entries
        elif name == "NOT":
            found = not satisfied(value, record)
        elif name in NAMES:
            found = condition(value, record.get(name))
        else:
            found = True
        if not found:
            return False
    return True


def condition(value: Json, held: Json) -> bool:
    if isinstance(value, dict):
        return all(
            {"eq": held == wanted, "ne": held != wanted, "in": held in wanted if operator == "in" else False}[operator]
            for operator, wanted in value.items()
        )
    return held is not None if value == "*" else held == value


def split_off(entry: Tool, pins: dict[str, str]) -> set[str]:
    """Ids that may not be given beside the pinned ones."""
    assert entry.pin is not None
    splits = set(entry.pin.splits)
    return splits - pins.keys() if splits & pins.keys() else set()


@given(PINS, TREES | st.none(), st.sampled_from(of_kind("filters")))
def test_a_filter_is_refused_or_holds_the_pins(pins: dict[str, str], tree: Json, entry: Tool) -> None:
    config = ServerConfig(pins=pins)
    assume(entry in selection.visible(MEM0, config))
    assert entry.pin is not None
    before = copy.deepcopy(tree)
    arguments: dict[str, Json] = {} if tree is None else {str(entry.pin.argument): tree}
    foreign = [(name, value) for name, value in ids_named(pins, tree) if not means_only(pins[name], value)]
    if foreign or split_off(entry, pins) & set(tree or ()):
        with pytest.raises(OutOfScope):
            scope.apply(entry, config, arguments)
        return
    sent = scope.apply(entry, config, arguments)[str(entry.pin.argument)]
    assert tree == before
    for name, pinned in pins.items():
        outside = {**dict.fromkeys(NAMES, "own"), name: "other"}
        assert not satisfied(sent, outside), f"{name}={pinned} does not hold in {sent}"
    inside = dict.fromkeys(NAMES, "own")
    assert satisfied(sent, inside) == satisfied(tree or {}, inside), "nothing more is left out than the pins say"


@given(PINS, st.dictionaries(st.sampled_from([*NAMES, "query"]), IDS), st.sampled_from(of_kind("arguments")))
def test_arguments_are_refused_or_hold_the_pins(pins: dict[str, str], arguments: dict[str, str], entry: Tool) -> None:
    config = ServerConfig(pins=pins)
    assume(entry in selection.visible(MEM0, config))
    assert entry.pin is not None
    foreign = any(arguments.get(name, pinned) != pinned for name, pinned in pins.items())
    if foreign or split_off(entry, pins) & arguments.keys():
        with pytest.raises(OutOfScope):
            scope.apply(entry, config, arguments)
    else:
        assert scope.apply(entry, config, arguments) == {**arguments, **pins}


@given(
    PINS, st.dictionaries(st.sampled_from(["entity_type", "entity_id", "id"]), IDS | st.sampled_from(["user", "app"]))
)
def test_an_entity_is_the_pinned_one_or_refused(pins: dict[str, str], arguments: dict[str, str]) -> None:
    config = ServerConfig(pins=pins)
    for entry in selection.visible(MEM0, config):
        assert entry.pin is not None
        if entry.pin.kind != "entity":
            continue
        [(name, pinned)] = pins.items()
        wanted = {str(entry.pin.argument): name.removesuffix("_id"), str(entry.pin.id): pinned}
        if all(arguments.get(argument, value) == value for argument, value in wanted.items()):
            assert scope.apply(entry, config, arguments) == {**arguments, **wanted}
        else:
            with pytest.raises(OutOfScope):
                scope.apply(entry, config, arguments)


@given(PINS, st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["own", "other", None, 7, ["own"]])))
def test_a_record_is_inside_exactly_when_it_carries_every_pin(pins: dict[str, str], record: dict[str, Json]) -> None:
    assert scope.holds(pins, record) == all(name in record and record[name] == "own" for name in pins)
