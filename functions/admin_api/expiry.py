"""The rule for an expiry that an operator gives: it lies in the future."""

from __future__ import annotations

from datetime import datetime

from functions.gateway.errors import Invalid
from functions.gateway.grants import write_time


def check_future(expires_at: datetime | None, now: datetime) -> None:
    """Raises Invalid for a time that is not in the future; None = never is accepted."""
    if expires_at is not None and expires_at <= now:
        raise Invalid(
            f"expires_at is {write_time(expires_at)}, which is not in the future (it is {write_time(now)} now); "
            "give a later time in UTC, or null for never"
        )
