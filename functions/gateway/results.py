"""A mapped answer becomes a tool's result: first what the caller asked for, then the caps.

Nothing is cut silently: whatever is left out is counted under `_postern.truncated`, which also says how to get it, and
what remains is valid JSON. `_postern` is the one member of a result that no upstream can write. Sizes are UTF-8 bytes
of compact JSON. The work is bounded by the size of the result, not by the size of the answer (caps.py); of a list, only
the objects that a result could hold are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from functions.gateway.answers import Answer, Foreign, look_up
from functions.gateway.caps import OURS, Caps, Cut, Fitted, NoRoom, kept_of, shortened, whole
from functions.gateway.errors import TooLargeAnswer, UpstreamUnreadable, WrongArguments
from functions.gateway.expressions import BadExpression, Fields, search
from functions.gateway.json_text import Json, size, text
from functions.gateway.model_tokens import at_most
from functions.gateway.paging import Position
from functions.gateway.prepared import PreparedTool
from functions.gateway.settings import Settings
from functions.gateway.value_classes import replace
from tool_catalog.catalog import Tool

MOST_BYTES_PER_TOKEN = 4
"""Bytes of JSON that a token holds at most, in English prose. Ids and times take more tokens, so a result of this size
is counted and made smaller until it is within `max_tokens`; no text has more tokens than bytes."""

NARROWER = 0.9
"""The next size to try is at most this part of the last one."""

_KEY = re.compile(r"\{(\w+)\}")
"""A key of the result in the text of a hint."""

LEAST_BYTES = 200
"""Bytes of the first object that a caller's `max_tokens` must leave room for: its ids and the beginning of its text."""

PART = "the rest is over the caps of this endpoint; ask for a part of it, or an operator can raise the caps"

NEXT = "call again with next_cursor"

NEXT_PART = "call again with from_character={place} for the next part of {text}"
"""For a text that is read by part. It is the shorter of the two sentences about an object."""


def with_hints(tool: Tool, body: dict[str, Json], offered: Callable[[str], bool]) -> dict[str, Json]:
    """The result with the sentences of the record that fit it. A sentence that names a tool which the server does not
    offer is left out."""
    found = []
    for hint in tool.result.hints:
        if hint.tool is not None and not offered(hint.tool):
            continue
        if not _fits(hint.when, body):
            continue
        said = _KEY.sub(lambda key: str(body.get(key[1], key[0])), hint.text)
        if _KEY.search(said) is None:
            found.append(said)
    return {**body, OURS: {**body.get(OURS, {}), "next": " ".join(found)}} if found else body


def _fits(when: str, body: Json) -> bool:
    """Whether an expression finds something. One that does not apply to this result finds nothing: a result that the
    upstream gave is never lost over what follows it."""
    try:
        return search(when, body) not in (None, False, [], {}, "")
    except BadExpression:
        return False


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
        body, cut = _object(prepared.tool, answer, arguments, settings)
    else:
        body, cut = _within_tokens(prepared, answer, arguments, projection, settings)
    if isinstance(answer.document, Foreign) and not prepared.answer_validator.is_valid(body):
        body = {"upstream_answer": body}  # its members have names that the output schema has for something else
    try:
        check_documented(prepared, body, answer.status)
    except UpstreamUnreadable as error:
        if not cut.members:
            raise
        raise TooLargeAnswer(f"the part of the answer that fits lacks what its API documents; {PART}") from error
    return body


def _object(
    tool: Tool, answer: Answer, arguments: Mapping[str, Json], settings: Settings
) -> tuple[dict[str, Json], Cut]:
    """The result of a tool that is not list-like, and what it leaves out."""
    if answer.document is None:
        return {"result": None, OURS: {"status_code": answer.status}}, Cut()
    document = answer.document if isinstance(answer.document, Foreign) else _slim(tool, answer.document)
    given: dict[str, Json] = document if isinstance(document, dict) else {"result": document}
    skipped = int(arguments.get("from_character") or 0)
    given = _from_character(tool, given, skipped)
    caps = Caps(settings.max_string_chars, settings.max_array_items)
    found = whole(given, caps, settings.max_result_bytes)
    if found is None or (found.cut and found.size + size(_note(found.cut, PART)) > settings.max_result_bytes):
        found = _shortened(given, caps, settings.max_result_bytes - size(_note(_FULL, PART)), PART)
    how = _next_part(tool, given, found.value, skipped) or PART
    return ({**found.value, **_note(found.cut, how)} if found.cut else found.value), found.cut


def _from_character(tool: Tool, given: dict[str, Json], skipped: int) -> dict[str, Json]:
    """The object with its long text from a place on. Raises WrongArguments for a place behind the end."""
    text_of = tool.result.long_text
    if not skipped or text_of is None or not isinstance(whole_text := given.get(text_of), str):
        return given
    if skipped >= len(whole_text):
        raise WrongArguments(
            [f'"from_character" is {skipped}; "{text_of}" has {len(whole_text)} characters, so nothing is left of it']
        )
    return {**given, text_of: whole_text[skipped:]}


def _next_part(tool: Tool, given: Mapping[str, Json], shown: Mapping[str, Json], skipped: int) -> str | None:
    """How the rest of a long text is read, where it was cut."""
    text_of = tool.result.long_text
    if text_of is None or not isinstance(whole_text := given.get(text_of), str) or shown.get(text_of) == whole_text:
        return None
    place = skipped + kept_of(str(shown.get(text_of, "")))
    return NEXT_PART.format(place=place, text=text_of)


class _Narrow(Exception):
    """A useful part of the first object needs `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


def _within_tokens(
    prepared: PreparedTool,
    answer: Answer,
    arguments: Mapping[str, Json],
    projection: Fields | None,
    settings: Settings,
) -> tuple[dict[str, Json], Cut]:
    """The result of a list-like tool within `max_tokens`, and what it leaves out."""
    tokens = arguments.get("max_tokens", _default(prepared.tool, "max_tokens"))
    if tokens is None:
        return _list(prepared, answer, arguments, projection, settings, space=settings.max_result_bytes)
    tokens, least = int(tokens), False
    limit = min(settings.max_result_bytes, tokens * MOST_BYTES_PER_TOKEN)
    while True:
        try:
            body, cut = _list(prepared, answer, arguments, projection, settings, space=limit)
        except _Narrow as narrow:
            limit, least = narrow.limit, True
            continue
        needed = at_most(text(body))
        if needed <= tokens or (limit <= tokens and not least):
            return body, cut
        if least:
            raise WrongArguments([f'"max_tokens" is {tokens}; the first object alone needs {needed}'])
        limit = max(tokens, int(limit * min(NARROWER, tokens / needed)))


def _list(
    prepared: PreparedTool,
    answer: Answer,
    arguments: Mapping[str, Json],
    projection: Fields | None,
    settings: Settings,
    *,
    space: int,
) -> tuple[dict[str, Json], Cut]:
    """The result of a list-like tool in `space` bytes, and what it leaves out."""
    tool = prepared.tool
    objects, position, after = answer.objects or [], answer.position, answer.after
    if tool.result.sort is not None:
        objects = _sorted(tool, objects)
    objects, repeated = _distinct(tool, objects)
    caps = Caps(settings.max_string_chars, settings.max_array_items)
    skip = position.skip if position is not None else 0
    due = max(0, len(objects) - skip)
    window = [_slim(tool, found) for found in objects[skip : skip + caps.arrays]]
    window = _projected(tool, window, projection)
    limit, how = space - (size({OURS: repeated}) if repeated else 0), _how(prepared, arguments)
    others, cut = _others(tool, answer.document, limit, caps, how)

    def body(kept: Json, following: Position | None) -> dict[str, Json]:
        kept = _newest_first(tool, kept)
        if not tool.enveloped:
            return {**others, _member(tool, answer.document): kept}
        return {
            "result": kept,
            "next_cursor": following.cursor() if following else None,
            "result_count": len(kept),
            **({} if answer.total is None else {"total_count": answer.total}),
        }

    found = whole(window, caps, limit - size(body([], after)))
    if (
        found is not None
        and not found.cut
        and not cut
        and len(window) == due
        and size(body(found.value, after)) <= limit
    ):
        return body(found.value, after) | ({OURS: repeated} if repeated else {}), cut
    rest = replace(position, skip=skip + due) if position else None
    empty = max(size(body([], place)) for place in (after, rest))
    left = limit - empty - size(_note(_FULL, f"{NEXT}; {how}"))
    if "max_tokens" in arguments:
        _check_room(window, left, caps, space, settings)
    found = _shortened(window, caps, max(2, left), how)
    kept: list[Json] = found.value
    if window and not kept:
        raise _no_room(left, how)
    cut.add(found.cut)
    cut.array_entries -= len(window) - len(kept)
    cut.items = due - len(kept)
    if cut.items and position is not None:
        after = replace(position, skip=skip + len(kept))
        how = f"{NEXT}; {how}"
    ours = (_note(cut, how)[OURS] if cut else {}) | repeated
    return body(kept, after) | ({OURS: ours} if ours else {}), cut


def check_documented(prepared: PreparedTool, body: Mapping[str, Json], status: int) -> None:
    """Raises UpstreamUnreadable, with the body, for a result that breaks the tool's output schema: clients that check
    it would show nothing of it."""
    error = next(iter(prepared.answer_validator.iter_errors(body)), None)
    if error is not None:
        raise UpstreamUnreadable(
            f"the upstream's answer is not what its API documents ({_documented(error.schema_path)}). Its status was "
            f"{status}, and raw_response holds it",
            raw_response=body,
            upstream_status=status,
        )


def _documented(path: Iterable[str | int]) -> str:
    """The part of the output schema that a result breaks, e.g. `result[].id: type`. The validator's own words would
    quote the upstream."""
    where, steps = "", list(path)
    *inner, rule = steps
    for before, step in zip(["", *inner], inner, strict=False):
        if before == "properties":
            where += f".{step}" if where else f"{step}"
        elif step == "items":
            where += "[]"
    return f"{where or 'the answer'}: {rule}"


_FULL = Cut(10**9, 10**9, 10**9, 10**9)
"""More than is ever left out: the note about it is the longest there can be."""


def _slim(tool: Tool, found: Json) -> Json:
    """An object without the keys that the record hides, and without nulls where it says so."""
    rules = tool.result
    if not isinstance(found, dict) or (not rules.hide and rules.nulls):
        return found
    return {
        name: value for name, value in found.items() if name not in rules.hide and (rules.nulls or value is not None)
    }


def _sorted(tool: Tool, objects: list[Json]) -> list[Json]:
    """Ascending by the catalogue's expression, numbers before texts, objects without a value last; equal ones in the
    order they came."""

    def key(entry: Json) -> tuple[int, float, str]:
        found = look_up(tool.result.sort, entry)
        if isinstance(found, int | float):
            return 0, found, ""
        return (2, 0, "") if found is None else (1, 0, str(found))

    return sorted(objects, key=key)


def _distinct(tool: Tool, objects: list[Json]) -> tuple[list[Json], dict[str, Json]]:
    """The objects without those whose text an earlier one has, and the member of the result that counts the latter.

    Texts are equal without regard to case, spaces and closing punctuation.
    """
    if tool.result.distinct is None:
        return objects, {}
    first: dict[str, Json] = {}
    for place, entry in enumerate(objects):
        found = look_up(tool.result.distinct, entry)
        first.setdefault(_plain(found) if isinstance(found, str) else str(place), entry)
    left_out = len(objects) - len(first)
    return list(first.values()), {"duplicates_left_out": left_out} if left_out else {}


def _plain(text: str) -> str:
    return " " + " ".join(text.casefold().split()).rstrip(" .!?。！？")


def _newest_first(tool: Tool, kept: Json) -> Json:
    """The objects in descending order of the catalogue's expression, those without a text there last."""
    if tool.result.newest_first is None:
        return kept
    return sorted(kept, key=lambda entry: str(look_up(tool.result.newest_first, entry) or ""), reverse=True)


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
        names = list(objects[0]) if isinstance(objects[0], dict) else []
        raise WrongArguments(
            ['"fields" finds nothing in any object; raw_response lists the members of the first one'],
            raw_response=names,
        )
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


def _others(tool: Tool, document: Json, limit: int, caps: Caps, how: str) -> tuple[dict[str, Json], Cut]:
    """The other members of the upstream's answer, in at most half of the space, and what is left out of them."""
    if tool.enveloped or not isinstance(document, dict):
        return {}, Cut()
    others = {name: value for name, value in document.items() if name != _member(tool, document)}
    found = whole(others, caps, limit // 2) or _shortened(others, caps, limit // 2, how)
    return found.value, found.cut


def _check_room(objects: list[Json], left: int, caps: Caps, space: int, settings: Settings) -> None:
    """Raises _Narrow when the caller's own `max_tokens` leaves no room for a useful part of the first object."""
    if not objects:
        return
    first = whole(objects[0], caps, LEAST_BYTES)
    least = 1 + (first.size if first is not None else LEAST_BYTES)
    if least > left and space + least - left <= settings.max_result_bytes:
        raise _Narrow(space + least - left)


def _shortened(value: Json, caps: Caps, space: int, how: str) -> Fitted:
    """Raises TooLargeAnswer where not even the shortest form of the value fits."""
    try:
        return shortened(value, caps, space)
    except NoRoom:
        raise _no_room(space, how) from None


def _no_room(space: int, how: str) -> TooLargeAnswer:
    return TooLargeAnswer(
        f"even shortened, the first part of the answer does not fit into the {max(0, space)} bytes left for it; {how}"
    )


def _note(cut: Cut, how: str) -> dict[str, Json]:
    truncated: dict[str, Json] = {
        "items_left_out": cut.items,
        "strings_cut": cut.strings,
        "array_entries_left_out": cut.array_entries,
        "members_left_out": cut.members,
        "how_to_get_the_rest": how,
    }
    return {OURS: {"truncated": truncated}}


def _how(prepared: PreparedTool, arguments: Mapping[str, Json]) -> str:
    """How a caller gets more, by the arguments that this server's tool takes."""
    tool = prepared.tool
    withheld = tool.definition["inputSchema"]["properties"].keys() - prepared.accepted["properties"].keys()
    ways: list[str] = []
    if "max_tokens" not in withheld and ("max_tokens" in arguments or _default(tool, "max_tokens") is not None):
        ways.append("raise max_tokens")
    if tool.result.fields is not None and "fields" not in withheld and "fields" not in arguments:
        ways.append(f'select fewer fields, e.g. fields="{tool.result.fields}"')
    ways.append("narrow the request")
    return "; ".join(ways)
