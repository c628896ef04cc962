"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from functions.gateway.durations import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1h30m", 5_400), ("0h1s", 1)],
)
def test_parts_are_added_up(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["0s", "0d", "0h0m"])
def test_no_time_at_all_is_too_short(text: str) -> None:
    with pytest.raises(ValueError, match=r"^too short; the minimum is 1s$"):
        duration(text)


@pytest.mark.parametrize("text", ["", "5", "m", "1.5h", "-1h", "1h ", " 1h", "1h and 5m", "1w", "1000000s"])
def test_other_texts_are_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a duration; write a whole number and a unit"):
        duration(text)
