"""What "slow down" means: an upstream's rate-limit headers, normalised.

Every duration is in whole seconds from now, whatever the upstream sent: seconds, milliseconds, a duration, an epoch
time or a date. Nothing is invented: a value that is missing or cannot be read is None. Nothing raises, because a header
is decoration on an answer that has come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import ceil

from functions.gateway.value_classes import dataclass

EPOCH_THRESHOLD = 1_000_000_000
"""A reset value from here on is an epoch time in seconds (2001-09-09 and later), below it a number of seconds."""

MILLISECONDS_THRESHOLD = 100_000_000_000
"""A reset value from here on is an epoch time in milliseconds (in seconds it would be the year 5138)."""

MAX_SECONDS = 32 * 24 * 3600
"""Longest wait that is believed. The longest windows in use are months; a longer wait is a mistake or an attack."""

MAX_COUNT_DIGITS = 15
"""Digits of a count that are believed; an int64 has 19."""

MAX_VALUE_CHARS = 1_000
"""Characters of a header that are read. A date has 29, a list of several policies some hundred."""

PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
"""Beginnings of the common names of `limit`, `remaining` and `reset`, the first found first."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d))+")
_PART = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_ITEM = re.compile(
    r'(?:"([^"]*)"|([A-Za-z*][A-Za-z0-9_.*:/-]*))'
    r'((?:[ \t]*;[ \t]*[a-z*][a-z0-9_.*-]*(?:="[^"]*"|=[^;,"]*)?)*)'
)
_PARAMETER = re.compile(r"([a-z*][a-z0-9_.*-]*)=([0-9]+)")
_MEMBER = re.compile(r"(limit|remaining|reset)[ \t]*=[ \t]*([0-9]+)")
_BETWEEN_VALUES = re.compile(r",[ \t]*(?=[0-9]+(?:\.[0-9]+)?[ \t]*(?:,|$)|[A-Z][a-z]{2,8},)")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`limit` and `remaining` are requests; `reset_seconds` and `retry_after_seconds` are seconds from the answer."""

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: int | None = None
    retry_after_seconds: int | None = None

    def to_json(self) -> dict[str, int | None]:
        """The object under `_meta["postern/rate-limit"]` and in error envelopes."""
        return {
            "limit": self.limit,
            "remaining": self.remaining,
            "reset_seconds": self.reset_seconds,
            "retry_after_seconds": self.retry_after_seconds,
        }

    def headers(self) -> dict[str, str]:
        """As HTTP headers `ratelimit-limit`, `ratelimit-remaining`, `ratelimit-reset` and `retry-after`."""
        named = {
            "ratelimit-limit": self.limit,
            "ratelimit-remaining": self.remaining,
            "ratelimit-reset": self.reset_seconds,
            "retry-after": self.retry_after_seconds,
        }
        return {name: str(value) for name, value in named.items() if value is not None}


def read(headers: Mapping[str, str], names: Mapping[str, str], status: int, now: datetime) -> RateLimit | None:
    """Normalise the headers of an upstream answer; None when there is nothing in them.

    `headers`  lower-case names; the values of repeated lines are joined by commas.
    `names`    the integration's own header names for limit, remaining, reset and retry_after. The common names, the
               IETF drafts' `RateLimit` and `RateLimit-Policy`, and `Retry-After` are read too. A 429 without a wait
               takes the reset.
    """

    def first(kind: str) -> str | None:
        own = names.get(kind, "").lower()
        found = headers.get(own) or next(filter(None, (headers.get(f"{prefix}{kind}") for prefix in PREFIXES)), None)
        return found[:MAX_VALUE_CHARS] if found else None

    drafted = _drafted(headers)
    limit = _count(first("limit"))
    remaining = _count(first("remaining"))
    reset = _seconds(first("reset"), now)
    limit = drafted.limit if limit is None else limit
    remaining = drafted.remaining if remaining is None else remaining
    reset = drafted.reset_seconds if reset is None else reset
    retry_after = _seconds(headers.get(names.get("retry_after", "").lower()), now)
    if retry_after is None:
        retry_after = _milliseconds(headers.get("retry-after-ms"))
    if retry_after is None:
        retry_after = _seconds(headers.get("retry-after"), now)
    if status == 429 and retry_after is None:
        retry_after = reset
    if limit is None and remaining is None and reset is None and retry_after is None:
        return None
    return RateLimit(limit, remaining, reset, retry_after)


def _drafted(headers: Mapping[str, str]) -> RateLimit:
    """The IETF drafts' own fields: `limit=10, remaining=0, reset=42` up to draft 7, later `"name";r=0;t=42` beside a
    `RateLimit-Policy` of `"name";q=10;w=60`. Of several policies, the one with the least left and the longest wait."""
    if "ratelimit" not in headers and "ratelimit-policy" not in headers:
        return RateLimit()
    text = headers.get("ratelimit", "")[:MAX_VALUE_CHARS]
    if members := dict(_MEMBER.findall(text)):
        return RateLimit(_count(members.get("limit")), _count(members.get("remaining")), _bounded(members.get("reset")))
    policies = dict(_items(headers.get("ratelimit-policy", "")))
    limits = [
        RateLimit(_count(policies.get(name, {}).get("q")), _count(parameters.get("r")), _bounded(parameters.get("t")))
        for name, parameters in _items(text)
    ]
    if not limits:
        quotas = [quota for policy in policies.values() if (quota := _count(policy.get("q"))) is not None]
        return RateLimit(min(quotas)) if quotas else RateLimit()
    return min(limits, key=lambda one: (one.remaining is None, one.remaining or 0, -(one.reset_seconds or 0)))


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and numeric parameters of each item of a structured list (RFC 9651)."""
    for quoted, token, parameters in _ITEM.findall(text[:MAX_VALUE_CHARS]):
        yield quoted or token, dict(_PARAMETER.findall(parameters))


def _count(text: str | None) -> int | None:
    """A whole number; of the draft form "100, 100;w=60" the first."""
    if text is None:
        return None
    head = text[:MAX_VALUE_CHARS].split(",")[0].split(";")[0].strip()
    return int(head) if head.isascii() and head.isdigit() and len(head) <= MAX_COUNT_DIGITS else None


def _seconds(text: str | None, now: datetime) -> int | None:
    """Seconds from `now`, never negative: of a number of seconds, a duration, an epoch time, or a date. Of several
    values, as two header lines make them, the longest."""
    if text is None:
        return None
    values = _BETWEEN_VALUES.split(text[:MAX_VALUE_CHARS])
    waits = [wait for value in values if (wait := _wait(value.strip(), now)) is not None]
    return max(waits, default=None)


def _wait(text: str, now: datetime) -> int | None:
    number = _number(text)
    if number is not None:
        if number >= MILLISECONDS_THRESHOLD:
            number /= 1000
        return _whole(number - now.timestamp() if number >= EPOCH_THRESHOLD else number)
    if _DURATION.fullmatch(text):
        return _whole(sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text)))
    moment = _moment(text)
    return None if moment is None else _whole((moment - now).total_seconds())


def _moment(text: str) -> datetime | None:
    """An HTTP date, or a date of ISO 8601; None for one without an offset from UTC."""
    from email.utils import parsedate_to_datetime  # 25 modules, for a form that few upstreams use

    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
            if moment.utcoffset() is not None:
                return moment
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _milliseconds(text: str | None) -> int | None:
    number = None if text is None else _number(text.strip())
    return None if number is None else _whole(number / 1000)


def _bounded(text: str | None) -> int | None:
    number = None if text is None else _number(text)
    return None if number is None else _whole(number)


def _number(text: str) -> float | None:
    """A decimal number that is not negative."""
    return float(text) if _NUMBER.fullmatch(text) else None


def _whole(seconds: float) -> int | None:
    """Whole seconds, rounded up; None for a wait that nobody means."""
    return max(0, ceil(seconds)) if seconds <= MAX_SECONDS else None
