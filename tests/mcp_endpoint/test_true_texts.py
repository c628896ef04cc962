"""No text that a model reads of a server names a tool which the server does not offer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product

import pytest

from functions.gateway import offered_texts, selection
from functions.gateway.grants import ServerConfig
from functions.gateway.prepared import prepare
from functions.mcp_endpoint.listings import wires
from functions.mcp_endpoint.methods import instructions
from tests.gateway.calling import grant
from tests.wrong_calls.scoring import loaded
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_file import available, load

INTEGRATIONS = (*available(), "desk", "payments", "tracker")
SELECTIONS: tuple[tuple[str, ...], ...] = ((), ("read",), ("write",), ("list",), ("create", "get"), ("custom",))


def servers(catalog: Catalog) -> Iterator[ServerConfig]:
    tags = sorted({tag for tool in catalog.tools.values() for tag in tool.tags})
    for methods, tag in product(SELECTIONS, [(), *((tag,) for tag in tags)]):
        yield ServerConfig(methods=methods, tags=tag)
        yield ServerConfig(methods=methods, tags=tag, profile="core")
        for name in catalog.pinnable[:2]:
            yield ServerConfig(methods=methods, tags=tag, pins={name: "one"})


def texts(catalog: Catalog, config: ServerConfig) -> Iterator[str]:
    held = grant(config=config)
    yield instructions(held, catalog)
    for wire in wires(held, catalog):
        yield json.dumps(list(_descriptions(json.loads(wire))))


def _descriptions(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (entry for key, entry in value.items() if key == "description" and isinstance(entry, str))
        for entry in value.values():
            yield from _descriptions(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _descriptions(entry)


@pytest.mark.parametrize("integration", INTEGRATIONS)
def test_what_is_listed_names_offered_tools_only(integration: str) -> None:
    catalog = loaded(integration)
    seen = 0
    for config in servers(catalog):
        hidden = selection.hidden(catalog, config)
        if not selection.visible(catalog, config) or not hidden:
            continue
        named = re.compile(rf"\b(?:{'|'.join(hidden)})\b")
        for text in texts(catalog, config):
            seen += 1
            assert named.search(text) is None, (config, named.search(text), text)
    assert seen


@pytest.mark.parametrize("integration", INTEGRATIONS)
def test_no_description_loses_everything(integration: str) -> None:
    catalog = loaded(integration)
    for config in servers(catalog):
        hidden = selection.hidden(catalog, config)
        for tool in selection.visible(catalog, config):
            left = offered_texts.without(prepare(tool, config).definition["description"], hidden)
            assert len(left) >= 20, (config, tool.name, left)


def test_a_sentence_or_its_part_that_names_a_hidden_tool_is_left_out() -> None:
    text = "Finds books. Use it for one; to see all use list_books. Needs list_shelves first."
    assert offered_texts.without(text, ("list_books",)) == "Finds books. Use it for one. Needs list_shelves first."
    assert offered_texts.without(text, ("list_books", "list_shelves")) == "Finds books. Use it for one."
    assert offered_texts.without("Reads what list_books found.", ("list_books",)) == "Reads what another tool found."
    assert offered_texts.without(text, ()) == text


def test_a_name_of_several_words_is_found_in_a_text() -> None:
    text = "Finds books. Use it for one; to see all use list_all-books. Needs list_shelves first."
    assert offered_texts.without(text, ("list_all-books",)) == "Finds books. Use it for one. Needs list_shelves first."
    assert (
        offered_texts.without(text, ("list_all", "all-book"))
        == "Finds books. Use it for one. Needs list_shelves first."
    )
    assert offered_texts.without(text, ("all-book", "list_shelf")) == text


def test_a_name_is_found_in_every_description_of_a_definition() -> None:
    """A line end before a name is a letter in JSON, so a definition is searched as a value."""
    definition = {
        "name": "get_book",
        "description": "First.\nlist_books has all.",
        "inputSchema": {"properties": {"id": {"description": "From find_book."}, "description": {"enum": ["list_x"]}}},
    }
    names = ("list_books", "find_book", "list_x", "get_book", "mend_book")
    assert offered_texts.mentioned(definition, names) == {"list_books", "find_book"}


@pytest.mark.parametrize("integration", available())
def test_a_compiled_tool_knows_the_other_tools_that_it_names(integration: str) -> None:
    catalog = load(integration)
    for tool in catalog.tools.values():
        others = {name for name in catalog.tools if "_" in name} - {tool.name}
        said = " ".join(_descriptions([dict(tool.definition), dict(tool.listed)]))
        assert tool.mentions is not None
        assert set(tool.mentions) == {name for name in others if re.search(rf"\b{name}\b", said)}
