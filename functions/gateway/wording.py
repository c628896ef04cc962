"""How an error text shows a value, suggests the right word, and lists problems: the same on every plane.

Values come from callers and upstreams, so every length is bounded here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from functions.gateway.json_text import Json, spaced

_NAMES = re.compile(r'unknown argument "|"[^"]*" has no member "')
"""How a problem begins whose list of valid words is a list of names."""

_EXAMPLE = re.compile(r"(?:,? e\.g\.|[:;]|\. Put [^{]*:)\s*[\[{].*$", re.DOTALL)
"""The example at the end of a problem: JSON behind a colon or "e.g."."""

SHOWN_CHARS = 80
"""Characters of a value that a message repeats: enough to recognise it, and one line of a terminal."""

MAX_PROBLEMS = 20
"""Problems that one message lists; more would not help a reader, and a caller could make them grow without bound."""

MAX_VALID = 100
"""Valid words that one message lists: all arguments, methods or tags of any real API, but not 3,000 tools."""

SIMILARITY = 0.6
"""How alike a suggestion must be, from 0 to 1: difflib's default, at which one typo in a short word still counts."""


def shown(value: Json) -> str:
    """The value as JSON, cut to SHOWN_CHARS; `"abc..."` keeps its closing quote."""
    if isinstance(value, str):
        return spaced(cut(value))
    return cut(spaced(value))


def cut(text: str) -> str:
    """The text, cut to SHOWN_CHARS with three dots for the rest."""
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "..."


def did_you_mean(word: str, valid: Iterable[str], *, instead: str | None = None) -> str:
    """The end of a message about an unknown word: `; did you mean "x"? valid: a, x`.

    `instead` replaces the list of valid words where there are too many to list; it is then said only when no word is
    close. Up to three close words are suggested in that case, else the closest one.
    """
    from difflib import get_close_matches  # a refusal is rare, and the import is a tenth of a cold start

    words = list(valid)
    close = get_close_matches(word[:SHOWN_CHARS], words, n=1 if instead is None else 3, cutoff=SIMILARITY)
    suggestion = f" did you mean {' or '.join(map(shown, close))}?" if close else ""
    if instead is None:
        return f";{suggestion} valid: {one_of(words)}"
    return f";{suggestion or f' {instead}'}"


def closest(word: str, words: Iterable[str], *, least: float = SIMILARITY) -> str | None:
    """The one of the words that is most like `word`, whatever the case; None where none is as alike as `least`."""
    from difflib import get_close_matches

    by_lower = {known.lower(): known for known in words}
    close = get_close_matches(word.lower()[:SHOWN_CHARS], by_lower, n=1, cutoff=least)
    return by_lower[close[0]] if close else None


def alike(first: str, second: str) -> float:
    """How alike two texts are, from 0 to 1."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, first[:SHOWN_CHARS], second[:SHOWN_CHARS]).ratio()


def one_of(words: Sequence[str]) -> str:
    """`a, b, c`, at most MAX_VALID words; "none" where there are none."""
    more = f" and {len(words) - MAX_VALID} more" if len(words) > MAX_VALID else ""
    return (", ".join(words[:MAX_VALID]) or "none") + more


def fault(problem: str) -> str:
    """A problem less its example and its list of valid names, for a message that shows the right form anyway."""
    if _NAMES.match(problem):
        problem = problem.partition(" valid: ")[0].rstrip(";")
    return problem if "; nest it: " in problem else _EXAMPLE.sub("", problem)


def listed(problems: Sequence[str]) -> list[str]:
    """The first MAX_PROBLEMS problems, and how many more there are."""
    more = len(problems) - MAX_PROBLEMS
    if more <= 0:
        return list(problems)
    return [*problems[:MAX_PROBLEMS], f"and {more} more problem{'s' if more > 1 else ''}"]
