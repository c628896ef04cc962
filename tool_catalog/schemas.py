"""JSON Schemas of the records: shared parts expanded, mistakes found, output schemas made from documented answers.

What leaves here is self-contained, without `$ref` and `$defs`: hosts pass schemas on to model APIs that follow neither.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from functions.gateway.wording import did_you_mean, shown
from tool_catalog.catalog import Json
from tool_catalog.yaml_source import KeyPath, Problem, Source

Schema = dict[str, Json]

SHARED = "#/schemas/"
"""How a record refers to a shared schema of its own or of integration.yaml: {$ref: "#/schemas/list_filters"}."""

MAX_DEPTH = 12
"""Deepest nesting of a schema. A model gets nothing right below half of that; an importer stops long before."""

_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas")
_KEYWORDS = (
    *_ONE,
    *_MANY,
    *_NAMED,
    *("$ref", "type", "title", "description", "default", "examples", "enum", "const", "format", "pattern", "required"),
    *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"),
    *("dependentRequired", "deprecated", "shown"),
)
_ADVICE = {
    "nullable": 'write type: [string, "null"]',
    "example": "write examples: [...]",
    "discriminator": "OpenAPI only; leave it out",
    "xml": "OpenAPI only; leave it out",
    "$defs": 'shared parts stand under "schemas:" of the record or of integration.yaml',
    "definitions": 'shared parts stand under "schemas:" of the record or of integration.yaml',
    "x-mcp-header": "header mirroring is not served; hosts drop a tool whose annotation they cannot use",
}

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")

SHOWN = "shown"
"""Our own keyword: a wider and shorter schema that a model sees in place of the one it stands in. Calls are checked
against the latter. Without a description it keeps the description of the latter."""

_META_SCHEMA = jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a schema stands: a file and a path in it."""

    source: Source
    path: KeyPath

    def at(self, *steps: str | int) -> Place:
        """The place `steps` below this one."""
        return Place(self.source, (*self.path, *steps))

    def problem(self, message: str) -> Problem:
        """A problem here."""
        return self.source.problem(self.path, message)


def schema_problems(schema: Schema, place: Place) -> list[Problem]:
    """What the meta-schema of JSON Schema 2020-12 finds."""
    problems = []
    for error in _META_SCHEMA.iter_errors(schema):
        wrong_type = "type" in error.instance_path[-2:] and error.kind.name == "anyOf"
        detail = f"{shown(error.instance)} is not a type; types: {', '.join(_TYPES)}" if wrong_type else error.message
        problems.append(place.at(*error.instance_path).problem(f"not JSON Schema 2020-12: {detail}"))
    return problems


@dataclass(slots=True)
class Expander:
    """Expands the `$ref`s of one record. Each found mistake goes to `report` once, however often a part is used."""

    shared: Mapping[str, tuple[Schema, Place]]
    report: Callable[[Problem], None]
    used: set[str] = field(default_factory=set)
    _checked: set[tuple[str, KeyPath]] = field(default_factory=set)

    def expand(self, schema: Schema, place: Place) -> Schema:
        """`schema` with every shared part written out. Parts that cannot be expanded become {}."""
        for problem in schema_problems(schema, place):
            self.report(problem)
        expanded: Schema = self._expand(schema, place, (), 0)
        return expanded

    def _expand(self, schema: Json, place: Place, above: tuple[str, ...], depth: int) -> Any:
        if not isinstance(schema, dict):
            return schema
        if depth > MAX_DEPTH:
            self.report(
                place.problem(f"nested deeper than {MAX_DEPTH} schemas; state the inner part as a plain object")
            )
            return {}
        self._check_keywords(schema, place)
        if "$ref" in schema:
            return self._resolve(schema, place, above, depth)
        result = dict(schema)
        if SHOWN in schema:
            for problem in schema_problems(schema[SHOWN], place.at(SHOWN)):
                self.report(problem)
        for key in (*_ONE, SHOWN):
            if key in result:
                result[key] = self._expand(result[key], place.at(key), above, depth + 1)
        for key in _MANY:
            if isinstance(result.get(key), list):
                result[key] = [
                    self._expand(part, place.at(key, index), above, depth + 1) for index, part in enumerate(result[key])
                ]
        for key in _NAMED:
            if isinstance(result.get(key), dict):
                result[key] = {
                    name: self._expand(part, place.at(key, name), above, depth + 1)
                    for name, part in result[key].items()
                }
        return result

    def _resolve(self, schema: Schema, place: Place, above: tuple[str, ...], depth: int) -> Schema:
        reference = schema["$ref"]
        name = reference.removeprefix(SHARED) if isinstance(reference, str) else ""
        if name == reference or name not in self.shared:
            known = ", ".join(sorted(self.shared)) or "none"
            self.report(
                place.at("$ref").problem(f'unresolved $ref "{reference}"; write "{SHARED}<name>", names: {known}')
            )
            return {}
        if name in above:
            chain = " -> ".join((*above, name))
            self.report(
                place.at("$ref").problem(f"recursive $ref ({chain}); write the levels out and stop at a plain object")
            )
            return {}
        self.used.add(name)
        target, target_place = self.shared[name]
        expanded = self._expand(target, target_place, (*above, name), depth)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**copy.deepcopy(expanded), **self._expand(beside, place, above, depth)}

    def _check_keywords(self, schema: Schema, place: Place) -> None:
        """Keywords nobody evaluates are mistakes; so are required names without a property."""
        if (key := (place.source.name, place.path)) in self._checked:
            return
        self._checked.add(key)
        for keyword in schema:
            if keyword not in _KEYWORDS:
                hint = did_you_mean(keyword, _KEYWORDS, instead="remove it")
                advice = f"; {_ADVICE[keyword]}" if keyword in _ADVICE else hint
                self.report(place.at(keyword).problem(f"unknown JSON Schema keyword{advice}"))
        properties = schema.get("properties")
        if isinstance(schema.get("required"), list) and isinstance(properties, dict):
            for index, name in enumerate(schema["required"]):
                if name not in properties:
                    self.report(place.at("required", index).problem(f'"{name}" is required but is not a property'))


def exact(schema: Json) -> Any:
    """The schema that calls are checked against: without what stands in it for a model alone."""
    return _each(schema, lambda part: {key: value for key, value in part.items() if key != SHOWN})


def displayed(schema: Json) -> Any:
    """The schema that a model sees: each part replaced by what it says is shown."""

    def replaced(part: Schema) -> Schema:
        if SHOWN not in part:
            return part
        texts = {key: part[key] for key in ("title", "description", "default") if key in part}
        return {**texts, **part[SHOWN]}

    return _each(schema, replaced)


def _each(schema: Json, change: Callable[[Schema], Schema]) -> Json:
    """`schema` with `change` made to it and to every schema inside the outcome."""
    if not isinstance(schema, dict):
        return schema
    result = dict(change(schema))
    for key in _ONE:
        if key in result:
            result[key] = _each(result[key], change)
    for key in _MANY:
        if isinstance(result.get(key), list):
            result[key] = [_each(part, change) for part in result[key]]
    for key in _NAMED:
        if isinstance(result.get(key), dict):
            result[key] = {name: _each(part, change) for name, part in result[key].items()}
    return result


def narrower(shown: Json, checked: Json, place: Place) -> list[Problem]:
    """Where the shown schema refuses what the checked one accepts, or names what it does not have."""
    if not isinstance(shown, dict) or not isinstance(checked, dict):
        return []
    problems = []
    asked, known = _types(shown), _types(checked)
    if asked and known and (missing := sorted(known - asked - ({"integer"} if "number" in asked else set()))):
        problems.append(place.problem(f"shows no {' or '.join(missing)}, which the schema takes"))
    if extra := [name for name in shown.get("required", ()) if name not in checked.get("required", ())]:
        problems.append(place.at("required").problem(f"{', '.join(extra)}: the schema does not require it"))
    problems += [
        place.at(key).problem("is not in the schema; what is shown may only be wider")
        for key in _LIMITS
        if key in shown and shown[key] != checked.get(key)
    ]
    members = checked.get("properties", {})
    for name, part in shown.get("properties", {}).items():
        if name in members:
            problems += narrower(part, members[name], place.at("properties", name))
        elif not checked.get("additionalProperties", False):
            problems.append(place.at("properties", name).problem(f'the schema has no member "{name}"'))
    return problems + narrower(shown.get("items"), checked.get("items"), place.at("items"))


_LIMITS = (
    *("enum", "const", "pattern", "format", "minLength", "maxLength", "minimum", "maximum"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
)
"""Keywords that make a schema narrower."""


def _types(schema: Schema) -> set[str]:
    """The JSON types that a schema names, its branches included; empty when it names none."""
    stated = schema.get("type", ())
    found = {stated} if isinstance(stated, str) else set(stated)
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found |= _types(branch)
    return found


def loose_objects(schema: Json, place: Place) -> list[Problem]:
    """Input objects that name properties and do not say whether others are allowed: a typo would pass unseen."""
    problems = []
    for part, where in walk(schema, place):
        if part.get("properties") and "additionalProperties" not in part:
            problems.append(
                where.problem("not strict: add additionalProperties: false (or true, where any key is fine)")
            )
    return problems


def walk(schema: Json, place: Place) -> list[tuple[Schema, Place]]:
    """`schema` and every schema inside it."""
    if not isinstance(schema, dict):
        return []
    found = [(schema, place)]
    for key in _ONE:
        found += walk(schema.get(key), place.at(key))
    for key in _MANY:
        for index, part in enumerate(schema.get(key, ())):
            found += walk(part, place.at(key, index))
    for key in _NAMED:
        for name, part in schema.get(key, {}).items():
            found += walk(part, place.at(key, name))
    return found


def rename_and_drop(schema: Schema, rename: Mapping[str, str], drop: tuple[str, ...]) -> Schema:
    """What `catalog.Result.rename` and `drop` do to an answer, done to its schema."""

    def keys(part: Json) -> Json:
        if not isinstance(part, dict) or "properties" not in part:
            return part
        named = {rename.get(name, name): value for name, value in part["properties"].items() if name not in drop}
        return {**part, "properties": named}

    root: Schema = keys(schema)
    if isinstance(root.get("items"), dict):
        return {**root, "items": keys(root["items"])}
    for name, part in root.get("properties", {}).items():
        if isinstance(part, dict) and isinstance(part.get("items"), dict):
            root = {**root, "properties": {**root["properties"], name: {**part, "items": keys(part["items"])}}}
    return root


def output(schema: Schema) -> Schema:
    """A documented answer as a promise we can keep: clients reject a whole result over one field outside the schema.

    Kept: structure, descriptions, types, each with null. Dropped: required, enum, formats, limits, closed objects.
    """
    result: Schema = {}
    if isinstance(kind := schema.get("type"), str):
        result["type"] = kind if kind == "null" else [kind, "null"]
    elif isinstance(kind, list):
        result["type"] = kind if "null" in kind else [*kind, "null"]
    if "description" in schema:
        result["description"] = schema["description"]
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        result["properties"] = {name: output(part) for name, part in schema["properties"].items()}
    if isinstance(schema.get("items"), dict) and (items := output(schema["items"])):
        result["items"] = items
    return result


def output_root(schema: Schema) -> Schema:
    """`output` for the root of a tool's result, which is always an object."""
    return {**output(schema), "type": "object"}


def output_item(schema: Schema) -> Schema:
    """`output` for one item of a list-like tool: descriptions only, since `fields` may give it another shape."""
    return {
        "properties": {
            name: {"description": part["description"]} if part.get("description") else {}
            for name, part in schema.get("properties", {}).items()
        }
    }


def wrapped(array: Schema) -> Schema:
    """Schema of a bare array after it became `{"result": [...]}`."""
    return {"type": "object", "properties": {"result": {**array, "type": "array"}}}


def enveloped(item: Schema, *, counted: bool, numbered: bool) -> Schema:
    """Schema of the list envelope around items of the schema `item`; `counted`: it says how many there are in all;
    `numbered`: its pages are numbered, so that a list that changes meanwhile may skip or repeat items."""
    changes = " A list that changes meanwhile may skip or repeat items." if numbered else ""
    total = {"total_count": {"type": ["integer", "null"], "description": "Items of all pages."}} if counted else {}
    return {
        "type": "object",
        "properties": {
            "result": {"type": "array", "items": item},
            "next_cursor": {
                "type": ["string", "null"],
                "description": f"Pass it back for the next page; null on the last.{changes}",
            },
            "result_count": {"type": "integer", "description": "Items in this answer."},
            **total,
        },
        "required": ["result", "next_cursor", "result_count"],
    }


def with_items(answer: Schema, name: str, item: Schema) -> Schema:
    """`answer` with the array at its key `name` holding items of the schema `item`."""
    properties = answer.get("properties", {})
    return {**answer, "properties": {**properties, name: {**properties.get(name, {}), "type": "array", "items": item}}}
