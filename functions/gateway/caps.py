"""The caps on what a result holds: long strings and long arrays are shortened, and everything left out is counted."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from functions.gateway.errors import UpstreamUnreadable
from functions.gateway.json_text import MAX_DEPTH, Json, well_formed

TOO_DEEP = f"the answer is nested more than {MAX_DEPTH} levels deep and cannot be passed on"


@dataclass(slots=True)
class Cut:
    """What was left out so far."""

    items: int = 0
    strings: int = 0
    array_entries: int = 0

    def __bool__(self) -> bool:
        return bool(self.items or self.strings or self.array_entries)

    def add(self, more: Cut) -> None:
        self.items += more.items
        self.strings += more.strings
        self.array_entries += more.array_entries


def capped(value: Json, strings: int, arrays: int, cut: Cut, depth: int = 0) -> Json:
    """The value with long strings and long arrays shortened, counting what it leaves out, and with everything in a form
    that JSON in UTF-8 has: U+FFFD for half of a surrogate pair, null for a number that is not finite. Raises
    UpstreamUnreadable for one that is nested too deep."""
    if isinstance(value, str):
        value = well_formed(value)
        if len(value) <= strings:
            return value
        cut.strings += 1
        return f"{value[:strings]}…[cut: {strings} of {len(value)} characters]"
    if depth > MAX_DEPTH:
        raise UpstreamUnreadable(TOO_DEEP)
    if isinstance(value, list):
        cut.array_entries += max(0, len(value) - arrays)
        return [capped(entry, strings, arrays, cut, depth + 1) for entry in value[:arrays]]
    if isinstance(value, dict):
        return {well_formed(name): capped(entry, strings, arrays, cut, depth + 1) for name, entry in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
