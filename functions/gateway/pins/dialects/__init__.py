"""How an upstream's filter object says "this entity only": one file for each dialect, named by the records.

A record that pins a filter names its dialect, e.g. `{kind: filter, argument: where, dialect: plain}`. A dialect is a
module of this folder with the functions of `Dialect`. It imports nothing of ours but this file and `json_text`, so that
the gate of the catalogue and the gateway use the same rules. Adding one means adding its file and its tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from functions.gateway.json_text import Json, kinds

Schema = Mapping[str, Json]


class ForeignId(Exception):
    """A filter names, or may name, another entity than the pinned one: `value` stands at the id `name`."""

    def __init__(self, name: str, value: Json) -> None:
        super().__init__(name)
        self.name = name
        self.value = value


class Dialect(Protocol):
    """The functions of a dialect."""

    def problems(self, schema: Schema, pinnable: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
        """Where and why a filter of this schema is not of this dialect, as (path in the schema, message). None left:
        `pin` holds whatever a caller of such a filter gives."""

    def without(self, schema: Schema, names: Set[str]) -> Schema:
        """The schema without these ids, wherever the dialect lets them stand."""

    def grammar(self, schema: Schema) -> str:
        """One sentence on how further conditions combine, for the description of a pinned filter."""

    def pin(self, pins: Mapping[str, str], given: Mapping[str, Json]) -> dict[str, Json]:
        """The caller's filter AND the pins. Raises ForeignId when it names another entity."""

    def home(self, name: str) -> str | None:
        """The member that holds conditions on names of the caller's own, e.g. "metadata"; None where there is none."""

    def mended(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """The filter, with the meaning it was given, in a form in which the upstream reads all of it."""


def names() -> tuple[str, ...]:
    """The dialects there are, sorted."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def named(name: str) -> Dialect:
    """The dialect of that name, one of `names()`."""
    return cast(Dialect, import_module(f"{__name__}.{name}"))


def members(schema: Schema, pinnable: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """What every dialect needs: an object that states its members, and all ids that can be pinned among them."""
    if kinds(schema) != {"object"} or not isinstance(schema.get("properties"), Mapping):
        return [((), "a filter that is pinned must be an object with properties")]
    if missing := [name for name in pinnable if name not in schema["properties"]]:
        return [(("properties",), f"{', '.join(missing)} must be a member too, or a pin on it would have no effect")]
    return []
