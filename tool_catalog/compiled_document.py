"""The document of one integration: what the compiler makes, and how it is written into its compiled file and read back.

`compiled_file.py` describes the format, and reads the file for those who serve it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from functions.gateway import json_text, offered_texts
from tool_catalog import compiled_file, search_index
from tool_catalog.catalog import Json

Schema = dict[str, Json]

INDEXED = ("resource", "method", "access", "tags", "pin", "core", "tokens")
CALLED = ("request", "pagination", "result", "checks", "example", "aliases")
OPTIONAL = ("touches", "asks", "event", "states")
"""Where the parts of a tool stand in the file: in its index, after the name, or in a line of `calls`.

Such a line holds an optional part where the tool has one.
"""

OF_THE_FILE = ("pinned_only", "queueing", "sizes", "index", "definitions", "calls", "search")
"""Keys of the file that are not keys of the document."""


def to_bytes(document: Mapping[str, Json]) -> bytes:
    """The compiled file of a document, in the format of `compiled_file.py`; the same bytes everywhere."""
    tools = document["tools"]
    definitions = [json_text.encode({**tool["definition"], "inputSchema": tool["shown"]}) for tool in tools]
    calls = [
        json_text.encode(
            {
                "inputSchema": tool["definition"]["inputSchema"],
                **{part: tool[part] for part in CALLED},
                **{part: tool[part] for part in OPTIONAL if part in tool},
            }
        )
        for tool in tools
    ]
    places = zip(tools, _mentions(tools), _places(definitions), _places(calls), strict=True)
    index = [
        json_text.encode([tool["definition"]["name"], *(tool[part] for part in INDEXED), mentions, *definition, *call])
        for tool, mentions, definition, call in places
    ]
    parts = [*map(compiled_file.BETWEEN_LINES.join, (index, definitions, calls))]
    parts.append(json_text.encode(search_index.build(tools)))
    head = {
        **{key: value for key, value in document.items() if key != "tools"},
        **{key: value for key, value in _named(tools).items() if value},
        "sizes": [*map(len, parts)],
        "index": [],
    }
    return b"".join(
        [
            json_text.encode(head).removesuffix(compiled_file.AFTER_HEAD),
            b"\n",
            parts[0],
            compiled_file.BEFORE_DEFINITIONS,
            parts[1],
            compiled_file.BEFORE_CALLS,
            parts[2],
            compiled_file.BEFORE_SEARCH,
            parts[3],
            compiled_file.AFTER_SEARCH,
        ]
    )


def _places(lines: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where each line begins in its part, and its bytes."""
    start = 0
    for line in lines:
        yield start, len(line)
        start += len(line) + len(compiled_file.BETWEEN_LINES)


def _mentions(tools: Sequence[Mapping[str, Json]]) -> Iterator[list[str]]:
    """Names of other tools in the descriptions of each."""
    names = offered_texts.hidden((tool["definition"]["name"] for tool in tools), ())
    for tool in tools:
        found = offered_texts.mentioned([tool["definition"], tool["shown"]], names)
        yield sorted(found - {tool["definition"]["name"]})


def _named(tools: Sequence[Mapping[str, Json]]) -> dict[str, list[str]]:
    """The tools that a reader knows by their names before it looks at any."""
    return {
        "pinned_only": [tool["definition"]["name"] for tool in tools if (tool["pin"] or {}).get("required")],
        "queueing": [tool["definition"]["name"] for tool in tools if "event" in tool],
    }


def from_bytes(content: bytes) -> Schema:
    """Inverse of `to_bytes`. Raises ValueError, KeyError or TypeError for another content."""
    file = json_text.decode(content)
    document = {key: value for key, value in file.items() if key not in OF_THE_FILE}
    document["tools"] = [
        dict(zip(INDEXED, entry[1:-5], strict=True))
        | {"definition": {**definition, "inputSchema": call["inputSchema"]}, "shown": definition["inputSchema"]}
        | {part: call[part] for part in (*CALLED, *OPTIONAL) if part in call}
        for entry, definition, call in zip(file["index"], file["definitions"], file["calls"], strict=True)
    ]
    return document
