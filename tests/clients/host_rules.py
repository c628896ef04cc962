"""The rules of hosts in host_rules.yaml, and where a tool's input schema breaks one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

Json = Any

RULES: list[dict[str, Json]] = yaml.safe_load((Path(__file__).parent / "host_rules.yaml").read_text(encoding="utf-8"))

Breaks = Callable[[Mapping[str, Json]], bool]


def _check(rule: Mapping[str, Json]) -> Breaks:
    """Whether a schema breaks the rule."""
    if "breaks" in rule:
        return jsonschema_rs.Draft202012Validator(rule["breaks"]).is_valid
    return lambda schema: not jsonschema_rs.meta.is_valid({**schema, "$schema": rule["valid_by"]})


_CHECKS = [(f"{rule['host']}: {rule['rule']}", rule["of"], _check(rule)) for rule in RULES]


def broken(schema: Mapping[str, Json]) -> list[str]:
    """Each rule that the input schema breaks, with the first place."""
    found: dict[str, str] = {}
    for place, part in _walk(schema, ""):
        for name, of, breaks in _CHECKS:
            if (of == "each" or not place) and breaks(part):
                found.setdefault(name, place)
        if missing := [name for name in part.get("required", ()) if name not in part.get("properties", {})]:
            found.setdefault(f"VS Code: what is required is a property, and {missing[0]} is none", place)
    return [f"{name} ({place or 'root'})" for name, place in found.items()]


def _walk(schema: Json, place: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Each schema in `schema`, with its place."""
    if not isinstance(schema, Mapping):
        return
    yield place, schema
    for name, part in schema.get("properties", {}).items():
        yield from _walk(part, f"{place}.{name}")
    for key in ("items", "additionalProperties"):
        yield from _walk(schema.get(key), f"{place}.{key}")
    for index, part in enumerate(schema.get("anyOf", ())):
        yield from _walk(part, f"{place}|{index}")
