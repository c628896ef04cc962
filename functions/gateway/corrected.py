"""The corrected call: one whole arguments object made of the caller's own values, where it can be computed.

What is missing is a placeholder, e.g. "<order_id>": an invented value could pass for a real one. The object is checked
by the code that checks a call before it is shown; only placeholders need not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.gateway.prepared import PreparedTool
from functions.gateway.settle import SIZES, kinds, own_name
from functions.gateway.wording import closest

MAX_MISTAKES = 20
"""Mistakes that are corrected one after the other, each checked anew; a call with more is not worth a correction."""

SHAPING = ("fields", "max_tokens", *SIZES)
"""Arguments that shape a result: without them a call does the same. Any other may say which objects are meant."""

MAX_CHARS = 800
"""Characters of a corrected call; a longer one would bury the problems."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Path = tuple[str | int, ...]


def arguments(
    prepared: PreparedTool, given: Mapping[str, Json], refused: Callable[[Mapping[str, Json]], bool]
) -> str | None:
    """The corrected arguments as JSON, or None where none can be computed.

    `refused` says whether a call with these arguments would be refused by what is checked after the schema.
    """
    try:
        text = json_text.text(given)
        if len(text) > MAX_CHARS:
            return None
        correction = _Correction(prepared, json_text.decode(text))
    except (ValueError, RecursionError):
        return None
    if not correction.fits() or (refused(correction.arguments) and not correction.completed(refused)):
        return None
    text = json_text.spaced(correction.arguments)
    return text if len(text) <= MAX_CHARS and correction.arguments != given else None


class _Correction:
    """Arguments on their way to a call that works, and the places in them that hold placeholders."""

    def __init__(self, prepared: PreparedTool, given: dict[str, Json]) -> None:
        self.prepared = prepared
        self.arguments = given
        self.marked: set[Path] = set()

    def fits(self) -> bool:
        """Correct until the schema finds nothing but placeholders. False where that does not succeed."""
        for _ in range(MAX_MISTAKES + 1):
            found = self.prepared.validator.iter_errors(self.arguments)
            errors = sorted((error for error in found if not self._excused(error)), key=_order)
            if not errors:
                return True
            if not self._corrected(errors[0]):
                return False
        return False

    def completed(self, refused: Callable[[Mapping[str, Json]], bool]) -> bool:
        """Write operators without "$", or add an argument of the tool's example as a placeholder. False where the call
        would still be refused."""
        plain = _without_dollar(self.arguments)
        if plain != self.arguments:
            self.arguments = plain
            return not refused(plain) and self.fits()
        for name in self.prepared.tool.example:
            if name in self.arguments or name not in self.prepared.accepted["properties"]:
                continue
            self.arguments[name] = self._placeholder((name,))
            if not refused(self.arguments) and self.fits():
                return True
            del self.arguments[name]
        return False

    def _excused(self, error: Any) -> bool:
        path: Path = tuple(error.instance_path)
        return any(path[: len(marked)] == marked for marked in self.marked)

    def _corrected(self, error: Any) -> bool:
        """Correct what one error is about. False where the caller's intention cannot be kept."""
        path: Path = tuple(error.instance_path)
        kind: Mapping[str, Any] = error.kind.as_dict()
        match error.kind.name:
            case "additionalProperties" | "unevaluatedProperties":
                return all(self._renamed(path, name) for name in kind["unexpected"])
            case "required":
                parent = self._at(path)
                parent[kind["property"]] = self._placeholder((*path, kind["property"]))
                return True
            case "minProperties":
                example = self._placeholder(path)
                if not isinstance(example, dict) or not example:
                    return False
                self._put(path, {**example, **self._at(path)})
                return True
            case "type":
                return self._typed(path, set(kind["types"]))
            case "enum":
                return self._chosen(path, kind["options"])
            case "const":
                return self._put(path, kind["expected_value"])
            case "maximum" | "minimum":
                return self._put(path, kind["limit"])
            case "format":
                return self._formed(path, kind["format"])
            case "minLength" | "pattern" | "minItems" | "exclusiveMinimum" | "exclusiveMaximum":
                return self._put(path, self._placeholder(path))
            case _:
                return False

    def _renamed(self, path: Path, name: str) -> bool:
        """Put a member that is not allowed where it belongs."""
        parent = self._at(path)
        if name not in parent:
            return True
        if path:
            names = [known for known in self._schema(path).get("properties", {}) if known not in parent]
            plain = name.lstrip("$")
            own = plain if plain in names else closest(plain, names)
            if own is None:
                return False
            parent[own] = parent.pop(name)
            return True
        value = parent.pop(name)
        if self.prepared.hint(name, value) is None:
            free = [known for known in self.prepared.accepted["properties"] if known not in parent]
            own = own_name(self.prepared, name) or closest(name, free)
            own = own if own in free else None
            if own is not None:
                parent[own] = value
            return own is not None or name in SHAPING
        outer = self.prepared.outer(name)
        if name in self.prepared.pins or name in self.prepared.tool.definition["inputSchema"]["properties"]:
            return True  # the server fills it in
        if outer is not None:
            inner = parent.setdefault(outer, {})
            if not isinstance(inner, dict) or name in inner:
                return False
            inner[name] = value
            return True
        for member, entry in value.items():
            parent.setdefault(member, entry)
        return True

    def _typed(self, path: Path, types: set[str]) -> bool:
        """The caller's value in a type that is asked for; a placeholder where it has no such form."""
        value, schema = self._at(path), self._schema(path)
        if "string" in types and isinstance(value, int | float) and not isinstance(value, bool):
            return self._put(path, json_text.text(value))
        if "boolean" in types and str(value).lower() in ("yes", "no", "1", "0"):
            return self._put(path, str(value).lower() in ("yes", "1"))
        if "array" in types and not isinstance(value, dict | list):
            parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]
            if "string" in kinds(schema.get("items")):
                return self._put(path, [part for part in parts if part])
            return self._put(path, [value])
        if "object" in types and isinstance(value, str) and value:
            return self._wrapped(path, value, schema)
        return self._put(path, self._placeholder(path))

    def _wrapped(self, path: Path, value: str, schema: Mapping[str, Json]) -> bool:
        """An object around a text: its one needed text without options is the caller's, the rest is of the example."""
        needed = schema.get("required", ())
        texts = [
            name
            for name in needed
            if "string" in kinds(schema["properties"].get(name)) and "enum" not in schema["properties"][name]
        ]
        if len(texts) != 1:
            return self._put(path, self._placeholder(path))
        example = self._example((*path[:-1], 0) if path and isinstance(path[-1], int) else path)
        others = {name: example[name] for name in needed if isinstance(example, Mapping) and name in example}
        return self._put(path, {**others, texts[0]: value})

    def _chosen(self, path: Path, options: list[Json]) -> bool:
        value = self._at(path)
        texts = [option for option in options if isinstance(option, str)]
        own = closest(value, texts) if isinstance(value, str) else None
        if own is not None:
            return self._put(path, own)
        self.marked.add(path)
        return self._put(path, f"<{' | '.join(texts)}>")

    def _formed(self, path: Path, form: str) -> bool:
        value = self._at(path)
        if form == "date-time" and _DATE.fullmatch(value):
            return self._put(path, f"{value}T00:00:00Z")
        if form == "date" and _DATE.match(value):
            return self._put(path, value[:10])
        return self._put(path, self._placeholder(path))

    def _placeholder(self, path: Path) -> Json:
        """The example's value at this place with placeholders for its texts; a placeholder where there is none."""
        return self._marked(self._example(path), self._schema(path), path)

    def _marked(self, example: Json, schema: Mapping[str, Json], path: Path) -> Json:
        """The value with a placeholder for each text and number that is not one of the schema's options."""
        if isinstance(example, Mapping) and example:
            properties = schema.get("properties", {})
            return {
                name: self._marked(entry, properties.get(name, {}), (*path, name)) for name, entry in example.items()
            }
        if isinstance(example, list) and example:
            items = schema.get("items", {})
            return [self._marked(entry, items, (*path, index)) for index, entry in enumerate(example[:1])]
        if isinstance(example, bool) or ("enum" in schema and example in schema["enum"]):
            return example
        self.marked.add(path)
        name = next((step for step in reversed(path) if isinstance(step, str)), "value")
        return f"<{name}>"

    def _example(self, path: Path) -> Json:
        found: Json = self.prepared.tool.example
        for step in path:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def _schema(self, path: Path) -> Mapping[str, Json]:
        found: Json = self.prepared.accepted
        for step in path:
            found = found.get("items") if isinstance(step, int) else found.get("properties", {}).get(step)
            if not isinstance(found, Mapping):
                return {}
        schema: Mapping[str, Json] = found
        return schema

    def _at(self, path: Path) -> Any:
        found: Any = self.arguments
        for step in path:
            found = found[step]
        return found

    def _put(self, path: Path, value: Json) -> bool:
        self._at(path[:-1])[path[-1]] = value
        return True


def _without_dollar(value: Json) -> Any:
    """The value with "$" taken from the names in it: gte for $gte."""
    if isinstance(value, dict):
        return {name.removeprefix("$"): _without_dollar(entry) for name, entry in value.items()}
    return [_without_dollar(entry) for entry in value] if isinstance(value, list) else value


def _order(error: Any) -> tuple[bool, list[str]]:
    """What stands at the wrong place first: it may be what is missing elsewhere."""
    return error.kind.name != "additionalProperties", [str(step) for step in error.instance_path]
