"""A value that satisfies a schema: an example of the source if it does, else the plainest value of the type."""

from __future__ import annotations

import re

import jsonschema_rs

from tool_catalog.catalog import Json

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

_TEXTS = (
    "example",
    "a",
    "A",
    "1",
    "12",
    "123456",
    "abc-123",
    "example.com",
    "https://example.com/",
    "en",
    "US",
    "0" * 32,
)
"""Texts that are tried in turn when a pattern or a length rules out the first."""


def sample(schema: Json) -> Json:
    """A value for `schema`. If none can be found, the value is one that the gate refuses by name."""
    if not isinstance(schema, dict):
        return None
    for value in (schema.get("const"), *schema.get("examples", ()), schema.get("default"), *schema.get("enum", ())[:1]):
        if value is not None and fits(schema, value):
            return value
    for key in ("anyOf", "oneOf"):
        for branch in schema.get(key, ()):
            if fits(schema, value := sample(branch)):
                return value
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((entry for entry in kind if entry != "null"), "null")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: sample(properties[name]) for name in schema.get("required", ()) if name in properties}
    if kind == "array":
        items, count = schema.get("items", {"type": "string"}), max(schema.get("minItems", 1), 1)
        return _different(items, count) if schema.get("uniqueItems") and count > 1 else [sample(items)] * count
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _text(schema)


def _different(schema: Json, count: int) -> list[Json]:
    """`count` values for `schema`, each another one, as far as such can be found."""
    first = sample(schema)
    found: list[Json] = [first]
    known = schema.get("enum", ()) if isinstance(schema, dict) else ()
    varied = [f"{first[: len(first) - len(str(n))]}{n}" for n in range(count * 2)] if isinstance(first, str) else []
    longer = [f"{first}{n}" for n in range(count)] if isinstance(first, str) else []
    later = [f"{2026 + n}{first[4:]}" for n in range(count)] if str(first).startswith("2026-") else []
    counted = [first + n for n in range(count)] if type(first) in (int, float) else []
    for value in (*known, *later, *varied, *longer, *counted, True, False, None):
        if len(found) < count and fits(schema, value) and not any(value == one for one in found):
            found.append(value)
    return found


def _text(schema: Schema) -> str:
    first = _FORMATS.get(schema.get("format", ""), "example")
    short = first[: schema["maxLength"]] if "maxLength" in schema else first
    padded = short.ljust(schema.get("minLength", 0), "x")
    spelled = (spell(schema["pattern"]), spell(schema["pattern"], least=0)) if "pattern" in schema else ()
    return next((text for text in (padded, *spelled, *_TEXTS) if fits(schema, text)), first)


def spell(pattern: str, least: int = 1) -> str:
    """A text that a plain pattern allows, e.g. "AC" and 32 zeros for "^AC[0-9a-f]{32}$". The caller checks the guess.

    It knows classes, groups (their first alternative), escapes and repetitions. `least` is how often a part is written
    that may be left out. Conditions about what comes before or after a place are passed over.
    """
    text, end = _spell(pattern, 0, least)
    return text if end == len(pattern) else ""


def _spell(pattern: str, at: int, least: int) -> tuple[str, int]:
    """The text for `pattern` from `at` to its end or to the ")" that closes a group, and the index of that end."""
    parts: list[str] = []
    while at < len(pattern) and pattern[at] != ")":
        character = pattern[at]
        if character == "|":
            depth = 0
            while at < len(pattern) and (pattern[at] != ")" or depth):
                depth += {"(": 1, ")": -1}.get(pattern[at], 0)
                at += 2 if pattern[at] == "\\" else 1
            break
        if character in "^$":
            at += 1
            continue
        if character == "(":
            opening = re.match(r"\?(:|P?<[^=!][^>]*>|(?P<condition><?[=!]))", pattern[at + 1 :])
            part, at = _spell(pattern, at + 1 + (opening.end() if opening else 0), least)
            at += 1
            if opening and opening["condition"]:
                continue
        elif character == "[":
            end = pattern.find("]", at + 2)
            part, at = _of_class(pattern[at + 1 : end]), end + 1
            if end < 0:
                return "", -1
        elif character == "\\":
            part, at = _ESCAPES.get(pattern[at + 1 : at + 2], pattern[at + 1 : at + 2]), at + 2
        else:
            part, at = "a" if character == "." else character, at + 1
        times = 1
        if repeat := re.match(r"[*+?]|\{(\d+)(?:,\d*)?\}", pattern[at:]):
            few = least if repeat[0][0] in "*?" else 1
            times = min(int(repeat[1]), 1000) if repeat[1] else few
            at += repeat.end()
            at += pattern[at : at + 1] == "?"  # not greedy
        parts.append(part * times)
    return "".join(parts), at


def _of_class(inside: str) -> str:
    """One character of a class. For a negated class, it is the first plain character outside it."""
    if inside.startswith("^"):
        return next((letter for letter in "a1-" if letter not in inside), "a")
    return _ESCAPES.get(inside[1:2], inside[1:2]) if inside.startswith("\\") else inside[:1]


_ESCAPES = {"d": "0", "w": "a", "s": " ", "S": "a", "D": "a", "W": "-", "b": "", "B": "", "A": "", "Z": "", "z": ""}


def _number(schema: Schema, kind: str) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = schema.get("multipleOf", 1)
    for value in (1, low, step, high, (low or 0) + 1, (high or 0) - 1, 0.5 if kind == "number" else 0):
        if value is not None and fits(schema, value):
            return int(value) if kind == "integer" else value
    return 1


def fits(schema: Schema, value: Json) -> bool:
    """Whether `value` is valid, formats included. Nothing fits a schema that cannot be checked."""
    try:
        return jsonschema_rs.is_valid(schema, value, validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
