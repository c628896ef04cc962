"""JMESPath: what the catalogue may say, and how a caller's expression is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway.expressions import BadExpression, Fields, search
from tests.work import counted

CALLS_PER_STEP = 100
"""Calls that one counted step may cost: four times what the costliest expression below makes."""

STEPS = 20_000
"""Steps allowed here; counting the calls of each takes longer than to make them."""

RECORD = {"id": "a", "n": 3, "tags": ["x", "y"], "owner": {"name": "o"}, "text": "one two three"}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("id", "a"),
        ("{id: id, who: owner.name}", {"id": "a", "who": "o"}),
        ("[id, tags[0]]", ["a", "x"]),
        ("tags[?@ == 'y'] | [0]", "y"),
        ("length(tags)", 2),
        ("excerpt(text, `8`)", "one two…"),
        ("excerpt(text, `80`)", "one two three"),
        ("excerpt(nothing, `5`)", ""),
        ("nothing", None),
    ],
)
def test_an_expression_finds_what_jmespath_finds(expression: str, found: Any) -> None:
    assert search(expression, RECORD) == found
    assert Fields(expression).of([RECORD, RECORD]) == [found, found]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("{id: ", "Invalid jmespath expression: Incomplete expression"),
        ("", "Invalid JMESPath expression: cannot be empty"),
        ("x" * 1_001, "the expression has 1001 characters; at most 1000 are allowed"),
        ("(" * 1_000, "nested too deep"),
        ("!" * 1_000, "nested too deep"),
    ],
)
def test_an_expression_that_cannot_be_read_is_told_in_a_line(expression: str, told: str) -> None:
    with pytest.raises(BadExpression) as bad:
        Fields(expression)
    assert str(bad.value).startswith(told)
    assert "\n" not in str(bad.value)


@pytest.mark.parametrize(
    "expression",
    [
        "length(n)",
        "nosuch(id)",
        "tags[::0]",
        "sort(['a', `1`])",
        "ceil(to_number('inf'))",
        "merge(id)",
        "sum(tags)",
        "map(&length(@), tags[0])",
    ],
)
def test_an_expression_that_does_not_fit_a_record_is_told_in_a_line(expression: str) -> None:
    with pytest.raises(BadExpression) as bad:
        Fields(expression).of([RECORD])
    assert str(bad.value)
    assert "\n" not in str(bad.value)


BOMBS = {
    "references": " | ".join(["[@, @]"] * 100),
    "flattened": " | ".join(["[@, @][]"] * 90),
    "objects": " | ".join(["{a: @, b: @}"] * 60),
    "to_string": " | ".join(["[@, @]"] * 90) + " | to_string(@)",
    "strings": " | ".join(["join('', [to_string(@), to_string(@)])"] * 20),
    "compared": "(" + " | ".join(["[@, @]"] * 50) + ") == (" + " | ".join(["[@, @]"] * 50) + ")",
    "wide": " | ".join(["[@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@]"] * 20),
    "dots": ".".join(["[@, @]"] * 100),
    "mapped": "tags[*].["
    + ",".join(["@"] * 100)
    + "][].["
    + ",".join(["@"] * 100)
    + "][].["
    + ",".join(["@"] * 100)
    + "]",
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_an_expression_that_doubles_its_value_is_stopped(bomb: str) -> None:
    assert len(BOMBS[bomb]) <= 1_000
    projection = Fields(BOMBS[bomb], STEPS)

    def refused() -> BadExpression:
        with pytest.raises(BadExpression) as bad:
            projection.of([{**RECORD, "tags": ["x"] * 100}] * 50)
        return bad.value

    error, calls = counted(refused)
    assert calls < CALLS_PER_STEP * STEPS
    assert str(error) == "the expression produces too much output; select fewer fields"


def test_a_generous_projection_of_a_full_answer_is_within_the_bound() -> None:
    names = [f"field_{number}" for number in range(60)]
    records = [dict.fromkeys(names, "x" * 100) for _ in range(1_000)]
    expression = "{" + ", ".join(f"{name}: {name}" for name in names[:30]) + "}"
    assert len(Fields(expression).of(records)) == 1_000


WORDS = st.sampled_from(
    [
        "id",
        "tags",
        "@",
        "*",
        "[*]",
        "[]",
        "[0]",
        "[?n]",
        ".",
        "|",
        "{a: id}",
        "[id, n]",
        "length(@)",
        "`1`",
        "'x'",
        "==",
        "&&",
        "!",
        "(",
        ")",
    ]
)


def reason(expression: str) -> str:
    try:
        Fields(expression).of([RECORD, 7, None, "x", [RECORD]])
    except BadExpression as bad:
        return str(bad)
    return ""


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_expression_raises_anything_but_a_bad_expression(expression: str) -> None:
    assert "\n" not in reason(expression)


def test_a_catalogue_expression_on_an_answer_of_another_kind_is_told() -> None:
    with pytest.raises(BadExpression):
        search("{title: excerpt(memory, `80`)}", {"memory": 7})
