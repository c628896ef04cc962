"""Schema objects of OpenAPI 3.0 and 3.1 become JSON Schema 2020-12 as records hold it: no `$ref`, no `allOf`, bounded.

Whatever is left out or cut short becomes a `Note` with its path, so that nothing disappears unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import jsonschema_rs

from tool_catalog.catalog import Json
from tool_catalog.naming import snake_case
from tool_catalog.openapi import discriminators
from tool_catalog.openapi.combining import FORMATS, as_dict, as_list, either, kind_of, listed, merge_into
from tool_catalog.openapi.document import Document
from tool_catalog.openapi.references import last_name
from tool_catalog.openapi.texts import ended, fitted, plain, sentences
from tool_catalog.yaml_source import KeyPath

Schema = dict[str, Json]

INPUT_DEPTH = 5
"""Levels of objects and arrays below an argument. A model gets little right below them. The compiler allows 12."""

OUTPUT_DEPTH = 3
"""Levels of a documented response. The schema only says what to expect."""

INPUT_NODES = 200
"""Schemas in the body of one method: some 5,000 tokens, as much as a model reads for one tool."""

OUTPUT_NODES = 150
"""Schemas in one documented response."""

ENUM_VALUES = 100
"""Values of an enumeration: some 500 tokens. Of a longer one, only the type is kept."""

INNER_DESCRIPTION = 240
"""Characters of the description of something inside an argument."""

OUTPUT_DESCRIPTION = 120
"""Characters of the description of something in an answer."""

EXAMPLE_LENGTH = 80
"""Characters of an example value that is kept."""

_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_ALTERNATIVES = ("oneOf", "anyOf")
_SHAPES: dict[str, type | tuple[type, ...]] = {
    **{"properties": dict, "required": list, "enum": list, "oneOf": list, "anyOf": list},
    "additionalProperties": (dict, bool),
}


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was not carried over unchanged: its path in the converted schema, and the reason."""

    path: KeyPath
    text: str


@dataclass(slots=True)
class Converter:
    """Converts one schema: as deep as `depth` and as large as `nodes` allow. `notes` tells what that cost.

    A schema that is too large is converted again with a level less, so that what is cut is the deepest part of each
    argument and not the whole of the last ones.
    """

    document: Document
    depth: int = INPUT_DEPTH
    nodes: int = INPUT_NODES
    notes: list[Note] = field(default_factory=list)
    open: set[KeyPath] = field(default_factory=set)
    """Where the source says in so many words that an object has further members."""
    files: set[KeyPath] = field(default_factory=set)
    """Where a value is the content of a file, if the media type of the body has files."""
    _level: int = 0
    _left: int = 0

    def convert(self, schema: Json, path: KeyPath = ()) -> Schema:
        """An input schema. Raises Unresolvable."""
        return self._bounded(lambda: self._input(schema, path, (), 0))

    def root(self, schema: Json, path: KeyPath = ()) -> Schema:
        """The schema of a request body. Alternatives at the root are merged, because model APIs refuse them there."""
        merged, above = self._flat(schema, ())
        if isinstance(kinds := merged.get("type"), list):  # no body is sent by leaving it out
            left = [kind for kind in kinds if kind != "null"]
            merged = {**merged, "type": left[0] if len(left) == 1 else left}
        return self._bounded(lambda: self._input(self._united(merged, path, above), path, above, -1))

    def answer(self, schema: Json, path: KeyPath = ()) -> Schema:
        """The schema of an answer: types, descriptions, properties and items. Raises Unresolvable."""
        return self._bounded(lambda: self._output(schema, path, (), 0))

    def _bounded(self, attempt: Callable[[], Schema]) -> Schema:
        for level in range(self.depth, 0, -1):
            self._level, self._left, self.notes = level, self.nodes, []
            self.open, self.files = set(), set()
            result = attempt()
            if self._left >= 0:
                break
        return result

    # ---- input

    def _input(self, schema: Json, path: KeyPath, above: tuple[str, ...], depth: int) -> Schema:
        if isinstance(schema, dict) and (reference := self.document.reference(schema, above)) in above:
            return self._cut(schema, path, f"{last_name(str(reference))} contains itself")
        merged, above = self._flat(schema, above)
        if any(key in merged for key in _ALTERNATIVES) and "properties" in merged:
            merged = self._united(merged, path, above)
        self._left -= 1
        kind = kind_of(merged)
        nested = any(key in merged for key in ("properties", "items", *_ALTERNATIVES))
        if nested and (depth >= self._level or self._left < 0):
            large = self._left < 0 or self._level < self.depth
            reason = "the schema is too large for a tool" if large else f"deeper than {self.depth} levels"
            return self._cut(merged, path, reason)
        result = self._leaf(merged, kind, path, limit=INNER_DESCRIPTION if depth > 0 else None)
        if "properties" in merged or isinstance(merged.get("additionalProperties"), dict):
            self._object(merged, result, path, above, depth)
        elif "object" in listed(kind) and merged.get("additionalProperties") is False:
            result["additionalProperties"] = False
        if "array" in listed(kind):
            items = merged.get("items", {})
            items = items[0] if isinstance(items, list) and items else items
            result["items"] = self._input(items, (*path, "items"), above, depth + 1)
        self._alternatives(merged, result, path, above, depth)
        return result

    def _object(self, merged: Schema, result: Schema, path: KeyPath, above: tuple[str, ...], depth: int) -> None:
        required = merged.get("required", ())
        properties, hidden = {}, False
        for name, part in merged.get("properties", {}).items():
            if self._hidden(part, "readOnly", above):
                hidden = True
                continue
            properties[name] = self._input(part, (*path, "properties", name), above, depth + 1)
        if properties:
            result["properties"] = properties
        if needed := [name for name in properties if name in required]:
            result["required"] = needed
        rest = merged.get("additionalProperties", True)
        if isinstance(rest, dict):
            rest = self._input(rest, (*path, "additionalProperties"), above, depth + 1) or True
        if rest is not False and "additionalProperties" in merged:
            self.open.add(path)
        if hidden and rest is False:
            rest = True  # what was read may be sent back as it is
        if properties or rest is not True:
            result["additionalProperties"] = rest

    def _alternatives(self, merged: Schema, result: Schema, path: KeyPath, above: tuple[str, ...], depth: int) -> None:
        for key in _ALTERNATIVES:
            if key not in merged:
                continue
            branches: list[Schema] = []
            tag = discriminators.tag(merged)
            for index, part in enumerate(merged[key]):
                branch = self._input(part, (*path, key, index), above, depth)
                if branch in ({}, {"type": "null"}):
                    continue
                branches.append(branch)
                if tag in branch.get("properties", {}):
                    if tag not in branch.get("required", ()):
                        branch["required"] = [*branch.get("required", ()), tag]
                    branch["properties"][tag] = discriminators.with_values(
                        branch["properties"][tag], "Here:", discriminators.values(merged, [part])
                    )
            null = any(kind_of(self._flat(part, above)[0]) == "null" for part in merged[key])
            if len(branches) == 1:
                branch = branches[0]
                result.update({name: value for name, value in branch.items() if name not in ("description", "title")})
                if "description" in branch:
                    result.setdefault("description", branch["description"])
                if null and isinstance(branch.get("type"), str):
                    result["type"] = [branch["type"], "null"]
            elif branches:
                # Always anyOf: what was cut in the branches may match two of them, and more hosts know it than oneOf.
                result["anyOf"] = [*branches, *([{"type": "null"}] if null else [])]
                told = dict.fromkeys(ended(branch["description"]) for branch in branches if "description" in branch)
                if told and "description" not in result:
                    result["description"] = fitted(" Or: ".join(told), INNER_DESCRIPTION)
                if "type" in result and all("type" in branch for branch in branches):
                    del result["type"]  # each branch states its type more exactly
            return

    def _leaf(self, merged: Schema, kind: Json, path: KeyPath, limit: int | None) -> Schema:
        """Everything about one value except what is inside it."""
        result: Schema = {"type": kind} if kind else {}
        if text := plain(merged.get("description")) or _telling(plain(merged.get("title")), path):
            result["description"] = fitted(text, limit) if limit else text
        for key in _COUNTS:
            if type(merged.get(key)) is int and merged[key] >= 0:
                result[key] = merged[key]
        for key in _BOUNDS:
            if type(merged.get(key)) in (int, float):
                result[key] = merged[key]
        for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if merged.get(exclusive) is True and bound in result:  # OpenAPI 3.0: a flag beside the bound
                result[exclusive] = result.pop(bound)
        if merged.get("format") in FORMATS:
            result["format"] = merged["format"]
        if merged.get("format") == "binary" or ("contentMediaType" in merged and "contentEncoding" not in merged):
            self.files.add(path)
        if isinstance(pattern := merged.get("pattern"), str):
            if usable_pattern(pattern):
                result["pattern"] = pattern
            else:
                self.notes.append(
                    Note(path, f'the pattern "{pattern}" is not a regular expression of ECMA-262; it is left out')
                )
        if merged.get("uniqueItems") is True:
            result["uniqueItems"] = True
        if isinstance(values := merged.get("enum"), list) and values:
            if "null" in listed(kind) and None not in values:
                values = [*values, None]
            if len(values) <= ENUM_VALUES:
                result = {key: value for key, value in result.items() if key not in ("format", "pattern")}
                result["enum"] = values  # which says more exactly what a text looks like
            else:
                self.notes.append(
                    Note(path, f"{len(values)} allowed values are left out; at most {ENUM_VALUES} are listed")
                )
        for key in ("const", "default"):
            if key in merged and (merged[key] is not None or "null" in listed(kind)):
                result[key] = merged[key]
        examples = [merged.get("example"), *as_list(merged.get("examples"))]
        for value in examples:
            if (
                type(value) in (str, int, float)
                and len(str(value)) <= EXAMPLE_LENGTH
                and value not in result.get("enum", ())
            ):
                result["examples"] = [value]
                break
        if merged.get("deprecated") is True:
            result["deprecated"] = True
        return result

    # ---- output

    def _output(self, schema: Json, path: KeyPath, above: tuple[str, ...], depth: int) -> Schema:
        if isinstance(schema, dict) and self.document.reference(schema, above) in above:
            return {"type": kind_of(self._flat(schema, ())[0]) or "object"}
        merged, above = self._flat(schema, above)
        merged = self._united(merged, path, above, tell=False)
        self._left -= 1
        kind = kind_of(merged)
        result: Schema = {"type": kind} if kind else {}
        if text := plain(merged.get("description")):
            result["description"] = fitted(ended(sentences(text)[0]), OUTPUT_DESCRIPTION)
        if depth >= self._level or self._left < 0:
            return result
        properties = {
            name: self._output(part, (*path, "properties", name), above, depth + 1)
            for name, part in merged.get("properties", {}).items()
            if not self._hidden(part, "writeOnly", above)
        }
        if properties:
            result["properties"] = properties
        # An array is not a level of its own: what an answer holds and what a list of them holds are cut alike.
        if isinstance(merged.get("items"), dict) and (items := self._output(merged["items"], path, above, depth)):
            result["items"] = items
        return result

    # ---- both

    def _flat(self, schema: Json, above: tuple[str, ...], *, inherited: bool = False) -> tuple[Schema, tuple[str, ...]]:
        """`schema` with its own `$ref` and `allOf` merged into it, and the references that are now open.

        `inherited`: the schema is part of another, which then has its members and is not a choice between its children.
        """
        if not isinstance(schema, dict):
            return {}, above
        parts: list[Schema] = []
        if isinstance(schema.get("$id"), str):  # the document wrote the schema's own pointer there
            above = (*above, schema["$id"])
        reference = self.document.reference(schema, above)
        own = {key: value for key, value in schema.items() if key not in ("$ref", "$id", "allOf")}
        if reference is not None:
            if reference in above:
                return {"type": "object"}, above
            above = (*above, reference)
            target, above = self._flat(self.document.target(reference), above)
            if not inherited and isinstance(target.get("discriminator"), dict):
                target = discriminators.with_children(self.document, target, reference)
            if self.document.nullable:  # 3.0: what stands beside a reference is ignored, but its text is the better one
                own = {key: own[key] for key in ("description",) if plain(own.get(key))}
            parts.append(target)
        for part in as_list(schema.get("allOf")):
            merged, above = self._flat(part, above, inherited=True)
            parts.append(
                {key: value for key, value in merged.items() if key not in ("discriminator", discriminators.INHERITED)}
            )
        parts.append(own)
        if len(parts) == 1:
            return self._dialect(own), above
        result: Schema = {}
        for part in parts:
            merge_into(result, self._dialect(part))
        return self._dialect(result), above

    def _dialect(self, schema: Schema) -> Schema:
        """`schema` with the `nullable` of 3.0 as in 2020-12, and without keywords of a wrong shape or place."""
        for key, kind in _SHAPES.items():
            if key in schema and not isinstance(schema[key], kind):
                schema = {name: value for name, value in schema.items() if name != key}
        if (
            schema.get("type") == "array"
            and schema.get("enum")
            and not any(isinstance(one, list) for one in schema["enum"])
        ):
            values, schema = schema["enum"], {key: value for key, value in schema.items() if key != "enum"}
            schema["items"] = {"enum": values, **as_dict(schema.get("items"))}  # meant of the entries
        if self.document.nullable and schema.get("nullable") is True:
            schema = dict(schema)
            if kind := kind_of(schema):  # without one it is for the other parts of an allOf to say
                del schema["nullable"]
                schema["type"] = [*listed(kind), *(["null"] if "null" not in listed(kind) else [])]
            for key in _ALTERNATIVES:
                if isinstance(schema.get(key), list):
                    schema[key] = [*schema[key], {"type": "null"}]
        return schema

    def _united(self, merged: Schema, path: KeyPath, above: tuple[str, ...], *, tell: bool = True) -> Schema:
        """Merge alternatives that are objects: properties of any of them, required if every one requires them."""
        for key in _ALTERNATIVES:
            branches = [self._flat(part, above)[0] for part in as_list(merged.get(key))]
            branches = [branch for branch in branches if kind_of(branch) != "null" and branch]
            if not branches:
                continue
            rest = {name: value for name, value in merged.items() if name not in (key, discriminators.INHERITED)}
            if not all("object" in listed(kind_of(branch)) or "required" in branch for branch in branches):
                if len(branches) == 1:
                    merge_into(rest, branches[0])
                    return rest
                return merged if tell else rest
            united: Schema = {}
            for branch in branches:
                part = {
                    name: value for name, value in branch.items() if name not in ("required", "title", "description")
                }
                if len(branches) > 1:
                    part.pop("additionalProperties", None)
                known = united.get("properties", {})
                both = {
                    name: either(known[name], schema)
                    for name, schema in part.get("properties", {}).items()
                    if name in known
                }
                merge_into(united, {**part, "properties": {**part.get("properties", {}), **known, **both}})
                united["properties"] = {**united.get("properties", {}), **both}
            needed = set.intersection(*(set(as_list(branch.get("required"))) for branch in branches))
            tag = discriminators.tag(merged)
            if all(tag in as_dict(branch.get("properties")) for branch in branches):
                needed.add(tag)
            if merged.get(discriminators.INHERITED):  # a child may declare a member of its parent anew
                own, theirs = as_dict(rest.get("properties")), united.get("properties", {})
                shared = {name: either(own[name], theirs[name]) for name in own if name in theirs}
                rest["properties"], united["properties"] = {**own, **shared}, {**theirs, **shared}
            united["required"] = sorted({*needed, *as_list(rest.get("required"))})
            rest.pop("required", None)
            merge_into(united, rest)
            if tag in united["properties"]:
                lead, values = (
                    "E.g." if discriminators.INHERITED in merged else "One of:",
                    discriminators.values(merged, merged[key]),
                )
                united["properties"] = {
                    **united["properties"],
                    tag: discriminators.with_values(united["properties"][tag], lead, values),
                }
            own = as_dict(rest.get("properties"))
            if own:  # what all alternatives have comes first
                united["properties"] = {**{name: united["properties"][name] for name in own}, **united["properties"]}
            if tell and len(branches) > 1:
                self.notes.append(Note(path, f"{len(branches)} alternatives merged into one object"))
            return united
        return merged

    def _hidden(self, part: Json, flag: str, above: tuple[str, ...]) -> bool:
        """True for a property that is not part of a request (readOnly) or of a response (writeOnly)."""
        if not isinstance(part, dict) or part.get(flag) is True:
            return isinstance(part, dict)
        if "$ref" in part or "allOf" in part:
            return (
                self._flat(part, above)[0].get(flag) is True
                if self.document.reference(part, above) not in above
                else False
            )
        return False

    def _cut(self, schema: Schema, path: KeyPath, reason: str) -> Schema:
        """What replaces a schema that was cut: its type and description, and nothing inside it."""
        merged = self._flat(schema, ())[0] if "$ref" in schema else schema
        kind = kind_of(merged)
        if kind is None and not any(key in merged for key in _ALTERNATIVES):
            kind = "object"
        plain_kind = f"a plain {' or '.join(listed(kind))}" if kind else "any value"
        self.notes.append(Note(path, f"{reason}; {plain_kind} from here on"))
        kept: Schema = {key: merged[key] for key in ("description", "title") if key in merged}
        cut = self._leaf(kept, kind, path, limit=INNER_DESCRIPTION)
        return {**cut, "items": {}} if "array" in listed(kind) else cut


def _telling(title: str, path: KeyPath) -> str:
    """`title` if it says more than the name at the end of `path`, else an empty text."""
    return "" if not path or snake_case(title) == snake_case(str(path[-1])) else title


@cache
def usable_pattern(pattern: str) -> bool:
    """Whether argument checks can use `pattern`."""
    try:
        jsonschema_rs.Draft202012Validator({"type": "string", "pattern": pattern})
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True
