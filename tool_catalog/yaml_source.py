"""YAML text -> plain data that still knows its lines.

A strict subset of YAML 1.2: mappings, sequences, scalars, anchors and aliases. Plain scalars follow the JSON schema of
the standard (`true`, `false`, `null`, numbers), so `no`, `on`, `1:30` and `2026-12-31` stay the strings they look like.
Refused, with file and line: duplicate keys, keys that are not strings, tags, merge keys, recursive aliases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

MAX_NODES = 500_000
"""Most values one file may expand to: aliases can double a document per line; 900 operations are about 60,000."""

MAX_DEPTH = 100
"""Deepest nesting of one file; records have at most fifteen levels. libyaml composes recursively and would crash."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}
_STRING_TAG = "tag:yaml.org,2002:str"
_PLAIN_TAGS = {_STRING_TAG, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One thing wrong with the records, and where. `line` counts from 1; 0 when the whole file is meant."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(slots=True)
class Source:
    """One YAML file: its name in messages, its data and the line of every value."""

    name: str
    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """Line of the value at `path`, or of the nearest thing above it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at `path`, whose dotted form leads the message."""
        where = ".".join(map(str, path))
        return Problem(self.name, self.line(path), f"{where}: {message}" if where else message)


def read(name: str, text: str) -> tuple[Source, list[Problem]]:
    """Parse `text`. With problems, the source's data is None or incomplete."""
    source = Source(name)
    try:
        root = _compose(text)
    except TooDeepError as error:
        return source, [Problem(name, error.line, f"nested deeper than {MAX_DEPTH} levels")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        detail = " ".join(part for part in (error.context, error.problem) if part)
        return source, [Problem(name, mark.line + 1 if mark else 1, f"not YAML: {detail}")]
    except yaml.YAMLError as error:
        return source, [Problem(name, 1, f"not YAML: {' '.join(str(error).split())}")]
    if root is None:
        return source, [Problem(name, 1, "the file is empty; see docs/records.md for what a record holds")]
    reader = _Reader(source)
    try:
        source.data = reader.value(root, (), ())
    except _TooLargeError:
        reader.problems.append(Problem(name, 1, f"expands to over {MAX_NODES} values; are aliases nested in aliases?"))
    return source, reader.problems


def _compose(text: str) -> yaml.Node | None:
    """libyaml where there is one, ten times faster; its error texts differ, so those always come from PyYAML itself."""
    fast = getattr(yaml, "CBaseLoader", None)
    if fast is not None:
        try:
            check_depth(text, fast, MAX_DEPTH)
            return yaml.compose(text, Loader=fast)
        except yaml.YAMLError:
            pass
    check_depth(text, yaml.BaseLoader, MAX_DEPTH)
    return yaml.compose(text, Loader=yaml.BaseLoader)


def check_depth(text: str, loader: Any, most: int) -> None:
    """Walk the events, which needs no stack, before anything is built recursively. Raises TooDeepError."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > most:
                raise TooDeepError(event.start_mark.line + 1 if event.start_mark else 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class TooDeepError(Exception):
    """A text is nested deeper than it may be, from this line on."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _TooLargeError(Exception):
    pass


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.count = 0

    def value(self, node: yaml.Node, path: KeyPath, above: tuple[int, ...], line: int | None = None) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise _TooLargeError
        self.source.lines[path] = line or node.start_mark.line + 1
        if id(node) in above:
            self._refuse(node, "an alias inside its own anchor; write the value out")
            return None
        if node.tag not in _PLAIN_TAGS:
            self._refuse(node, f'tag "{node.tag}" is not allowed; write a plain value')
            return None
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index), above) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, above: tuple[int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.tag != _STRING_TAG:
                self._refuse(key, "a key must be a plain string")
            elif name == "<<" and not key.style:
                self._refuse(key, 'merge keys ("<<") are not part of YAML 1.2; share schemas with $ref instead')
            elif name in result:
                first = self.source.lines[(*path, name)]
                self._refuse(key, f'duplicate key "{name}"; first on line {first}')
            else:
                result[name] = self.value(item, (*path, name), above, key.start_mark.line + 1)
        return result

    def _refuse(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(self.source.name, node.start_mark.line + 1, message))


def _scalar(node: yaml.ScalarNode) -> Any:
    text = node.value
    if node.style:  # quoted or a block: a string, whatever it looks like
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text
