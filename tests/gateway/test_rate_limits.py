"""What upstreams say about their limits, whatever form they say it in, becomes seconds from now."""

from __future__ import annotations

from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.rate_limits import RateLimit, read
from tests.gateway.calling import NOON

OWN = {"limit": "X-Quota-Max", "remaining": "X-Quota-Left", "reset": "X-Quota-Until", "retry_after": "X-Wait"}


def epoch(seconds: float) -> str:
    return str(NOON.timestamp() + seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("17", 17),
        ("0", 0),
        ("1.2", 2),
        (" 5 ", 5),
        (epoch(30), 30),
        (epoch(-30), 0),
        (str(int(NOON.timestamp() * 1000) + 1500), 2),
        (format_datetime(NOON.replace(second=45), usegmt=True), 45),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("Saturday, 21-Nov-26 12:00:09 GMT", 9),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e300", None),
        ("Sat, 99 Nov 2026 12:00:00 GMT", None),
        ("Sat, 21 Nov 2026 12:00:45 -0000", None),
    ],
)
def test_a_time_in_any_form_is_whole_seconds_from_now(text: str, seconds: int | None) -> None:
    found = read({"retry-after": text}, {}, 200, NOON)
    assert found == (None if seconds is None else RateLimit(retry_after_seconds=seconds))


def test_the_integrations_own_names_come_before_the_common_ones() -> None:
    headers = {
        "x-quota-max": "100",
        "x-quota-left": "7",
        "x-quota-until": "60",
        "x-wait": "3",
        "ratelimit-limit": "1",
        "ratelimit-remaining": "1",
        "ratelimit-reset": "1",
        "retry-after": "1",
    }
    assert read(headers, OWN, 200, NOON) == RateLimit(100, 7, 60, 3)


def test_the_common_names_serve_where_the_integration_has_none() -> None:
    headers = {"x-ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "7", "ratelimit-reset": "60"}
    assert read(headers, {}, 200, NOON) == RateLimit(100, 7, 60, None)


def test_a_429_without_retry_after_waits_for_the_reset() -> None:
    assert read({"ratelimit-reset": "9"}, {}, 429, NOON) == RateLimit(reset_seconds=9, retry_after_seconds=9)
    assert read({"ratelimit-reset": "9"}, {}, 200, NOON) == RateLimit(reset_seconds=9)


@pytest.mark.parametrize("text", ["many", "-1", "", "٣", "1e3", ";", "1.5"])
def test_a_count_that_is_no_whole_number_is_not_invented(text: str) -> None:
    assert read({"ratelimit-remaining": text}, {}, 200, NOON) is None


def test_a_limit_is_told_as_json_and_as_headers() -> None:
    found = RateLimit(60, 0, 17, None)
    assert found.to_json() == {"limit": 60, "remaining": 0, "reset_seconds": 17, "retry_after_seconds": None}
    assert found.headers() == {"ratelimit-limit": "60", "ratelimit-remaining": "0", "ratelimit-reset": "17"}


@given(st.dictionaries(st.sampled_from(["retry-after", "ratelimit-reset", "ratelimit-limit"]), st.text(max_size=60)))
def test_no_header_value_breaks_the_reading(headers: dict[str, str]) -> None:
    found = read(headers, {}, 429, NOON)
    if found is not None:
        assert all(value is None or value >= 0 for value in found.to_json().values())


NAMES = (
    "retry-after",
    *("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
)


@pytest.mark.parametrize(
    "text",
    [
        *("9" * 5_000, "-" + "9" * 5_000, "1e400", "nan", "inf"),
        *("Wed, 21 Oct 99999999999 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 +9999999999"),
        *("Wed, 21 Oct 9999 23:59:59 -2359", "Wed, 99 Xxx 2015"),
        *("\ud800", "٣", "", " ", ";;;", "x" * 100_000),
    ],
)
@pytest.mark.parametrize("status", [200, 429, 503])
def test_whatever_an_upstream_sends_is_read_without_a_failure(text: str, status: int) -> None:
    """A limit of 5,000 digits, and a date in the year 99999999999, turned a write that was done into a 500."""
    found = read(dict.fromkeys(NAMES, text), {}, status, NOON)
    assert found is None or all(value is None or value >= 0 for value in found.to_json().values())
