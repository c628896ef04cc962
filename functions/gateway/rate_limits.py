"""What "slow down" means: an upstream's rate-limit headers, normalised.

Every duration is in whole seconds from now, whatever the upstream sent: seconds, an epoch time, or an HTTP date.
Nothing is invented: a value the upstream did not send, or that cannot be read, is None. Whatever an upstream sends,
reading it never fails: it decorates a call that has been carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import ceil

EPOCH_THRESHOLD = 1_000_000_000
"""A reset value from here on is an epoch time in seconds (2001-09-09 and later), below it a number of seconds."""

MILLISECONDS_THRESHOLD = 100_000_000_000
"""A reset value from here on is an epoch time in milliseconds (in seconds it would be the year 5138)."""


COUNT_DIGITS = 15
"""Digits of a number of requests: beyond any limit there is, and within what every JSON reader takes exactly."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`limit` and `remaining` are requests; `reset_seconds` and `retry_after_seconds` are seconds from the answer."""

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: int | None = None
    retry_after_seconds: int | None = None

    def to_json(self) -> dict[str, int | None]:
        """The object under `_meta["postern/rate-limit"]` and in error envelopes."""
        return asdict(self)

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

    `headers`  lower-case names. `names`: the integration's own header names for limit, remaining, reset and
               retry_after; the IETF draft's `RateLimit-*` and RFC 9110's `Retry-After` are read too. A 429 without the
               latter takes the reset.
    """

    def first(kind: str) -> str | None:
        own = names.get(kind, "").lower()
        return headers.get(own) or headers.get(f"ratelimit-{kind}") or headers.get(f"x-ratelimit-{kind}")

    retry_after = _seconds(headers.get(names.get("retry_after", "").lower()) or headers.get("retry-after"), now)
    reset = _seconds(first("reset"), now)
    if status == 429 and retry_after is None:
        retry_after = reset
    found = RateLimit(_count(first("limit")), _count(first("remaining")), reset, retry_after)
    return None if found == RateLimit() else found


def _count(text: str | None) -> int | None:
    """A whole number; of the draft form "100, 100;w=60" the first."""
    if text is None:
        return None
    head = text.split(",")[0].split(";")[0].strip()
    return int(head) if head.isascii() and head.isdigit() and len(head) <= COUNT_DIGITS else None


def _seconds(text: str | None, now: datetime) -> int | None:
    """Seconds from `now`, never negative: of a number of seconds, an epoch time, or an HTTP date."""
    if text is None:
        return None
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
            return max(0, ceil((moment - now).total_seconds())) if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None
    if not 0 <= number < 1e15:
        return None
    if number >= MILLISECONDS_THRESHOLD:
        number /= 1000
    if number >= EPOCH_THRESHOLD:
        number -= now.timestamp()
    return max(0, ceil(number))
