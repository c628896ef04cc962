"""Whatever an upstream answers, a result is valid JSON within its caps, and what is not in it is accounted for."""

from __future__ import annotations

import json

import jmespath
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from functions.gateway import answers, results
from functions.gateway.answers import Answer
from functions.gateway.errors import TooLargeAnswer, ToolFailure, WrongArguments
from functions.gateway.expressions import Fields
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json, size, text, well_formed
from functions.gateway.model_tokens import at_most
from functions.gateway.paging import Position
from functions.gateway.prepared import prepare
from functions.gateway.settings import Settings
from tests.gateway.calling import tool
from tool_catalog.catalog import Result, Tool
from tool_catalog.request_template import Pagination, Parameter

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["\ud800", "x\udfff", '"' * 300, "\\" * 300, "\u0001" * 300, "é" * 400, "😀" * 200])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(st.characters(), max_size=6), inner, max_size=6)
    ),
    max_leaves=20,
)
RECORDS = st.lists(VALUES, max_size=12)
CAPS = st.builds(
    Settings,
    max_result_bytes=st.integers(1_000, 4_000),
    max_string_chars=st.integers(100, 500),
    max_array_items=st.integers(1, 20),
)
PAGED = tool(
    result=Result(items="results"),
    pagination=Pagination("page", Parameter("query", "page"), Parameter("query", "size"), 20, 100),
)
PLAIN = tool(name="find", method="find", result=Result(items="results"))
ONE = tool(name="get", method="get")


def shaped(entry: Tool, answer: Answer, caps: Settings, arguments: dict[str, Json] | None = None) -> dict[str, Json]:
    return results.shape(prepare(entry, ServerConfig()), answer, arguments or {}, None, caps)


COUNTED = ("strings_cut", "array_entries_left_out", "members_left_out")


def check(body: dict[str, Json], caps: Settings) -> None:
    encoded = text(body).encode()
    assert len(encoded) == size(body) <= caps.max_result_bytes
    assert json.loads(encoded, parse_constant=lambda name: 1 / 0) == body
    if "truncated" in body.get("_postern", {}):
        cut = body["_postern"]["truncated"]
        assert cut["items_left_out"] or cut["strings_cut"] or cut["array_entries_left_out"] or cut["members_left_out"]
        assert cut["how_to_get_the_rest"]


def left_out(given: Json, handed_on: Json) -> tuple[int, int, int]:
    """Strings cut, array entries and members left out, counted by walking both."""
    if isinstance(given, str):
        return int("…[cut: " in handed_on and "…[cut: " not in given), 0, 0
    if isinstance(given, list):
        parts = [left_out(a, b) for a, b in zip(given, handed_on, strict=False)]
        return added(*parts, (0, len(given) - len(handed_on), 0))
    if isinstance(given, dict):
        assume(len({well_formed(name) for name in given}) == len(given))
        kept = {name: value for name, value in given.items() if well_formed(name) in handed_on}
        assert [well_formed(name) for name in kept] == list(handed_on), "in the order of the upstream"
        parts = [left_out(value, handed_on[well_formed(name)]) for name, value in kept.items()]
        return added(*parts, (0, 0, len(given) - len(kept)))
    return 0, 0, 0


def added(*parts: tuple[int, int, int]) -> tuple[int, int, int]:
    return sum(part[0] for part in parts), sum(part[1] for part in parts), sum(part[2] for part in parts)


@given(RECORDS, CAPS, st.integers(0, 3), st.none() | st.integers(100, 2_000))
@settings(max_examples=300, deadline=None)
def test_a_page_is_within_its_caps_and_accounts_for_all_it_leaves_out(
    records: list[Json], caps: Settings, skip: int, tokens: int | None
) -> None:
    position = Position("1", 20, skip)
    after = Position("2", 20)

    def shape(arguments: dict[str, Json]) -> dict[str, Json]:
        return shaped(PAGED, Answer(200, {}, records, position, after), caps, arguments)

    try:
        body = shape({} if tokens is None else {"max_tokens": tokens})
    except TooLargeAnswer:
        return
    except WrongArguments as wrong:
        assert tokens is not None
        needed = int(wrong.problems[0].rsplit(" ", 1)[1])
        assert shape({"max_tokens": needed})["result"], "the number it asks for is enough"
        return
    check(body, caps)
    if tokens is not None:
        assert at_most(text(body)) <= tokens
    due = records[skip:]
    kept = body["result"]
    assert len(kept) == body["result_count"]
    cut = body.get("_postern", {}).get("truncated", dict.fromkeys(COUNTED, 0) | {"items_left_out": 0})
    assert len(kept) + cut["items_left_out"] == len(due)
    assert kept or not due, "an answer gets on or fails"
    parts = [left_out(given, handed_on) for given, handed_on in zip(due, kept, strict=False)]
    assert tuple(cut[name] for name in COUNTED) == added(*parts)
    expected = after if len(kept) == len(due) else Position("1", 20, skip + len(kept))
    assert body["next_cursor"] == expected.cursor()


@given(RECORDS, st.dictionaries(st.sampled_from(["total", "facets", "next"]), VALUES, max_size=3), CAPS)
@settings(max_examples=200, deadline=None)
def test_a_list_without_our_envelope_is_within_its_caps(
    records: list[Json], others: dict[str, Json], caps: Settings
) -> None:
    document = {**others, "results": records}
    try:
        body = shaped(PLAIN, Answer(200, document, records), caps)
    except TooLargeAnswer:
        return
    check(body, caps)
    left = body.get("_postern", {}).get("truncated", {}).get("items_left_out", 0)
    assert len(body["results"]) + left == len(records)
    assert set(others) <= set(body)


@given(VALUES, CAPS)
@settings(max_examples=200, deadline=None)
def test_an_object_is_within_its_caps(document: Json, caps: Settings) -> None:
    try:
        body = shaped(ONE, Answer(200, document), caps)
    except TooLargeAnswer:
        return
    check(body, caps)


NAMES = st.sampled_from(["id", "memory", "owner", "tags", "metadata"])
OBJECTS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(0, 99)},
        optional={
            "memory": st.text(max_size=10),
            "owner": st.fixed_dictionaries({"id": st.integers(0, 9)}),
            "tags": st.lists(st.text(max_size=3), max_size=3),
            "metadata": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        },
    ),
    min_size=1,
    max_size=5,
)


@given(OBJECTS, st.lists(NAMES, min_size=1, unique=True))
@settings(max_examples=150, deadline=None)
def test_fields_give_what_jmespath_gives(records: list[Json], names: list[str]) -> None:
    expression = "{" + ", ".join(f"{name}: {name}" for name in names) + "}"
    wanted = [jmespath.search(expression, record) for record in records]
    assume(any(value is not None for record in wanted for value in record.values()))
    answer = Answer(200, {}, records, Position("1", 20))
    body = results.shape(prepare(PAGED, ServerConfig()), answer, {}, Fields(expression), Settings())
    assert body["result"] == wanted
    assert "_postern" not in body


@given(st.recursive(st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=3)))
@settings(max_examples=100, deadline=None)
def test_no_answer_of_another_kind_is_taken_for_a_list(document: Json) -> None:
    try:
        found = answers.objects(PLAIN, document)
    except ToolFailure:
        return
    assert isinstance(document, dict)
    assert found == (document["results"] or [])
