"""The arguments of a tool as a pinned server shows and takes them."""

from __future__ import annotations

from collections.abc import Mapping, Set

from functions.gateway.json_text import Json
from functions.gateway.value_classes import dataclass


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The properties of an input schema after a pin was put on it.

    `shown`     what a client lists.
    `accepted`  what a call is checked against. A caller may pass a pinned id; the call is refused only if its value
                differs from the pin.
    `filled`    arguments that the server completes, so that none of them is required.
    """

    shown: Mapping[str, Json]
    accepted: Mapping[str, Json]
    filled: Set[str] = frozenset()


def unchanged(properties: Mapping[str, Json]) -> Narrowed:
    """Properties on which a pin changes nothing."""
    return Narrowed(properties, properties)


def without(properties: Mapping[str, Json], names: Set[str]) -> Narrowed:
    """Properties that lose `names` in what is shown."""
    return Narrowed({name: value for name, value in properties.items() if name not in names}, properties, names)
