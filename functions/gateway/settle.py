"""Arguments that have exactly one reading are put right before they are checked, and the result says so.

Clients send JSON as text, numbers as strings and null for what they leave out; models know an argument by the
upstream's name. What could be read in two ways stays as it is, for the check to refuse. An argument of a destructive
tool that says what is destroyed is parsed at most: it is never renamed and its value is never replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import assert_never

from functions.gateway import json_text
from functions.gateway.json_text import Json, NotJson, kind, kinds
from functions.gateway.prepared import PreparedTool
from functions.gateway.value_classes import dataclass
from functions.gateway.wording import listed, shown
from tool_catalog.catalog import NoPin, PinAnswer, PinArguments, PinEntity, PinFilter, PinObject, PinObjects, Tool

WRAPPERS = ("arguments", "params", "parameters", "input")
"""Names under which a client sends all arguments once more."""

SIZES = ("limit", "page_size", "per_page", "top_k", "size", "count", "max_results", "page_limit")
"""Names of the number of items that a call returns."""

CURSORS = ("next_cursor", "cursor", "page_token", "next_page_token")
"""Names of the place at which a list continues."""

FIRST_PAGE = {"page": 1, "pagenumber": 1, "offset": 0, "skip": 0, "startat": 0, "start": 0, "startindex": 0}
"""Names of a page or a place in a list, and the first one: a call begins there anyway."""

NO_PLACE = ("", "null", "none", "undefined")
"""Cursors that clients send where they have none."""

MAX_BYTES = 100_000
"""Larger arguments stay as they are: walking through a megabyte would hold up every other call."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}(\.0+)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Settled:
    """Arguments, and what was put right in them, one sentence each."""

    arguments: Mapping[str, Json]
    notes: tuple[str, ...] = ()


def arguments(prepared: PreparedTool, given: Mapping[str, Json]) -> Settled:
    """The arguments with everything put right that has one reading. What is valid changes only in the way it is
    written: 5.0 becomes 5."""
    schema = prepared.accepted["properties"]
    notes: list[str] = []
    try:
        if len(json_text.encode_strictly(given)) > MAX_BYTES:
            return Settled(given)
        given = _ours(prepared, given, notes)
        valid = prepared.validator.is_valid(given)
    except (ValueError, RecursionError):
        return Settled(given)  # no JSON could hold it: the check says so
    if valid:
        whole = {name: _whole(value, schema.get(name), name, notes) for name, value in given.items()}
        return Settled(whole, _said(notes))
    settling = _Settling(_guarded(prepared.tool), notes)
    unwrapped = _unwrapped(prepared, given, notes)
    named = _named(prepared, unwrapped, settling.guarded, notes)
    settled: dict[str, Json] = {}
    required = prepared.accepted.get("required", ())
    for name, value in named.items():
        part = schema.get(name)
        open = name not in settling.guarded
        if open and value is None and name not in required and not _takes_null(part):
            notes.append(f'"{name}" was null; it is left out')
        else:
            settled[name] = settling.value(value, part, name, open)
    return Settled(settled, _said(notes))


def _said(notes: list[str]) -> tuple[str, ...]:
    """Each note once, and at most as many as a caller reads."""
    return tuple(listed(list(dict.fromkeys(notes))))


def _ours(prepared: PreparedTool, given: Mapping[str, Json], notes: list[str]) -> Mapping[str, Json]:
    """The arguments without what only says "from the beginning" of a list, and with `fields` as an expression."""
    accepted = prepared.accepted["properties"]
    ours = {
        parameter.argument for parameter in prepared.tool.request.parameters if parameter.location == "result"
    } & accepted.keys()
    found = dict(given)
    for name, value in given.items():
        if "next_cursor" in ours and name in CURSORS and _is_nowhere(value):
            notes.append(f"{shown(name)} was empty; it is left out")
            del found[name]
        elif "next_cursor" in ours and name not in accepted and _is_first_page(name, value):
            notes.append(f"{shown(name)} was the first page; it is left out")
            del found[name]
        elif name == "fields" and name in ours and (expression := _projection(value)) is not None:
            notes.append(f'"fields" was a list of names; it is sent as {shown(expression)}')
            found[name] = expression
    return found


def _is_nowhere(value: Json) -> bool:
    return isinstance(value, str) and value.strip().lower() in NO_PLACE


def _is_first_page(name: str, value: Json) -> bool:
    return kind(value) in ("integer", "number") and FIRST_PAGE.get(plain(name)) == value


def _projection(value: Json) -> str | None:
    """The expression for a list of plain names; None for anything else."""
    names = value.split(",") if isinstance(value, str) and "," in value else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    names = [name.strip() for name in names]
    if not all(_IDENTIFIER.fullmatch(name) for name in names):
        return None
    return "{" + ", ".join(f"{name}: {name}" for name in dict.fromkeys(names)) + "}"


def _guarded(tool: Tool) -> Set[str | None]:
    """Arguments of a destructive tool that say what is destroyed: its path, its pin, and whatever holds several ids or
    conditions."""
    if not tool.destructive:
        return set()
    found = {parameter.argument for parameter in tool.request.parameters if parameter.location == "path"}
    match tool.pin:
        case PinFilter() | PinObject() | PinObjects():
            found.add(tool.pin.argument)
        case PinEntity():
            found |= {tool.pin.argument, tool.pin.id}
        case PinArguments():
            found |= set(tool.pin.ids)
        case PinAnswer() | NoPin() | None:
            pass
        case never:
            assert_never(never)
    properties: Mapping[str, Json] = tool.definition["inputSchema"]["properties"]
    return found | {name for name, part in properties.items() if kinds(part) & {"array", "object"}}


def _unwrapped(prepared: PreparedTool, given: Mapping[str, Json], notes: list[str]) -> Mapping[str, Json]:
    """What stands under a single wrapper, e.g. {"arguments": {...}}, where the tool has no argument of that name."""
    if len(given) != 1:
        return given
    [(name, value)] = given.items()
    if name not in WRAPPERS or name in prepared.tool.definition["inputSchema"]["properties"]:
        return given
    inner = _decoded(value) if isinstance(value, str) else value
    if not isinstance(inner, dict) or not inner:
        return given
    notes.append(f'the arguments stood under "{name}"; its members are the arguments')
    return inner


def _named(
    prepared: PreparedTool, given: Mapping[str, Json], guarded: Set[str | None], notes: list[str]
) -> dict[str, Json]:
    """The arguments under the names that this tool has for them."""
    named: dict[str, Json] = {}
    taken = set(given)
    for name, value in given.items():
        own = own_name(prepared, name)
        if own is None or own in taken or own in guarded:
            named[name] = value
        else:
            notes.append(f"{shown(name)} is called {shown(own)} here")
            named[own] = value
            taken.add(own)
    return named


def own_name(prepared: PreparedTool, name: str) -> str | None:
    """The one argument that is meant by a name this tool does not have; None where there is none, or a second one."""
    tool, accepted = prepared.tool, prepared.accepted["properties"]
    if name in tool.definition["inputSchema"]["properties"] or name in prepared.pins:
        return None  # fixed or pinned by the server: the check says so
    asked = plain(name)
    spelt = [argument for argument in accepted if plain(argument) == asked]
    upstream = [
        parameter.argument
        for parameter in tool.request.parameters
        if parameter.argument in accepted and parameter.location != "result" and plain(parameter.name) == asked
    ]
    alike = [
        argument
        for names in (SIZES, CURSORS)
        if asked in map(plain, names) or (names is SIZES and _is_size(tool, name))
        for argument in names
        if argument in accepted
    ]
    for found in (spelt, upstream, alike):
        if found:
            return found[0] if len(set(found)) == 1 else None
    return None


def _is_size(tool: Tool, name: str) -> bool:
    size = tool.pagination.size if tool.pagination else None
    return size is not None and size.name == name


def plain(name: str) -> str:
    """A name without what only its spelling adds: orderId, order-id and Order ID are order_id."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _decoded(text: str) -> Json:
    """The object or array that a text holds as JSON; None for any other text."""
    if text.strip()[:1] not in ("{", "["):
        return None
    try:
        return json_text.decode(text)
    except NotJson:
        return None


@dataclass(frozen=True, slots=True)
class _Settling:
    """Values put right by their schemas. `open` is False inside an argument that may be parsed only."""

    guarded: Set[str | None]
    notes: list[str]

    def value(self, value: Json, schema: Json, where: str, open: bool) -> Json:
        """The value as its schema asks for it, where that is its one reading."""
        if not isinstance(schema, dict):
            return value
        types = kinds(schema)
        parsed = self._parsed(value, types, where)
        if open:
            parsed = self._chosen(parsed, schema, where)
            parsed = self._listed(parsed, schema, types, where)
        if isinstance(parsed, dict):
            return self._object(parsed, schema, where, open)
        if isinstance(parsed, list):
            items = schema.get("items")
            return [self.value(entry, items, f"{where}[{index}]", open) for index, entry in enumerate(parsed)]
        return _whole(parsed, schema, where, self.notes)

    def _object(self, value: Mapping[str, Json], schema: Mapping[str, Json], where: str, open: bool) -> Json:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        settled: dict[str, Json] = {}
        for given, entry in value.items():
            name = self._member(given, value, properties, where) if open else given
            part = properties.get(name)
            if open and entry is None and name not in required and not _takes_null(part):
                self.notes.append(f'"{where}.{name}" was null; it is left out')
            else:
                settled[name] = self.value(entry, part, f"{where}.{name}", open)
        return settled

    def _member(self, name: str, value: Mapping[str, Json], properties: Mapping[str, Json], where: str) -> str:
        """The member that differs from a name in its spelling only, e.g. gte for $gte and AND for and."""
        own = None if name in properties else _respelt(name, value, properties)
        if own is None:
            return name
        self.notes.append(f'"{where}.{name}" is called {shown(own)} here')
        return own

    def _parsed(self, value: Json, types: set[str], where: str) -> Json:
        """What a text holds, where no text is asked for."""
        if not isinstance(value, str) or "string" in types:
            return value
        text = value.strip()
        found: Json = None
        if "integer" in types and _INTEGER.fullmatch(text):
            found = int(text.partition(".")[0])
        elif "number" in types and _NUMBER.fullmatch(text):
            found = float(text) if "." in text else int(text)
        elif "boolean" in types and text.lower() in ("true", "false"):
            found = text.lower() == "true"
        elif kind(decoded := _decoded(text)) in types:
            found = decoded
        if found is None:
            return value
        self.notes.append(f'"{where}" was text; it is sent as {_article(kind(found))}')
        return found

    def _chosen(self, value: Json, schema: Mapping[str, Json], where: str) -> Json:
        """The one option that differs from the value in case only."""
        options = schema.get("enum", ())
        if not isinstance(value, str) or value in options:
            return value
        found = [option for option in options if isinstance(option, str) and option.lower() == value.strip().lower()]
        if len(found) != 1:
            return value
        self.notes.append(f'"{where}" was {shown(value)}; it is sent as {shown(found[0])}')
        return found[0]

    def _listed(self, value: Json, schema: Mapping[str, Json], types: set[str], where: str) -> Json:
        """An array of the one value that was given. A text with a comma may be several values."""
        if types != {"array"} or isinstance(value, list) or value is None:
            return value
        if isinstance(value, str) and ("," in value or not value.strip()):
            return value
        asked = kinds(schema.get("items"))
        if kind(value) not in asked | ({"integer"} if "number" in asked else set()):
            return value
        self.notes.append(f'"{where}" was one value; it is sent as an array')
        return [value]


def _takes_null(schema: Json) -> bool:
    found = kinds(schema)
    return not found or "null" in found


def _whole(value: Json, schema: Json, where: str, notes: list[str]) -> Json:
    """5 for 5.0 where an integer is asked for, and gte for $gte, at any depth that the schema describes."""
    if isinstance(value, float) and value.is_integer() and "integer" in kinds(schema) and abs(value) < 10**18:
        return int(value)
    if not isinstance(schema, dict):
        return value
    if isinstance(value, dict):
        properties, written = schema.get("properties", {}), {}
        for name, entry in value.items():
            own = name
            if name[:1] == "$" and name not in properties and name[1:] in properties and name[1:] not in value:
                own = name[1:]
                notes.append(f'"{where}.{name}" is called {shown(own)} here')
            written[own] = _whole(entry, properties.get(own), f"{where}.{own}", notes)
        return written
    if isinstance(value, list):
        return [_whole(entry, schema.get("items"), where, notes) for entry in value]
    return value


def _respelt(name: str, value: Mapping[str, Json], properties: Mapping[str, Json]) -> str | None:
    found = [known for known in properties if plain(known) == plain(name)]
    rivals = [other for other in value if plain(other) == plain(name)]
    return found[0] if len(found) == 1 == len(rivals) else None


def _article(kind: str) -> str:
    return f"{'an' if kind in ('array', 'integer', 'object') else 'a'} {kind}"
