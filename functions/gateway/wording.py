"""How an error text shows a value, suggests the right word, and lists problems: the same on every plane.

Values come from callers and upstreams, so every length is bounded here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from functions.gateway import tool_words
from functions.gateway.json_text import Json, canonical, spaced

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

ABBREVIATED = 3
"""Letters that an abbreviation has at least, e.g. org for organization."""

SLIP_OF_TWO = 8
"""Letters of a word in which a slip may be two letters long; in a shorter one, other words are as near as that."""

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


def to_review(value: Json) -> str:
    """The value as JSON for a person who decides on it. A character that is not visible, or that turns the direction of
    the text behind it, is written as an escape: otherwise the text could look like another one."""
    text = spaced(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else canonical(char).decode()[1:-1] for char in text)


def did_you_mean(word: str, valid: Iterable[str], *, instead: str | None = None) -> str:
    """The end of a message about an unknown word: `; did you mean "x"? valid: a, x`.

    `instead` replaces the list of valid words where there are too many to list; it is then said only when no word is
    close. Up to three close words are suggested in that case, else the closest one.
    """
    words = list(valid)
    close = _close(word, words, 1 if instead is None else 3, SIMILARITY)
    suggestion = f" did you mean {' or '.join(map(shown, close))}?" if close else ""
    if instead is None:
        return f";{suggestion} valid: {one_of(words)}"
    return f";{suggestion or f' {instead}'}"


def unknown_names(where: str, names: Iterable[str], valid: Sequence[str], also: Iterable[str] = ()) -> list[str]:
    """What is wrong with each of the names at `where` that is neither valid nor one of `also`, which are too many to be
    listed."""
    every = [*valid, *also]
    return [
        f"{where}: {shown(name)} is unknown{did_you_mean(name, every, instead=f'valid: {one_of(valid)}')}"
        for name in names
        if name not in every
    ]


def closest(word: str, words: Iterable[str], *, least: float = SIMILARITY) -> str | None:
    """The one of the words that is most like `word`, whatever the case; None where none is as alike as `least`."""
    close = _close(word, words, 1, least, fold=True)
    return close[0] if close else None


def _close(word: str, valid: Iterable[str], most: int, least: float, *, fold: bool = False) -> list[str]:
    """The words most like `word`, the closest first. `fold`: whatever the case."""
    from difflib import get_close_matches  # a refusal is rare, and the import is a tenth of a cold start

    asked = word[:SHOWN_CHARS]
    known = {one.lower() if fold else one: one for one in valid if not shares_only_its_ending(asked, one)}
    return [known[one] for one in get_close_matches(asked.lower() if fold else asked, known, n=most, cutoff=least)]


def shares_only_its_ending(name: str, known: str) -> bool:
    """True where two names end in the same words and mean different things, e.g. order_id and player_id.

    What stands before those words says what is meant: it may differ by a slip or be cut short, and no more.
    """
    one, other = _letters(name), _letters(known)
    ending = max((size for size in (*_endings(name), *_endings(known)) if one[-size:] == other[-size:]), default=0)
    before, expected = one[: len(one) - ending], other[: len(other) - ending]
    return bool(ending and before and expected) and not _is_slip(before, expected)


def _endings(name: str) -> Iterator[int]:
    """How many letters the last word of a name has, its last two words, and so on."""
    return accumulate(len(word) for word in reversed(_words(name)) if word)


def _letters(name: str) -> str:
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    """The words of a name; widget_ids ends as widget_id does."""
    words = tool_words.words(name)
    return [*words[:-1], tool_words.singular(words[-1])] if words else []


def _is_slip(one: str, other: str) -> bool:
    """True where one text begins with the other, or where they differ at one place, by a letter or by two swapped
    ones. In a text of SLIP_OF_TWO letters, two letters may be wrong."""
    short, long = sorted((one, other), key=len)
    if len(short) >= ABBREVIATED and long.startswith(short):
        return True
    start = _alike_from_the_start(one, other)
    end = _alike_from_the_start(short[start:][::-1], long[start:][::-1])
    first, second = one[start : len(one) - end], other[start : len(other) - end]
    wrong = max(len(first), len(second))
    return wrong <= (2 if len(short) >= SLIP_OF_TWO else 1) or (wrong == 2 and first == second[::-1])


def _alike_from_the_start(one: str, other: str) -> int:
    """How many letters two texts begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (first, second) in enumerate(pairs) if first != second), min(len(one), len(other)))


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
