"""One precedence: defaults < the caller's arguments < fixed arguments < pins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway import errors, forced, pins
from functions.gateway.grants import ServerConfig
from tests.gateway.calling import MEM0, tool
from tool_catalog.request_template import Parameter

CREATE = MEM0.tools["create_a_mem_0_memory"]
NAMES = ("a", "b", "c")
ENTRY = tool("POST", "/", *(Parameter("body", name, name) for name in NAMES))
VALUES = st.dictionaries(st.sampled_from([*NAMES, "unknown"]), st.integers(0, 9))


@given(
    defaults=VALUES, everywhere=VALUES, given_=st.dictionaries(st.sampled_from(NAMES), st.integers(10, 19)), fix=VALUES
)
def test_fixed_beats_the_caller_and_the_caller_beats_defaults(
    defaults: dict[str, int], everywhere: dict[str, int], given_: dict[str, int], fix: dict[str, int]
) -> None:
    config = ServerConfig(defaults={"*": everywhere, ENTRY.name: defaults}, fixed={ENTRY.name: fix})
    merged = forced.merged(ENTRY, config, given_)
    for name in NAMES:
        sources = [source[name] for source in (fix, given_, defaults, everywhere) if name in source]
        assert merged.get(name) == (sources[0] if sources else None)
    assert "unknown" not in merged


def test_a_rule_for_one_tool_beats_a_rule_for_every_tool() -> None:
    config = ServerConfig(fixed={"*": {"a": 1, "b": 2}, ENTRY.name: {"a": 3}, "other": {"c": 4}})
    assert forced.fixed(ENTRY, config) == {"a": 3, "b": 2}


def test_pins_beat_fixed_arguments() -> None:
    config = ServerConfig(pins={"user_id": "usr_1"}, fixed={"*": {"user_id": "usr_2"}})
    with pytest.raises(errors.OutsidePins):
        pins.apply(CREATE, config.pins, forced.merged(CREATE, config, {}))


def test_what_a_rule_for_every_tool_cannot_reach_is_named_by_argument() -> None:
    other = tool("GET", "/", Parameter("query", "a", "a"), name="other")
    config = ServerConfig(fixed={"*": {"a": 1, "c": 2}, "other": {"b": 3}})
    assert forced.unreached([ENTRY, other], config) == {"c": ["other"]}
    assert [forced.reached(one, config) for one in (ENTRY, other)] == [True, False]
    assert forced.unreached([ENTRY, other], ServerConfig(fixed={"other": {"c": 1}})) == {}
