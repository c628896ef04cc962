"""Headers that mirror arguments: agreement is the official SDK's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.inbound import encode_header_value, validate_mcp_param_headers

from functions.gateway.json_text import Json
from functions.mcp_endpoint import parameter_headers

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry-Run"},
        "deep": {"type": "object", "properties": {"er": {"type": "string", "x-mcp-header": "Deeper"}}},
        "plain": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("arguments", "headers", "words"),
    [
        ({}, [], ""),
        ({"region": "eu"}, [("mcp-param-region", "eu")], ""),
        ({"region": "ü"}, [("mcp-param-region", "=?base64?w7w=?=")], ""),
        ({"region": None}, [], ""),
        ({"count": 42}, [("mcp-param-count", "42.0")], ""),
        ({"count": 42.0}, [("mcp-param-count", "42")], ""),
        ({"dry": True}, [("mcp-param-dry-run", "true")], ""),
        ({"deep": {"er": "x"}}, [("mcp-param-deeper", "x")], ""),
        ({"plain": "x"}, [("mcp-param-plain", "y")], ""),
        ({"region": "eu"}, [], 'Mcp-Param-Region is missing; it must mirror the argument "region"'),
        ({}, [("mcp-param-region", "eu")], 'Mcp-Param-Region is there, but the argument "region" is not'),
        ({"region": "eu"}, [("mcp-param-region", "us")], 'Mcp-Param-Region differs from the argument "region"'),
        ({"region": "eu"}, [("mcp-param-region", "eu")] * 2, "Mcp-Param-Region appears more than once"),
        ({"region": "eu"}, [("mcp-param-region", "=?base64?!?=")], "Mcp-Param-Region is not valid base64 of UTF-8"),
        ({"count": 42}, [("mcp-param-count", "4.2e1")], 'Mcp-Param-Count differs from the argument "count"'),
        ({"deep": {"er": "x"}}, [], 'Mcp-Param-Deeper is missing; it must mirror the argument "deep.er"'),
    ],
)
def test_a_header_must_say_what_its_argument_says(arguments: Json, headers: Json, words: str) -> None:
    """2026-07-28 transports, "Server Behavior for Custom Headers"."""
    assert parameter_headers.problem(SCHEMA, arguments, headers) == words


@pytest.mark.parametrize(
    "schema",
    [
        {"x-mcp-header": "Root", "type": "string"},
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "A B"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": ""}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": 3}}},
        {"properties": {"a": {"type": ["string"], "x-mcp-header": "A"}}},
        {"properties": {n: {"type": "string", "x-mcp-header": h} for n, h in (("a", "X"), ("b", "x"))}},
        {"properties": {"a": {"items": {"properties": {"b": {"type": "string", "x-mcp-header": "B"}}}}}},
        {"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]},
        {"$defs": {"d": {"type": "string", "x-mcp-header": "A"}}},
    ],
)
def test_an_invalid_mark_asks_for_nothing(schema: Json) -> None:
    """2026-07-28 transports, "Schema Extension": clients leave such a tool out, so none can send its headers."""
    assert parameter_headers.problem(schema, {"a": "x"}, [("mcp-param-a", "y"), ("mcp-param-x", "y")]) == ""


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.integers(),
    st.integers(-3, 3).map(float),
    st.floats(0, 9),
    st.just([]),
)


@given(
    region=VALUES,
    count=VALUES,
    written=st.lists(
        st.tuples(
            st.sampled_from(["mcp-param-region", "mcp-param-count", "mcp-param-other"]),
            st.one_of(VALUES.map(str).map(encode_header_value), st.sampled_from(["3", "3.0", "-1", "=?base64?!?="])),
        ),
        max_size=3,
        unique_by=lambda line: line[0],
    ),
)
def test_the_official_sdk_refuses_the_same_calls(region: Json, count: Json, written: list[tuple[str, str]]) -> None:
    arguments = {"region": region, "count": count}
    official = validate_mcp_param_headers(SCHEMA, arguments, dict(written))
    assert bool(parameter_headers.problem(SCHEMA, arguments, written)) == (official is not None)
