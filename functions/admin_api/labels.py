"""Labels of servers, e.g. {"team": "support"}, and selectors that find servers and calls by their labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from functions.gateway.errors import invalid
from functions.gateway.wording import shown

MAX_LABELS = 20
"""Labels of one server: they are part of its grant, which the data plane reads on every call, and of each log entry."""

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
VALUE = re.compile(r"[A-Za-z0-9._@:+-]{0,63}")
RULE = "a label is KEY=VALUE, each of at most 63 letters, digits, ., _ and -; a value may also hold @, : and +"
"""KEY and VALUE in words. Neither holds a comma or an equals sign, which separate the parts of a selector."""


@dataclass(frozen=True, slots=True)
class Selector:
    """What labels must be there: {key: value}, None for any value. An empty selector selects everything."""

    wanted: Mapping[str, str | None]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True when all wanted labels are there."""
        return all(key in labels and (value is None or labels[key] == value) for key, value in self.wanted.items())


def read_selector(texts: Sequence[str], where: str) -> Selector:
    """A selector from texts like `team=support` and `team`. Raises Invalid; `where` begins its message."""
    wanted: dict[str, str | None] = {}
    problems = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not KEY.fullmatch(key) or not VALUE.fullmatch(value):
            problems.append(f"{where} has {shown(text)}; write KEY=VALUE or KEY, e.g. team=support; {RULE}")
        elif wanted.setdefault(key, value if equals else None) != (value if equals else None):
            problems.append(f"{where} names {shown(key)} twice with different values; no label has both")
    if problems:
        raise invalid(problems)
    return Selector(wanted)


def problem(key: str, value: str | None) -> str | None:
    """What is wrong with a label; None if nothing is. A value of None removes a label."""
    if KEY.fullmatch(key) and (value is None or VALUE.fullmatch(value)):
        return None
    return f"{shown(key)}: {shown(value)} is not a label; {RULE}"
