"""Values that satisfy a schema: the source's own examples where they do, else the plainest value of the type."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

Json = Any
Schema = dict[str, Json]

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}

_TEXTS = ("example", "a", "A", "1", "12", "123456", "abc-123", "example.com", "https://example.com/", "en", "US", "0" * 32)
"""Tried in turn where a pattern or a length rules out the first."""


def sample(schema: Json) -> Json:
    """A value for `schema`; where none can be made up, one that the gate will refuse by name."""
    if not isinstance(schema, dict):
        return None
    for value in (schema.get("const"), *schema.get("examples", ()), schema.get("default"), *schema.get("enum", ())[:1]):
        if value is not None and _valid(schema, value):
            return value
    for key in ("anyOf", "oneOf"):
        for branch in schema.get(key, ()):
            if _valid(schema, value := sample(branch)):
                return value
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((entry for entry in kind if entry != "null"), "null")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: sample(properties[name]) for name in schema.get("required", ()) if name in properties}
    if kind == "array":
        return [sample(schema.get("items", {"type": "string"}))] * max(schema.get("minItems", 1), 1)
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _text(schema)


def _text(schema: Schema) -> str:
    first = _FORMATS.get(schema.get("format", ""), "example")
    short = first[: schema["maxLength"]] if "maxLength" in schema else first
    padded = short.ljust(schema.get("minLength", 0), "x")
    return next((text for text in (padded, *_TEXTS) if _valid(schema, text)), first)


def _number(schema: Schema, kind: str) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = schema.get("multipleOf", 1)
    for value in (1, low, step, high, (low or 0) + 1, (high or 0) - 1, 0.5 if kind == "number" else 0):
        if value is not None and _valid(schema, value):
            return int(value) if kind == "integer" else value
    return 1


def _valid(schema: Schema, value: Json) -> bool:
    try:
        return jsonschema_rs.is_valid(schema, value, validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
