"""Ids between which an upstream divides one write, or which it may take for separate groups to write to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from functions.gateway.pins import refusals


def divided(splits: tuple[str, ...], pins: Mapping[str, str]) -> bool:
    """True when several pins are among the ids of a split: no write can then belong to all of them."""
    return len(pins.keys() & splits) > 1


def barred(splits: tuple[str, ...], pins: Mapping[str, str]) -> Set[str]:
    """Ids that a caller may not give, because a part of the write would belong to them and not to the pin."""
    return {name for name in splits if name not in pins} if pins.keys() & splits else set()


def refuse(splits: tuple[str, ...], pins: Mapping[str, str], given: Iterable[str]) -> None:
    """Raises OutsidePins for the first barred id that is given."""
    found = barred(splits, pins)
    for name in given:
        if name in found:
            raise refusals.splitting(pins, name)
