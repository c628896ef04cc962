"""No text of a tool advises an argument, a member or a value that the integration does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from functions.gateway.json_text import Json
from tool_catalog import compiled_file
from tool_catalog.catalog import Catalog, Tool

NAME = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
"""A word with an underscore: a name of something, never a word of prose."""

OF_THE_UPSTREAM = {
    "image_url": "a form of the content of a message",
    "mdx_url": "a form of the content of a message",
    "pdf_url": "a form of the content of a message",
    "txt_url": "a form of the content of a message",
    "insufficient_data": "a state of a profile",
    "not_enabled": "a state of a profile",
    "custom_instructions": "a key of the configuration of the self-hosted server",
}
"""Names that no schema holds, because the upstream documents them in prose only."""


def _names(schema: Json) -> Iterator[str]:
    """Names of members and values anywhere in a schema."""
    if isinstance(schema, list):
        for entry in schema:
            yield from _names(entry)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties" and isinstance(value, dict):
                yield from value
                yield from _names(list(value.values()))
            elif key == "enum":
                yield from map(str, value)
            else:
                yield from _names(value)


def _texts(schema: Json) -> Iterator[str]:
    if isinstance(schema, list):
        for entry in schema:
            yield from _texts(entry)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "description" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)


def _unknown(entry: Tool, whole: Catalog) -> set[str]:
    known = {*whole.tools, *OF_THE_UPSTREAM, *_names(entry.definition["inputSchema"])}
    for other in whole.tools.values():
        known |= set(_names(other.definition.get("outputSchema")))
    texts = [entry.definition["description"], *_texts(entry.definition["inputSchema"])]
    named = {word for text in texts for word in NAME.findall(text) if not re.search(r"\d", word)}
    return named - known


@pytest.mark.parametrize("integration", compiled_file.available())
def test_a_text_names_arguments_of_its_own_tool_and_members_that_results_have(integration: str) -> None:
    whole = compiled_file.load(integration)
    assert {name: found for name, entry in whole.tools.items() if (found := _unknown(entry, whole))} == {}


def test_every_exception_is_still_needed() -> None:
    said = {
        word
        for integration in compiled_file.available()
        for entry in compiled_file.load(integration).tools.values()
        for text in (entry.definition["description"], *_texts(entry.definition["inputSchema"]))
        for word in NAME.findall(text)
    }
    assert set(OF_THE_UPSTREAM) <= said
