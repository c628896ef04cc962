"""Ids between which an upstream divides one write, or which it may take for separate groups to write to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from functions.gateway.pins import refusals


def divided(splits: tuple[str, ...], pins: Mapping[str, str]) -> bool:
    """True when several pins are among the ids of a split: no write can then belong to all of them."""
    return len(pins.keys() & set(splits)) > 1


def barred(splits: tuple[str, ...], pins: Mapping[str, str]) -> frozenset[str]:
    """Ids that a caller may not give, because a part of the write would belong to them and not to the pin."""
    return frozenset(splits) - pins.keys() if pins.keys() & set(splits) else frozenset()


def refuse(splits: tuple[str, ...], pins: Mapping[str, str], given: Iterable[str]) -> None:
    """Raises OutsidePins when a barred id is given."""
    for name in sorted(barred(splits, pins) & set(given)):
        raise refusals.splitting(pins, name)
