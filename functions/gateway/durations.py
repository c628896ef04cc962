"""Durations as people write them: `90s`, `15m`, `2h`, `7d`, or several in one, e.g. `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
"""Seconds of each unit."""

_PART = re.compile(r"([0-9]{1,6})([smhd])")


def duration(text: str) -> timedelta:
    """The duration that a text names. Raises ValueError, whose message ends a sentence like "it is ..."."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("not a duration; write a whole number and a unit, e.g. 90s, 15m, 2h or 7d")
    seconds = sum(int(number) * UNITS[unit] for number, unit in parts)
    if seconds == 0:
        raise ValueError("too short; the minimum is 1s")
    return timedelta(seconds=seconds)
