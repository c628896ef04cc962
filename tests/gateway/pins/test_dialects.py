"""Dialects of filters: which schemas they describe, and that a described filter cannot leave its pin."""

from __future__ import annotations

from typing import Any

import pytest

from functions.gateway import json_text, selection
from functions.gateway.grants import ServerConfig
from functions.gateway.pins import dialects
from functions.gateway.pins.dialects import Dialect, ForeignId, mem0, plain
from tests.gateway.calling import catalog_of, tool
from tool_catalog.catalog import PinFilter

Json = Any

MODULES: dict[str, Dialect] = {"mem0": mem0, "plain": plain}
"""The assignment is a test too: mypy checks that each module is a Dialect."""

STRING = {"type": "string"}
CONDITIONS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "logic": {"type": "string", "enum": ["and", "or"]},
        "conditions": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": STRING, "op": STRING, "value": STRING}},
        },
    },
    "additionalProperties": False,
}
DOLLAR: dict[str, Any] = {
    "type": "object",
    "properties": {"user_id": {"type": ["string", "object"], "properties": {"$eq": STRING, "$in": {"type": "array"}}}},
    "additionalProperties": False,
}


def test_the_dialects_are_the_files_of_their_folder() -> None:
    assert dialects.names() == tuple(sorted(MODULES))
    for name, module in MODULES.items():
        assert dialects.named(name) is module


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("schema", [CONDITIONS, DOLLAR, STRING, {}, {"type": "object"}, {"type": ["object", "null"]}])
def test_a_filter_of_another_grammar_is_described_by_no_dialect(name: str, schema: Json) -> None:
    assert dialects.named(name).problems(schema, ("user_id",))


@pytest.mark.parametrize("name", MODULES)
def test_conditions_next_to_the_pinned_id_are_refused_too(name: str) -> None:
    """An OR among the conditions would widen what the id next to them says."""
    schema = {**CONDITIONS, "properties": {**CONDITIONS["properties"], "user_id": STRING}}
    told = dialects.named(name).problems(schema, ("user_id",))
    assert ("properties", "conditions") in [path for path, _ in told]


@pytest.mark.parametrize("types", ["integer", ["string", "array"], ["boolean", "null"]])
def test_mem0_takes_a_pinned_id_as_a_string_or_an_object(types: Json) -> None:
    schema = {"type": "object", "properties": {"user_id": {"type": types}}, "additionalProperties": False}
    told = "the dialect mem0 takes an id as a string or as an object with an operator"
    assert mem0.problems(schema, ("user_id",)) == [(("properties", "user_id"), told)]


@pytest.mark.parametrize("types", ["array", "object", ["array", "object"]])
def test_mem0_nests_filters_in_arrays_and_objects(types: Json) -> None:
    schema = {
        "type": "object",
        "properties": {"user_id": STRING, "AND": {"type": types}, "NOT": {"type": types}},
        "additionalProperties": False,
    }
    assert mem0.problems(schema, ("user_id",)) == []


def test_plain_leaves_a_filter_as_it_is() -> None:
    given = {"user_id": "u", "topic": ["a", "b"]}
    assert plain.mended(given) == given
    assert plain.mended(given) is not given


def test_only_mem0_has_a_home_for_members_of_any_name() -> None:
    assert mem0.home("topic") == "metadata"
    assert plain.home("topic") is None


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"type": "integer"}, "the dialect plain compares a pinned id with one string; write type: string"),
        ({"type": ["string", "object"]}, "the dialect plain compares a pinned id with one string; write type: string"),
        (
            {"type": "array", "items": STRING},
            "the dialect plain compares a pinned id with one string; write type: string",
        ),
        ({}, "the dialect plain compares a pinned id with one string; write type: string"),
    ],
)
def test_plain_compares_a_pinned_id_with_one_string(member: Json, message: str) -> None:
    schema = {"type": "object", "properties": {"user_id": member}, "additionalProperties": False}
    assert plain.problems(schema, ("user_id",)) == [(("properties", "user_id"), message)]


@pytest.mark.parametrize("name", ["or", "OR", "$or", "_not", "logic", "Operator"])
def test_plain_has_no_operators(name: str) -> None:
    schema = {"type": "object", "properties": {"user_id": STRING, name: STRING}, "additionalProperties": False}
    assert plain.problems(schema, ("user_id",)) == [
        (("properties", name), f'the dialect plain ANDs its members and has no operator "{name}"')
    ]


@pytest.mark.parametrize(
    "member",
    [
        {"type": "object"},
        {},
        {"type": "array"},
        {"type": "array", "items": {"type": "object"}},
        {"anyOf": [STRING, {"type": "object"}]},
    ],
)
def test_plain_members_hold_no_conditions(member: Json) -> None:
    schema = {"type": "object", "properties": {"user_id": STRING, "state": member}, "additionalProperties": False}
    assert [path for path, _ in plain.problems(schema, ("user_id",))] == [("properties", "state")]


@pytest.mark.parametrize("rest", [{}, {"additionalProperties": True}])
def test_plain_filters_are_closed(rest: Json) -> None:
    assert plain.problems({"type": "object", "properties": {"user_id": STRING}, **rest}, ("user_id",)) == [
        ((), "the dialect plain needs additionalProperties: false; an unknown member may be an operator")
    ]


@pytest.mark.parametrize("name", ["order", "operation", "X_op", "not_before", "allergy", "brand"])
def test_plain_members_may_have_an_operator_within_their_name(name: str) -> None:
    schema = {"type": "object", "properties": {"user_id": STRING, name: STRING}, "additionalProperties": False}
    assert plain.problems(schema, ("user_id",)) == []


def test_plain_describes_plain_members() -> None:
    schema = {
        "type": "object",
        "properties": {
            "user_id": {"type": ["string", "null"]},
            "state": {"type": "string", "enum": ["open", "shut"]},
            "year": {"type": "integer"},
            "labels": {"type": "array", "items": STRING},
            "values": {"type": "array", "items": {"type": ["string", "integer", "number", "boolean", "null"]}},
        },
        "additionalProperties": False,
    }
    assert plain.problems(schema, ("user_id",)) == []
    assert plain.without(schema, {"user_id"})["properties"].keys() == {"state", "year", "labels", "values"}


def test_plain_adds_the_pin_and_refuses_another_value() -> None:
    assert plain.pin({"user_id": "usr_1"}, {}) == {"user_id": "usr_1"}
    assert plain.pin({"user_id": "usr_1"}, {"state": "open"}) == {"state": "open", "user_id": "usr_1"}
    assert plain.pin({"user_id": "usr_1"}, {"user_id": "usr_1"}) == {"user_id": "usr_1"}
    for other in ("usr_2", "*", "", None, 7, ["usr_1"], {"eq": "usr_1"}, {"$eq": "usr_1"}):
        with pytest.raises(ForeignId):
            plain.pin({"user_id": "usr_1"}, {"user_id": other})


def test_several_pins_keep_each_its_own_value() -> None:
    pins = {"user_id": "usr_1", "app_id": "app_1"}
    for module in MODULES.values():
        assert module.pin(pins, {"app_id": "app_1"}) == pins
        with pytest.raises(ForeignId) as foreign:
            module.pin(pins, {"app_id": "usr_1"})
        assert (foreign.value.name, foreign.value.value) == ("app_id", "usr_1")


@pytest.mark.parametrize(
    "member",
    [{"type": "array", "items": {"type": "object"}}, {"type": "array"}, {"type": ["array", "string"], "items": {}}],
)
def test_mem0_nests_conditions_under_its_operators_only(member: Json) -> None:
    schema = {"type": "object", "properties": {"user_id": STRING, "any": member}}
    assert mem0.problems(schema, ("user_id",)) == [
        (("properties", "any"), "the dialect mem0 nests conditions only under AND, OR or NOT")
    ]


@pytest.mark.parametrize("name", ["AND", "OR", "NOT"])
def test_a_mem0_operator_takes_filters(name: str) -> None:
    schema = {"type": "object", "properties": {"user_id": STRING, name: STRING}}
    assert mem0.problems(schema, ("user_id",)) == [
        (("properties", name), f"{name} takes filters: an object, or an array of objects")
    ]


@pytest.mark.parametrize("name", MODULES)
def test_a_tool_is_not_offered_under_a_pin_that_its_filter_has_no_member_for(name: str) -> None:
    find = tool(
        "POST",
        properties={"where": {"type": "object", "properties": {"user_id": STRING}, "additionalProperties": False}},
        pin=PinFilter(argument="where", dialect=name),
    )
    for pins, offered in (({"user_id": "u"}, True), ({"run_id": "r"}, False), ({"user_id": "u", "run_id": "r"}, False)):
        assert bool(selection.visible(catalog_of(find), ServerConfig(pins=pins))) is offered


@pytest.mark.parametrize("schema", [CONDITIONS, DOLLAR])
def test_a_filter_without_a_pin_is_not_offered_by_a_pinned_server(schema: Json) -> None:
    find = tool("POST", properties={"where": schema})
    assert selection.visible(catalog_of(find), ServerConfig()) == (find,)
    assert selection.visible(catalog_of(find), ServerConfig(pins={"user_id": "u"})) == ()


@pytest.mark.parametrize("name", MODULES)
def test_every_id_that_can_be_pinned_is_a_member(name: str) -> None:
    schema = {"type": "object", "properties": {"user_id": STRING}, "additionalProperties": False}
    assert dialects.named(name).problems(schema, ("user_id",)) == []
    assert dialects.named(name).problems(schema, ("user_id", "app_id", "run_id")) == [
        (("properties",), "app_id, run_id must be a member too, or a pin on it would have no effect")
    ]
    for other in (STRING, {"type": ["object", "null"], "properties": {}}, {"type": "object", "properties": []}, {}):
        assert dialects.named(name).problems(other, ()) == [
            ((), "a filter that is pinned must be an object with properties")
        ]


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (None, set()),
        ({}, set()),
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"anyOf": [{"type": "string"}], "oneOf": [{"type": "array"}]}, {"string", "array"}),
        ({"type": "null", "anyOf": [{"oneOf": [{"type": "object"}]}]}, {"null", "object"}),
    ],
)
def test_a_schema_names_its_types_and_those_of_its_branches(schema: Json, named: set[str]) -> None:
    assert json_text.kinds(schema) == named


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        ({"type": ["string", "object", "null"]}, None),
        ({"type": ["string", "object"], "properties": {"eq": STRING, "ne": STRING, "in": {"type": "array"}}}, None),
        (
            {"type": "object", "properties": {"eq": STRING, "gt": STRING, "lt": STRING}},
            "the dialect mem0 compares an id by eq, ne or in, not by gt",
        ),
        ({}, "the dialect mem0 takes an id as a string or as an object with an operator"),
        (
            {"type": "array", "items": STRING},
            "the dialect mem0 takes an id as a string or as an object with an operator",
        ),
    ],
)
def test_mem0_compares_an_id_by_its_operators(member: Json, problem: str | None) -> None:
    schema = {"type": "object", "properties": {"user_id": member}}
    found = mem0.problems(schema, ("user_id",))
    assert found == ([] if problem is None else [(("properties", "user_id"), problem)])


@pytest.mark.parametrize("types", [None, "string", ["array", "string"], ["object", "null"]])
def test_a_mem0_operator_takes_nothing_but_filters(types: Json) -> None:
    for name in ("AND", "OR", "NOT"):
        member = {} if types is None else {"type": types}
        schema = {"type": "object", "properties": {"user_id": STRING, name: member}}
        assert [path for path, _ in mem0.problems(schema, ("user_id",))] == [("properties", name)]


@pytest.mark.parametrize(
    "member",
    [
        {"type": "array", "items": STRING},
        {"type": "array", "items": {"type": ["integer", "null"]}},
        {"type": "string"},
        {"type": "object"},
        {},
    ],
)
def test_a_mem0_member_may_hold_values(member: Json) -> None:
    assert mem0.problems({"type": "object", "properties": {"user_id": STRING, "any": member}}, ("user_id",)) == []


def test_mem0_nests_no_array_in_an_array() -> None:
    member = {"type": "array", "items": {"type": ["array", "string"]}}
    assert mem0.problems({"type": "object", "properties": {"user_id": STRING, "any": member}}, ("user_id",))


def test_mem0_hides_an_id_on_every_level() -> None:
    inner = {"type": "object", "properties": {"user_id": STRING, "topic": STRING}}
    schema = {
        "type": "object",
        "properties": {"user_id": STRING, "AND": {"type": "array", "items": {"anyOf": [inner, STRING]}}},
        "required": ["AND"],
    }
    assert mem0.without(schema, frozenset({"user_id"})) == {
        "type": "object",
        "properties": {
            "AND": {
                "type": "array",
                "items": {"anyOf": [{"type": "object", "properties": {"topic": STRING}}, STRING]},
            }
        },
        "required": ["AND"],
    }


def test_each_dialect_says_how_conditions_combine() -> None:
    assert plain.grammar({}) == "All members must match."
    assert mem0.grammar({"properties": {"OR": {}}}) == mem0.grammar({}) == "All members must match."
    assert mem0.grammar({"properties": {"AND": {}}}) == (
        "Members of one level are ANDed; AND and OR take arrays of such objects, never both on one level."
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"user_id": "u"}),
        ({"topic": "t"}, {"topic": "t", "user_id": "u"}),
        ({"user_id": "*"}, {"user_id": "u"}),
        ({"AND": []}, {"user_id": "u", "AND": [{"user_id": "u"}, {"AND": []}]}),
        ({"OR": [{"topic": "t"}]}, {"user_id": "u", "AND": [{"user_id": "u"}, {"OR": [{"topic": "t"}]}]}),
        ({"NOT": [], "topic": "t"}, {"user_id": "u", "AND": [{"user_id": "u"}, {"NOT": [], "topic": "t"}]}),
        ({"metadata": {"user_id": "v"}}, {"metadata": {"user_id": "v"}, "user_id": "u"}),
    ],
)
def test_mem0_puts_the_pins_next_to_an_operator_twice(given: Json, sent: Json) -> None:
    assert mem0.pin({"user_id": "u"}, given) == sent


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        ({"a": 1}, {"a": 1}),
        ({"AND": [{"a": 1}], "OR": [{"b": 2}]}, {"AND": [{"a": 1}, {"OR": [{"b": 2}]}]}),
        ({"OR": [{"b": 2}]}, {"OR": [{"b": 2}]}),
        ({"AND": [{"a": 1}]}, {"AND": [{"a": 1}]}),
        ({"AND": {"a": 1}, "OR": [{"b": 2}]}, {"AND": {"a": 1}, "OR": [{"b": 2}]}),
        (
            {"NOT": {"AND": [], "OR": ["x", [{"AND": [], "OR": []}]]}},
            {"NOT": {"AND": [{"OR": ["x", [{"AND": [{"OR": []}]}]]}]}},
        ),
        ({"metadata": {"AND": [], "OR": []}}, {"metadata": {"AND": [], "OR": []}}),
    ],
)
def test_mem0_puts_an_or_into_the_and_beside_it(given: Json, mended: Json) -> None:
    assert mem0.mended(given) == mended


@pytest.mark.parametrize("name", ["AND", "OR", "NOT"])
def test_an_operator_of_mem0_has_no_home(name: str) -> None:
    assert mem0.home(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("and", "or", "not", "nor", "xor", "nand", "any", "all"),
        *("logic", "logical", "operator", "op", "conjunction", "combinator"),
    ],
)
def test_plain_refuses_each_name_of_an_operator(name: str) -> None:
    for spelt in (name, name.upper(), f"${name}", f"_{name}_"):
        schema = {"type": "object", "properties": {"user_id": STRING, spelt: STRING}, "additionalProperties": False}
        assert [path for path, _ in plain.problems(schema, ("user_id",))] == [("properties", spelt)]


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "null"])
def test_plain_takes_each_plain_type_alone_and_in_arrays(kind: str) -> None:
    for member in ({"type": kind}, {"type": "array", "items": {"type": kind}}):
        schema = {"type": "object", "properties": {"user_id": STRING, "a": member}, "additionalProperties": False}
        assert plain.problems(schema, ("user_id",)) == []


def test_plain_says_what_a_member_may_be() -> None:
    schema = {"type": "object", "properties": {"user_id": STRING, "a": {}}, "additionalProperties": False}
    assert plain.problems(schema, ("user_id",)) == [
        (("properties", "a"), "the dialect plain takes strings, numbers, booleans and arrays of them, not conditions")
    ]


def test_plain_hides_an_id_and_keeps_the_rest() -> None:
    schema = {"type": "object", "properties": {"user_id": STRING, "a": STRING}, "additionalProperties": False}
    assert plain.without(schema, frozenset({"user_id"})) == {**schema, "properties": {"a": STRING}}
