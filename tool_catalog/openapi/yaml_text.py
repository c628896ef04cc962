"""Draft records become YAML that people like to edit: block style, one line for a small schema, comments in place.

PyYAML writes no comments and takes minutes for a large specification. This file writes the little that records need,
and `yaml_source` reads every text it writes back as the value it came from.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from math import isfinite

from tool_catalog.catalog import Json
from tool_catalog.yaml_source import KeyPath

WIDTH = 120
"""Characters of a line, the same limit as everywhere in this project."""

_PLAIN = re.compile(r"[A-Za-z/$](?:[A-Za-z0-9_ ./()+='*?;!@%$-]|,(?= )|:(?=[^\s])|[{}])*")
_PLAIN_IN_FLOW = re.compile(r"[A-Za-z/$](?:[A-Za-z0-9_ ./()+='*?;!@%$-])*")
_WORDS = {"true", "false", "null"}

_SCHEMA_KEYS = ("path_schema", "query_schema", "header_schema", "body_schema")


def is_open(path: KeyPath) -> bool:
    """Whether the mapping at `path` of a record is a place where a person edits key by key.

    Such a mapping is written in block style and merged key by key; everything deeper is one value.
    """
    match path:
        case () | ("methods",) | ("schemas",) | ("credentials",) | ("methods", _):
            return True
        case ("methods", _, key) | ("methods", _, key, "properties"):
            return key in _SCHEMA_KEYS
    return False


def document(data: Mapping[str, Json], comments: Mapping[KeyPath, str]) -> str:
    """A whole file. Each comment stands on its own line above the key at its path."""
    return "\n".join(lines(data, (), 0, comments)) + "\n"


def lines(data: Mapping[str, Json], path: KeyPath, indent: int, comments: Mapping[KeyPath, str]) -> list[str]:
    """A block mapping, each line indented by `indent` spaces."""
    found: list[str] = []
    for key, value in data.items():
        found += entry(key, value, (*path, key), indent, comments)
    return found


def entry(key: str, value: Json, path: KeyPath, indent: int, comments: Mapping[KeyPath, str]) -> list[str]:
    """One key of a block mapping with its value and its comment."""
    pad = " " * indent
    found = [f"{pad}{comments[path]}"] if path in comments else []
    head = f"{pad}{_scalar(key, flow=False)}:"
    if isinstance(value, dict) and value and is_open(path):
        return [*found, head, *lines(value, path, indent + 2, comments)]
    if isinstance(value, (dict, list)):
        flow = f"{head} {_flow(value)}"
        if not value or len(flow) <= WIDTH:
            return [*found, flow]
        if isinstance(value, dict):
            return [*found, head, *lines(value, path, indent + 2, comments)]
        return [*found, head, *_items(value, path, indent + 2, comments)]
    if isinstance(value, str) and len(head) + len(value) + 3 > WIDTH and _folds(value):
        body = textwrap.wrap(value, WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False)
        return [*found, f"{head} >-", *(f"{pad}  {line}" for line in body)]
    return [*found, f"{head} {_scalar(value, flow=False)}"]


def _items(values: list[Json], path: KeyPath, indent: int, comments: Mapping[KeyPath, str]) -> list[str]:
    pad = " " * indent
    if not any(isinstance(value, (dict, list)) for value in values):
        text = textwrap.wrap(
            ", ".join(_scalar(value, flow=True) for value in values),
            WIDTH - indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if not any('"' in line for line in text):  # a break inside a quoted value would change it
            return [f"{pad}[", *(f"{pad}{line}" for line in text), f"{pad}]"]
    found: list[str] = []
    for index, value in enumerate(values):
        flow = f"{pad}- {_flow(value) if isinstance(value, (dict, list)) else _scalar(value, flow=False)}"
        if len(flow) <= WIDTH or not isinstance(value, dict) or not value:
            found.append(flow)
            continue
        inner = lines(value, (*path, index), indent + 2, comments)
        found += [f"{pad}- {inner[0][indent + 2 :]}", *inner[1:]]
    return found


def _flow(value: Json) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key, flow=True)}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value, flow=True)


def _scalar(value: Json, *, flow: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value) if isinstance(value, int) or isfinite(value) else quoted(repr(value))
    text = str(value)
    pattern = _PLAIN_IN_FLOW if flow else _PLAIN
    return text if pattern.fullmatch(text) and text not in _WORDS and text[-1] != " " else quoted(text)


def quoted(text: str) -> str:
    """`text` in double quotes. A character that cannot be printed is escaped as in YAML."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    if character == "\n":
        return "\\n"
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        return "\\ufffd"  # half of a surrogate pair is not a character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _folds(text: str) -> bool:
    """Whether a folded block reads back as `text`: one line, single spaces, no space at either end."""
    return text.isprintable() and text == " ".join(text.split(" ")) and "  " not in text and text.strip() == text
