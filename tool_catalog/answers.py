"""The answer of a tool: paging, mapping, and the output schema they lead to from the documented upstream answer."""

from __future__ import annotations

import re

from tool_catalog import schemas
from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.inputs import LOCATIONS
from tool_catalog.records import MethodRecord
from tool_catalog.schemas import Expander, Place

Schema = dict[str, Json]

_DOTTED = re.compile(r"@|[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def documented_answer(record: MethodRecord, place: Place, expander: Expander, gate: Gate) -> Schema:
    """The documented answer after rename, drop and map: what `items` and `sort` see, and the output schema shows."""
    result, where = record.result, place.at("result")
    if record.response_schema is None:
        gate.report(place, 'missing key "response_schema": the documented answer, an object or an array')
    documented = expander.expand(record.response_schema or {}, place.at("response_schema"))
    names = {name for part, _ in schemas.walk(documented, place) for name in part.get("properties", {})}
    for key in ("rename", "drop"):
        for name in getattr(result, key):
            if names and name not in names:
                gate.report(where.at(key), f'"{name}" is in no object of response_schema')
    for key in ("map", "items", "sort", "distinct", "newest_first"):
        if (expression := getattr(result, key)) is not None:
            gate.jmespath(where.at(key), expression)
    if result.map is None:
        if result.response_schema is not None:
            gate.report(where.at("response_schema"), 'only with "map"; the documented answer stands next to "result"')
        return schemas.rename_and_drop(documented, result.rename, tuple(result.drop))
    if result.response_schema is None:
        gate.report(where, 'missing key "response_schema": with "map" it says what the map produces')
        return {}
    return expander.expand(result.response_schema, where.at("response_schema"))


def item_schema(record: MethodRecord, answer: Schema) -> Schema | None:
    """Schema of one item of a list-like tool; None when `items` leads to no array in `answer`."""
    found: Json = answer
    for step in (record.result.items or "@").split("."):
        if step != "@":
            found = found.get("properties", {}).get(step, {})
    items = found.get("items", {}) if found.get("type") == "array" else None
    return items if isinstance(items, dict) else None


def output_schema(record: MethodRecord, method: str, answer: Schema, place: Place, gate: Gate) -> Schema:
    """The output schema of the tool, always an object; see `catalog.Tool.enveloped` for the list envelope."""
    result, kind = record.result, answer.get("type")
    if answer and kind not in ("object", "array"):
        gate.report(place.at("response_schema"), f"root must be type: object or array, is {kind or 'not stated'}")
    enveloped = method == "list" or record.pagination is not None
    if result.items is None:
        if enveloped:
            gate.report(place.at("result"), 'missing key "items": JMESPath to the array of records ("@" = the answer)')
        for key in ("sort", "distinct", "newest_first"):
            if getattr(result, key) is not None:
                gate.report(place.at("result", key), 'needs "items"')
        return schemas.wrapped(schemas.output(answer)) if kind == "array" else schemas.output_root(answer)
    where = place.at("result", "items")
    if not _DOTTED.fullmatch(result.items):
        gate.report(where, f'"{result.items}" must be "@" or keys joined by dots; reshape with "map"')
    elif "." in result.items and not enveloped:
        gate.report(where, f'"{result.items}" must be "@" or a key of the root here; reshape with "map"')
    found = item_schema(record, answer)
    if answer and found is None:
        gate.report(where, f'"{result.items}" is not an array in the schema of the answer')
    item = schemas.output_item(found or {})
    if enveloped:
        numbered = record.pagination is not None and record.pagination.style != "cursor"
        return schemas.enveloped(item, counted=result.total is not None, numbered=numbered)
    if result.items == "@":
        return schemas.wrapped({"type": "array", "items": item})
    return schemas.with_items(schemas.output_root(answer), result.items, item)


def result_rules(record: MethodRecord, output_schema: Schema, place: Place, gate: Gate) -> Schema:
    """What `catalog.Result` says about a result that stands."""
    result, where = record.result, place.at("result")
    found: Schema = {"hide": result.hide, "nulls": None if result.nulls else False, "long_text": result.long_text}
    if result.long_text is not None:
        kinds = output_schema.get("properties", {}).get(result.long_text, {}).get("type", ())
        if result.items is not None or "string" not in ([kinds] if isinstance(kinds, str) else kinds):
            gate.report(where.at("long_text"), "names no text of an object; it is for a tool that returns one object")
    if result.total is not None:
        gate.jmespath(where.at("total"), result.total)
        if record.pagination is None:
            gate.report(where.at("total"), 'needs "pagination": a list without pages is whole')
        found["total"] = result.total
    for index, hint in enumerate(result.hints):
        gate.jmespath(where.at("hints", index, "when"), hint.when)
    found["hints"] = [hint.model_dump(exclude_none=True) for hint in result.hints]
    return {key: value for key, value in found.items() if value not in (None, [])}


def pagination(record: MethodRecord, place: Place, gate: Gate) -> Schema | None:
    """The entry `request_template.Pagination` is read from."""
    paging = record.pagination
    if paging is None:
        return None
    where = place.at("pagination")
    position = getattr(paging, paging.style)
    if position is None:
        gate.report(where, f'missing key "{paging.style}": the upstream parameter that takes it')
    for other in ("page", "offset", "cursor"):
        if other != paging.style and getattr(paging, other) is not None:
            gate.report(where.at(other), f'the style is "{paging.style}"')
    if paging.style == "cursor" and paging.next is None:
        gate.report(where, 'missing key "next": JMESPath to the next cursor in the upstream answer')
    if paging.next is not None:
        gate.jmespath(where.at("next"), paging.next)
    if paging.carry and (paging.next is None or paging.style == "cursor"):
        gate.report(
            where.at("carry"), 'takes parameters from the link that "next" finds, for the styles page and offset'
        )
    if paging.max_size is not None and paging.max_size < paging.default_size:
        gate.report(where.at("max_size"), f"is under default_size ({paging.default_size})")
    for location in LOCATIONS:
        for name in (getattr(record, f"{location}_schema") or {}).get("properties", {}):
            if name in (position, paging.size, *paging.carry):
                gate.report(
                    place.at(f"{location}_schema", "properties", name), "paging is ours: limit and next_cursor do it"
                )
    return {
        "style": paging.style,
        "position": {"location": paging.location, "name": position},
        "size": {"location": paging.location, "name": paging.size} if paging.size else None,
        "default_size": paging.default_size,
        "max_size": paging.max_size or paging.default_size,
        "next": paging.next,
        "collect": paging.collect,
        **({"carry": paging.carry} if paging.carry else {}),
    }
