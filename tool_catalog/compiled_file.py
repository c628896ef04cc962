"""The compiled file of an integration: its format, and how its catalogue is read.

`tool_catalog/compiled/<integration>.json` is written by the compiler and read here, nowhere else.

File format 5 (one JSON document in UTF-8; the line ends are part of the format)::

    {"format":5,"integration":"mem0","label":"Mem0","base_url":"https://...","instructions":"...","auth":{...},
     "credentials":{...},"context":{...},"probe":{...},"rate_limits":{...},"pinnable":["user_id",...],
     "website":"https://...","icon":"data:...","prompts":[{name, title, description, arguments, text, tools},...],
     "views":[{"tools":{tool: key of its items,...},"view":{title, singular, card, edit, delete, history}},...],
     "mcp_resources":[{uri, tool, ...},...],"pinned_only":[name of a tool,...],"queueing":[name of a tool,...],
     "source_sha256":"<64 hex>","sizes":[bytes of the index, of definitions, of calls, of search],"index":[
    [name, resource, method, access, tags, pin, core, tokens, mentions, start, bytes, start, bytes],
    [...]
    ],"definitions":[
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

The first line (here broken into eight) is decoded at once, and does not grow with the number of tools. `sizes` says
where each part stands, and an entry of the index where the definition and the call of its tool stand in their parts.
`mentions` are the names of other tools that its descriptions hold.
Each of them is read and decoded alone, when it is asked for. `views`, `mcp_resources`, `pinned_only` (tools that only
pinned servers offer) and `queueing` (tools with an event) stand in the first line only where there are some.

A start to the first listing of 3,000 tools takes 12 million instructions more than one of 60, which takes 658. It took
135 million more where the whole file was read and each entry of the index became a tool.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import Any, Protocol

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
    StoredTools,
    Tool,
    Touches,
)
from tool_catalog.request_template import JSON_MEDIA_TYPE, Auth, Pagination, Parameter, Probe, Request

FORMAT = 5
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
    return read(_File(path) if hasattr(os, "pread") else path.read_bytes(), path.name)


def read(content: Content, source: str) -> Catalog:
    """The catalogue of a compiled file's content; `source` names it in errors. Raises CatalogError."""
    first_line = _first_line(content)
    try:
        head = json.loads(first_line + AFTER_HEAD)
        found = head["format"]
    except (ValueError, KeyError, TypeError):
        found = "unknown"
    if found != FORMAT:
        raise CatalogError(f"{source}: format {found!r} is not {FORMAT}; run `tool-catalog compile` with this version")
    tools = _Tools(content, len(first_line), head)
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
        tools=tools,
        prompts={entry["name"]: _prompt(entry) for entry in head["prompts"]},
        website=head["website"],
        icon=head["icon"],
        views={
            tool: {"items": items, **entry["view"]}
            for entry in head.get("views", ())
            for tool, items in entry["tools"].items()
        },
        mcp_resources=tuple(McpResource(**entry) for entry in head.get("mcp_resources", ())),
        search_index=tools.search_index(),
    )


class Content(Protocol):
    """The content of a compiled file: `bytes`, or what reads a part of them when it is asked for."""

    def __getitem__(self, part: slice, /) -> bytes: ...


class _File:
    """A file that is read by parts. It stays open, so that a compiler that puts a new file in its place changes
    nothing."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)

    def __getitem__(self, part: slice, /) -> bytes:
        return os.pread(self._file, part.stop - part.start, part.start)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # bound, because modules end before values
        close(self._file)


FIRST_BYTES = 65_536
"""Bytes that are read to find the first line. The texts, prompts and pages of an integration take some 10 kB."""

AFTER_HEAD = b"]}"
"""What makes a JSON document of the first line."""

LINE_END = b"\n"
BETWEEN_LINES = b",\n"
BEFORE_DEFINITIONS = b'\n],"definitions":[\n'
BEFORE_CALLS = b'\n],"calls":[\n'
BEFORE_SEARCH = b'\n],"search":\n'
AFTER_SEARCH = b"\n}\n"


def _first_line(content: Content) -> bytes:
    size = FIRST_BYTES
    while True:
        begun = content[0:size]
        line, ended, _ = begun.partition(b"\n")
        if ended or len(begun) < size:
            return line
        size *= 4


class _StoredTool:
    """Where a tool's two lines stand in the content of a compiled file."""

    __slots__ = ("_call", "_call_bytes", "_content", "_definition", "_definition_bytes")

    def __init__(self, content: Content, definition: int, definition_bytes: int, call: int, call_bytes: int) -> None:
        self._content = content
        self._definition, self._definition_bytes = definition, definition_bytes
        self._call, self._call_bytes = call, call_bytes

    def definition(self) -> bytes:
        return self._content[self._definition : self._definition + self._definition_bytes]

    def parts(self) -> dict[str, Any]:
        call = self._content[self._call : self._call + self._call_bytes]
        return _parts(json.loads(self.definition()), json.loads(call))


class _Tools(StoredTools):
    """Each tool is made when it is asked for the first time.

    A tool that is asked for by its name is found in the bytes of the index, and its entry alone is decoded. The whole
    index is decoded for those who want every tool, and for a name that no tool has.
    """

    def __init__(self, content: Content, first_line_bytes: int, head: Mapping[str, Json]) -> None:
        self._content = content
        index, definitions, calls, self._search_bytes = head["sizes"]
        self._definitions = first_line_bytes + 1 + index + len(BEFORE_DEFINITIONS)
        self._calls = self._definitions + definitions + len(BEFORE_CALLS)
        self._search = self._calls + calls + len(BEFORE_SEARCH)
        self._entries = content[first_line_bytes : first_line_bytes + 1 + index + 1]  # with a line end on both sides
        self._made: dict[str, Tool] = {}
        self.pinned_only = tuple(head.get("pinned_only", ()))
        self.queueing = tuple(head.get("queueing", ()))

    def __getitem__(self, name: str) -> Tool:
        made = self._made.get(name)
        if made is not None:
            return made
        entries = self._entries
        start = entries.find(b"\n[%b," % json.dumps(name, ensure_ascii=False).encode("utf-8", "replace")) + 1
        if start == 0:
            return self._all()[name]
        line = entries[start : entries.index(b"\n", start)]
        return self._made.setdefault(name, self._tool(json.loads(line.removesuffix(b","))))

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def values(self) -> ValuesView[Tool]:
        """Every tool, in the order in which they are listed."""
        return self._all().values()

    def runs(self, most: int) -> Iterator[bytes]:
        """See StoredTools. The bytes are copied as they stand."""
        start, end = self._definitions, self._calls - len(BEFORE_CALLS)
        while start < end:
            run = self._content[start : min(start + most, end)]
            if start + len(run) < end:
                if BETWEEN_LINES not in run:
                    run = self._content[start:end].partition(BETWEEN_LINES)[0] + BETWEEN_LINES
                run = run[: run.rindex(BETWEEN_LINES)]
            yield run.replace(LINE_END, b"")
            start += len(run) + len(BETWEEN_LINES)

    def search_index(self) -> bytes:
        """The index of the searches, as JSON."""
        return self._content[self._search : self._search + self._search_bytes]

    def _all(self) -> dict[str, Tool]:
        if self._entries:
            made = self._made
            entries = json.loads(b"[%b]" % self._entries)
            self._made = {entry[0]: made.get(entry[0]) or self._tool(entry) for entry in entries}
            self._entries = b""
        return self._made

    def _tool(self, entry: Sequence[Json]) -> Tool:
        """The members are set as one dictionary, which takes a third less than one by one: 1.5 ms for 3,000 tools."""
        name, resource, method, access, tags, pin, core, tokens, mentions, *places = entry
        definition, definition_bytes, call, call_bytes = places
        stored = _StoredTool(
            self._content, self._definitions + definition, definition_bytes, self._calls + call, call_bytes
        )
        tool = object.__new__(Tool)
        members = {
            "name": name,
            "resource": resource,
            "method": method,
            "access": access,
            "tags": tuple(tags),
            "pin": _pin(pin) if pin else None,
            "core": core,
            "tokens": tokens,
            "mentions": tuple(mentions),
            "stored": stored,
        }
        object.__setattr__(tool, "__dict__", members)
        return tool


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
