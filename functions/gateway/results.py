"""A mapped answer becomes a tool's result: first what the caller asked for, then the caps.

Nothing is cut silently: whatever is left out is counted under `truncated`, which also says how to get it, and what
remains is valid JSON. Sizes are UTF-8 bytes of compact JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from functions.gateway.answers import Answer, Foreign, look_up
from functions.gateway.caps import Cut, capped
from functions.gateway.errors import TooLargeAnswer, UpstreamUnreadable, WrongArguments
from functions.gateway.expressions import BadExpression, Fields
from functions.gateway.json_text import Json, size
from functions.gateway.paging import Position
from functions.gateway.prepared import PreparedTool
from functions.gateway.settings import Settings
from tool_catalog.catalog import Tool

BYTES_PER_TOKEN = 4
"""How `max_tokens` is counted: the usual estimate for English text in JSON. Text in other scripts takes more bytes per
character, so the estimate errs towards fewer characters there."""

SMALLEST_STRING = 80
"""Characters that a string keeps at least when a single object is over the cap."""

NEXT = "call again with next_cursor"


def fields(tool: Tool, arguments: Mapping[str, Json]) -> Fields | None:
    """The projection a caller asks for with `fields`. Raises WrongArguments, so that nothing is sent for one that
    cannot be read."""
    if arguments.get("fields") is None or tool.result.items is None:
        return None
    try:
        return Fields(arguments["fields"])
    except BadExpression as error:
        raise _wrong_fields(tool, error) from error


def shape(
    prepared: PreparedTool, answer: Answer, arguments: Mapping[str, Json], projection: Fields | None, settings: Settings
) -> dict[str, Json]:
    """The result of a call. Raises WrongArguments, UpstreamUnreadable or TooLargeAnswer."""
    if answer.objects is None:
        body = _object(answer, settings)
    else:
        body = _list(prepared.tool, answer, arguments, projection, settings)
    if isinstance(answer.document, Foreign) and not prepared.answer_validator.is_valid(body):
        body = {"upstream_answer": body}  # its members have names that the output schema has for something else
    check_documented(prepared, body, answer.status)
    return body


def _object(answer: Answer, settings: Settings) -> dict[str, Json]:
    """The result of a tool that is not list-like."""
    if answer.document is None:
        return {"result": None, "status_code": answer.status}
    cut = Cut()
    given: dict[str, Json] = answer.document if isinstance(answer.document, dict) else {"result": answer.document}
    body: dict[str, Json] = capped(given, settings.max_string_chars, settings.max_array_items, cut)
    how = "the rest is over the caps of this endpoint; ask for a part of it, or an operator can raise the caps"
    if size(body) + (size(_note(cut, how)) if cut else 0) > settings.max_result_bytes:
        cut = Cut()
        body = _fitted(given, settings.max_result_bytes - size(_note(_FULL, how)), settings, cut, how=how)
    return {**body, **_note(cut, how)} if cut else body


def _list(
    tool: Tool,
    answer: Answer,
    arguments: Mapping[str, Json],
    projection: Fields | None,
    settings: Settings,
) -> dict[str, Json]:
    """The result of a list-like tool."""
    objects, position, after = answer.objects or [], answer.position, answer.after
    if tool.result.sort is not None:
        objects = _sorted(tool, objects)
    if position is not None:
        objects = objects[position.skip :]
    objects = _projected(tool, objects, projection)
    limit, how = _budget(tool, arguments, settings), _how(tool, arguments)
    cut = Cut()
    others = _others(tool, answer.document, limit, settings, cut, how=how)

    def body(kept: list[Json], following: Position | None) -> dict[str, Json]:
        if not tool.enveloped:
            return {**others, _member(tool, answer.document): kept}
        return {
            "result": kept,
            "next_cursor": following.cursor() if following else None,
            "result_count": len(kept),
        }

    whole = Cut()
    strings, arrays = settings.max_string_chars, settings.max_array_items
    kept = [capped(entry, strings, arrays, whole) for entry in objects[:arrays]]
    if len(kept) < len(objects) or whole or cut or size(body(kept, after)) > limit:
        rest = replace(position, skip=position.skip + len(objects)) if position else None
        empty = max(size(body([], place)) for place in (after, rest))
        left = limit - empty - size(_note(_FULL, f"{NEXT}; {how}"))
        _check_room(arguments, objects, left, settings)
        kept = _leading(objects[:arrays], left, settings, cut, how=how)
        cut.items = len(objects) - len(kept)
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
            f"the upstream's answer is not what its API documents ({where}: {error.message[:200]}). "
            f"Its status was {status}, and raw_response holds it",
            raw_response=body,
            upstream_status=status,
        )


_FULL = Cut(10**9, 10**9, 10**9)
"""More than is ever left out: the note about it is the longest there can be."""


def _sorted(tool: Tool, objects: list[Json]) -> list[Json]:
    """Ascending by the catalogue's expression, numbers before texts, objects without a value last; equal ones in the
    order they came."""

    def key(entry: Json) -> tuple[int, float, str]:
        found = look_up(tool.result.sort, entry)
        if isinstance(found, int | float):
            return 0, found, ""
        return (2, 0, "") if found is None else (1, 0, str(found))

    return sorted(objects, key=key)


def _projected(tool: Tool, objects: list[Json], projection: Fields | None) -> list[Json]:
    """Each object through the caller's `fields`. Raises WrongArguments when it does not fit the objects or finds
    nothing in any of them."""
    if projection is None or not objects:
        return objects
    try:
        projected = projection.of(objects)
    except BadExpression as error:
        raise _wrong_fields(tool, error) from error
    if not any(_holds_something(value) for value in projected):
        known = ", ".join(objects[0]) if isinstance(objects[0], dict) else "no members"
        raise WrongArguments([f'"fields" finds nothing in any object; an object has: {known}'])
    return projected


def _wrong_fields(tool: Tool, error: BadExpression) -> WrongArguments:
    return WrongArguments(
        [
            f'"fields" does not work as a JMESPath expression on each object ({error}); write it like '
            f'"{tool.result.fields}"'
        ]
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
    """Where the objects stand in a result without our envelope: where the upstream had them; those of a bare array
    under "result"."""
    where = tool.result.items or ""
    return where if isinstance(document, dict) and where in document else "result"


def _others(tool: Tool, document: Json, limit: int, settings: Settings, cut: Cut, *, how: str) -> dict[str, Json]:
    """The other members of the upstream's answer, in at most half of the space."""
    others: dict[str, Json] = {}
    if not tool.enveloped and isinstance(document, dict):
        others = {name: value for name, value in document.items() if name != _member(tool, document)}
        others = _fitted(others, limit // 2, settings, cut, how=how)
    return others


def _leading(objects: list[Json], left: int, settings: Settings, cut: Cut, *, how: str) -> list[Json]:
    """As many of the first objects as fit; the very first is shortened rather than left out."""
    kept: list[Json] = []
    for entry in objects:
        shortened = Cut()
        shown = capped(entry, settings.max_string_chars, settings.max_array_items, shortened)
        needed = size(shown) + 1
        if needed > left:
            if not kept:
                kept.append(_fitted(entry, left, settings, cut, how=how))
            break
        cut.add(shortened)
        kept.append(shown)
        left -= needed
    return kept


def _check_room(arguments: Mapping[str, Json], objects: list[Json], left: int, settings: Settings) -> None:
    """Raises WrongArguments when the caller's own `max_tokens` leaves no room for the first object, however short."""
    if not objects or "max_tokens" not in arguments:
        return
    least = size(capped(objects[0], SMALLEST_STRING, 1, Cut())) + 1
    if least > left:
        needed = arguments["max_tokens"] + ceil((least - left) / BYTES_PER_TOKEN)
        if needed * BYTES_PER_TOKEN <= settings.max_result_bytes:
            problem = f'"max_tokens" is {arguments["max_tokens"]}; the first object alone needs {needed}'
            raise WrongArguments([problem])


def _fitted(value: Json, budget: int, settings: Settings, cut: Cut, *, how: str) -> Json:
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
                f"even shortened, the first part of the answer is {needed} bytes and {max(0, budget)} are left for it; "
                f"{how}"
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
