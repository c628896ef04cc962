"""The document of one integration: what the compiler makes, and how it is written into its compiled file and read back.

`compiled_file.py` describes the format, and reads the file for those who serve it.
"""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway import json_text
from tool_catalog import compiled_file, search_index
from tool_catalog.catalog import Json

Schema = dict[str, Json]

INDEXED = ("resource", "method", "access", "tags", "pin", "core", "tokens")
CALLED = ("request", "pagination", "result", "checks", "example", "aliases")
OPTIONAL = ("touches", "asks", "event", "states")
"""Where the parts of a tool stand in the file: in its index, after the name, or in a line of `calls`.

Such a line holds an optional part where the tool has one.
"""


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
    index = [
        [tool["definition"]["name"], *(tool[part] for part in INDEXED), len(definition), len(call)]
        for tool, definition, call in zip(tools, definitions, calls, strict=True)
    ]
    head = {**{key: value for key, value in document.items() if key != "tools"}, "index": index, "definitions": []}
    return b"".join(
        [
            json_text.encode(head).removesuffix(compiled_file.AFTER_HEAD),
            b"\n",
            compiled_file.BETWEEN_LINES.join(definitions),
            compiled_file.BEFORE_CALLS,
            compiled_file.BETWEEN_LINES.join(calls),
            compiled_file.BEFORE_SEARCH,
            json_text.encode(search_index.build(tools)),
            compiled_file.AFTER_SEARCH,
        ]
    )


def from_bytes(content: bytes) -> Schema:
    """Inverse of `to_bytes`. Raises ValueError, KeyError or TypeError for another content."""
    file = json_text.decode(content)
    document = {key: value for key, value in file.items() if key not in ("index", "definitions", "calls", "search")}
    document["tools"] = [
        dict(zip(INDEXED, entry[1:-2], strict=True))
        | {"definition": {**definition, "inputSchema": call["inputSchema"]}, "shown": definition["inputSchema"]}
        | {part: call[part] for part in (*CALLED, *OPTIONAL) if part in call}
        for entry, definition, call in zip(file["index"], file["definitions"], file["calls"], strict=True)
    ]
    return document
