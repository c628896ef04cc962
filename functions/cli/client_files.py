"""The settings file of a client, changed in one entry: comments, order and everything else stay as they are.

JSON with comments and TOML are edited as text. Every edit is checked: the new text, read again, must be the old
document with the one entry changed; otherwise nothing is written.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from functions.cli.invocation import Failed
from functions.gateway import json_text
from functions.gateway.json_text import Json

_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.S)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_NOTE = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.S)
_LOOSE_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.S)
_SCALAR = re.compile(r"[^\s,:\[\]{}\"/]+")


@dataclass(frozen=True)
class _Member:
    """One member of an object: where it begins, and where its value does and ends."""

    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class _Object:
    """An object: its members, and the places of its braces. `comma` is True when a comma follows the last member."""

    open: int
    close: int
    members: tuple[_Member, ...]
    comma: bool


class NotEditable(Failed):
    """The file is not what its client writes. The message says why; nothing was written."""


def with_json_entry(text: str, container: str, name: str, entry: Json, others: Mapping[str, Json] | None = None) -> str:
    """The text with `entry` under `container`.`name`, and with `others` where the root lacks them. None removes."""
    if not text.strip():
        return json_text.readable({container: {name: entry}, **(others or {})}) + "\n" if entry is not None else text
    root = _object(text, _after_space(text, 0))
    before = _document(text)
    wanted = {**before, container: {**_member_of(before, container), name: entry}}
    if entry is None:
        if name not in _member_of(before, container):
            return text
        wanted[container].pop(name)
        inner = _object(text, _member(root, container).value)
        changed = _without(text, inner, name)
    elif _at(before, (container, name)) == entry:
        changed = text
    elif container in before:
        inner = _object(text, _member(root, container).value)
        changed = _set(text, inner, name, entry)
    else:
        changed = _set(text, root, container, {name: entry})
    for key, value in (others or {}).items():
        if entry is not None and key not in before:
            changed = _set(changed, _object(changed, _after_space(changed, 0)), key, value)
            wanted[key] = value
    if _document(changed) != wanted:
        raise NotEditable("the file has a form that cannot be edited safely; paste the entry by hand")
    return changed


def with_toml_table(text: str, table: str, lines: str | None) -> str:
    """The text with the table `[table]` as `lines`, its header included. None removes it with its sub-tables."""
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise NotEditable("the file is not TOML; mend it first") from None
    path = table.split(".")
    wanted = tomllib.loads(lines) if lines is not None else {}
    if _at(before, path) == _at(wanted, path):
        return text
    own = re.compile(rf"^\[{re.escape(table)}(\.[^\]]+)?\][^\n]*\n(?:(?!\s*\[)[^\n]*\n?)*", re.M)
    found = list(own.finditer(text))
    changed = text
    for match in reversed(found):
        changed = changed[: match.start()] + changed[match.end() :]
    if lines is not None:
        place = found[0].start() if found else len(changed)
        head, tail = changed[:place], changed[place:]
        gap = "" if not head.strip() or head.endswith("\n\n") else "\n" if head.endswith("\n") else "\n\n"
        changed = head + gap + lines.rstrip("\n") + "\n" + ("\n" if tail.strip() else "") + tail
    try:
        after = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        after = None
    if after is None or _apart(before, path) != _apart(after, path) or _at(after, path) != _at(wanted, path):
        raise NotEditable("the file has a form that cannot be edited safely; paste the entry by hand")
    return changed


def _at(document: Mapping[str, Json], path: Sequence[str]) -> Json:
    """The value at a path; None where there is none."""
    found: Json = document
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _apart(document: Mapping[str, Json], path: Sequence[str]) -> Json:
    """The document without the table at `path`, and without the tables around it that hold nothing else."""
    rest = dict(document)
    [first, *more] = path
    if first in rest:
        inner = _apart(rest[first], more) if more else {}
        rest[first] = inner
        if not inner:
            del rest[first]
    return rest


def _document(text: str) -> dict[str, Json]:
    """The value of the text, without comments and trailing commas. Raises NotEditable."""
    plain = _LOOSE_COMMA.sub(_kept_string, _NOTE.sub(_kept_string, text))
    try:
        document = json_text.decode(plain)
    except ValueError:
        raise NotEditable("the file is not JSON; mend it first") from None
    if not isinstance(document, dict):
        raise NotEditable("the file does not hold a JSON object")
    return document


def _kept_string(found: re.Match[str]) -> str:
    """A string as it is; a comment or a comma as a space."""
    return found[0] if found[0].startswith('"') else " "


def _member_of(document: Mapping[str, Json], container: str) -> dict[str, Json]:
    found = document.get(container, {})
    if not isinstance(found, dict):
        raise NotEditable(f'"{container}" in the file is not an object')
    return found


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _object(text: str, place: int) -> _Object:
    """The object that begins at this place. Raises NotEditable."""
    if text[place : place + 1] != "{":
        raise NotEditable("the file does not hold a JSON object where one is needed")
    members: list[_Member] = []
    at = _after_space(text, place + 1)
    comma = False
    while text[at : at + 1] not in ("}", ""):
        key = _STRING.match(text, at)
        if key is None:
            raise NotEditable("the file is not JSON; mend it first")
        colon = _after_space(text, key.end())
        value = _after_space(text, colon + 1)
        end = _end(text, value)
        members.append(_Member(str(json_text.decode(key[0])), at, value, end))
        at = _after_space(text, end)
        comma = text[at : at + 1] == ","
        at = _after_space(text, at + 1) if comma else at
    return _Object(place, at, tuple(members), comma)


def _end(text: str, place: int) -> int:
    """Where the value that begins at this place ends."""
    if text[place : place + 1] == "{":
        return _object(text, place).close + 1
    if text[place : place + 1] == "[":
        at = _after_space(text, place + 1)
        while text[at : at + 1] not in ("]", ""):
            at = _after_space(text, _end(text, at))
            at = _after_space(text, at + 1) if text[at : at + 1] == "," else at
        return at + 1
    found = (_STRING if text[place : place + 1] == '"' else _SCALAR).match(text, place)
    if found is None:
        raise NotEditable("the file is not JSON; mend it first")
    return found.end()


def _member(within: _Object, key: str) -> _Member:
    return next(member for member in within.members if member.key == key)


def _set(text: str, within: _Object, key: str, value: Json) -> str:
    """The text with this member of an object, new or in place of the present one."""
    present = [member for member in within.members if member.key == key]
    unit = found[1] if (found := re.search(r"\n([ \t]+)\S", text)) else "  "
    base = re.search(r"[ \t]*$", text[: within.open].rpartition("\n")[2].split("{")[0].split('"')[0])
    indent = (base[0] if base else "") + unit
    first, *lines = json_text.readable(value).split("\n")
    levels = [(len(line) - len(line.lstrip(" "))) // 2 for line in lines]
    rest = [indent + unit * level + line.lstrip(" ") for level, line in zip(levels, lines, strict=True)]
    written = "\n".join([first, *rest])
    if present:
        return text[: present[0].value] + written + text[present[0].end :]
    member = f"\n{indent}{json_text.text(key)}: {written}"
    if not within.members:
        return f"{text[: within.open + 1]}{member}\n{indent[: -len(unit)]}{text[within.close :]}"
    end = within.members[-1].end
    if within.comma:
        end = text.index(",", end) + 1
        return f"{text[:end]}{member}{text[end:]}"
    return f"{text[:end]},{member}{text[end:]}"


def _without(text: str, within: _Object, key: str) -> str:
    """The text without this member of an object."""
    place = next(number for number, member in enumerate(within.members) if member.key == key)
    own = within.members[place]
    if place + 1 < len(within.members):
        return text[: own.start] + text[within.members[place + 1].start :]
    if place:
        return text[: within.members[place - 1].end] + text[own.end :]
    end = text.index(",", own.end) + 1 if within.comma else own.end
    return text[: own.start].rstrip() + text[end:].lstrip()


def replace(file: Path, text: str) -> None:
    """Replace the file in one step. A new file can be read by its owner alone; a present one keeps its mode."""
    target = file.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as written:
            written.write(text)
        os.chmod(made, mode)
        os.replace(made, target)
    except BaseException:
        os.unlink(made)
        raise
