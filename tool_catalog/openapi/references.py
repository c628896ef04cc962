"""The references of a document, all written as pointers into the file: "#/components/schemas/Pet".

From OpenAPI 3.1 on, a schema is JSON Schema 2020-12: it may have a base URI (`$id`), be referred to by name (`$anchor`,
`$dynamicAnchor`), and refer to itself by "#". Many documents also hold schemas that were written as files of their own,
whose "#/$defs/Pet" is meant from the root of that schema. Nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin

from tool_catalog.catalog import Json

Node = dict[str, Json]

ROOT = "#"
"""The reference to the whole document."""

DYNAMIC = "$dynamicRef"
"""Keyword beside a `$ref`: the name of the `$dynamicAnchor` that may replace its target."""

_KEYWORDS = r"""\$(?:id|self|anchor|dynamicAnchor|dynamicRef)["']?\s*:"""
_REFERENCE = r"""\$ref["']?\s*:\s*+["']?+(?!\#/(?:%s)/[^"'\s%%]*(?:["'\s]|$))"""
_UNUSUAL = re.compile(f"{_KEYWORDS}|{_REFERENCE % 'components|paths'}")
_UNUSUAL_IN_SWAGGER = re.compile(f"{_KEYWORDS}|{_REFERENCE % 'definitions|parameters|responses|paths'}")
"""What only `made_local` understands. A document without it, i.e. nearly every one, is left as it is."""

_HELD = ("schema", "itemSchema")
"""Keys of OpenAPI under which a schema begins."""


@dataclass(slots=True)
class Names:
    """What a document calls its schemas.

    `targets`   the pointer to the schema at a base URI and a name: "" is the whole resource, others are its anchors.
    `dynamic`   the pointer to the schema of a `$dynamicAnchor`, by the pointer to its resource and the name.
    """

    targets: dict[tuple[str, str], str] = field(default_factory=dict)
    dynamic: dict[tuple[str, str], str] = field(default_factory=dict)

    def outermost(self, name: str, above: tuple[str, ...], lexical: str) -> str:
        """The target of a `$dynamicRef` that was reached through the references `above`."""
        for reference in above:
            for (resource, anchor), pointer in self.dynamic.items():
                if anchor == name and self._resource(reference) == resource:
                    return pointer
        return lexical

    def _resource(self, reference: str) -> str:
        """The pointer to the resource that holds the target of a pointer."""
        found = [one for (_, name), one in self.targets.items() if not name and _inside(reference, one)]
        return max(found, key=len, default=ROOT)


def _inside(pointer: str, outer: str) -> bool:
    return pointer == outer or pointer.startswith(f"{outer}/")


def unusual(text: str, *, swagger: bool = False) -> bool:
    """Whether the text of a document may hold references of other forms than "#/components/schemas/Pet"."""
    return (_UNUSUAL_IN_SWAGGER if swagger else _UNUSUAL).search(text) is not None


def made_local(data: Node) -> Names:
    """Writes every reference of `data` whose target is in it as a pointer, in place, and returns the names."""
    names = Names()
    own = data.get("$self")
    document = own if isinstance(own, str) else ""
    names.targets |= {("", ""): ROOT, (document, ""): ROOT}
    places = list(_places(data, names, document))
    for place in places:
        node = place.node
        if isinstance(reference := node.get("$ref"), str):
            node["$ref"] = _pointer(data, names, place, reference) or reference
        if isinstance(reference := node.get(DYNAMIC), str):
            del node[DYNAMIC]
            pointer = _pointer(data, names, place, reference)
            node.setdefault("$ref", pointer or reference)
            name = reference.partition("#")[2]
            if pointer in names.dynamic.values() and at(data, pointer or "").get("$dynamicAnchor") == name:
                node[DYNAMIC] = name
        if isinstance(node.get("$id"), str):
            node["$id"] = place.pointer
    return names


@dataclass(frozen=True, slots=True)
class _Place:
    """A mapping of the document, its pointer, its base URI, and the pointer to the schema it is part of."""

    node: Node
    pointer: str
    base: str
    schema: str


def _places(data: Node, names: Names, document: str) -> Iterator[_Place]:
    waiting: list[tuple[Json, str, str, str]] = [(data, ROOT, document, ROOT)]
    seen: set[int] = set()
    while waiting:
        node, pointer, base, schema = waiting.pop()
        if id(node) in seen:  # an alias of YAML
            continue
        seen.add(id(node))
        if isinstance(node, list):
            waiting += [(entry, f"{pointer}/{index}", base, schema) for index, entry in enumerate(node)]
        elif isinstance(node, dict):
            if isinstance(own := node.get("$id"), str):
                base, schema = urljoin(base, own).partition("#")[0], pointer
                names.targets.setdefault((base, ""), pointer)
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := node.get(key), str):
                    names.targets.setdefault((base, name), pointer)
                    if key == "$dynamicAnchor":
                        names.dynamic.setdefault((names.targets[base, ""], name), pointer)
            yield _Place(node, pointer, base, schema)
            for key, value in node.items():
                inner = f"{pointer}/{_step(key)}"
                begins = schema == ROOT and (key in _HELD or pointer == "#/components/schemas")
                waiting.append((value, inner, base, inner if begins else schema))


def _pointer(data: Node, names: Names, place: _Place, reference: str) -> str | None:
    """The pointer to the target of a reference. None without a target in this file."""
    uri, _, fragment = reference.partition("#")
    base = urljoin(place.base, uri) if uri else place.base
    start = names.targets.get((base, ""))
    if start is None:
        return None
    if fragment in ("", "/"):
        return place.schema if start == ROOT and not uri else start
    if not fragment.startswith("/"):
        return names.targets.get((base, unquote(fragment)))
    local = "/".join(_step(_key(step)) for step in fragment.split("/"))
    starts = (start,) if uri else dict.fromkeys((start, ROOT, place.schema))
    return next((f"{one}{local}" for one in starts if exists(data, f"{one}{local}")), None)


def exists(data: Node, pointer: str) -> bool:
    """Whether `data` has something at the pointer."""
    try:
        at(data, pointer)
    except LookupError:
        return False
    return True


def at(data: Json, pointer: str) -> Json:
    """What is at a reference of the form "#/a/b": a JSON Pointer (RFC 6901) as a fragment. Raises LookupError."""
    found: Json = data
    path = pointer.removeprefix(ROOT).removeprefix("/")
    for step in path.split("/") if path else ():
        key = _key(step)
        if isinstance(found, list) and key.isascii() and key.isdecimal():
            found = found[int(key)]
        elif isinstance(found, Mapping):
            found = found[key]
        else:
            raise LookupError(key)
    return found


def escaped(key: str) -> str:
    """A key as a step of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def fragment_of(*keys: str) -> str:
    """The reference to what stands at a path of keys. Each target has one such reference."""
    return "/".join((ROOT, *map(_step, keys)))


def _step(key: str) -> str:
    return escaped(key).replace("%", "%25")


def _key(step: str) -> str:
    return unquote(step).replace("~1", "/").replace("~0", "~")


def last_name(reference: str) -> str:
    """The last key of a reference: the name of a component."""
    return _key(reference.rsplit("/", 1)[-1])
