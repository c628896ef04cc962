"""Views and resources of any API: records of a library declare them, and the endpoint serves them as those of Mem0."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from functions.gateway.grants import ServerConfig
from functions.mcp_endpoint import resources
from tests.tool_catalog.conftest import Edit
from tool_catalog import compiled_file
from tool_catalog.building import build
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_document import from_bytes, to_bytes

VIEWS = """views:
  books:
    title: Books
    singular: book
    card: {id: id, text: title}
    history: {tool: list_all_library_books, id: shelf, after: title}
methods:
"""
USED = """    pin: {kind: none}
    view: books
    mcp_resource:
      uri: library://{branch}/shelves/{shelf}
      title: Books of a shelf
      description: The titles on one shelf, one a line.
      arguments: {branch: "{branch}", shelf: "shelf {shelf}", limit: 50}
      media_type: text/plain
      text: "join(', ', result[].title)"
"""


def declared(library: Path, edit: Edit) -> Catalog:
    """The library with a view and a resource."""
    edit("books.yaml", "methods:\n", VIEWS)
    edit("books.yaml", "    pin: {kind: none}\n", USED)
    document, problems = build(library)
    assert problems == []
    assert document is not None
    content = to_bytes(document)
    assert from_bytes(content) == document
    return compiled_file.read(content, "library.json")


def test_an_integration_that_declares_none_has_nothing_of_them_in_its_file(library: Path) -> None:
    document, _ = build(library)
    assert document is not None
    assert not {"views", "mcp_resources"} & document.keys()


def test_a_view_is_compiled_with_the_place_of_its_items(library: Path, edit: Edit) -> None:
    catalog = declared(library, edit)
    assert catalog.views["list_all_library_books"] == {
        "items": "result",
        "title": "Books",
        "singular": "book",
        "card": {"id": "id", "text": "title", "labels": [], "dates": {}, "details": []},
        "history": {"tool": "list_all_library_books", "id": "shelf", "after": "title", "items": "result"},
    }


def test_a_view_stands_once_in_the_file_whatever_number_of_tools_have_it(library: Path, edit: Edit) -> None:
    before = declared(library, edit).views
    written = yaml.safe_load((library / "books.yaml").read_text("utf-8"))
    method = {key: value for key, value in written["methods"]["list"].items() if key != "mcp_resource"}
    for name in ("lent", "lost"):
        written["methods"][name] = {**method, "name": f"library_books_{name}", "access": "read"}
    (library / "books.yaml").write_text(yaml.safe_dump(written), "utf-8")
    document, problems = build(library)
    assert problems == []
    assert document is not None
    content = to_bytes(document)
    assert from_bytes(content) == document
    assert content.count(b'"singular":"book"') == 1
    views = compiled_file.read(content, "library.json").views
    [view] = before.values()
    assert views == dict.fromkeys((*before, "library_books_lent", "library_books_lost"), view)


def test_a_page_of_another_api_holds_its_own_words_alone(library: Path, edit: Edit) -> None:
    found = resources.page("ui://library/list_all_library_books", ServerConfig(), declared(library, edit))
    assert found is not None
    [written] = re.findall(r'<script type="application/json" id="view">(.*?)</script>', found["text"])
    assert (json.loads(written)["title"], json.loads(written)["tool"]) == ("Books", "list_all_library_books")
    script = found["text"].partition("<body>")[2]
    assert not re.search(r"\b(mem0|memory|memories)\b", script, re.IGNORECASE)


def test_a_view_cannot_end_the_script_that_holds_it(library: Path, edit: Edit) -> None:
    catalog = declared(library, edit)
    edit("books.yaml", "title: Books\n", "title: '</script><b>'\n")
    document, _ = build(library)
    assert document is not None
    catalog = compiled_file.read(to_bytes(document), "library.json")
    found = resources.page("ui://library/list_all_library_books", ServerConfig(), catalog)
    assert found is not None
    assert "</script><b>" not in found["text"]
    assert '"title":"\\u003c/script>\\u003cb>"' in found["text"]


def test_a_uri_fills_the_arguments_and_its_values_stay_values(library: Path, edit: Edit) -> None:
    catalog = declared(library, edit)

    def arguments(uri: str, **config: Any) -> Any:
        return resources.find(uri, ServerConfig(**config), catalog).arguments

    assert arguments("library://north/shelves/A%203") == {"branch": "north", "shelf": "shelf A 3", "limit": 50}
    assert arguments("library://%7Bshelf%7D/shelves/%2F%7B") == {"branch": "{shelf}", "shelf": "shelf /{", "limit": 50}
