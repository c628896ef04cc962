"""A JSON Schema filled from memories without a language model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from functions.memory_engine import words
from functions.memory_engine.work.schema_references import REFERRING, Scope, scope_of

MAX_SCHEMA_DEPTH = 10
"""Levels of objects and arrays that are filled below the root of a schema."""
MAX_PARTS = 1_000
"""Properties that are filled, those of inner objects included. Each of them is compared with every memory."""
MATCH_SHARE = 0.34
"""Share of a property's words that a memory must hold to be its value."""

MAX_MERGED = 100
"""Schemas that `allOf` and references merge into one."""

_ALTERNATIVES = ("anyOf", "oneOf")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class CannotFill(Exception):
    """The schema has no instance that memories could fill. The text says why."""


@dataclass(frozen=True, slots=True)
class Held:
    """A memory, and the stems of its text and categories."""

    item: dict[str, Any]
    stems: frozenset[str]


def fill(schema: dict[str, Any], items: list[dict[str, Any]]) -> Any:
    """Returns an instance of the schema, filled from memories in the shape of `memories.single`.

    An array of objects that name fields of a memory (`memory`, `created_at`, `categories`, ...) lists the memories
    with those fields; `content` and `text` mean `memory`. Any other property is matched by the words of its name,
    title and description. A property that no memory matches is null.

    A schema that contains itself more than once is filled down to the level at which it has few enough properties.
    Raises CannotFill.
    """
    scope = scope_of(schema)
    for levels in range(MAX_SCHEMA_DEPTH, -1, -1):
        if _size(schema, scope, levels, MAX_PARTS) <= MAX_PARTS:
            held = [Held(item, words.stems_of(f"{item['memory']} {_spaced(item)}")) for item in items]
            return _fill(schema, "", held, scope, levels)
    raise CannotFill(f"the schema has more than {MAX_PARTS:,} properties")


def _spaced(item: dict[str, Any]) -> str:
    return " ".join(item["categories"]).replace("_", " ")


def _size(part: Any, scope: Scope, levels: int, most: int) -> int:
    """How many parts are filled; some number above `most` if there are more."""
    part, scope = _flat(part, scope)
    if levels < 0 or not isinstance(part, dict):
        return 1
    size = 1
    inner = _properties(part) if "properties" in part else {"": part.get("items")} if _kind(part) == "array" else {}
    for sub in inner.values():
        size += _size(sub, scope, levels - 1, most - size)
        if size > most:
            break
    return size


def _fill(part: Any, name: str, items: list[Held], scope: Scope, levels: int) -> Any:
    part, scope = _flat(part, scope)
    if not isinstance(part, dict):
        return None
    kind = _kind(part)
    if levels < 0 and (kind in ("object", "array") or "properties" in part):
        return None
    if kind == "object" or "properties" in part:
        return {key: _fill(sub, key, items, scope, levels - 1) for key, sub in _properties(part).items()}
    if kind == "array":
        element, inner = _flat(part.get("items") or {}, scope)
        properties = element.get("properties") if isinstance(element, dict) else None
        if isinstance(properties, dict):
            if any(_source(key) for key in properties):
                return [{key: one.item.get(_source(key) or "") for key in properties} for one in items]
            return [_fill(element, name, [one], inner, levels - 1) for one in _matching(part, name, items)]
        return [_scalar(element, one.item["memory"]) for one in _matching(part, name, items)]
    matching = _matching(part, name, items)
    if kind in ("integer", "number"):
        found = (_scalar(part, one.item["memory"]) for one in matching)
        return next((value for value in found if value is not None), None)
    return _scalar(part, matching[0].item["memory"]) if matching else None


def _properties(part: dict[str, Any]) -> dict[str, Any]:
    properties = part.get("properties")
    return properties if isinstance(properties, dict) else {}


def _flat(part: Any, scope: Scope, seen: set[int] | None = None) -> tuple[Any, Scope]:
    """`part` with what it refers to, all of its `allOf`, and the first alternative that is not null.

    `seen`: what is merged already, by its identity. A schema that is part of itself has each part once.
    """
    found, scope = scope.resolve(part)
    seen = set() if seen is None else seen
    if not isinstance(found, dict) or id(found) in seen or len(seen) >= MAX_MERGED:
        return found, scope
    seen.add(id(found))
    if found is not part:
        found = _merged({key: value for key, value in part.items() if key not in REFERRING}, found)
    flat = {key: value for key, value in found.items() if key not in ("allOf", *_ALTERNATIVES)}
    for key in ("allOf", *_ALTERNATIVES):
        several = found.get(key)
        for sub in several if isinstance(several, list) and (key == "allOf" or "type" not in flat) else ():
            other, entered = _flat(sub, scope, seen)
            if isinstance(other, dict) and other.get("type") != "null":
                flat, scope = _merged(other, flat), entered
                if key != "allOf":
                    break
    return flat, scope


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    properties = {**_properties(one), **_properties(other)}
    return {**one, **other, **({"properties": properties} if properties else {})}


def _scalar(part: Any, text: str) -> Any:
    kind = _kind(part) if isinstance(part, dict) else "string"
    if isinstance(part, dict) and isinstance(part.get("enum"), list):
        return next((v for v in part["enum"] if isinstance(v, str) and words.stems_of(v) & words.stems_of(text)), None)
    if kind == "string":
        return text
    if kind in ("integer", "number"):
        found = _NUMBER.search(text)
        if found is None or (kind == "integer" and "." in found[0]):
            return None
        return int(found[0][:15]) if "." not in found[0] else float(found[0])
    return None


def _matching(part: dict[str, Any], name: str, items: list[Held]) -> list[Held]:
    if name.lower() in ("memories", "memory", "facts", "items", "results"):
        return items
    asked = [re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name), part.get("title"), part.get("description")]
    stems = words.stems_of(" ".join(text for text in asked if isinstance(text, str)))
    scored = []
    for one in items if stems else ():
        share = len(stems & one.stems) / len(stems)
        if share >= MATCH_SHARE:
            scored.append((share, one))
    scored.sort(key=lambda pair: -pair[0])
    return [one for _, one in scored]


def _source(key: str) -> str | None:
    aliases = {"content": "memory", "text": "memory", "run_id": "session_id", "memory_id": "id"}
    fields = (
        *("id", "memory", "user_id", "agent_id", "app_id", "session_id", "metadata", "categories"),
        *("created_at", "updated_at", "expiration_date", "immutable"),
    )
    return aliases.get(key) or (key if key in fields else None)


def _kind(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    return kind if isinstance(kind, str) else "string"
