"""The references of a JSON Schema, resolved inside the schema. Nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urljoin

MAX_IN_A_ROW = 10
"""References that only lead to another reference, and are followed."""

REFERRING = ("$ref", "$dynamicRef", "$recursiveRef")
"""Keywords that stand for another schema."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a reference is read.

    `_bases`     the base URI of each object of the schema, by its identity.
    `_targets`   the schema at a base URI and a name: "" is the whole schema, others are its anchors.
    `_dynamic`   the base URIs and names of `_targets` that `$dynamicRef` and `$recursiveRef` look for.
    `_entered`   the base URIs of the schemas that led here, the outermost first.
    """

    _bases: dict[int, str]
    _targets: dict[tuple[str, str], dict[str, Any]]
    _dynamic: set[tuple[str, str]]
    _entered: tuple[str, ...] = ()

    def resolve(self, part: Any) -> tuple[Any, Scope]:
        """The target of the references of `part`, and where its own references are read.

        A reference to another document stays as it is. The target of one that leads nowhere is None.
        """
        scope = self
        for _ in range(MAX_IN_A_ROW):
            keyword = next((key for key in REFERRING if key in part), None) if isinstance(part, dict) else None
            reference = part[keyword] if keyword else None
            if not isinstance(reference, str):
                return part, scope
            base, fragment = _target(scope._bases.get(id(part), ""), reference)
            if (base, "") not in scope._targets:
                return part, scope
            scope = scope._in(scope._bases.get(id(part), ""))
            if keyword != "$ref" and (base, fragment) in scope._dynamic:
                base = next(outer for outer in (*scope._entered, base) if (outer, fragment) in scope._dynamic)
            found = scope._targets.get((base, "" if fragment.startswith("/") else fragment))
            part = _at(found, fragment) if fragment.startswith("/") else found
            scope = scope._in(scope._bases.get(id(part), base))
        return part, scope

    def _in(self, base: str) -> Scope:
        return self if base in self._entered else replace(self, _entered=(*self._entered, base))


def scope_of(root: dict[str, Any]) -> Scope:
    """The scope of a whole schema."""
    scope = Scope({}, {("", ""): root}, set())
    waiting: list[tuple[Any, str]] = [(root, "")]
    while waiting:
        part, base = waiting.pop()
        if isinstance(part, list):
            waiting += [(entry, base) for entry in part]
        elif isinstance(part, dict):
            base = _named(scope, part, base)
            waiting += [(value, base) for value in part.values()]
    return scope


def _named(scope: Scope, part: dict[str, Any], base: str) -> str:
    """Enters the names of `part`, and returns the base URI of what is in it."""
    own = part.get("$id")
    if isinstance(own, str):
        base, anchor = _target(base, own)
        scope._targets.setdefault((base, anchor), part)  # "#name" is an anchor in drafts 6 and 7
    scope._bases[id(part)] = base
    for key in ("$anchor", "$dynamicAnchor"):
        if isinstance(name := part.get(key), str):
            scope._targets.setdefault((base, name), part)
            if key == "$dynamicAnchor":
                scope._dynamic.add((base, name))
    if part.get("$recursiveAnchor") is True:
        scope._dynamic.add((base, ""))
    return base


def _target(base: str, reference: str) -> tuple[str, str]:
    """The URI and the decoded fragment that a reference means."""
    uri, _, fragment = reference.partition("#")
    return (urljoin(base, uri).partition("#")[0] if uri else base), unquote(fragment)


def _at(part: Any, pointer: str) -> Any:
    """What is at a JSON Pointer (RFC 6901), or None."""
    for step in pointer[1:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and key.isdecimal() and key.isascii() and int(key) < len(part):
            part = part[int(key)]
        elif isinstance(part, dict) and key in part:
            part = part[key]
        else:
            return None
    return part
