"""Texts of a catalogue as one server may show them: what names a tool that the server does not offer is left out.

A model that is told of a tool looks for it. Descriptions and instructions point from one tool to another, and a server
shows a selection of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from functions.gateway.json_text import Json

PATTERNS_KEPT = 256
"""Patterns of hidden names kept per process: one for each selection in use."""

_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z*\"])")


def hidden(all_names: Iterable[str], offered: Iterable[str]) -> tuple[str, ...]:
    """The names of the tools that a server does not offer; a name that is a plain word, e.g. "search", is in texts as
    a word."""
    return tuple(sorted(name for name in set(all_names) - set(offered) if "_" in name))


def without(text: str, names: tuple[str, ...]) -> str:
    """The text less each sentence, or part of a sentence between semicolons, that holds one of the names. The first
    sentence says what the text is about; it stays, and names no tool."""
    if not names or (named := _named(names)).search(text) is None:
        return text
    first, *others = _SENTENCES.split(text)
    kept = [named.sub("another tool", first)]
    for sentence in others:
        parts = [part for part in sentence.rstrip(".").split("; ") if named.search(part) is None]
        if parts:
            said = "; ".join(parts)
            kept.append(said if said[-1:] in ".!?" else f"{said}.")
    return " ".join([kept[0], *(said[:1].upper() + said[1:] for said in kept[1:])])


def definition(value: Json, names: tuple[str, ...]) -> Json:
    """A tool's definition with `without` applied to each description in it."""
    if isinstance(value, dict):
        return {
            key: without(entry, names) if key == "description" and isinstance(entry, str) else definition(entry, names)
            for key, entry in value.items()
        }
    return [definition(entry, names) for entry in value] if isinstance(value, list) else value


def mentions(wire: bytes, names: tuple[str, ...]) -> bool:
    """Whether a definition, as JSON, holds one of the names."""
    return bool(names) and _named(names).search(wire.decode("utf-8", "replace")) is not None


@lru_cache(maxsize=PATTERNS_KEPT)
def _named(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
