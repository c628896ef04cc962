"""The corrected call: one whole arguments object made of the caller's own values, where it can be computed.

What is missing is a placeholder, e.g. "<order_id>": an invented value could pass for a real one. The object is checked
by the code that checks a call before it is shown; only placeholders need not fit.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from functions.gateway import json_text, meant, tool_words
from functions.gateway.arguments import says_something
from functions.gateway.json_text import Json, kinds
from functions.gateway.pins import dialects
from functions.gateway.prepared import ALL, PreparedTool
from functions.gateway.settle import FIRST_PAGE, SIZES, own_name, plain
from functions.gateway.wording import closest
from tool_catalog.catalog import PinFilter

MAX_MISTAKES = 20
"""Mistakes that are corrected one after the other, each checked anew; a call with more is not worth a correction."""

SHAPING = (
    *("fields", "max_tokens", *SIZES, "version", "api_version", "output_format", "format", "verbose", "pretty"),
    *("async_mode", "stream", "timeout", "page_number"),
)
"""Arguments that shape a result: without them a call does the same. Any other may say which objects are meant."""

OURS = ("fields", "from_character", "max_tokens", "limit", "next_cursor")
"""Arguments that every list has: no other name is taken for one of them, except as settle.py does."""

SURE = 0.85
"""How alike an option must be to be taken for the one that was meant, from 0 to 1: one letter of a word."""

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
    if (
        not correction.fits()
        or not correction.explicit()
        or (refused(correction.arguments) and not correction.completed(refused))
    ):
        return None
    text = json_text.spaced(correction.arguments)
    return text if len(text) <= MAX_CHARS and correction.arguments != given else None


def checked(prepared: PreparedTool, arguments: Mapping[str, Json]) -> str | None:
    """The arguments as JSON, where the schema finds nothing in them and they are short enough."""
    text = json_text.spaced(arguments)
    return text if len(text) <= MAX_CHARS and prepared.validator.is_valid(arguments) else None


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

    def explicit(self) -> bool:
        """Let a call that destroys something say what: a placeholder where nothing is said."""
        if not self.prepared.tool.destructive or says_something(self.arguments):
            return True
        accepted = self.prepared.accepted["properties"]
        name = ALL if ALL in accepted else next((name for name in self.prepared.tool.example if name in accepted), None)
        if name is None:
            return False
        self.marked.add((name,))
        return self._put((name,), "<true>") if name == ALL else self._put((name,), self._placeholder((name,)))

    def completed(self, refused: Callable[[Mapping[str, Json]], bool]) -> bool:
        """Write a filter as its dialect wants it, or put in what the tool's example has. False where the call would
        still be refused."""
        for attempt in (self._without_dollar, self._in_dialect, *self._with_examples()):
            before, marked = copy.deepcopy(self.arguments), set(self.marked)
            if attempt() and not refused(self.arguments) and self.fits():
                return True
            self.arguments, self.marked = before, marked
        return False

    def _without_dollar(self) -> bool:
        """Take "$" from the names at any depth, e.g. from $gte in a filter whose inner conditions have no schema."""
        self.arguments = _without_dollar(self.arguments)
        return True

    def _in_dialect(self) -> bool:
        pin = self.prepared.tool.pin
        given = self.arguments.get(pin.argument) if isinstance(pin, PinFilter) else None
        if not isinstance(pin, PinFilter) or not isinstance(given, dict):
            return False
        self.arguments[pin.argument] = dialects.named(pin.dialect).mended(given)
        return True

    def _with_examples(self) -> Iterator[Callable[[], bool]]:
        """For each argument of the example: its placeholder where it is missing, or its members where the caller's
        object lacks them or has no use of them."""
        example, accepted = self.prepared.tool.example, self.prepared.accepted["properties"]
        for name in example:
            if name not in accepted:
                continue
            if name not in self.arguments:
                yield lambda name=name: self._put((name,), self._placeholder((name,)))  # type: ignore[misc]
            elif isinstance(example[name], dict) and isinstance(self.arguments[name], dict):
                yield lambda name=name: self._merged(name)  # type: ignore[misc]

    def _merged(self, name: str) -> bool:
        marked = self._placeholder((name,))
        return isinstance(marked, dict) and self._put((name,), {**self.arguments[name], **marked})

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
                if self._parted(path, kind["property"]) or self._renamed_undeclared(path, kind["property"]):
                    return True
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
        """Put a member that is not allowed where it belongs. False where it has no place."""
        parent = self._at(path)
        value = parent[name]
        if path and (own := self._meant(path, name, value)) is not None:
            _rename(parent, name, own)
            return True
        del parent[name]
        if path and self._into_list(path, name, value):
            return True
        if path:
            home = self._home(path, name, value)
            if home is not None:
                parent.setdefault(home, {})[name] = value
            return home is not None
        if self.prepared.hint(name, value) is None:
            own = own_name(self.prepared, name)
            own = own if own is not None and own not in parent else self._meant(path, name, value)
            if own is None:
                return self._nested(name, value) or self._into_list((), name, value) or self._dispensable(name)
            parent[own] = value
            return True
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

    def _meant(self, path: Path, name: str, value: Json) -> str | None:
        """The free member of an object that is meant by the name of another."""
        parent, schema = self._at(path), self._schema(path)
        properties: Mapping[str, Json] = schema.get("properties", {})
        free = {known: part for known, part in properties.items() if known not in parent}
        if not path:
            free = {known: part for known, part in free.items() if known not in OURS}
        missing = [known for known in schema.get("required", ()) if known in free]
        if (kind := self._kind_of(name, free)) is not None and len(missing) == 2:
            own: str = next(known for known in missing if known != kind)
            parent[kind] = next(option for option in tool_words.words(name) if option in free[kind]["enum"])
            return own
        if plain(name) == "id" and self._has_id_of_its_own(missing):
            return None
        others = [other for other in parent if other not in properties and other != name]
        thing = tool_words.singular(self.prepared.tool.resource)
        return meant.argument(name, value, free, missing, thing=thing, alone=not others)

    def _home(self, path: Path, name: str, value: Json) -> str | None:
        """The member of a filter that holds members of any name, where the dialect has one."""
        pin = self.prepared.tool.pin
        if not isinstance(pin, PinFilter) or path[0] != pin.argument or isinstance(value, dict | list):
            return None
        if plain(name).endswith("id"):
            return None  # an entity under another name: as metadata it would find nothing
        home = dialects.named(pin.dialect).home(name)
        return home if home is not None and home in self._schema(path).get("properties", {}) else None

    def _kind_of(self, name: str, free: Mapping[str, Json]) -> str | None:
        """The argument whose option stands in a name: `kind` for `card_id` where a kind is "card"."""
        first = (tool_words.words(name) or [""])[0]
        found = [known for known, part in free.items() if first in part.get("enum", ())]
        return found[0] if len(found) == 1 else None

    def _has_id_of_its_own(self, missing: list[str]) -> bool:
        """True where the one missing argument is a number or a key of an object that has an "id" as well: an "id"
        may be the other one."""
        if len(missing) != 1 or missing[0].lower().endswith("id"):
            return False
        answer: Mapping[str, Json] = self.prepared.tool.definition.get("outputSchema", {}).get("properties", {})
        return "id" in answer and tool_words.words(missing[0])[-1] in answer

    def _nested(self, name: str, value: Json) -> bool:
        """Put the value of e.g. created_gte or created[gte] into its object."""
        words = tool_words.words(name)
        for outer, schema in self.prepared.accepted["properties"].items():
            head = tool_words.words(outer)
            rest = plain("".join(words[len(head) :]))
            inner = {plain(member): member for member in schema.get("properties", {})}
            if words[: len(head)] == head and rest in inner and isinstance(self.arguments.get(outer, {}), dict):
                self.arguments.setdefault(outer, {})[inner[rest]] = value
                return True
        return False

    def _into_list(self, path: Path, name: str, value: Json) -> bool:
        """Put a member into the first entry of the array whose entries have it, e.g. a condition into an AND."""
        parent = self._at(path)
        for outer, schema in self._schema(path).get("properties", {}).items():
            items = schema.get("items", {}) if isinstance(schema, dict) else {}
            inner = items.get("properties", {}) if isinstance(items, dict) else {}
            if name in inner and meant.fits(value, inner[name]) and isinstance(parent.get(outer, []), list):
                parent.setdefault(outer, []).append({name: value})
                return True
        return False

    def _dispensable(self, name: str) -> bool:
        """True for a name without which a call still does what was meant."""
        return name in SHAPING or (self.prepared.tool.pagination is not None and self._is_place(name))

    def _is_place(self, name: str) -> bool:
        pagination = self.prepared.tool.pagination
        return plain(name) in FIRST_PAGE or (pagination is not None and pagination.position.name == name)

    def _renamed_undeclared(self, path: Path, missing: str) -> bool:
        """Take the one undeclared member of an open object for the one that is missing."""
        parent, schema = self._at(path), self._schema(path)
        properties = schema.get("properties", {})
        undeclared = [name for name in parent if name not in properties]
        free = {missing: properties.get(missing, {})}
        if len(undeclared) != 1 or meant.argument(undeclared[0], parent[undeclared[0]], free, free, alone=True) is None:
            return False
        _rename(parent, undeclared[0], missing)
        return True

    def _parted(self, path: Path, missing: str) -> bool:
        """Part "octo/hello" into its two arguments where they stand side by side in the path of the request."""
        following = re.search(
            rf"\{{{re.escape(self._wire_name(missing))}\}}/\{{([^{{}}]+)\}}", self.prepared.tool.request.path
        )
        if path or following is None:
            return False
        name = next((known for known in self.arguments if self._wire_name(known) == following[1]), None)
        value = self.arguments.get(name) if name is not None else None
        if name is None or not isinstance(value, str) or not re.fullmatch(r"[^/\s]+/[^/\s]+", value):
            return False
        self.arguments[missing], self.arguments[name] = value.split("/")
        return True

    def _wire_name(self, argument: str) -> str:
        for parameter in self.prepared.tool.request.parameters:
            if parameter.argument == argument:
                return parameter.name
        return argument

    def _typed(self, path: Path, types: set[str]) -> bool:
        """The caller's value in a type that is asked for; a placeholder where it has no such form."""
        value, schema = self._at(path), self._schema(path)
        if isinstance(value, list) and len(value) == 1 and "array" not in types:
            return self._put(path, value[0])
        if "string" in types and isinstance(value, int | float) and not isinstance(value, bool):
            return self._put(path, json_text.text(value))
        if "boolean" in types and str(value).lower() in ("yes", "no", "1", "0"):
            return self._put(path, str(value).lower() in ("yes", "1"))
        if "array" in types and not isinstance(value, dict | list):
            parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]
            if "string" in kinds(schema.get("items")):
                return self._put(path, [part for part in parts if part])
            return self._put(path, [value])
        if "integer" in types and isinstance(value, float):
            return self._put(path, self._placeholder(path))
        if "object" in types and not isinstance(value, dict) and (operators := _compared(value, schema)) is not None:
            return self._put(path, operators)
        if "string" in types and isinstance(value, list) and all(isinstance(entry, str) for entry in value) and value:
            return self._put(path, ",".join(value))
        if "string" in types and isinstance(value, dict) and len(value) == 1:
            [(name, inner)] = value.items()
            if isinstance(inner, str) and plain(name) in ("id", "key", "name", "value", "text", plain(str(path[-1]))):
                return self._put(path, inner)
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
        if isinstance(value, list) and len(value) == 1:
            return self._put(path, value[0])
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(",")]
            if len(parts) > 1 and set(parts) <= set(texts) and path and isinstance(path[-1], int):
                entries = self._at(path[:-1])
                entries[path[-1] : path[-1] + 1] = parts
                return True
            own = _option(value, texts)
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


def _rename(parent: dict[str, Json], old: str, new: str) -> None:
    """Give a member another name, at its own place."""
    entries = [(new if name == old else name, value) for name, value in parent.items()]
    parent.clear()
    parent.update(entries)


def _compared(value: Json, schema: Mapping[str, Json]) -> Json:
    """The value under an operator, where the schema asks for an object of operators; None where it does not."""
    operators = schema.get("properties", {})
    if not operators or not operators.keys() <= meant.OPERATORS.keys():
        return None
    if "in" in operators:
        return {"in": value if isinstance(value, list) else [value]}
    return {"eq": value} if "eq" in operators and not isinstance(value, list) else None


def _option(value: str, texts: list[str]) -> str | None:
    """The one option that differs from a text in its spelling, its ending or a letter. Which of several is meant cannot
    be known, and a wrong one could pass for the right one."""
    spelt = [text for text in texts if plain(text) == plain(value)]
    if len(spelt) == 1:
        return spelt[0]
    begun = [
        text for text in texts if len(value) > 2 and (text.startswith(value.lower()) or value.lower().startswith(text))
    ]
    if len(begun) == 1:
        return begun[0]
    return closest(value, texts, least=SURE)


def _without_dollar(value: Json) -> Any:
    if isinstance(value, dict):
        return {name.removeprefix("$"): _without_dollar(entry) for name, entry in value.items()}
    return [_without_dollar(entry) for entry in value] if isinstance(value, list) else value


def _order(error: Any) -> tuple[bool, list[str]]:
    """What stands at the wrong place first: it may be what is missing elsewhere."""
    return error.kind.name != "additionalProperties", [str(step) for step in error.instance_path]
