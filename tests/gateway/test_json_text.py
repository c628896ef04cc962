"""What counts as JSON, how much of it is read, and what it looks like when written."""

from __future__ import annotations

import json
from math import inf

import pytest

from functions.gateway import json_text
from functions.gateway.json_text import MAX_DEPTH, Json, NotJson

REFUSED = [
    (b"\xff{}", "byte 0 is not UTF-8"),
    (b"", "Expecting value at line 1, column 1"),
    (b'{"a": 1,\n]', "line 2, column 1"),
    (b"1 2", "Extra data at line 1, column 3"),
    (b"{} \n {}", "Extra data at line 2, column 2"),
    (b"[NaN]", "NaN is not a JSON number"),
    (b"[-Infinity]", "-Infinity is not a JSON number"),
    (b"[1e999]", "the number 1e999 is out of range"),
    (b"[" + b"9" * 5_000 + b"]", "a number of 5,000 digits is too long; at most 4,300 are taken"),
    (b'["\\ud800"]', "a string holds half of a surrogate pair"),
    (b'{"\\udc00": 1}', "a string holds half of a surrogate pair"),
    (b"[" * 101 + b"]" * 101, "it is nested more than 100 levels deep"),
    (b'{"a":' * 101 + b"1" + b"}" * 101, "it is nested more than 100 levels deep"),
    (b"[" * 100_000, "it is nested more than 100 levels deep"),
    (b"\xef\xbb\xbf{}", "BOM"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_text_that_is_not_strict_json_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(NotJson) as refused:
        json_text.decode(body)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(10**4_000), 1.5, "", "é\u2028\U0001f600", [], {}, {"a": [{"b": None}]}, "{" * 500],
    ids=repr,
)
def test_what_is_written_is_read_again(value: Json) -> None:
    assert json_text.decode(json_text.encode(value)) == value
    assert json_text.decode(json_text.text(value)) == value
    assert json_text.decode(json_text.canonical(value)) == value
    assert json_text.decode(json_text.readable(value)) == value


def test_a_document_of_the_most_levels_is_read() -> None:
    assert json_text.decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_text_with_half_a_surrogate_pair_in_it_is_refused_as_its_escape_is() -> None:
    with pytest.raises(NotJson, match="half of a surrogate pair"):
        json_text.decode('["\ud800"]')


def test_an_upstream_may_write_what_the_shaping_mends() -> None:
    assert json_text.decode_lenient(b'\xef\xbb\xbf[1e999, "\\ud800"]') == [inf, "\ud800"]
    for body in (b"[NaN]", b"<html>", b"\xff", b"[" + b"1" * 5_000 + b"]", b"[" * 100_000):
        with pytest.raises(NotJson):
            json_text.decode_lenient(body)


def test_sizes_are_bytes_of_compact_utf_8() -> None:
    value = {"a": [1, "é"]}
    assert json_text.encode(value) == '{"a":[1,"é"]}'.encode()
    assert json_text.size(value) == len(json_text.encode(value)) == 14
    assert json_text.encode("\ud800") == b'"?"'
    assert json_text.size("\ud800") == 3


@pytest.mark.parametrize("value", ["\ud800", inf, -inf, float("nan"), {"\udfff": 1}], ids=ascii)
def test_strict_encoding_refuses_what_no_document_can_hold(value: Json) -> None:
    with pytest.raises(ValueError):
        json_text.encode_strictly(value)


def test_equal_values_have_one_canonical_form() -> None:
    assert json_text.canonical({"b": 1, "a": "é"}) == json_text.canonical({"a": "é", "b": 1})
    assert json_text.canonical({"b": 1, "a": "é"}) == b'{"a":"\\u00e9","b":1}'


def test_people_read_indented_or_spaced_text() -> None:
    assert json_text.readable({"a": ["é"]}) == json.dumps({"a": ["é"]}, indent=2, ensure_ascii=False)
    assert json_text.spaced({"a": [1, 2]}) == '{"a": [1, 2]}'


@pytest.mark.parametrize(
    ("text", "mended"),
    [("plain", "plain"), ("é\U0001f600", "é\U0001f600"), ("a\ud83db", "a�b"), ("\udc00", "�")],
    ids=ascii,
)
def test_half_of_a_surrogate_pair_becomes_the_replacement_character(text: str, mended: str) -> None:
    assert json_text.well_formed(text) == mended


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("finite", [True, False])
def test_a_python_without_the_encoder_in_c_writes_what_others_write(escaped: bool, by_name: bool, finite: bool) -> None:
    ours, slow = (
        json_text._writer(escaped=escaped, by_name=by_name, finite=finite, **how) for how in ({}, {"make": None})
    )
    value: Json = {"b": [1, 1.5, -(10**30), True, None], "a": {"é \u2028 \U0001f600": '\n"', "": []}}
    for _ in range(3):
        assert slow(value) == ours(value)
    for write in (ours, slow):
        if finite:
            with pytest.raises(ValueError, match="JSON compliant"):
                write({"n": inf})
        else:
            assert write({"n": inf}) == '{"n":Infinity}'
