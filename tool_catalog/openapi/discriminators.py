"""Which alternative a value is: the member that says so, its values, and the children of an inheritance as a choice."""

from __future__ import annotations

from collections.abc import Iterable

from tool_catalog.catalog import Json
from tool_catalog.openapi.combining import as_dict
from tool_catalog.openapi.document import Document
from tool_catalog.openapi.references import last_name
from tool_catalog.openapi.texts import ended, plain

Schema = dict[str, Json]

INHERITED = "x-inherited"
"""Marks a choice that stands for the children of an inheritance."""

MOST_VALUES = 40
"""Values that a description lists: some 200 tokens."""


def with_children(document: Document, parent: Schema, reference: str) -> Schema:
    """A parent of an inheritance as the choice between its descendants, whose members a request may have too."""
    if "oneOf" in parent or "anyOf" in parent:
        return parent
    mapping = parent["discriminator"].get("mapping")
    targets = list(mapping.values()) if isinstance(mapping, dict) else []
    named = [one if "/" in str(one) else f"#/components/schemas/{one}" for one in targets]
    family = dict.fromkeys([*named, *document.children(reference)])
    for child in (waiting := list(family)):
        more = [one for one in document.children(child) if one not in family and one != reference]
        family |= dict.fromkeys(more)
        waiting += more
    choice = [{"$ref": child} for child in family if child != reference]
    # The parent itself is one of them, so that what only some children require is not required.
    return {**parent, "anyOf": [{"type": "object"}, *choice], INHERITED: True} if choice else parent


def tag(schema: Schema) -> Json:
    """The member that says which alternative a value is, unless one of them is meant without it."""
    discriminator = as_dict(schema.get("discriminator"))
    return None if "defaultMapping" in discriminator else discriminator.get("propertyName")


def values(schema: Schema, parts: Iterable[Json]) -> list[str]:
    """The values of the discriminator that mean `parts`: those that it maps to them, else their names."""
    mapped: dict[str, list[str]] = {}
    for value, target in as_dict(as_dict(schema.get("discriminator")).get("mapping")).items():
        mapped.setdefault(last_name(str(target)), []).append(value)
    names = [last_name(part["$ref"]) for part in parts if isinstance(part, dict) and isinstance(part.get("$ref"), str)]
    return [value for name in names for value in mapped.get(name, [name])]


def with_values(member: Json, lead: str, said: list[str]) -> Json:
    """The member that says which alternative a value is, with the values in its text: a model sees no names."""
    if not isinstance(member, dict) or {"enum", "const"} & set(member) or not 0 < len(said) <= MOST_VALUES:
        return member
    return {**member, "description": f"{ended(plain(member.get('description')))} {lead} {', '.join(said)}.".strip()}
