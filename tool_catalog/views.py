"""The views of an integration: what the gate asks of them, and their compiled form.

A view says how a page in the host shows the items of a result as cards, and which tools edit, delete and look up the
history of one. Every key of a card must be in the documented result, and every tool and argument must exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import CardRecord, DeleteRecord, EditRecord, HistoryRecord, MethodRecord, Records, ViewRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]
Compiled = Mapping[tuple[str, str], Schema]
"""Resource and method -> the compiled tool."""

TITLE_LENGTH = (3, 40)
"""Characters of the title of a view, which heads its page."""

SINGULAR_LENGTH = (2, 30)
"""Characters of the word for one object, which stands in the questions and buttons of its card."""


def compile_views(records: Records, tools: Compiled, gate: Gate) -> list[Schema]:
    """Each view in use, with the tools that have it and the key of their items. Tools with a problem are left out."""
    named = {tool["definition"]["name"]: tool for tool in tools.values()}
    found: list[Schema] = []
    for resource in records.resources:
        users: dict[str, dict[str, str]] = {name: {} for name in resource.record.views}
        for method, record in resource.record.methods.items():
            place = Place(resource.source, ("methods", method))
            tool = tools.get((resource.record.resource, method))
            if record.view is None or tool is None:
                continue
            view = resource.record.views.get(record.view)
            if view is None:
                known = ", ".join(resource.record.views) or "none"
                gate.report(place.at("view"), f'no view "{record.view}" in this file; views: {known}')
            elif (items := _items(record, tool)) is None:
                gate.report(place.at("view"), 'needs "items" under "result": a view shows the objects of a list')
            else:
                users[record.view][tool["definition"]["name"]] = items
        for name, view in resource.record.views.items():
            _check(view, [named[tool] for tool in users[name]], named, Place(resource.source, ("views", name)), gate)
            if users[name]:
                found.append({"tools": users[name], "view": _entry(view, named)})
    return found


def check_used(records: Records, gate: Gate) -> None:
    """A view that no method has shows nothing."""
    for resource in records.resources:
        used = {method.view for method in resource.record.methods.values()}
        for name in sorted(resource.record.views.keys() - used):
            gate.report(Place(resource.source, ("views", name)), "is used by no method")


def _entry(view: ViewRecord, named: Mapping[str, Schema]) -> Schema:
    entry: Schema = view.model_dump(exclude_none=True)
    if view.history is not None and view.history.tool in named:
        entry["history"]["items"] = _items_key(named[view.history.tool])
    return entry


def _items(record: MethodRecord, tool: Schema) -> str | None:
    """The key of the result that holds the items, None where there is none."""
    return None if record.result.items is None else _items_key(tool)


def _items_key(tool: Schema) -> str | None:
    items = tool["result"].get("items")
    if items is None:
        return None
    enveloped = tool["method"] == "list" or tool["pagination"] is not None or items == "@"
    return "result" if enveloped else str(items)


def _item_keys(tool: Schema) -> set[str]:
    """The documented keys of an item."""
    found: Json = tool["definition"]["outputSchema"].get("properties", {}).get(_items_key(tool), {})
    return set(found.get("items", {}).get("properties", {}))


def _check(view: ViewRecord, users: list[Schema], named: Mapping[str, Schema], place: Place, gate: Gate) -> None:
    gate.length(place.at("title"), view.title, TITLE_LENGTH)
    gate.length(place.at("singular"), view.singular, SINGULAR_LENGTH)
    everywhere = set.intersection(*map(_item_keys, users)) if users else set()
    anywhere = set().union(*map(_item_keys, users))
    for where, key, needed in _keys(view.card):
        if users and key not in (everywhere if needed else anywhere):
            found = "is not in the items of every tool" if needed else "is in the items of no tool"
            gate.report(place.at("card", *where), f'"{key}" {found} that has this view')
    for name in ("edit", "delete", "history"):
        action: DeleteRecord | None = getattr(view, name)
        if action is not None:
            _check_action(action, named, place.at(name), gate)


def _keys(card: CardRecord) -> Iterator[tuple[tuple[str | int, ...], str, bool]]:
    """Where a key stands, the key, and whether every item must have it."""
    yield ("id",), card.id, True
    yield ("text",), card.text, True
    for name in ("title", "score"):
        if (key := getattr(card, name)) is not None:
            yield (name,), key, False
    for name in ("labels", "details"):
        for index, key in enumerate(getattr(card, name)):
            yield (name, index), key, False
    for label, key in card.dates.items():
        yield ("dates", label), key, False


def _check_action(action: DeleteRecord, named: Mapping[str, Schema], place: Place, gate: Gate) -> None:
    tool = named.get(action.tool)
    if tool is None:
        gate.report(place.at("tool"), f'"{action.tool}" is not a tool of this integration')
        return
    taken = tool["definition"]["inputSchema"]["properties"]
    for key in ("id", *(("text",) if isinstance(action, EditRecord) else ())):
        if getattr(action, key) not in taken:
            gate.report(place.at(key) if key in action.model_fields_set else place, _no_argument(action, key, taken))
    if needed := set(tool["definition"]["inputSchema"].get("required", ())) - {action.id, getattr(action, "text", "")}:
        gate.report(place.at("tool"), f"needs {', '.join(sorted(needed))} as well, which no card has")
    if isinstance(action, HistoryRecord):
        if tool["access"] != "read" or _items_key(tool) is None:
            gate.report(place.at("tool"), "must be a tool that only reads and returns a list")
            return
        for key in ("event", "before", "after", "date"):
            if (member := getattr(action, key)) is not None and member not in _item_keys(tool):
                gate.report(place.at(key), f'"{member}" is in no item of {action.tool}')
    elif tool["access"] == "read":
        gate.report(place.at("tool"), f"{action.tool} only reads")


def _no_argument(action: DeleteRecord, key: str, taken: Mapping[str, Json]) -> str:
    return f'{action.tool} has no argument "{getattr(action, key)}"; arguments: {", ".join(taken)}'
