"""Durations, times, arguments and tables as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.cli import durations, tool_arguments
from functions.cli.invocation import UsageError
from functions.cli.tables import Details, Table, count
from functions.cli.terminal import printable

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)

SCHEMA = {
    "properties": {
        "query": {"type": "string"},
        "top_k": {"type": "integer"},
        "infer": {"type": "boolean"},
        "threshold": {"type": "number"},
        "since": {"type": ["string", "number"]},
        "ids": {"type": "array", "items": {"type": "string"}},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "turns": {"type": "array", "items": {"type": "object", "properties": {"role": {"type": "string"}}}},
        "filters": {"type": "object", "properties": {"top_k": {"type": "integer"}}},
    }
}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1h30m", 5_400), ("1d1s", 86_401)],
)
def test_a_duration_is_numbers_and_units(text: str, seconds: int) -> None:
    assert durations.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "15", "m", "15x", "-5m", "1.5h", "15m ", "15 m", "m15"])
def test_what_is_no_duration_is_refused_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        durations.duration(text)
    assert str(refused.value) == (
        f'"{text}" is not a duration; write a whole number and a unit, e.g. 90s, 15m, 2h or 7d'
    )


def test_no_time_at_all_is_no_life() -> None:
    with pytest.raises(UsageError, match=r'^"0m" is too short; the minimum is 1s$'):
        durations.duration("0m")


def _expiry(expires_in: str | None = None, expires_at: str | None = None) -> str | None:
    return durations.expiry(durations.Expiry(expires_in=expires_in, expires_at=expires_at), NOW)


def test_a_life_ends_on_a_whole_second_and_never_early() -> None:
    assert _expiry(expires_in="15m") == "2026-11-21T12:15:01Z"


def test_a_time_of_any_offset_is_sent_in_utc() -> None:
    assert _expiry(expires_at="2026-12-31T23:59:59+02:00") == "2026-12-31T21:59:59Z"


def test_without_an_expiry_nothing_is_said() -> None:
    assert _expiry() is None


@pytest.mark.parametrize("text", ["tomorrow", "2026-12-31T23:59:59", "2026-13-01T00:00:00Z"])
def test_a_time_without_an_offset_or_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        _expiry(expires_at=text)
    assert str(refused.value) == f'--expires-at is "{text}"; write a time with its offset, e.g. 2026-12-31T23:59:59Z'


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (None, "never"),
        ("2026-11-21T12:15:00Z", "2026-11-21T12:15:00Z (in 15 min)"),
        ("2026-11-21T12:00:30Z", "2026-11-21T12:00:30Z (in 30 s)"),
        ("2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z (in 23 h)"),
        ("2026-12-31T12:00:00Z", "2026-12-31T12:00:00Z (in 40 d)"),
        ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z (past)"),
    ],
)
def test_an_end_is_told_with_what_is_left(ends: str | None, told: str) -> None:
    assert durations.until(ends, NOW) == told


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["query=a=b"], {"query": "a=b"}),
        (["top_k=5"], {"top_k": 5}),
        (["infer=false", "threshold=0.5"], {"infer": False, "threshold": 0.5}),
        (["since=2026"], {"since": "2026"}),
        (["ids=a,b"], {"ids": ["a", "b"]}),
        (["sizes=1,2"], {"sizes": [1, 2]}),
        (['ids=["a,b"]'], {"ids": ["a,b"]}),
        (["filters.user_id=u1", "filters.top_k=3"], {"filters": {"user_id": "u1", "top_k": 3}}),
        (['filters={"user_id": "u1"}'], {"filters": {"user_id": "u1"}}),
        (["query:=null", "unknown=1"], {"query": None, "unknown": "1"}),
        (['unknown:={"a": [1]}'], {"unknown": {"a": [1]}}),
        (["url=http://x:=1"], {"url": "http://x:=1"}),
    ],
)
def test_words_become_what_the_schema_asks_for(words: list[str], arguments: dict[str, Any]) -> None:
    assert tool_arguments.read(words, None, SCHEMA) == arguments


def test_words_are_added_to_a_whole_object() -> None:
    whole = '{"query": "tea", "filters": {"user_id": "u1"}}'
    assert tool_arguments.read(["filters.agent_id=a1"], whole, SCHEMA) == {
        "query": "tea",
        "filters": {"user_id": "u1", "agent_id": "a1"},
    }


@pytest.mark.parametrize(
    ("words", "whole", "message"),
    [
        (["query"], None, '"query" is not an argument; write key=value, key.sub=value or key:=JSON'),
        (["=x"], None, '"=x" is not an argument; write key=value, key.sub=value or key:=JSON'),
        (["query=a", "query=b"], None, '"query" is given twice'),
        (["top_k=five"], None, "top_k is 'five'; it must be a whole number"),
        (["infer=yes"], None, "infer is 'yes'; it must be true or false"),
        (
            ["filters=u1"],
            None,
            "filters is 'u1'; it must be an object in JSON, or its members one by one, e.g. filters.top_k=...",
        ),
        (["sizes=1,two"], None, "sizes is 'two'; it must be a whole number"),
        (
            ["turns=I like tea"],
            None,
            """turns is 'I like tea'; it must be a list of objects, e.g. turns:='[{"role": ...}]'""",
        ),
        (["infer:=yes"], None, "infer is 'yes', which is not JSON: Expecting value at line 1, column 1"),
        (["query=a", "query.b=c"], None, '"query.b": "query" already has a value; it cannot also hold "b"'),
        ([], "[1]", "--arguments is [1]; it must be a JSON object"),
        ([], "{", None),
    ],
)
def test_words_that_cannot_be_read_are_refused(words: list[str], whole: str | None, message: str | None) -> None:
    with pytest.raises(UsageError) as refused:
        tool_arguments.read(words, whole, SCHEMA)
    if message is not None:
        assert str(refused.value) == message


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows: list[list[Any]] = [["a", ["x", "y"], {"user_id": "u1"}, None], ["long name", [], {}, True]]
    assert str(Table(("name", "tags", "pins", "on"), rows)) == (
        "NAME       TAGS  PINS        ON\na          x,y   user_id=u1  -\nlong name  -     -           yes"
    )


def test_details_are_one_a_line() -> None:
    assert str(Details([("id", "srv_1"), ("expires", None)])) == "id       srv_1\nexpires  -"


def test_counts_agree_with_their_noun() -> None:
    assert [count(1, "tool"), count(2, "tool"), count(0, "memory"), count(1, "memory")] == [
        "1 tool",
        "2 tools",
        "0 memories",
        "1 memory",
    ]


def test_a_name_from_elsewhere_cannot_rewrite_the_screen() -> None:
    assert printable("evil\x1b[2Jname\r\u202egpj") == "evil\\x1b[2Jname\\x0d\\x202egpj"


@given(st.text())
def test_what_is_printed_is_one_line_without_control_characters(text: str) -> None:
    shown = printable(text)
    assert "\n" not in shown
    assert all(char.isprintable() or char.isspace() for char in shown)
