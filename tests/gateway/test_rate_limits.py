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
        ("6m0s", 360),
        ("1h2m3.5s", 3_724),
        ("250ms", 1),
        ("17s", 17),
        ("1d", 86_400),
        ("s", None),
        ("6m 0s", None),
        ("2026-11-21T12:00:45Z", 45),
        ("2026-11-21T13:00:45+01:00", 45),
        ("2026-11-21T12:00:45", None),
        ("17, 42", 42),
        ("42, 17", 42),
        ("17, soon", None),
        ("Sat, 21 Nov 2026 12:00:09 GMT, Sat, 21 Nov 2026 12:00:45 GMT", 45),
        ("5, Sat, 21 Nov 2026 12:00:45 GMT", 45),
        ("2764800", 2_764_800),
        ("2764801", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("Sat, 21 Nov 2026 12:00:45 +9999999999", None),
        ("Sat, 21 Nov 9999 12:00:45 GMT", None),
        ("9" * 5_000, None),
        ("1_000", None),
        ("1e3", None),
        ("infs", None),
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


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"ratelimit": '"default";r=0;t=41'}, RateLimit(None, 0, 41, 41)),
        ({"ratelimit": '"default";r=0;t=41', "ratelimit-policy": '"default";q=100;w=60'}, RateLimit(100, 0, 41, 41)),
        (
            {
                "ratelimit": '"burst";r=3;t=1, "day";r=0;t=7200;pk=:cHs=:',
                "ratelimit-policy": '"burst";q=10;w=1,"day";q=1000;qu="requests";w=86400',
            },
            RateLimit(1_000, 0, 7_200, 7_200),
        ),
        ({"ratelimit": "default;r=0;t=41"}, RateLimit(None, 0, 41, 41)),
        ({"ratelimit": "limit=10, remaining=0, reset=42"}, RateLimit(10, 0, 42, 42)),
        ({"ratelimit": "limit=10,remaining=0,reset=42", "ratelimit-policy": "10;w=60"}, RateLimit(10, 0, 42, 42)),
        ({"ratelimit-policy": '"default";q=100;w=60'}, RateLimit(100)),
        ({"ratelimit-limit": "100", "ratelimit-remaining": "0", "ratelimit-reset": "42"}, RateLimit(100, 0, 42, 42)),
        ({"x-rate-limit-limit": "15", "x-rate-limit-reset": epoch(30)}, RateLimit(15, None, 30, 30)),
        ({"retry-after-ms": "1500"}, RateLimit(retry_after_seconds=2)),
        ({"retry-after-ms": "1500", "retry-after": "9"}, RateLimit(retry_after_seconds=2)),
        ({"retry-after-ms": "soon", "retry-after": "9"}, RateLimit(retry_after_seconds=9)),
        ({"x-ratelimit-reset": "6m0s"}, RateLimit(reset_seconds=360, retry_after_seconds=360)),
        ({"ratelimit": "9" * 5_000, "x-ratelimit-limit": "9" * 5_000}, None),
        ({"ratelimit": '"default";r=' + "9" * 5_000}, RateLimit()),
        ({"ratelimit": '"default', "ratelimit-policy": ";;;;====,,,,"}, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_429_is_read_in_every_dialect(headers: dict[str, str], found: RateLimit | None) -> None:
    assert read(headers, {}, 429, NOON) == (None if found == RateLimit() else found)


DIALECTS = st.sampled_from(
    ["retry-after", "retry-after-ms", "ratelimit", "ratelimit-policy", "ratelimit-reset", "x-ratelimit-limit"]
)
PIECES = st.sampled_from(
    [*("1", "99999999999999999999", "r=0", "t=1", "q=", "6m", "ms", "Sat, ", "GMT", "e9", "é"), *';,"=-.']
)


@given(st.dictionaries(DIALECTS, st.lists(PIECES, max_size=40).map("".join)))
def test_nonsense_in_the_grammar_of_any_dialect_is_no_time(headers: dict[str, str]) -> None:
    found = read(headers, {}, 429, NOON)
    if found is not None:
        assert all(value is None or 0 <= value < 10**15 for value in found.to_json().values())
