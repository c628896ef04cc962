"""YAML is read as YAML 1.2 reads it, with the line of every value, in bounded time."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tool_catalog import yaml_source
from tool_catalog.yaml_source import read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("1:30", "1:30"),
        ("2026-12-31", "2026-12-31"),
        ("0777", "0777"),
        ("1_000", "1_000"),
        (".5", ".5"),
        ("0x1F", "0x1F"),
        ("'true'", "true"),
        ('"12"', "12"),
        ("TRUE", "TRUE"),
    ],
)
def test_a_plain_scalar_is_what_json_knows_or_a_string(text: str, value: Any) -> None:
    source, problems = read("x.yaml", f"key: {text}\n")
    assert problems == []
    assert source.data == {"key": value}
    assert type(source.data["key"]) is type(value)


def test_every_value_knows_its_line_also_below_an_alias() -> None:
    source, problems = read("x.yaml", "a: &part\n  b: 1\nc:\n  - 2\n  - *part\n")
    assert problems == []
    assert source.line(("a", "b")) == 2
    assert source.line(("c", 0)) == 4
    assert source.line(("c", 1, "b")) == 2
    assert source.line(("c", 7, "nothing")) == 3


def test_all_duplicate_keys_of_a_file_are_told() -> None:
    _, problems = read("x.yaml", "a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [str(problem) for problem in problems] == [
        'x.yaml:2: duplicate key "c"; first on line 2',
        'x.yaml:3: duplicate key "a"; first on line 1',
    ]


def test_aliases_that_multiply_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_source, "MAX_NODES", 1000)
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    _, problems = read("x.yaml", "\n".join(lines))
    assert [str(problem) for problem in problems] == [
        "x.yaml:1: expands to over 1000 values; are aliases nested in aliases?"
    ]


def test_libyaml_and_pyyaml_give_the_same_data(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, 'no', no, {b: true}]\nc: |\n  two\n  lines\nd: >-\n  folded\n  text\ne: ~\n'<<': quoted\n"
    fast, _ = read("x.yaml", text)
    monkeypatch.delattr(yaml, "CBaseLoader", raising=False)
    slow, problems = read("x.yaml", text)
    assert problems == []
    assert slow.data == fast.data
    assert slow.lines == fast.lines


@pytest.mark.parametrize("text", ["[" * 50_000, "{a: " * 50_000, "- " * 50_000, "&a [" * 5_000 + "]" * 5_000])
def test_endless_nesting_is_a_problem_and_not_a_crash(text: str) -> None:
    _, problems = read("x.yaml", text)
    assert len(problems) == 1


@given(st.text(alphabet=st.sampled_from(list("ab:-[]{}&*!|>#'\"%@`,?~ \n\t\x00\u2028é0.")), max_size=60))
def test_no_text_at_all_is_a_crash(text: str) -> None:
    source, problems = read("x.yaml", text)
    assert problems or source.data is not None or source.lines
    assert all(problem.file == "x.yaml" and problem.line >= 1 for problem in problems)
