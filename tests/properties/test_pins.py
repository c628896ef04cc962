"""Whatever a caller gives, the pins hold in what is sent, and another entity's id is refused wherever it stands."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.gateway import pins as gateway_pins
from functions.gateway import selection
from functions.gateway.errors import OutsidePins
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tests.gateway.calling import MEM0
from tool_catalog.catalog import Pin, PinArguments, PinEntity, PinFilter, Tool

NAMES = ("user_id", "agent_id", "app_id", "run_id")
OWN = {"user_id": "own_user", "agent_id": "own_agent", "app_id": "own_app", "run_id": "own_run"}
"""Each pin has a value of its own: one pin's value in another pin's place is foreign."""

IDS = st.sampled_from([*OWN.values(), "other", "*", ""])
PINS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True).map(
    lambda names: {name: OWN[name] for name in names}
)
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


def of_kind(kind: type[Pin]) -> list[Tool]:
    return [entry for entry in MEM0.tools.values() if isinstance(entry.pin, kind)]


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
    assert isinstance(entry.pin, PinFilter | PinArguments)
    splits = set(entry.pin.splits)
    return splits - pins.keys() if splits & pins.keys() else set()


@given(PINS, TREES | st.none(), st.sampled_from(of_kind(PinFilter)))
def test_a_filter_is_refused_or_holds_the_pins(pins: dict[str, str], tree: Json, entry: Tool) -> None:
    config = ServerConfig(pins=pins)
    assume(entry in selection.visible(MEM0, config))
    assert isinstance(entry.pin, PinFilter)
    before = copy.deepcopy(tree)
    arguments: dict[str, Json] = {} if tree is None else {entry.pin.argument: tree}
    foreign = [(name, value) for name, value in ids_named(pins, tree) if not means_only(pins[name], value)]
    if foreign or split_off(entry, pins) & set(tree or ()):
        with pytest.raises(OutsidePins):
            gateway_pins.apply(entry, pins, arguments)
        return
    sent = gateway_pins.apply(entry, pins, arguments)[entry.pin.argument]
    assert tree == before
    for name, pinned in pins.items():
        for value in ("other", *(other for other in OWN.values() if other != pinned)):
            outside = {**OWN, name: value}
            assert not satisfied(sent, outside), f"{name}={pinned} does not hold in {sent}"
    assert satisfied(sent, OWN) == satisfied(tree or {}, OWN), "nothing more is left out than the pins say"
    if not tree:
        assert satisfied(sent, OWN), "what carries the pins is found"


WRITE_IDS = st.dictionaries(st.sampled_from(NAMES), st.lists(IDS, max_size=2).map(tuple), max_size=2)


@given(
    PINS, WRITE_IDS, st.dictionaries(st.sampled_from([*NAMES, "query"]), IDS), st.sampled_from(of_kind(PinArguments))
)
def test_arguments_are_refused_or_hold_the_pins(
    pins: dict[str, str], write_ids: dict[str, tuple[str, ...]], arguments: dict[str, str], entry: Tool
) -> None:
    config = ServerConfig(pins=pins)
    assume(entry in selection.visible(MEM0, config))
    foreign = any(arguments.get(name, pinned) != pinned for name, pinned in pins.items())
    unlisted = entry.access == "write" and any(
        name in arguments and not {arguments[name], "*"} & set(write_ids.get(name, ()))
        for name in NAMES
        if name not in pins
    )
    if foreign or unlisted or split_off(entry, pins) & arguments.keys():
        with pytest.raises(OutsidePins):
            gateway_pins.apply(entry, pins, arguments, write_ids=write_ids)
    else:
        sent = gateway_pins.apply(entry, pins, arguments, write_ids=write_ids)
        assert sent == {**arguments, **pins}


@given(
    PINS, st.dictionaries(st.sampled_from(["entity_type", "entity_id", "id"]), IDS | st.sampled_from(["user", "app"]))
)
def test_an_entity_is_the_pinned_one_or_refused(pins: dict[str, str], arguments: dict[str, str]) -> None:
    config = ServerConfig(pins=pins)
    for entry in selection.visible(MEM0, config):
        if not isinstance(entry.pin, PinEntity):
            continue
        [(name, pinned)] = pins.items()
        wanted = {entry.pin.argument: entry.pin.types[name], entry.pin.id: pinned}
        if all(arguments.get(argument, value) == value for argument, value in wanted.items()):
            assert gateway_pins.apply(entry, pins, arguments) == {**arguments, **wanted}
        else:
            with pytest.raises(OutsidePins):
                gateway_pins.apply(entry, pins, arguments)


@given(PINS, st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*OWN.values(), "other", None, 7, ["own_user"]])))
def test_an_object_is_inside_exactly_when_it_carries_every_pin(pins: dict[str, str], found: dict[str, Json]) -> None:
    inside = all(name in found and found[name] == pinned for name, pinned in pins.items())
    assert gateway_pins.holds(pins, found) == inside


@given(PINS, st.sampled_from(list(MEM0.tools.values())))
def test_each_pin_is_sent_with_its_own_value(pins: dict[str, str], entry: Tool) -> None:
    assume(entry in selection.visible(MEM0, ServerConfig(pins=pins)))
    match entry.pin:
        case PinArguments():
            assert gateway_pins.apply(entry, pins, {}) == pins
        case PinFilter() as pin:
            assert gateway_pins.apply(entry, pins, {}) == {pin.argument: pins}
        case PinEntity() as pin:
            [(name, pinned)] = pins.items()
            assert gateway_pins.apply(entry, pins, {}) == {pin.argument: pin.types[name], pin.id: pinned}
