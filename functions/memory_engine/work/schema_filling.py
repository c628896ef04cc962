"""A JSON Schema filled from memories without a language model."""

from __future__ import annotations

import re
from typing import Any

from functions.memory_engine import words

MAX_SCHEMA_DEPTH = 10
"""Levels of a schema that are filled, and references that are followed in a row."""
MATCH_SHARE = 0.34
"""Share of a property's words that a memory must hold to be its value."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def fill(schema: dict[str, Any], items: list[dict[str, Any]]) -> Any:
    """Returns an instance of the schema, filled from memories in the shape of `memories.single`.

    An array of objects that name fields of a memory (`memory`, `created_at`, `categories`, ...) lists the memories
    with those fields; `content` and `text` mean `memory`. Any other property is matched by the words of its name,
    title and description. A property that no memory matches is null.
    """
    return _fill(schema, "", items, schema, 0)


def _fill(part: Any, name: str, items: list[dict[str, Any]], root: dict[str, Any], depth: int) -> Any:
    part = _resolve(part, root)
    if depth > MAX_SCHEMA_DEPTH or not isinstance(part, dict):
        return None
    kind = _kind(part, root)
    if kind == "object" or "properties" in part:
        properties = part.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        return {key: _fill(sub, key, items, root, depth + 1) for key, sub in properties.items()}
    if kind == "array":
        element = _resolve(part.get("items") or {}, root)
        properties = element.get("properties") if isinstance(element, dict) else None
        if isinstance(properties, dict):
            if any(_source(key) for key in properties):
                return [{key: item.get(_source(key) or "") for key in properties} for item in items]
            return [_fill(element, name, [item], root, depth + 1) for item in _matching(part, name, items)]
        return [_scalar(element, item["memory"], root) for item in _matching(part, name, items)]
    matching = _matching(part, name, items)
    if kind in ("integer", "number"):
        return next((value for item in matching if (value := _scalar(part, item["memory"], root)) is not None), None)
    return _scalar(part, matching[0]["memory"], root) if matching else None


def _scalar(part: Any, text: str, root: dict[str, Any]) -> Any:
    kind = _kind(part, root) if isinstance(part, dict) else "string"
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


def _matching(part: dict[str, Any], name: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if name.lower() in ("memories", "memory", "facts", "items", "results"):
        return items
    asked = [re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name), part.get("title"), part.get("description")]
    stems = words.stems_of(" ".join(text for text in asked if isinstance(text, str)))
    scored = []
    for item in items:
        held = words.stems_of(item["memory"]) | words.stems_of(" ".join(item["categories"]).replace("_", " "))
        share = len(stems & held) / len(stems) if stems else 0.0
        if share >= MATCH_SHARE:
            scored.append((share, item))
    scored.sort(key=lambda pair: -pair[0])
    return [item for _, item in scored]


def _source(key: str) -> str | None:
    aliases = {"content": "memory", "text": "memory", "run_id": "session_id", "memory_id": "id"}
    fields = (
        *("id", "memory", "user_id", "agent_id", "app_id", "session_id", "metadata", "categories"),
        *("created_at", "updated_at", "expiration_date", "immutable"),
    )
    return aliases.get(key) or (key if key in fields else None)


def _kind(part: dict[str, Any], root: dict[str, Any]) -> str:
    kind = part.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    for several in ("anyOf", "oneOf"):
        if kind is None and isinstance(part.get(several), list):
            kinds = [_kind(_resolve(sub, root), root) for sub in part[several] if isinstance(sub, dict)]
            kind = next((name for name in kinds if name != "null"), None)
    return kind if isinstance(kind, str) else "string"


def _resolve(part: Any, root: dict[str, Any]) -> Any:
    for _ in range(MAX_SCHEMA_DEPTH):
        reference = part.get("$ref") if isinstance(part, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return part
        part = root
        for step in reference[2:].split("/"):
            part = part.get(step) if isinstance(part, dict) else None
    return part
