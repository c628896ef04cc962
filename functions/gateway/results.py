"""An upstream answer becomes a tool's result: the catalogue's mapping, then what the caller asked for, then the caps.

Nothing is cut silently: whatever is left out is counted under `truncated`, which also says how to get it, and what
remains is valid JSON. Sizes are UTF-8 bytes of compact JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from functions.gateway.errors import TooLargeAnswer, UpstreamUnreadable, WrongArguments
from functions.gateway.paging import Position
from functions.gateway.settings import Settings
from functions.gateway.upstream import UpstreamResponse
from tool_catalog.catalog import Tool

Json = Any

BYTES_PER_TOKEN = 4
"""How `max_tokens` is counted: the usual estimate for English text in JSON. Text in other scripts takes more bytes per
character, so the estimate errs towards fewer characters there."""

ENVELOPE_BYTES = 700
"""Kept free for the members around the items, `truncated` among them."""

SMALLEST_STRING = 80
"""Characters a string keeps at the least when a single record is over the cap."""

FIELDS_EXAMPLE = "{id: id, memory: memory}"


@dataclass(slots=True)
class Cut:
    """What was left out so far."""

    items: int = 0
    strings: int = 0
    array_entries: int = 0

    def __bool__(self) -> bool:
        return bool(self.items or self.strings or self.array_entries)


def read(tool: Tool, response: UpstreamResponse) -> Json:
    """The JSON of a 2xx answer; None for an empty body. Raises UpstreamUnreadable."""
    if not response.body.strip():
        return None
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError) as error:
        media_type = response.headers.get("content-type", "no content type").split(";")[0]
        raise UpstreamUnreadable(
            f"{tool.name}: the upstream answered {response.status} with {len(response.body)} bytes that are not JSON "
            f"({media_type}); whether the call was carried out is unknown",
            upstream_status=response.status,
        ) from error


def mapped(tool: Tool, document: Json) -> Json:
    """The answer with the catalogue's `drop`, `rename` and `map` applied, in this order; changes `document`."""
    rules = tool.result
    if rules.rename or rules.drop:
        for entry in _objects(document):
            for name in rules.drop:
                entry.pop(name, None)
            for old, new in rules.rename.items():
                if old in entry:
                    entry[new] = entry.pop(old)
    return document if rules.map is None else _search(rules.map, document)


def items(tool: Tool, document: Json) -> list[Json]:
    """The records of a list-like tool's answer. Raises UpstreamUnreadable where there is no array."""
    found = _search(tool.result.items or "@", document)
    if found is None:
        found = []
    if not isinstance(found, list):
        raise UpstreamUnreadable(f'{tool.name}: the upstream\'s answer holds no array at "{tool.result.items}"')
    return found


def look_up(expression: str | None, document: Json) -> Json:
    """What a JMESPath expression of the catalogue finds; without one, the document itself."""
    return document if expression is None else _search(expression, document)


def shape_object(tool: Tool, document: Json, status: int, settings: Settings) -> dict[str, Json]:
    """The result of a tool that is not list-like."""
    if document is None:
        return {"result": None, "status_code": status}
    cut = Cut()
    body: dict[str, Json] = document if isinstance(document, dict) else {"result": document}
    body = _capped(body, settings.max_string_chars, settings.max_array_items, cut)
    body = _fitted(tool, body, settings.max_result_bytes - ENVELOPE_BYTES, settings, cut)
    if cut:
        body["truncated"] = _told(cut, "the caps of this endpoint; ask for less of it")
    return body


def shape_list(
    tool: Tool,
    document: Json,
    records: list[Json],
    arguments: Mapping[str, Json],
    settings: Settings,
    *,
    position: Position | None,
    after: Position | None,
) -> dict[str, Json]:
    """The result of a list-like tool.

    `records` are the page's records from `position` on; `after` is where the next page starts, None at the end.
    """
    if tool.result.sort is not None:
        records = _sorted(records, tool.result.sort)
    records = _projected(tool, records, arguments.get("fields"))
    cut = Cut()
    capped = [_capped(record, settings.max_string_chars, settings.max_array_items, cut) for record in records]
    budget = _budget(tool, arguments, settings)
    kept = _leading(tool, capped[: settings.max_array_items], budget, settings, cut)
    cut.items = len(records) - len(kept)
    if tool.enveloped:
        if cut.items and position is not None:
            after = replace(position, skip=position.skip + len(kept))
        body: dict[str, Json] = {
            "result": kept,
            "next_cursor": after.cursor() if after else None,
            "result_count": len(kept),
        }
    else:
        body = _with_items(tool, document, kept)
    if cut:
        body["truncated"] = _told(cut, _how(tool, arguments))
    return body


def size(value: Json) -> int:
    """UTF-8 bytes of the value as compact JSON."""
    return len(text(value).encode())


def text(value: Json) -> str:
    """The value as compact JSON: what a result's text block holds."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _objects(document: Json) -> list[dict[str, Json]]:
    """The root object and the objects of the arrays it is or holds."""
    root = [document] if isinstance(document, dict) else []
    arrays = [document] if isinstance(document, list) else []
    arrays += [value for entry in root for value in entry.values() if isinstance(value, list)]
    return root + [entry for array in arrays for entry in array if isinstance(entry, dict)]


def _search(expression: str, document: Json) -> Json:
    return _compiled(expression).search(document, options=_options())


@cache
def _compiled(expression: str) -> Any:
    """Expressions of the catalogue: a bounded, trusted set."""
    import jmespath

    return jmespath.compile(expression)


@cache
def _options() -> Any:
    import jmespath
    from jmespath import functions

    class Functions(functions.Functions):
        """JMESPath's own functions and the ones records may use besides."""

        @functions.signature({"types": ["string", "null"]}, {"types": ["number"]})
        def _func_excerpt(self, string: str | None, length: float) -> str:
            """The first `length` characters, cut at a word, with an ellipsis where something was left out."""
            words = " ".join((string or "").split())
            if len(words) <= length:
                return words
            head = words[: int(length)]
            return (head.rsplit(" ", 1)[0] if " " in head else head) + "…"

    return jmespath.Options(custom_functions=Functions())


def _sorted(records: list[Json], expression: str) -> list[Json]:
    """Ascending by the expression; records without a value last; equal ones in the order they came."""
    keyed = [(_search(expression, record), record) for record in records]
    return [record for key, record in sorted(keyed, key=lambda pair: (pair[0] is None, str(pair[0])))]


def _projected(tool: Tool, records: list[Json], expression: str | None) -> list[Json]:
    """Each record through the caller's `fields` expression. Raises WrongArguments when it cannot be read or finds
    nothing in any record."""
    if expression is None:
        return records
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        compiled = jmespath.compile(expression)
        projected = [compiled.search(record, options=_options()) for record in records]
    except (JMESPathError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "too deep"
        raise WrongArguments(
            tool.name,
            [f'"fields" is not a JMESPath expression ({reason}); it selects from each record, as "{FIELDS_EXAMPLE}"'],
        ) from error
    if records and not any(_holds_something(value) for value in projected):
        known = ", ".join(records[0]) if isinstance(records[0], dict) else "none"
        raise WrongArguments(tool.name, [f'"fields" finds nothing in any record; a record has: {known}'])
    return projected


def _holds_something(value: Json) -> bool:
    if isinstance(value, dict):
        return any(entry is not None for entry in value.values())
    return value is not None


def _capped(value: Json, strings: int, arrays: int, cut: Cut) -> Json:
    """The value with long strings and long arrays shortened; counts what it left out."""
    if isinstance(value, str):
        if len(value) <= strings:
            return value
        cut.strings += 1
        return f"{value[:strings]}…[cut: {strings} of {len(value)} characters]"
    if isinstance(value, list):
        cut.array_entries += max(0, len(value) - arrays)
        return [_capped(entry, strings, arrays, cut) for entry in value[:arrays]]
    if isinstance(value, dict):
        return {name: _capped(entry, strings, arrays, cut) for name, entry in value.items()}
    return value


def _fitted(tool: Tool, value: Json, budget: int, settings: Settings, cut: Cut) -> Json:
    """The value, its strings and then its arrays halved until it is within the budget. Raises TooLargeAnswer when it
    still is not."""
    if size(value) <= budget:
        return value
    strings, arrays = settings.max_string_chars, settings.max_array_items
    while strings > SMALLEST_STRING or arrays > 1:
        strings, arrays = (strings // 2, arrays) if strings > SMALLEST_STRING else (strings, arrays // 2)
        trial = Cut()
        smaller = _capped(value, strings, arrays, trial)
        if size(smaller) <= budget:
            cut.strings += trial.strings
            cut.array_entries += trial.array_entries
            return smaller
    raise TooLargeAnswer(
        f"{tool.name}: one record of the answer is {size(value)} bytes and {budget} are allowed"
        + ('; choose what you need with "fields"' if tool.result.items is not None else "")
    )


def _budget(tool: Tool, arguments: Mapping[str, Json], settings: Settings) -> int:
    """Bytes for the records of a list-like result."""
    most = settings.max_result_bytes - ENVELOPE_BYTES
    tokens = arguments.get("max_tokens", _default(tool, "max_tokens"))
    return most if tokens is None else min(most, int(tokens) * BYTES_PER_TOKEN)


def _default(tool: Tool, argument: str) -> Json:
    for parameter in tool.request.parameters:
        if parameter.location == "result" and parameter.argument == argument:
            return parameter.value
    return None


def _leading(tool: Tool, records: list[Json], budget: int, settings: Settings, cut: Cut) -> list[Json]:
    """As many of the first records as fit; the very first is shortened rather than left out."""
    kept: list[Json] = []
    left = budget
    for record in records:
        needed = size(record) + 1
        if needed > left:
            if not kept:
                kept.append(_fitted(tool, record, budget, settings, cut))
            break
        kept.append(record)
        left -= needed
    return kept


def _with_items(tool: Tool, document: Json, kept: list[Json]) -> dict[str, Json]:
    """The upstream object with its records replaced; a bare array becomes `{"result": [...]}`."""
    if isinstance(document, dict) and tool.result.items in document:
        return {**document, tool.result.items: kept}
    return {"result": kept}


def _told(cut: Cut, how: str) -> dict[str, Json]:
    return {
        "items_left_out": cut.items,
        "strings_cut": cut.strings,
        "array_entries_left_out": cut.array_entries,
        "how_to_get_the_rest": how,
    }


def _how(tool: Tool, arguments: Mapping[str, Json]) -> str:
    ways: list[str] = []
    if tool.enveloped and tool.pagination is not None:
        ways.append("call again with next_cursor")
    if "max_tokens" in arguments or _default(tool, "max_tokens") is not None:
        ways.append("raise max_tokens")
    if "fields" not in arguments:
        ways.append(f'choose fewer fields, as fields="{FIELDS_EXAMPLE}"')
    ways.append("narrow the request")
    return "; ".join(ways)
