"""An upstream answer becomes a tool's result: the catalogue's mapping, then what the caller asked for, then the caps.

Nothing is cut silently: whatever is left out is counted under `truncated`, which also says how to get it, and what
remains is valid JSON. Sizes are UTF-8 bytes of compact JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, isfinite

from functions.gateway import json_text
from functions.gateway.errors import TooLargeAnswer, UpstreamUnreadable, WrongArguments
from functions.gateway.expressions import BadExpression, Fields, search
from functions.gateway.json_text import MAX_DEPTH, Json, size, well_formed
from functions.gateway.paging import Position
from functions.gateway.prepared import PreparedTool
from functions.gateway.settings import Settings
from functions.gateway.upstream import UpstreamResponse
from tool_catalog.catalog import Tool

BYTES_PER_TOKEN = 4
"""How `max_tokens` is counted: the usual estimate for English text in JSON. Text in other scripts takes more bytes per
character, so the estimate errs towards fewer characters there."""

TOO_DEEP = f"the answer is nested more than {MAX_DEPTH} levels deep and cannot be handed on"

SMALLEST_STRING = 80
"""Characters a string keeps at the least when a single record is over the cap."""

NEXT = "call again with next_cursor"


@dataclass(slots=True)
class Cut:
    """What was left out so far."""

    items: int = 0
    strings: int = 0
    array_entries: int = 0

    def __bool__(self) -> bool:
        return bool(self.items or self.strings or self.array_entries)

    def add(self, more: Cut) -> None:
        self.items += more.items
        self.strings += more.strings
        self.array_entries += more.array_entries


def read(tool: Tool, response: UpstreamResponse) -> Json:
    """The JSON of a 2xx answer; None for an empty body, which only a 204 may have where records are due. Raises
    UpstreamUnreadable."""
    if not response.body.strip() and (tool.result.items is None or response.status == 204):
        return None
    try:
        return json_text.decode_lenient(response.body)
    except json_text.TooDeep as error:  # what one version of Python reads another does not
        raise UpstreamUnreadable(TOO_DEEP) from error
    except json_text.NotJson as error:
        media_type = response.headers.get("content-type", "no content type").split(";")[0]
        effect = (
            "nothing was changed" if tool.access == "read" else "look whether it was carried out before you repeat it"
        )
        raise UpstreamUnreadable(
            f"{tool.name}: the upstream answered {response.status} with {len(response.body)} bytes that are not JSON "
            f"({media_type}); {effect}",
            upstream_status=response.status,
        ) from error


def mapped(tool: Tool, document: Json) -> Json:
    """The answer with the catalogue's `drop`, `rename` and `map` applied, in this order; changes `document`. Raises
    UpstreamUnreadable."""
    rules = tool.result
    if rules.rename or rules.drop:
        for entry in _objects(document):
            for name in rules.drop:
                entry.pop(name, None)
            for old, new in rules.rename.items():
                if old in entry:
                    entry[new] = entry.pop(old)
    return document if rules.map is None else look_up(tool, rules.map, document)


def items(tool: Tool, document: Json) -> list[Json]:
    """The records of a list-like tool's answer; none for null, as some APIs write an empty list. Raises
    UpstreamUnreadable where there is no array."""
    where = tool.result.items or "@"
    found = look_up(tool, where, document)
    if isinstance(found, list):
        return found
    if document is None or (found is None and isinstance(document, dict) and where in document):
        return []
    raise UpstreamUnreadable(
        f"{tool.name}: the upstream's answer holds no array {'' if where == '@' else f'at {where!r} '}"
        "and so is not the list its API documents"
    )


def look_up(tool: Tool, expression: str | None, document: Json) -> Json:
    """What a JMESPath expression of the catalogue finds; without one, the document. Raises UpstreamUnreadable."""
    if expression is None:
        return document
    try:
        return search(expression, document)
    except BadExpression as error:
        raise UpstreamUnreadable(
            f"{tool.name}: the upstream's answer is not of the kind its API documents ({error})"
        ) from error


def fields(tool: Tool, arguments: Mapping[str, Json]) -> Fields | None:
    """The projection a caller asks for with `fields`. Raises WrongArguments, so that nothing is sent for one that
    cannot be read."""
    if arguments.get("fields") is None or tool.result.items is None:
        return None
    try:
        return Fields(arguments["fields"])
    except BadExpression as error:
        raise _wrong_fields(tool, error) from error


def shape_object(tool: Tool, document: Json, status: int, settings: Settings) -> dict[str, Json]:
    """The result of a tool that is not list-like."""
    if document is None:
        return {"result": None, "status_code": status}
    cut = Cut()
    given: dict[str, Json] = document if isinstance(document, dict) else {"result": document}
    body: dict[str, Json] = capped(given, settings.max_string_chars, settings.max_array_items, cut)
    how = "the rest is over the caps of this endpoint; ask for a part of it, or an operator can raise the caps"
    if size(body) + (size(_note(cut, how)) if cut else 0) > settings.max_result_bytes:
        cut = Cut()
        body = _fitted(given, settings.max_result_bytes - size(_note(_FULL, how)), settings, cut, tool=tool, how=how)
    return {**body, **_note(cut, how)} if cut else body


def shape_list(
    tool: Tool,
    document: Json,
    records: list[Json],
    arguments: Mapping[str, Json],
    settings: Settings,
    *,
    projection: Fields | None,
    position: Position | None,
    after: Position | None,
) -> dict[str, Json]:
    """The result of a list-like tool.

    `records` are those of the page (or pages) that `position` names, the ones it skips included; `after` is where the
    next page starts, None at the end.
    """
    if tool.result.sort is not None:
        records = _sorted(tool, records)
    if position is not None:
        records = records[position.skip :]
    records = _projected(tool, records, projection)
    most, how = _budget(tool, arguments, settings), _how(tool, arguments)
    cut = Cut()
    others = _others(tool, document, most, settings, cut, how=how)

    def body(kept: list[Json], following: Position | None) -> dict[str, Json]:
        if not tool.enveloped:
            return {**others, _member(tool, document): kept}
        return {
            "result": kept,
            "next_cursor": following.cursor() if following else None,
            "result_count": len(kept),
        }

    whole = Cut()
    strings, arrays = settings.max_string_chars, settings.max_array_items
    kept = [capped(record, strings, arrays, whole) for record in records[:arrays]]
    if len(kept) < len(records) or whole or cut or size(body(kept, after)) > most:
        rest = replace(position, skip=position.skip + len(records)) if position else None
        empty = max(size(body([], place)) for place in (after, rest))
        left = most - empty - size(_note(_FULL, f"{NEXT}; {how}"))
        _check_room(tool, arguments, records, left, settings)
        kept = _leading(records[:arrays], left, settings, cut, tool=tool, how=how)
        cut.items = len(records) - len(kept)
        if cut.items and position is not None:
            after = replace(position, skip=position.skip + len(kept))
            how = f"{NEXT}; {how}"
    return {**body(kept, after), **_note(cut, how)} if cut else body(kept, after)


def check_documented(prepared: PreparedTool, body: Mapping[str, Json], status: int) -> None:
    """Raises UpstreamUnreadable, with the body, for a result that breaks the tool's output schema: clients that check
    it would show nothing of it."""
    error = next(iter(prepared.answer_validator.iter_errors(body)), None)
    if error is not None:
        where = ".".join(str(step) for step in error.instance_path) or "the answer"
        raise UpstreamUnreadable(
            f"{prepared.tool.name}: the upstream's answer is not what its API documents ({where}: "
            f"{error.message[:200]}). Its status was {status}, and raw_response holds it",
            raw_response=body,
            upstream_status=status,
        )


def capped(value: Json, strings: int, arrays: int, cut: Cut, depth: int = 0) -> Json:
    """The value with long strings and long arrays shortened, counting what it leaves out, and with everything in a form
    that JSON in UTF-8 has: U+FFFD for half of a surrogate pair, null for a number that is not finite. Raises
    UpstreamUnreadable for one that is nested too deep."""
    if isinstance(value, str):
        value = well_formed(value)
        if len(value) <= strings:
            return value
        cut.strings += 1
        return f"{value[:strings]}…[cut: {strings} of {len(value)} characters]"
    if depth > MAX_DEPTH:
        raise UpstreamUnreadable(TOO_DEEP)
    if isinstance(value, list):
        cut.array_entries += max(0, len(value) - arrays)
        return [capped(entry, strings, arrays, cut, depth + 1) for entry in value[:arrays]]
    if isinstance(value, dict):
        return {well_formed(name): capped(entry, strings, arrays, cut, depth + 1) for name, entry in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


_FULL = Cut(10**9, 10**9, 10**9)
"""More than is ever left out: the note about it is the longest there can be."""


def _objects(document: Json) -> list[dict[str, Json]]:
    """The root object and the objects of the arrays it is or holds."""
    root = [document] if isinstance(document, dict) else []
    arrays = [document] if isinstance(document, list) else []
    arrays += [value for entry in root for value in entry.values() if isinstance(value, list)]
    return root + [entry for array in arrays for entry in array if isinstance(entry, dict)]


def _sorted(tool: Tool, records: list[Json]) -> list[Json]:
    """Ascending by the catalogue's expression, numbers before texts; records without a value last; equal ones in the
    order they came."""

    def key(record: Json) -> tuple[int, float, str]:
        found = look_up(tool, tool.result.sort, record)
        if isinstance(found, int | float):
            return 0, found, ""
        return (2, 0, "") if found is None else (1, 0, str(found))

    return sorted(records, key=key)


def _projected(tool: Tool, records: list[Json], projection: Fields | None) -> list[Json]:
    """Each record through the caller's `fields`. Raises WrongArguments when it does not fit the records or finds
    nothing in any of them."""
    if projection is None or not records:
        return records
    try:
        projected = projection.of(records)
    except BadExpression as error:
        raise _wrong_fields(tool, error) from error
    if not any(_holds_something(value) for value in projected):
        known = ", ".join(records[0]) if isinstance(records[0], dict) else "no members"
        raise WrongArguments(tool.name, [f'"fields" finds nothing in any item; an item has: {known}'])
    return projected


def _wrong_fields(tool: Tool, error: BadExpression) -> WrongArguments:
    return WrongArguments(
        tool.name,
        [
            f'"fields" does not work as a JMESPath expression on each item ({error}); write it like '
            f'"{tool.result.fields}"'
        ],
    )


def _holds_something(value: Json) -> bool:
    if isinstance(value, dict):
        return any(entry is not None for entry in value.values())
    return value is not None


def _budget(tool: Tool, arguments: Mapping[str, Json], settings: Settings) -> int:
    """Bytes of a list-like result."""
    tokens = arguments.get("max_tokens", _default(tool, "max_tokens"))
    return (
        settings.max_result_bytes if tokens is None else min(settings.max_result_bytes, int(tokens) * BYTES_PER_TOKEN)
    )


def _default(tool: Tool, argument: str) -> Json:
    for parameter in tool.request.parameters:
        if parameter.location == "result" and parameter.argument == argument:
            return parameter.value
    return None


def _member(tool: Tool, document: Json) -> str:
    """Where the records stand in a result without our envelope: where the upstream had them; a bare array's under
    "result"."""
    where = tool.result.items or ""
    return where if isinstance(document, dict) and where in document else "result"


def _others(tool: Tool, document: Json, most: int, settings: Settings, cut: Cut, *, how: str) -> dict[str, Json]:
    """The upstream object's members beside the records, in half of the space at most."""
    others: dict[str, Json] = {}
    if not tool.enveloped and isinstance(document, dict):
        others = {name: value for name, value in document.items() if name != _member(tool, document)}
        others = _fitted(others, most // 2, settings, cut, tool=tool, how=how)
    return others


def _leading(records: list[Json], left: int, settings: Settings, cut: Cut, *, tool: Tool, how: str) -> list[Json]:
    """As many of the first records as fit; the very first is shortened rather than left out."""
    kept: list[Json] = []
    for record in records:
        shortened = Cut()
        shown = capped(record, settings.max_string_chars, settings.max_array_items, shortened)
        needed = size(shown) + 1
        if needed > left:
            if not kept:
                kept.append(_fitted(record, left, settings, cut, tool=tool, how=how))
            break
        cut.add(shortened)
        kept.append(shown)
        left -= needed
    return kept


def _check_room(tool: Tool, arguments: Mapping[str, Json], records: list[Json], left: int, settings: Settings) -> None:
    """Raises WrongArguments when the caller's own `max_tokens` leaves no room for the first record, however short."""
    if not records or "max_tokens" not in arguments:
        return
    least = size(capped(records[0], SMALLEST_STRING, 1, Cut())) + 1
    if least > left:
        needed = arguments["max_tokens"] + ceil((least - left) / BYTES_PER_TOKEN)
        if needed * BYTES_PER_TOKEN <= settings.max_result_bytes:
            problem = f'"max_tokens" is {arguments["max_tokens"]}; the first record alone needs {needed}'
            raise WrongArguments(tool.name, [problem])


def _fitted(value: Json, budget: int, settings: Settings, cut: Cut, *, tool: Tool, how: str) -> Json:
    """The value within its caps, its strings and then its arrays halved until it is within the budget, too. Raises
    TooLargeAnswer when it still is not."""
    strings, arrays = settings.max_string_chars, settings.max_array_items
    while True:
        trial = Cut()
        smaller = capped(value, strings, arrays, trial)
        needed = size(smaller)
        if needed <= budget:
            cut.add(trial)
            return smaller
        if strings > SMALLEST_STRING:
            strings = max(SMALLEST_STRING, strings // 2)
        elif arrays > 1:
            arrays //= 2
        else:
            raise TooLargeAnswer(
                f"{tool.name}: even shortened, the first part of the answer is {needed} bytes and {max(0, budget)} are "
                f"left for it; {how}"
            )


def _note(cut: Cut, how: str) -> dict[str, Json]:
    return {
        "truncated": {
            "items_left_out": cut.items,
            "strings_cut": cut.strings,
            "array_entries_left_out": cut.array_entries,
            "how_to_get_the_rest": how,
        }
    }


def _how(tool: Tool, arguments: Mapping[str, Json]) -> str:
    ways: list[str] = []
    if "max_tokens" in arguments or _default(tool, "max_tokens") is not None:
        ways.append("raise max_tokens")
    if tool.result.fields is not None and "fields" not in arguments:
        ways.append(f'select fewer fields, e.g. fields="{tool.result.fields}"')
    ways.append("narrow the request")
    return "; ".join(ways)
