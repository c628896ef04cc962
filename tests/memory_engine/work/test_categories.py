"""Categories by rule: few, and only where a word speaks for one."""

from __future__ import annotations

import pytest

from functions.memory_engine.work import categories


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I ran the Lisbon marathon.", ("sports",)),
        ("I prefer a vegetarian restaurant.", ("food", "user_preferences")),
        ("All our backends run on AWS Lambda.", ("misc",)),
        ("We moved to Google Cloud.", ("misc",)),
        ("The whole team agreed.", ("misc",)),
    ],
)
def test_a_word_with_many_meanings_speaks_for_no_category(text: str, expected: tuple[str, ...]) -> None:
    assert categories.of(text) == expected
