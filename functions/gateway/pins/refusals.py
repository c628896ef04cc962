"""What a call that leaves the pins is told: the words of every refusal about a pin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from functions.gateway.errors import OutsidePins
from functions.gateway.json_text import Json
from functions.gateway.wording import shown


def listed(pins: Mapping[str, str]) -> str:
    """The pins as a text for people, e.g. owner_id="o-1"."""
    return ", ".join(f"{name}={shown(value)}" for name, value in pins.items())


def foreign(pins: Mapping[str, str], name: str, value: Json) -> OutsidePins:
    """The call names another entity than the pinned one."""
    return OutsidePins(
        f"{name} is {shown(value)}, but this server is pinned to {listed(pins)}. Leave the pinned ids "
        "out; the server fills them in"
    )


def splitting(pins: Mapping[str, str], name: str) -> OutsidePins:
    """The call names an id for which the upstream would write a part elsewhere."""
    return OutsidePins(
        f"with {name} a part of the change might not belong to {listed(pins)}, to which this server is "
        f"pinned; leave {name} out"
    )


def unlisted(pins: Mapping[str, str], name: str, value: Json, allowed: Sequence[str]) -> OutsidePins:
    """The call would write an id into an object that the config of the server does not list."""
    valid = f"valid: {', '.join(map(shown, allowed))}" if allowed else f"leave {name} out"
    return OutsidePins(
        f"{name} is {shown(value)}, but this server is pinned to {listed(pins)}, and its writes may not "
        f"name that id; {valid}"
    )


def unnamed(pins: Mapping[str, str], argument: str) -> OutsidePins:
    """The call does not say which objects it is about, so that none of them can be checked."""
    return OutsidePins(
        f'name every object in "{argument}"; this server is pinned to {listed(pins)} and reads each '
        "object before the call"
    )


def outside(pins: Mapping[str, str], found: str) -> OutsidePins:
    """An object was read, and it does not carry the pinned ids."""
    return OutsidePins(
        f"{found} is outside the pins of this server ({listed(pins)}); only objects that carry the "
        "pinned ids can be read or changed here"
    )
