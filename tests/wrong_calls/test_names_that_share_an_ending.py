"""A wrong name that only ends as a right one does is not taken for it; a right name with a slip in it still is.

The cases are generated. For every argument, and every member of an object in the arguments, whose name has several
words, e.g. order_id, there is the name of another thing (widget_id) and the name with two letters swapped (oredr_id).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from functions.gateway import arguments, corrected, tool_words
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.prepared import PreparedTool, prepare
from tests.wrong_calls.scoring import loaded
from tool_catalog.compiled_file import available

INTEGRATIONS = (*available(), "desk", "payments", "tracker")

THINGS = ("widget", "planet", "violin", "garage", "lantern", "bucket")
"""Things that no catalogue is about, and that are no slip of a word in one."""

VALUE = "given_by_the_caller"


class Place(NamedTuple):
    """A name of several words in the arguments of a tool: the object it is a member of, "" for an argument."""

    tool: PreparedTool
    holder: str
    name: str

    def given(self, name: str) -> dict[str, Json]:
        """What the tool's example has, with `name` in place of the right one."""
        example: dict[str, Any] = json.loads(json.dumps(self.tool.tool.example))
        if not self.holder:
            return {key: value for key, value in example.items() if key != self.name} | {name: VALUE}
        return {**example, self.holder: {name: VALUE}}


def places(integration: str) -> Iterator[Place]:
    for tool in loaded(integration).tools.values():
        prepared = prepare(tool, ServerConfig())
        properties = prepared.accepted["properties"]
        holders = {"": properties, **{name: part.get("properties", {}) for name, part in properties.items()}}
        for holder, members in holders.items():
            for name, part in members.items():
                if len(tool_words.words(name)) > 1 and "string" in str(part.get("type", "string")):
                    yield Place(prepared, holder, name)


def answer(place: Place, given: Mapping[str, Json]) -> tuple[str, str]:
    """The problems of a call, and its correction."""
    correction = corrected.arguments(place.tool, given, lambda _: False)
    return "\n".join(arguments.check(place.tool, given)), correction or ""


def holding(value: Json, name: str = "") -> Iterator[str]:
    """The names under which the caller's value stands."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from holding(entry, key)
    elif isinstance(value, list):
        for entry in value:
            yield from holding(entry, name)
    elif value == VALUE:
        yield name


def _letters(name: str) -> str:
    return "".join(tool_words.words(name))


@pytest.mark.parametrize("integration", INTEGRATIONS)
def test_the_name_of_another_thing_is_taken_for_no_name_that_ends_as_it_does(integration: str) -> None:
    seen = 0
    for place in places(integration):
        for thing in THINGS:
            wrong = "_".join([thing, *tool_words.words(place.name)[1:]])
            problems, correction = answer(place, place.given(wrong))
            ending = _letters(wrong).removeprefix(thing)
            proposed = re.findall(r'did you mean "([^"]*)"', problems)
            proposed += holding(json.loads(correction)) if correction else []
            others = [name for name in proposed if name != wrong and _letters(name) != ending]
            crossed = [name for name in others if _letters(name).endswith(ending)]
            assert not crossed, (place.tool.tool.name, wrong, problems, correction)
            seen += 1
    assert seen


@pytest.mark.parametrize("integration", INTEGRATIONS)
def test_a_name_with_two_letters_swapped_is_still_proposed(integration: str) -> None:
    seen = 0
    for place in places(integration):
        first, *rest = tool_words.words(place.name)
        wrong = "_".join([f"{first[:-2]}{first[-1]}{first[-2]}", *rest])
        if tool_words.words(wrong) == tool_words.words(place.name):
            continue
        problems, _ = answer(place, place.given(wrong))
        if not problems:
            continue  # an object that takes any name
        assert f'"{place.name}"' in problems, (place.tool.tool.name, wrong, problems)
        seen += 1
    assert seen
