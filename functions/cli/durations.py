"""Durations and times, as a user writes and reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.cli.command import Shared, option
from functions.cli.invocation import UsageError
from functions.gateway import durations
from functions.gateway.grants import read_time, write_time


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `7d`, or several in one, e.g. `1h30m`. Raises UsageError."""
    try:
        return durations.duration(text)
    except ValueError as error:
        raise UsageError(f'"{text}" is {error}') from None


@dataclass(frozen=True, kw_only=True)
class Expiry(Shared):
    """When something expires."""

    expires_in: str | None = option("expire after this time, e.g. 90s, 15m, 2h, 7d", "DURATION", either="expiry")
    expires_at: str | None = option("expire at this time, e.g. 2026-12-31T23:59:59Z", "TIME", either="expiry")


def expiry(options: Expiry, now: datetime) -> str | None:
    """`--expires-in` or `--expires-at` in the format of the API; None when neither was given. Raises UsageError."""
    if options.expires_in is not None:
        return write_time(whole_second(now + duration(options.expires_in)))
    if options.expires_at is None:
        return None
    try:
        return write_time(read_time(options.expires_at))
    except (ValueError, OverflowError):
        raise UsageError(
            f'--expires-at is "{options.expires_at}"; write a time with its offset, e.g. 2026-12-31T23:59:59Z'
        ) from None


def whole_second(moment: datetime) -> datetime:
    """The next whole second, so that a server never expires earlier than requested."""
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + timedelta(seconds=1)


def until(expires_at: str | None, now: datetime) -> str:
    """When something expires, for people: `2026-12-31T23:59:59Z (in 15 min)`, or `never`."""
    if expires_at is None:
        return "never"
    left = (read_time(expires_at) - now).total_seconds()
    if left <= 0:
        return f"{expires_at} (past)"
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if left >= 2 * seconds or (unit == "min" and left >= seconds):
            return f"{expires_at} (in {round(left / seconds)} {unit})"
    return f"{expires_at} (in {round(left)} s)"
