"""A large JSON document, decoded in pieces between which other threads get their turn.

Python's decoder holds the interpreter's lock from the first byte of a document to the last. An object of 300,000
members would stop every other call for 0.15 s. Here that decoder gets a window of the text at a time: the members of an
object or an array that is larger than a window are cut where one ends and the next begins. The text between the first
two members shows what such a place looks like. Where that fails, members are read one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]  # part of the module, not of its stubs
from typing import Any

WINDOW = 131_072
"""Characters that are decoded without a break. They hold at most 22,000 names and 65,000 values: 15 ms of work."""

NUMBER_TAIL = 3
"""Characters of a number that are not one without the next, e.g. `e+` of 1e+5: a number that ends so close to the end
of a window may be the beginning of a longer one."""

Scan = Callable[[str, int], tuple[Any, int]]
"""Decodes the value that begins at a place of a text; also returns where it ends. Raises JSONDecodeError, or
StopIteration where no value begins."""

_SPACE = re.compile(r"[ \t\n\r]*")


MAX_LEVELS = 100
"""Levels of objects and arrays that are larger than a window, one within the other."""


def loads(decoder: JSONDecoder, text: str) -> Any:
    """What `decoder.decode(text)` returns. Raises JSONDecodeError, and RecursionError beyond MAX_LEVELS."""
    if len(text) <= WINDOW:
        return decoder.decode(text)
    return decoded(text, decoder.scan_once)  # type: ignore[attr-defined]


def decoded(text: str, scan: Scan, window: int = WINDOW) -> Any:
    """The value of the document; `scan` decodes each piece."""
    pieces = _Pieces(text, scan, window)
    value, end = pieces.value(pieces.skip(0), 0)
    if (end := pieces.skip(end)) != len(text):
        raise JSONDecodeError("Extra data", text, end)
    return value


class _Pieces:
    """The document, and the window that is being decoded."""

    def __init__(self, text: str, scan: Scan, size: int) -> None:
        self._text = text
        self._scan = scan
        self._size = size
        self._window = text[:size]
        self._begin = 0
        # Characters that may be decoded in vain because a value goes beyond its window. Objects within objects, each
        # too large for a window, could take very many; after that, members are read one by one.
        self._spare = len(text)

    def skip(self, at: int) -> int:
        """The place of the next character that is not white space."""
        return at if self._text[at : at + 1] > " " else _SPACE.match(self._text, at).end()  # type: ignore[union-attr]

    def value(self, at: int, depth: int) -> tuple[Any, int]:
        """The value that begins at a place, and where it ends."""
        found = self._within(at)
        if found is None and self._begin != at:
            self._window, self._begin = self._text[at : at + self._size], at
            found = self._within(at)
        if found is not None:
            return found
        if depth > MAX_LEVELS:
            raise RecursionError
        match self._text[at : at + 1]:
            case "[":
                return self._array(at + 1, depth + 1)
            case "{":
                return self._object(at + 1, depth + 1)
        try:  # a long string, the last value of the document, or not JSON
            return self._scan(self._text, at)
        except StopIteration:
            raise JSONDecodeError("Expecting value", self._text, at) from None

    def _within(self, at: int) -> tuple[Any, int] | None:
        """The value, if it ends within the window."""
        place = at - self._begin
        if not 0 <= place < len(self._window) or self._spare < 0:
            return None
        try:
            found, end = self._scan(self._window, place)
        except (JSONDecodeError, StopIteration):
            self._spare -= len(self._window) - place
            return None
        is_last = self._begin + len(self._window) == len(self._text)
        if end > len(self._window) - NUMBER_TAIL and not is_last:
            self._spare -= end - place
            return None
        return found, self._begin + end

    def _array(self, at: int, depth: int) -> tuple[list[Any], int]:
        text = self._text
        found: list[Any] = []
        at = again = self.skip(at)
        if text[at : at + 1] == "]":
            return found, at + 1
        while True:
            entry, end = self.value(at, depth)
            found.append(entry)
            at, ended = self._after(end, "]")
            if ended:
                return found, at
            if at < again or self._spare < 0:
                continue
            between = text[end - 1 : at + 1] if text[at : at + 1] in ("{", "[", '"') else text[end:at]
            while (several := self._several("[", at, between)) is not None:
                members, at, ended = several
                found += members
                if ended:
                    return found, at
            again = at + self._size

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        text = self._text
        found: dict[str, Any] = {}
        at = again = self.skip(at)
        if text[at : at + 1] == "}":
            return found, at + 1
        while True:
            if text[at : at + 1] != '"':
                raise JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
            name, at = scanstring(text, at + 1, True)
            at = self.skip(at)
            if text[at : at + 1] != ":":
                raise JSONDecodeError("Expecting ':' delimiter", text, at)
            found[name], end = self.value(self.skip(at + 1), depth)
            at, ended = self._after(end, "}")
            if ended:
                return found, at
            if at < again or self._spare < 0:
                continue
            between = text[end : at + 1]
            while (several := self._several("{", at, between)) is not None:
                members, at, ended = several
                found.update(members)
                if ended:
                    return found, at
            again = at + self._size

    def _after(self, at: int, end: str) -> tuple[int, bool]:
        """Where the next member begins, or where the object or array ends and True."""
        at = self.skip(at)
        if self._text[at : at + 1] == ",":
            return self.skip(at + 1), False
        if self._text[at : at + 1] == end:
            return at + 1, True
        raise JSONDecodeError("Expecting ',' delimiter", self._text, at)

    def _several(self, begin: str, at: int, between: str) -> tuple[Any, int, bool] | None:
        """The members of a window at once: as many as it holds and where the next one begins, or all that are left,
        where the object or array ends, and True. None where the last text that looks like the one `between` two members
        is within a member."""
        cut = self._text.rfind(between, at, at + self._size)
        if cut >= 0 and (cut := cut + between.index(",")) > at:  # nothing is not a member
            members = begin + self._text[at:cut] + ("]" if begin == "[" else "}")
            found, read = self._scanned(members)
            if read == len(members):
                return found, self.skip(cut + 1), False
        found, read = self._scanned(begin + self._text[at : at + self._size])
        return (found, at + read - 1, True) if found else None  # an end right after a comma ends nothing

    def _scanned(self, text: str) -> tuple[Any, int]:
        """The object or array at the beginning of a text, and where it ends; None and 0 where it does not."""
        try:
            return self._scan(text, 0)
        except (JSONDecodeError, StopIteration):
            self._spare -= len(text)
            return None, 0
