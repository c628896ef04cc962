"""What the records of an integration refer to by name: each name is given once, and each reference leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tool_catalog import naming
from tool_catalog.catalog import DISCOVERY_NAMES, Access
from tool_catalog.gate import Gate
from tool_catalog.records import MethodRecord, Records
from tool_catalog.schemas import Place


class Names:
    """The names of an integration's tools, and what other tools may name each for. Tools with problems count, too.

    `places`       name -> where the tool stands in the records.
    `reading`      the tools that only read.
    `with_states`  those of them that read an event.
    `judging`      those of them by whose answer a pin judges an object.
    """

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.reading: set[str] = set()
        self.with_states: set[str] = set()
        self.judging: set[str] = set()

    def give(self, name: str, place: Place, gate: Gate) -> None:
        """Name the tool at `place`, and report what is wrong with the name."""
        if len(name) > naming.MAX_NAME:
            gate.report(
                place,
                f'tool name "{name}" has {len(name)} characters, hosts allow {naming.MAX_NAME}; '
                f'write "name: {naming.shorten(name)}" or a better short one',
            )
        elif not naming.VALID_NAME.fullmatch(name):
            gate.report(place, f'tool name "{name}" may hold only letters, digits, "_" and "-"')
        if name in DISCOVERY_NAMES:
            gate.report(place, f'tool name "{name}" is that of a tool of the profile discovery')
        if other := self.places.get(name):
            gate.report(place, f'tool name "{name}" is taken by {other.source.name}:{other.source.line(other.path)}')
        self.places.setdefault(name, place)

    def describe(self, name: str, record: MethodRecord, access: Access) -> None:
        """Note what other tools may name this one for."""
        if access != "read":
            return
        self.reading.add(name)
        if record.states is not None:
            self.with_states.add(name)
        if record.pin is not None and (record.pin.kind, record.pin.read) == ("object", name):
            self.judging.add(name)


def check_aliases(records: Records, names: Names, gate: Gate) -> None:
    """An alias leads to one tool: it is neither a tool's name nor another tool's alias."""
    taken: dict[str, str] = {}
    for resource in records.resources:
        for method, record in resource.record.methods.items():
            for index, alias in enumerate(record.aliases):
                place = Place(resource.source, ("methods", method, "aliases", index))
                if alias in names.places:
                    gate.report(place, f'"{alias}" is the name of a tool')
                elif alias in taken:
                    gate.report(place, f'"{alias}" is an alias of {taken[alias]} already')
                taken[alias] = f"{resource.record.resource}.{method}"


def check_references(records: Records, names: Names, gate: Gate) -> None:
    """The tools that a method names exist and do what it needs, and every check is used."""
    if not records.complete:
        return
    used = set()
    for resource in records.resources:
        for method, record in resource.record.methods.items():
            used |= set(record.checks)
            place = Place(resource.source, ("methods", method))
            for path, message in _wrong(record, names):
                gate.report(place.at(*path), message)
        for name in set(resource.record.checks) - {n for m in resource.record.methods.values() for n in m.checks}:
            gate.report(Place(resource.source, ("checks", name)), "is used by no method")
    for name in set(records.integration.checks) - used:
        gate.report(Place(records.source, ("checks", name)), "is used by no method")


def _wrong(record: MethodRecord, names: Names) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where a method names a tool that is not there or does not fit, and why."""
    if record.event is not None and record.event.read not in names.with_states:
        yield ("event", "read"), f'"{record.event.read}" is not a tool of this integration with states'
    for key in ("answer", "cancel"):
        named = getattr(record.states, key, None)
        if named is not None and named not in names.places:
            yield ("states", key), f'"{named}" is not a tool of this integration'
    reads = record.touches.read if record.touches is not None else None
    if reads is not None and reads not in names.reading:
        yield ("touches", "read"), f'"{reads}" is not a tool of this integration that only reads'
    if record.pin and record.pin.read and record.pin.read not in names.judging:
        yield (
            ("pin", "read"),
            f'"{record.pin.read}" is not a tool of this integration that only reads and is itself pinned '
            "with kind object and read: its own name",
        )
    for index, hint in enumerate(record.result.hints):
        found = sorted(name for name in names.places if re.search(rf"\b{name}\b", hint.text))
        if found != ([hint.tool] if hint.tool else []):
            yield (
                ("result", "hints", index),
                f"the text names {', '.join(found) or 'no tool'}, and tool says {hint.tool}",
            )
