"""Moments and days, as the engine stores them and as Mem0 writes them.

Stored moments are whole microseconds since 1970 in UTC; stored days are `YYYY-MM-DD`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_MICROSECONDS = int((datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC) - EPOCH) / timedelta(microseconds=1))


def microseconds(moment: datetime) -> int:
    """A moment in its stored form. A naive moment is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def iso(stored: int | None) -> str | None:
    """A stored moment as Mem0 writes it: `2026-01-15T10:30:00.000000Z`."""
    if stored is None:
        return None
    moment = EPOCH + timedelta(microseconds=stored)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment.year >= 1000 else moment.isoformat()


def parse_moment(value: str) -> int:
    """An ISO 8601 date or date-time in its stored form. A naive one is UTC; a date is its first instant. ValueError."""
    return microseconds(datetime.fromisoformat(value.strip()))


def parse_epoch(value: float) -> int:
    """Unix seconds in their stored form. ValueError outside the years 1 to 9999."""
    stored = round(float(value) * 1_000_000) if abs(float(value)) < 1e12 else MAX_MICROSECONDS + 1
    if not microseconds(datetime(1, 1, 1, tzinfo=UTC)) <= stored <= MAX_MICROSECONDS:
        raise ValueError(f"{value} is outside the years 1 to 9999; give Unix seconds")
    return stored


def parse_day(value: Any) -> str:
    """A `YYYY-MM-DD` day, normalised. ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError("expiration_date must be a valid date in YYYY-MM-DD format.")
    try:
        return date.fromisoformat(value.strip()).isoformat()
    except ValueError:
        raise ValueError("expiration_date must be a valid date in YYYY-MM-DD format.") from None


def structured_attributes(stored: int) -> dict[str, Any]:
    """The breakdown of a creation time that Mem0 attaches to a memory."""
    moment = EPOCH + timedelta(microseconds=stored)
    return {
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "minute": moment.minute,
        "day_of_week": moment.strftime("%A").lower(),
        "day_of_year": moment.timetuple().tm_yday,
        "week_of_year": moment.isocalendar().week,
        "quarter": (moment.month - 1) // 3 + 1,
        "is_weekend": moment.weekday() >= 5,
    }
