"""Texts of a catalogue as one server may show them: what names a tool that the server does not offer is left out.

A model that is told of a tool looks for it. Descriptions and instructions point from one tool to another, and a server
shows a selection of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from functions.gateway.json_text import Json

_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z*\"])")
_WORD = re.compile(r"\w+")


def hidden(all_names: Iterable[str], offered: Iterable[str]) -> frozenset[str]:
    """The names of the tools that a server does not offer; a name that is a plain word, e.g. "search", is in texts as
    a word."""
    return frozenset(name for name in set(all_names) - set(offered) if "_" in name)


def without(text: str, names: Collection[str]) -> str:
    """The text less each sentence, or part of a sentence between semicolons, that holds one of the names. The first
    sentence says what the text is about; it stays, and names no tool."""
    found = _found(text, names)
    if not found:
        return text
    named = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(found)))})\b")
    if named.search(text) is None:
        return text
    first, *others = _SENTENCES.split(text)
    kept = [named.sub("another tool", first)]
    for sentence in others:
        parts = [part for part in sentence.rstrip(".").split("; ") if named.search(part) is None]
        if parts:
            said = "; ".join(parts)
            kept.append(said if said[-1:] in ".!?" else f"{said}.")
    return " ".join([kept[0], *(said[:1].upper() + said[1:] for said in kept[1:])])


def definition(value: Json, names: Collection[str]) -> Json:
    """A tool's definition with `without` applied to each description in it."""
    if isinstance(value, dict):
        return {
            key: without(entry, names) if key == "description" and isinstance(entry, str) else definition(entry, names)
            for key, entry in value.items()
        }
    return [definition(entry, names) for entry in value] if isinstance(value, list) else value


def mentioned(value: Json, names: Collection[str]) -> set[str]:
    """Those of the names that may stand in a description of a tool's definition.

    The compiler asks for it. So a first listing of 750 tools of 3,000 takes 4 ms of CPU in place of 1,650 ms, in which
    each definition was searched for each of the names that the server does not offer.
    """
    return {name for text in _descriptions(value) for name in _found(text, names)}


def _descriptions(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if key == "description" and isinstance(entry, str):
                yield entry
            else:
                yield from _descriptions(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _descriptions(entry)


def _found(text: str, names: Collection[str]) -> set[str]:
    """Those of the names that are words of the text, and those of several words that are somewhere in it."""
    return set(_WORD.findall(text)).intersection(names) | {name for name in names if "-" in name and name in text}
