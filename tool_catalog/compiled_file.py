"""The compiled file of an integration: its format, and how its catalogue is read.

`tool_catalog/compiled/<integration>.json` is written by the compiler and read here, nowhere else.

File format 4 (one JSON document in UTF-8; the line ends are part of the format)::

    {"format":4,"integration":"mem0","label":"Mem0","base_url":"https://...","instructions":"...","auth":{...},
     "credentials":{...},"context":{...},"probe":{...},"rate_limits":{...},"pinnable":["user_id",...],
     "website":"https://...","icon":"data:...","prompts":[{name, title, description, arguments, text, tools},...],
     "views":[{"tools":{tool: key of its items,...},"view":{title, singular, card, edit, delete, history}},...],
     "mcp_resources":[{uri, tool, ...},...],
     "source_sha256":"<64 hex>","index":
     [[name, resource, method, access, tags, pin, core, tokens, bytes, bytes],...],"definitions":[
    {one MCP definition},                  exactly as a client receives it, one line for each entry of the index;
                                           its input schema is in the form that every host takes
    {...}
    ],"calls":[
    {one tool's request, pagination, ...}  never sent to a client, one line for each entry of the index, with the
                                           input schema that calls are checked against
    {...}
    ],"search":
    {term: [[number of a tool, worth],...],...}
    }

The first line (here broken into eight) is read at once, and it says how long each later line is. `views` and
`mcp_resources` stand in it only where there are some. A definition or a call is decoded when it is asked for, and a
listing copies the definitions' bytes. With the number of tools, only the first line grows.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tool_catalog.catalog import (
    PIN_KINDS,
    Catalog,
    Check,
    Event,
    EventStates,
    Hint,
    Json,
    McpResource,
    Pin,
    Prompt,
    PromptArgument,
    Question,
    Result,
    Tool,
    Touches,
)
from tool_catalog.request_template import JSON_MEDIA_TYPE, Auth, Pagination, Parameter, Probe, Request

FORMAT = 4
"""Version of the compiled file. Raised when a reader of an older version would misread a newer file."""

COMPILED = Path(__file__).parent / "compiled"
"""Folder of the compiled files, bundled with each deploy."""


class CatalogError(Exception):
    """A compiled catalogue is missing or cannot be read; the message names the file and what to do."""


def available(directory: Path = COMPILED) -> tuple[str, ...]:
    """Names of the integrations that have a compiled catalogue, sorted."""
    return tuple(sorted(path.stem for path in directory.glob("*.json")))


@functools.cache
def load(integration: str, directory: Path = COMPILED) -> Catalog:
    """Read a compiled catalogue. Raises CatalogError when there is none of that name or its format is not ours."""
    if integration not in available(directory):
        known = ", ".join(available(directory)) or "none"
        raise CatalogError(f'no compiled catalogue for integration "{integration}"; available: {known}')
    path = directory / f"{integration}.json"
    return read(path.read_bytes(), path.name)


def read(content: bytes, source: str) -> Catalog:
    """The catalogue of a compiled file's content; `source` names it in errors. Raises CatalogError."""
    try:
        head = json.loads(content[: content.find(b"\n")] + AFTER_HEAD)
        found = head["format"]
    except (ValueError, KeyError, TypeError):
        found = "unknown"
    if found != FORMAT:
        raise CatalogError(f"{source}: format {found!r} is not {FORMAT}; run `tool-catalog compile` with this version")
    probe = head["probe"]
    return Catalog(
        integration=head["integration"],
        label=head["label"],
        base_url=head["base_url"],
        instructions=head["instructions"],
        auth=_auth(head["auth"]),
        credentials=head["credentials"],
        context=head["context"],
        probe=Probe(**probe) if probe else None,
        rate_limits=head["rate_limits"],
        pinnable=tuple(head["pinnable"]),
        source_sha256=head["source_sha256"],
        tools=_tools(content, head["index"]),
        prompts={entry["name"]: _prompt(entry) for entry in head["prompts"]},
        website=head["website"],
        icon=head["icon"],
        views={
            tool: {"items": items, **entry["view"]}
            for entry in head.get("views", ())
            for tool, items in entry["tools"].items()
        },
        mcp_resources=tuple(McpResource(**entry) for entry in head.get("mcp_resources", ())),
        search_index=content[content.rfind(BEFORE_SEARCH) + len(BEFORE_SEARCH) : -len(AFTER_SEARCH)],
    )


AFTER_HEAD = b"]}"
"""What makes a JSON document of the first line."""

BETWEEN_LINES = b",\n"
BEFORE_CALLS = b'\n],"calls":[\n'
BEFORE_SEARCH = b'\n],"search":\n'
AFTER_SEARCH = b"\n}\n"


class _StoredTool:
    """Where a tool's two lines stand in the content of a compiled file."""

    __slots__ = ("_call", "_call_end", "_content", "_definition", "_definition_end")

    def __init__(self, content: bytes, definition: int, definition_end: int, call: int, call_end: int) -> None:
        self._content = content
        self._definition, self._definition_end = definition, definition_end
        self._call, self._call_end = call, call_end

    def definition(self) -> bytes:
        return self._content[self._definition : self._definition_end]

    def parts(self) -> dict[str, Any]:
        return _parts(json.loads(self.definition()), json.loads(self._content[self._call : self._call_end]))


def _tools(content: bytes, index: list[list[Json]]) -> dict[str, Tool]:
    """The tools of the index. The members of each are set as one dictionary, which takes a third less than one by one:
    1.5 ms less of a start with 3,000 tools."""
    definition = content.find(b"\n") + 1
    call = definition + sum(entry[-2] + len(BETWEEN_LINES) for entry in index) - len(BETWEEN_LINES) + len(BEFORE_CALLS)
    tools: dict[str, Tool] = {}
    for name, resource, method, access, tags, pin, core, tokens, definition_bytes, call_bytes in index:
        definition_end, call_end = definition + definition_bytes, call + call_bytes
        members = {
            "name": name,
            "resource": resource,
            "method": method,
            "access": access,
            "tags": tuple(tags),
            "pin": _pin(pin) if pin else None,
            "core": core,
            "tokens": tokens,
            "stored": _StoredTool(content, definition, definition_end, call, call_end),
        }
        tool = tools[name] = object.__new__(Tool)
        object.__setattr__(tool, "__dict__", members)
        definition, call = definition_end + len(BETWEEN_LINES), call_end + len(BETWEEN_LINES)
    return tools


def _parts(shown: Mapping[str, Json], entry: Mapping[str, Json]) -> dict[str, Any]:
    """The parts of a tool that its two lines hold."""
    request, pagination, result = entry["request"], entry["pagination"], entry["result"]
    return {
        "compiled": shown,
        "definition": {**shown, "inputSchema": entry["inputSchema"]},
        "request": Request(
            verb=request["verb"],
            path=request["path"],
            parameters=tuple(Parameter(**parameter) for parameter in request["parameters"]),
            media_type=request.get("media_type", JSON_MEDIA_TYPE),
            accept=request.get("accept", JSON_MEDIA_TYPE),
            body_required=request.get("body_required", False),
            redirects=request.get("redirects", False),
            auth=_auth(request["auth"]) if "auth" in request else None,
        ),
        "pagination": _pagination(pagination) if pagination else None,
        "result": _result(result),
        "checks": tuple(Check(**check) for check in entry["checks"]),
        "example": entry["example"],
        "aliases": tuple(entry["aliases"]),
        "touches": Touches(**entry["touches"]) if "touches" in entry else None,
        "asks": tuple(tuple(Question(**question) for question in asked) for asked in entry.get("asks", ())),
        "event": Event(**entry["event"]) if "event" in entry else None,
        "states": EventStates(**entry["states"]) if "states" in entry else None,
    }


def _result(entry: Mapping[str, Json]) -> Result:
    tuples = {key: tuple(entry.get(key, ())) for key in ("drop", "hide")}
    return Result(**{**entry, **tuples, "hints": tuple(Hint(**hint) for hint in entry.get("hints", ()))})


def _pin(entry: Mapping[str, Json]) -> Pin:
    values: dict[str, Json] = {key: value for key, value in entry.items() if key != "kind"}
    for key in ("ids", "splits"):
        if key in values:
            values[key] = tuple(values[key])
    return PIN_KINDS[entry["kind"]](**values)


def _prompt(entry: Mapping[str, Json]) -> Prompt:
    arguments = tuple(
        PromptArgument(**{**argument, "values": tuple(argument.get("values", ()))}) for argument in entry["arguments"]
    )
    return Prompt(**{**entry, "arguments": arguments, "tools": tuple(entry["tools"])})


def _auth(entry: Mapping[str, Json]) -> Auth:
    return Auth(**{**entry, "also": tuple(map(_auth, entry.get("also", ())))})


def _pagination(entry: Mapping[str, Json]) -> Pagination:
    size = entry.get("size")
    return Pagination(
        **{
            **entry,
            "position": Parameter(**entry["position"]),
            "size": Parameter(**size) if size else None,
            "carry": tuple(entry.get("carry", ())),
        }
    )
