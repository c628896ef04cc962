"""A document decoded in pieces is the one that Python decodes as a whole, and no piece is a large one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway import json_text
from functions.gateway.json_pieces import MAX_LEVELS, WINDOW, decoded, loads
from functions.gateway.json_text import NotJson

SCAN = json.JSONDecoder().scan_once  # type: ignore[attr-defined]

NAMES = st.text(alphabet='ab,"{}[]: \\é', max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(NAMES, inner, max_size=12),
    max_leaves=60,
)
STYLES: tuple[dict[str, Any], ...] = ({}, {"separators": (",", ":")}, {"indent": 1}, {"separators": (" ,\t", " :\r\n")})

MEMBERS = 300_000
SHAPES: dict[str, Callable[[], str]] = {
    "members of one object": lambda: "{" + ",".join(f'"key{n:08}":{n}' for n in range(MEMBERS)) + "}",
    "objects of one list": lambda: json.dumps(
        {"results": [{"id": n, "tags": ["a", {"b": "c"}]} for n in range(MEMBERS // 3)]}
    ),
    "indented": lambda: json.dumps([{"id": n, "in": {"a": [n]}} for n in range(MEMBERS // 6)], indent=2),
    "empty lists": lambda: "[" + ",".join(["[]"] * MEMBERS) + "]",
    "numbers": lambda: json.dumps({"a": {"b": list(range(MEMBERS))}}),
    "one string": lambda: json.dumps({"text": 'a,"b"' * MEMBERS, "after": [1]}),
    "of two kinds": lambda: (
        "[{" + ",".join(f'"{n}":1' for n in range(50_000)) + "}," + ",".join(["[]"] * MEMBERS) + "]"
    ),
    "entries that look like their end": lambda: json.dumps([{"a": '},{",' * 5, "n": [{}, {}]} for _ in range(50_000)]),
    "many levels": lambda: "[" * 90 + "[{" + "},{".join('"a":1' for _ in range(MEMBERS // 3)) + "}]" + "]" * 90,
}
"""Made by the test that reads them: together they are as large as all other modules."""


@pytest.mark.slow
@given(VALUES, st.sampled_from(STYLES), st.integers(2, 60))
def test_a_document_is_read_as_python_reads_it(value: Any, style: dict[str, Any], window: int) -> None:
    text = f" {json.dumps(value, ensure_ascii=False, **style)}\n"
    assert decoded(text, SCAN, window) == value


@pytest.mark.slow
@given(VALUES, st.sampled_from(STYLES), st.integers(2, 60), st.data())
def test_what_python_refuses_is_refused(value: Any, style: dict[str, Any], window: int, data: st.DataObject) -> None:
    text = json.dumps(value, **style)
    at = data.draw(st.integers(0, len(text) - 1))
    text = text[:at] + data.draw(st.sampled_from(["", ",", "]", "}", '"', "1", "\\", "x"])) + text[at + 1 :]
    try:
        whole = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match="line"):
            decoded(text, SCAN, window)
    else:
        assert decoded(text, SCAN, window) == whole


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_no_piece_is_larger_than_a_window_and_little_is_decoded_twice(shape: str) -> None:
    """Python's decoder holds every other thread until it returns, so what it is given at once is what others wait for.
    A string is one value, whatever its length."""
    text = SHAPES[shape]()
    pieces: list[int] = []

    def scan(given: str, at: int) -> Any:
        ends = len(given)
        try:
            found, ends = SCAN(given, at)
        finally:
            if given[at] != '"':
                pieces.append(ends - at)
        return found, ends

    assert decoded(text, scan) == json.loads(text)
    assert max(pieces) <= WINDOW + 2
    assert sum(pieces) <= 3 * len(text)
    assert len(pieces) <= MEMBERS // 2


def test_levels_without_end_are_too_deep() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]" * 50_000):
        with pytest.raises(NotJson, match="nested more than 100 levels deep"):
            json_text.decode_large(text + " " * WINDOW)


@pytest.mark.slow
def test_an_upstream_s_answer_is_read_with_the_same_leniency_in_pieces() -> None:
    generator = random.Random(7)
    value = {f"n{n}": [generator.random(), "é\ud800"] for n in range(20_000)}
    text = json.dumps(value)
    assert len(text) > 3 * WINDOW
    assert json_text.decode_large(b"\xef\xbb\xbf" + text.encode()) == value == loads(json.JSONDecoder(), text)
    for end, words in (
        ("NaN]", "NaN is not"),
        ("9" * 5_000 + "]", "a number of 5,000 digits is too long"),
        ("", "line"),
    ):
        with pytest.raises(NotJson, match=words):
            json_text.decode_large(f"[{text},{end}")


def test_levels_that_are_larger_than_a_window_are_bounded() -> None:
    inner = ",".join(["1"] * 30)
    for levels in (MAX_LEVELS // 2, MAX_LEVELS):
        text = "[" * levels + inner + "]" * levels
        assert decoded(text, SCAN, 10) == json.loads(text)
    for levels in (MAX_LEVELS + 2, 2 * MAX_LEVELS):
        with pytest.raises(RecursionError):
            decoded("[" * levels + inner + "]" * levels, SCAN, 10)


@pytest.mark.parametrize(
    "text", ["[[],,]", "[1,,2]", "[ 1,]", '{"a":1,}', "[1,2,3,", "[1,2,3, ", '{"a":1,"b":2,', "[[1],[2],", '["a","b",']
)
@pytest.mark.parametrize("window", [2, 4, 60])
def test_a_document_that_lacks_a_member_between_or_after_commas_is_refused(text: str, window: int) -> None:
    with pytest.raises(ValueError, match="line"):
        decoded(text, SCAN, window)


@pytest.mark.parametrize(
    "text", ['{"a" 1, "b": [1, 2]}', '{"a", "b": 1}', '{"a"}', '{"a": 1, "b" [1, 2]}', '{"a": {"b" "c"}}']
)
@pytest.mark.parametrize("window", [2, 4, 60])
def test_a_name_without_a_colon_is_refused_where_python_refuses_it(text: str, window: int) -> None:
    with pytest.raises(json.JSONDecodeError) as whole:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError) as found:
        decoded(text, SCAN, window)
    assert (found.value.msg, found.value.pos) == (whole.value.msg, whole.value.pos)
