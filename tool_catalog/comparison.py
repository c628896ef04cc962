"""What an agent sees change between two versions of catalogues, and what a working call may not survive.

A change is breaking when a call, or a selection of tools, that works with the old version may not work with the new
one: a tool or an argument that is gone, an argument that is newly required or takes less, another access class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from functions.gateway.portable_schema import portable
from functions.gateway.wording import listed, shown
from tool_catalog.catalog import Json

Document = Mapping[str, Json]
"""The content of one compiled file, as `compiled_document.from_bytes` gives it."""

_WORDS = frozenset({"description", "title", "default", "examples", "deprecated"})
"""Keywords of a schema that refuse nothing."""

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")

SIGNS = {"added": "+", "removed": "-", "renamed": ">", "changed": "~"}


@dataclass(frozen=True, slots=True)
class Detail:
    """One difference of a tool."""

    text: str
    breaking: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A tool, or with an empty `tool` the texts of an integration, that is not what it was.

    `kind`  added, removed, renamed (`tool` is the old name) or changed.
    """

    integration: str
    tool: str
    kind: str
    details: tuple[Detail, ...]

    @property
    def breaking(self) -> bool:
        """True when a call or a selection that worked may not work any more."""
        return any(detail.breaking for detail in self.details)

    def to_json(self) -> Json:
        """The change as `tool-catalog diff --format json` prints it."""
        return {
            "integration": self.integration,
            "tool": self.tool,
            "kind": self.kind,
            "breaking": self.breaking,
            "details": [{"text": detail.text, "breaking": detail.breaking} for detail in self.details],
        }


def compare(old: Mapping[str, Document], new: Mapping[str, Document]) -> list[Change]:
    """Every change that an agent sees, by integration; `old` and `new` map integrations to documents."""
    found: list[Change] = []
    for name in sorted({*old, *new}):
        before, after = old.get(name, {"tools": []}), new.get(name, {"tools": []})
        if name in old and name in new and before["instructions"] != after["instructions"]:
            text = f"instructions: {_apart(before['instructions'], after['instructions'])}"
            found.append(Change(name, "", "changed", (Detail(text),)))
        found += _tools(name, _by_name(before), _by_name(after))
    return found


def lines(changes: Sequence[Change], old: Mapping[str, Document], new: Mapping[str, Document]) -> Iterator[str]:
    """The changes as a text for people, "!" before each that is breaking."""
    for name in sorted({change.integration for change in changes}):
        own = [change for change in changes if change.integration == name]
        tools = [change for change in own if change.tool]
        counts = [f"{sum(change.kind == kind for change in tools)} {kind}" for kind in SIGNS]
        breaking = sum(change.breaking for change in own)
        yield f"{name}: {', '.join(count for count in counts if not count.startswith('0 ')) or 'texts changed'}" + (
            f"; {breaking} breaking" if breaking else ""
        )
        for change in own:
            yield f"{'!' if change.breaking else ' '} {SIGNS[change.kind]} {change.tool or 'all tools'}"
            for detail in change.details:
                yield f"{'!' if detail.breaking else ' '}     {detail.text}"
    if not changes:
        yield "an agent sees no change"
    for name, hidden in unseen(changes, old, new).items():
        yield f"{name}: what is sent upstream changed unseen in {', '.join(listed(hidden))}"


def unseen(changes: Sequence[Change], old: Mapping[str, Document], new: Mapping[str, Document]) -> dict[str, list[str]]:
    """Integration -> tools whose requests, answers or checks changed without any change that an agent sees."""
    told = {(change.integration, change.tool) for change in changes}
    found: dict[str, list[str]] = {}
    for name in sorted({*old} & {*new}):
        before, after = _by_name(old[name]), _by_name(new[name])
        both = [tool for tool in after if tool in before and (name, tool) not in told]
        if tools := [tool for tool in both if before[tool] != after[tool]]:
            found[name] = tools
    return found


def _by_name(document: Document) -> dict[str, Json]:
    return {tool["definition"]["name"]: tool for tool in document["tools"]}


def _tools(integration: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[Change]:
    gone = {name: tool for name, tool in old.items() if name not in new}
    come = {name: tool for name, tool in new.items() if name not in old}
    renamed = {
        name: successor
        for name, tool in gone.items()
        if (successor := next((other for other, made in come.items() if _request(made) == _request(tool)), None))
    }
    for name, tool in gone.items():
        if name in renamed:
            details = (Detail(f"now {renamed[name]}", breaking=True), *_differences(tool, new[renamed[name]]))
            yield Change(integration, name, "renamed", details)
        else:
            yield Change(integration, name, "removed", (Detail("an agent cannot call it any more", breaking=True),))
    for name, tool in new.items():
        if name in old:
            if details := tuple(_differences(old[name], tool)):
                yield Change(integration, name, "changed", details)
        elif name not in renamed.values():
            yield Change(integration, name, "added", (Detail(f"{tool['access']}: {tool['definition']['title']}"),))


def _request(tool: Json) -> Json:
    return tool["request"]["verb"], tool["request"]["path"]


def _differences(old: Json, new: Json) -> Iterator[Detail]:
    before, after = old["definition"], new["definition"]
    for key in ("title", "description"):
        if before[key] != after[key]:
            yield Detail(f"{key}: {_apart(before[key], after[key])}")
    if old["access"] != new["access"]:
        yield Detail(f"access: {old['access']} -> {new['access']}", breaking=True)
    for key in ("destructiveHint", "idempotentHint", "openWorldHint"):
        if before["annotations"][key] != after["annotations"][key]:
            yield Detail(f"{key}: {shown(before['annotations'][key])} -> {shown(after['annotations'][key])}")
    if old["tags"] != new["tags"]:
        lost = not set(old["tags"]) <= set(new["tags"])
        yield Detail(f"tags: {', '.join(old['tags'])} -> {', '.join(new['tags'])}", breaking=lost)
    yield from _arguments(portable(before["inputSchema"]), portable(after["inputSchema"]))
    yield from _answer(before["outputSchema"], after["outputSchema"])


def _apart(old: str, new: str) -> str:
    """Two texts from a little before their first difference on."""
    at = next(
        (i for i, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new))
    )
    start = max(0, at - 20)
    more = "..." if start else ""
    return f"{shown(more + old[start:])} -> {shown(more + new[start:])}"


def _arguments(old: Json, new: Json) -> Iterator[Detail]:
    before, after = old.get("properties", {}), new.get("properties", {})
    was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        if name not in after:
            yield Detail(f"argument {name}: removed", breaking=True)
    for name, schema in after.items():
        if name not in before:
            needed = name in is_required
            yield Detail(f"argument {name}: added, {'required' if needed else 'optional'}", breaking=needed)
            continue
        if (name in was_required) != (name in is_required):
            needed = name in is_required
            yield Detail(f"argument {name}: {'now' if needed else 'no longer'} required", breaking=needed)
        if before[name] != schema:
            yield from _schema(f"argument {name}", before[name], schema)


def _schema(where: str, old: Json, new: Json) -> Iterator[Detail]:
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) == new.get(key):
            continue
        one, other = (shown(side[key]) if key in side else "none" for side in (old, new))
        if key == "description":
            yield Detail(f"{where}: description {_apart(old.get(key, ''), new.get(key, ''))}")
        elif key in ("properties", "items"):
            yield Detail(f"{where}: its {key} changed", breaking=narrower({key: old.get(key)}, {key: new.get(key)}))
        else:
            part = [{key: side[key]} if key in side else {} for side in (old, new)]
            yield Detail(f"{where}: {key} {one} -> {other}", breaking=narrower(part[0], part[1]))


def narrower(old: Json, new: Json) -> bool:
    """True unless it is certain that every value which the schema `old` accepts is accepted by `new`, too."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return bool(old != new and new is not None)
    return any(_tighter(key, old, new) for key in {*old, *new} - _WORDS if old.get(key) != new.get(key))


def _tighter(key: str, old: Json, new: Json) -> bool:
    one, other = old.get(key), new.get(key)
    if other is None:
        return False  # a rule that is gone refuses nothing
    if key in _UPPER:
        return one is None or bool(other < one)
    if key in _LOWER:
        return one is None or bool(other > one)
    if key == "enum":
        return one is None or any(value not in other for value in one)
    if key == "type":
        types = [{side} if isinstance(side, str) else set(side or ()) for side in (one, other)]
        if "number" in types[1]:
            types[1].add("integer")
        return not types[0] or not types[0] <= types[1]
    if key == "required":
        return not set(other) <= set(one or ())
    if key == "properties":
        return any(name not in other or narrower(part, other[name]) for name, part in (one or {}).items())
    if key == "items":
        return one is None or narrower(one, other)
    return True


def _answer(old: Json, new: Json) -> Iterator[Detail]:
    """The members of the answer that came and went; the types of an output schema all allow null."""
    before, after = dict(_members(old, "")), dict(_members(new, ""))
    if gone := [path for path in before if path not in after]:
        yield Detail(f"answer: without {', '.join(listed(gone))}", breaking=True)
    if come := [path for path in after if path not in before]:
        yield Detail(f"answer: with {', '.join(listed(come))}")
    if other := [path for path, kind in before.items() if after.get(path, kind) != kind]:
        yield Detail(f"answer: other types of {', '.join(listed(other))}", breaking=True)


def _members(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    for name, part in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        yield where, part.get("type")
        yield from _members(part, where)
    if isinstance(schema.get("items"), Mapping):
        yield from _members(schema["items"], f"{path}[]")
