"""The caps on what a result holds: what is over them is shortened or left out, and everything left out is counted.

An upstream decides how large and how oddly shaped a value is, so the work here is bounded by the space that is to be
filled, not by the value: `whole` and `shortened` stop as soon as the space is used up.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import isfinite

from functions.gateway.errors import UpstreamUnreadable
from functions.gateway.json_text import MAX_DEPTH, Json, encode_strictly, string_size, text, well_formed
from functions.gateway.value_classes import dataclass

TOO_DEEP = f"the answer is nested more than {MAX_DEPTH} levels deep and cannot be passed on"

OURS = "_postern"
"""The one member of a result that is ours. An upstream's member of that name is left out wherever it stands, so that
nothing of an upstream can be taken for a word of ours."""

MAX_MEMBERS = 1_000
"""Members of one object in a result: objects of APIs have dozens, and a map with more is a list in disguise."""

SHORT_CHARS = 80
"""A string up to this length is kept before longer strings share the space: ids, names, dates."""

LONG_BYTES = 64
"""Bytes kept free for each long member while the short ones are written: a beginning, and the mark of the cut."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that one string (in characters) and one array (in entries) of a result hold."""

    strings: int
    arrays: int


@dataclass(slots=True)
class Cut:
    """What was left out so far."""

    items: int = 0
    strings: int = 0
    array_entries: int = 0
    members: int = 0

    def __bool__(self) -> bool:
        return bool(self.items or self.strings or self.array_entries or self.members)

    def add(self, more: Cut) -> None:
        self.items += more.items
        self.strings += more.strings
        self.array_entries += more.array_entries
        self.members += more.members


@dataclass(frozen=True, slots=True)
class Fitted:
    """A value as a result holds it. `size` is its bytes; `full` is False where the space, not a cap, shortened it."""

    value: Json
    size: int
    cut: Cut
    full: bool = True


class NoRoom(Exception):
    """The space does not hold even the shortest form of a value."""


def whole(value: Json, caps: Caps, space: int) -> Fitted | None:
    """The value within its caps; None when it does not fit into `space` bytes. Raises UpstreamUnreadable for a value
    that is nested too deep."""
    if (plain := _as_it_is(value, caps)) is not None:
        return plain if plain.size <= space else None
    writing = _Whole(caps, space)
    try:
        written = writing.write(value, 0)
    except NoRoom:
        return None
    return Fitted(written, space - writing.left, writing.cut)


def shortened(value: Json, caps: Caps, space: int, depth: int = 0) -> Fitted:
    """As much of the value as `space` bytes hold: the first entries of an array, of which the very first may be
    shortened; the members of an object, the short ones first, each longer one with an equal share of what is left.

    Raises NoRoom, and UpstreamUnreadable for a value that is nested too deep.
    """
    if depth > MAX_DEPTH and isinstance(value, list | dict):
        raise UpstreamUnreadable(TOO_DEEP)
    if isinstance(value, str):
        return _string(well_formed(value), caps, space)
    if isinstance(value, list):
        return _array(value, caps, space, depth)
    if isinstance(value, dict):
        return _object(value, caps, space, depth)
    plain = _plain(value)
    size = len(text(plain))
    if size > space:
        raise NoRoom
    return Fitted(plain, size, Cut())


def _as_it_is(value: Json, caps: Caps) -> Fitted | None:
    """The value, where its JSON alone shows that it is within every cap: too short for a string or an array over its
    cap, and too few brackets and colons to be deep or wide. None where a walk has to tell. Most answers are of this
    kind, and their walk took six times as long as this."""
    try:
        written = encode_strictly(value)
    except (ValueError, RecursionError):
        return None
    shallow = written.count(b"{") + written.count(b"[") <= MAX_DEPTH
    if (
        len(written) <= caps.strings
        and written.count(b",") < caps.arrays
        and written.count(b":") <= MAX_MEMBERS
        and shallow
        and OURS.encode() not in written
    ):
        return Fitted(value, len(written), Cut())
    return None


class _Whole:
    """Writes a value within its caps until the space is used up. Raises NoRoom."""

    def __init__(self, caps: Caps, space: int) -> None:
        self._caps = caps
        self.left = space
        self.cut = Cut()

    def write(self, value: Json, depth: int) -> Json:
        """The value as the result holds it."""
        if isinstance(value, str):
            value = well_formed(value)
            if len(value) > self._caps.strings:
                value = _marked(value, self._caps.strings)
                self.cut.strings += 1
            self._spend(string_size(value))
            return value
        if depth > MAX_DEPTH and isinstance(value, list | dict):
            raise UpstreamUnreadable(TOO_DEEP)
        if isinstance(value, list):
            self._spend(max(2, 1 + min(len(value), self._caps.arrays)))  # brackets and commas
            self.cut.array_entries += max(0, len(value) - self._caps.arrays)
            return [self.write(entry, depth + 1) for entry in value[: self._caps.arrays]]
        if isinstance(value, dict):
            members = _members(value, MAX_MEMBERS)
            self._spend(max(2, 1 + len(members)))
            self.cut.members += len(value) - len(members)
            written: dict[str, Json] = {}
            for name, entry in members:
                self._spend(string_size(name) + 1)
                written[name] = self.write(entry, depth + 1)
            return written
        value = _plain(value)
        self._spend(len(text(value)))
        return value

    def _spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise NoRoom


def _string(value: str, caps: Caps, space: int) -> Fitted:
    kept = value if len(value) <= caps.strings else _marked(value, caps.strings)
    size = string_size(kept)
    if size <= space:
        return Fitted(kept, size, Cut(strings=int(kept is not value)))
    fits, over = -1, min(len(value), caps.strings, space)
    while over - fits > 1:
        middle = (fits + over) // 2
        if string_size(_marked(value, middle)) <= space:
            fits = middle
        else:
            over = middle
    if fits < 0:
        raise NoRoom
    kept = _marked(value, fits)
    return Fitted(kept, string_size(kept), Cut(strings=1), full=False)


def _array(value: list[Json], caps: Caps, space: int, depth: int) -> Fitted:
    left = space - 1  # one bracket; each entry brings a comma, the last one in place of the other bracket
    if left < 1:
        raise NoRoom
    kept: list[Json] = []
    cut = Cut()
    full = True
    for entry in value[: min(caps.arrays, left)]:  # each takes two bytes at least
        try:
            fitted = shortened(entry, caps, left - 1, depth + 1)
        except NoRoom:
            full = False
            break
        if not fitted.full and kept:
            full = False
            break
        kept.append(fitted.value)
        cut.add(fitted.cut)
        left -= fitted.size + 1
        if not fitted.full:
            full = False
            break
    cut.array_entries += len(value) - len(kept)
    return Fitted(kept, space - left if kept else 2, cut, full)


def _object(value: Mapping[str, Json], caps: Caps, space: int, depth: int) -> Fitted:
    left = space - 1
    if left < 1:
        raise NoRoom
    members = _members(value, min(MAX_MEMBERS, left // 5 + 1))  # each takes five bytes at least, e.g. "":0,
    short = [member for member in members if _is_short(member[1])]
    long = sorted((member for member in members if not _is_short(member[1])), key=lambda member: len(member[1]))
    reserved = min(left // 2, sum(string_size(name) + LONG_BYTES for name, _ in long))
    kept: dict[str, Fitted] = {}
    full = True
    for number, (name, entry) in enumerate([*short, *long]):
        around = string_size(name) + 2
        share = left - reserved if number < len(short) else left // (len(members) - number)
        try:
            fitted = shortened(entry, caps, share - around, depth + 1)
        except NoRoom:
            full = False
            continue
        kept[name] = fitted
        left -= fitted.size + around
        full = full and fitted.full
    cut = Cut(members=len(value) - len(kept))
    for fitted in kept.values():
        cut.add(fitted.cut)
    in_order = {name: kept[name].value for name, _ in members if name in kept}
    return Fitted(in_order, space - left if kept else 2, cut, full)


def _members(value: Mapping[str, Json], limit: int) -> list[tuple[str, Json]]:
    """The first members of an object, their names in a form that UTF-8 has; never one that is ours."""
    return [(well_formed(name), entry) for name, entry in islice(value.items(), limit) if name != OURS]


def _is_short(value: Json) -> bool:
    """True for a number, true, false, null and a short string."""
    return len(value) <= SHORT_CHARS if isinstance(value, str) else not isinstance(value, list | dict)


_CUT = "…[cut: "
"""How the mark of a string that was cut begins."""


def _marked(value: str, chars: int) -> str:
    return f"{value[:chars]}{_CUT}{chars} of {len(value)} characters]"


def kept_of(marked: str) -> int:
    """How many characters of the string stand before the mark of the cut; 0 for a string without one."""
    return max(0, marked.rfind(_CUT))


def _plain(value: Json) -> Json:
    """A number, true, false or null; null for a number that is not finite."""
    return None if isinstance(value, float) and not isfinite(value) else value
