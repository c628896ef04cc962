"""A record file with hand edits and the newly generated data become one file with the edits and the source's news.

The merge is three-way and goes key by key, down to single arguments. `base` holds digests of the data generated last
time. A value that still has its digest follows the source; a value without it was changed by hand and stays. Lines of
unchanged values are not touched, so that comments and layout stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tool_catalog.catalog import Json
from tool_catalog.openapi.document import CannotImport
from tool_catalog.openapi.yaml_text import document, entry, is_open
from tool_catalog.yaml_source import KeyPath, Problem, read

Tree = dict[str, Any]
"""Digests by key: a string for a value, a Tree for a mapping that is merged key by key."""

GENERATED = ("# guessed:", "# pin:", "# pinnable:", "# cut:", "# shortened", "# from the source", "# the source")
"""How a generated comment begins. It is removed together with its value."""


class Unreadable(CannotImport):
    """A file on disk is not YAML that a record may consist of; `problems` says where."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(slots=True)
class Merged:
    """The merged file, the digests for the next import, and dotted paths that a person should know of.

    `kept`     values changed by hand and by the source; the value of the hand stays.
    `removed`  methods whose operation the source no longer has; they stay.
    `absent`   values that were generated before and removed by hand; they are not added again.
    `changed`  values that now follow the source.
    """

    text: str = ""
    tree: Tree = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def tree(data: Mapping[str, Json], path: KeyPath = ()) -> Tree:
    """Digests of generated data."""
    return {
        key: tree(value, (*path, key)) if isinstance(value, dict) and is_open((*path, key)) else digest(value)
        for key, value in data.items()
    }


def digest(value: Json) -> str:
    """40 bits of SHA-256 over the canonical JSON, which is enough to distinguish two versions of one value."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def same(one: Json, other: Json) -> bool:
    """Whether two values are equal as JSON. Python alone takes 1 and true for equal."""
    return bool(one == other) and digest(one) == digest(other)


def merge(name: str, text: str, base: Tree, data: Mapping[str, Json], comments: Mapping[KeyPath, str]) -> Merged:
    """The file `name` with content `text`, updated to `data`. Raises Unreadable."""
    source, problems = read(name, text)
    if problems or not isinstance(source.data, dict):
        raise Unreadable(problems or [Problem(name, 1, "must be a mapping")])
    merged = Merged(tree=_remembered(base, data, source.data))
    result = _with_used_schemas(_three_way(source.data, base, data, (), merged), source.data, base, merged)
    if same(result, source.data):
        merged.text = text
        return merged
    merged.text = _spliced(text, source.data, result, comments)
    again, problems = read(name, merged.text)
    if problems or not same(again.data, result):  # for an unusual layout, the values matter more than the lines
        merged.text = document(result, comments)
    return merged


def _three_way(
    own: Mapping[str, Json], base: Json, data: Mapping[str, Json], path: KeyPath, merged: Merged
) -> dict[str, Json]:
    base = base if isinstance(base, dict) else {}
    result: dict[str, Json] = {}
    for key, value in own.items():
        where, known = (*path, key), base.get(key)
        if key in data and isinstance(value, dict) and isinstance(data[key], dict) and is_open(where):
            result[key] = _three_way(value, known, data[key], where, merged)
        elif key in data and same(value, data[key]):
            result[key] = value
        elif key not in data and _is_method(where):
            result[key] = value
            if known is not None:
                merged.removed.append(_dotted(where))
        elif known is None or not _unchanged(value, known, where):
            result[key] = value
            if known != (_digests(data[key], where) if key in data else None):
                merged.kept.append(_dotted(where))
        elif key in data:
            result[key] = data[key]
            merged.changed.append(_dotted(where))
        else:
            merged.changed.append(_dotted(where))
    for key, value in data.items():
        if key in own:
            continue
        if key in base:
            merged.absent.append(_dotted((*path, key)))
        else:
            _insert(result, key, value, list(data))
            merged.changed.append(_dotted((*path, key)))
    return result


def _with_used_schemas(result: dict[str, Json], own: Mapping[str, Json], base: Tree, merged: Merged) -> dict[str, Json]:
    """`result` with the shared schemas that the source no longer has and a remaining method still refers to."""
    shared, left = own.get("schemas"), result.get("schemas", {})
    used = json.dumps(result.get("methods"))
    kept = {
        name: schema
        for name, schema in (shared.items() if isinstance(shared, dict) else ())
        if name not in left and f'"#/schemas/{name}"' in used
    }
    if not kept:
        return result
    digests = base.get("schemas")
    merged.tree["schemas"] = {
        **merged.tree.get("schemas", {}),
        **{name: digests[name] for name in kept if isinstance(digests, dict) and name in digests},
    }
    told = {"schemas", *(f"schemas.{name}" for name in kept)}
    merged.changed = [path for path in merged.changed if path not in told]
    rest = {key: value for key, value in result.items() if key not in ("schemas", "methods")}
    methods = {"methods": result["methods"]} if "methods" in result else {}
    return {**rest, "schemas": {**left, **kept}, **methods}


def _is_method(path: KeyPath) -> bool:
    return len(path) == 2 and path[0] == "methods"


def _insert(result: dict[str, Json], key: str, value: Json, order: list[str]) -> None:
    """Insert `key` after the nearest of the keys before it in `order`, or at the end if there is none."""
    before = [known for known in order[: order.index(key)] if known in result]
    keys = list(result)
    at = keys.index(before[-1]) + 1 if before else len(keys)
    items = [*list(result.items())[:at], (key, value), *list(result.items())[at:]]
    result.clear()
    result.update(items)


def _digests(value: Json, path: KeyPath) -> Json:
    return tree(value, path) if isinstance(value, dict) and is_open(path) else digest(value)


def _unchanged(own: Json, known: Json, path: KeyPath) -> bool:
    """Whether `own` is still the generated value."""
    return bool(_digests(own, path) == known)


def _remembered(base: Tree, data: Mapping[str, Json], own: Mapping[str, Json]) -> Tree:
    """The digests of the data generated now, and of the methods that only the file still has."""
    found = tree(data)
    methods, own_methods = base.get("methods"), own.get("methods")
    if isinstance(methods, dict) and isinstance(own_methods, dict) and isinstance(found.get("methods"), dict):
        gone = {key: value for key, value in methods.items() if key not in found["methods"] and key in own_methods}
        found["methods"] = {**found["methods"], **gone}
    return found


# ---- the text


def _spliced(text: str, own: Mapping[str, Json], result: Mapping[str, Json], comments: Mapping[KeyPath, str]) -> str:
    """`text` with new lines for the values that differ between `own` and `result`."""
    root = yaml.compose(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return document(result, comments)
    file = text.replace("\r\n", "\n").split("\n")
    found = _Lines(file, comments).of(root, 0, own, result, ())
    return "\n".join([*found, *file[_last_line(file, root) + 1 :]])


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a file, from which the lines of its new version are taken."""

    file: list[str]
    comments: Mapping[KeyPath, str]

    def of(
        self, node: yaml.MappingNode, above: int, own: Mapping[str, Json], result: Mapping[str, Json], path: KeyPath
    ) -> list[str]:
        """The lines of a block mapping, from line `above` (the comments over its first key) to its last value."""
        indent = node.start_mark.column
        blocks: dict[str, list[str]] = {}
        for key_node, value_node in node.value:
            key, where = key_node.value, (*path, key_node.value)
            start, end = key_node.start_mark.line, _last_line(self.file, value_node)
            head, body = self.file[above:start], self.file[start : end + 1]
            above = end + 1
            if key not in result:
                continue
            old, new = own[key], result[key]
            block = isinstance(value_node, yaml.MappingNode) and not value_node.flow_style
            if same(old, new):
                blocks[key] = [*head, *body]
            elif block and isinstance(new, dict) and new and is_open(where):
                blocks[key] = [*head, self.file[start], *self.of(value_node, start + 1, old, new, where)]
            else:
                by_hand = [line for line in head if not line.strip().startswith(GENERATED)]
                blocks[key] = [*by_hand, *entry(key, new, where, indent, self.comments)]
        for key, value in result.items():
            if key not in blocks:
                blocks[key] = entry(key, value, (*path, key), indent, self.comments)
        return [line for key in result for line in blocks[key]]


def _last_line(file: list[str], node: yaml.Node) -> int:
    """The last line of `node`, without the comments and empty lines after it."""
    if isinstance(node, (yaml.MappingNode, yaml.SequenceNode)) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(file, last[1] if isinstance(last, tuple) else last)
    line: int = node.end_mark.line
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        line = min(line - (1 if node.end_mark.column == 0 else 0), len(file) - 1)
        while line > node.start_mark.line and not file[line].strip():
            line -= 1
    return line


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
