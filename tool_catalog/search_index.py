"""The index that the profile `discovery` searches, made when the catalogue is compiled: BM25 over weighted fields.

A tool is a document of the words of its name, aliases, title, tags, resource, method, description and arguments. What a
term is worth in a tool is computed here, so that a search only adds up numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from functions.gateway.tool_words import terms
from tool_catalog.catalog import Json

FIELDS = {"name": 3.0, "aliases": 3.0, "title": 2.0, "tags": 2.0, "method": 2.0, "description": 1.0, "arguments": 0.5}
"""Field -> how often a word of it counts."""

SATURATION, LENGTH = 1.2, 0.75
"""BM25's k1 and b, at their usual values."""

DIGITS = 2
"""Decimal places of a kept number: two tools this near are equally good."""


def build(tools: Sequence[Mapping[str, Json]]) -> dict[str, list[list[Json]]]:
    """Term -> [number of the tool, what the term is worth there], over the compiled entries of the tools."""
    documents = [_document(tool) for tool in tools]
    lengths = [sum(document.values()) for document in documents]
    usual = sum(lengths) / len(lengths) if lengths else 1.0
    holders = Counter(term for document in documents for term in document)
    index: dict[str, list[list[Json]]] = {term: [] for term in sorted(holders)}
    for number, (document, length) in enumerate(zip(documents, lengths, strict=True)):
        damping = SATURATION * (1 - LENGTH + LENGTH * length / usual)
        for term, times in document.items():
            rarity = math.log(1 + (len(documents) - holders[term] + 0.5) / (holders[term] + 0.5))
            worth = round(rarity * times * (SATURATION + 1) / (times + damping), DIGITS)
            if worth > 0:
                index[term].append([number, worth])
    return {term: found for term, found in index.items() if found}


def _document(tool: Mapping[str, Json]) -> Counter[str]:
    definition = tool["definition"]
    properties = definition["inputSchema"]["properties"]
    fields = {
        "name": definition["name"],
        "aliases": " ".join(tool["aliases"]),
        "title": definition["title"],
        "tags": " ".join(tool["tags"]),
        "method": f"{tool['resource']} {tool['method']}",
        "description": definition["description"],
        "arguments": " ".join(f"{name} {part.get('description', '')}" for name, part in properties.items()),
    }
    counted: Counter[str] = Counter()
    for name, text in fields.items():
        for term in terms(text):
            counted[term] += FIELDS[name]  # type: ignore[assignment]  # a count may be a weight
    return counted
