"""The profile `discovery`: a listing of three tools that find, describe and call all the others.

The index was made with the catalogue (`tool_catalog/search_index.py`). A search covers the tools of the server only. A
call through `call_tool` is the call of the tool: it takes the same way, and the log names the tool.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from functions.gateway import arguments, errors, model_tokens, offered_texts, selection, settle
from functions.gateway import call as call_line
from functions.gateway.errors import CallLimited, WrongArguments
from functions.gateway.grants import ServerConfig, Target
from functions.gateway.json_text import Json, decode
from functions.gateway.outcomes import Done, Failed, ToolCall, Trace, UnknownTool
from functions.gateway.portable_schema import portable
from functions.gateway.prepared import prepare
from functions.gateway.settings import Settings
from functions.gateway.tool_words import terms
from functions.gateway.upstream import Sender
from functions.gateway.value_classes import replace
from functions.gateway.wording import shown
from tool_catalog.catalog import DISCOVERY_NAMES, Catalog, Result, Tool
from tool_catalog.request_template import Request

if TYPE_CHECKING:
    from functions.gateway.confirmation import Confirmer

SEARCH, DESCRIBE, CALL = DISCOVERY_NAMES

USUAL, MOST = 5, 20
"""Tools that a search returns: by default, and at most."""

SENTENCE_CHARS = 160
"""Characters of a description that a search shows."""

NEAR = 0.25
"""A tool this far below the best one, as a share of it, is not what was looked for."""

_END = re.compile(r"(?<=\.)(?<!e\.g\.)(?<!i\.e\.) (?=[A-Z])")
"""The end of a sentence."""

_NAME: Json = {"type": "string", "description": f"Name of a tool, from {SEARCH}."}


def _tool(name: str, title: str, description: str, properties: dict[str, Json], required: list[str]) -> Tool:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    hints = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    definition = {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {"title": title, **hints},
    }
    return Tool(
        name=name,
        resource="tools",
        method=name,
        access="read",
        tags=(),
        definition=definition,
        request=Request("GET", "/"),
        pagination=None,
        result=Result(),
        pin=None,
        checks=(),
        example={},
    )


TOOLS: Mapping[str, Tool] = {
    SEARCH: _tool(
        SEARCH,
        "Search tools",
        f"Finds tools of this server by what they do. Returns name, what it does, access and required arguments, best "
        f"first. Next: {DESCRIBE}.",
        {
            "query": {"type": "string", "minLength": 1, "description": 'What to do, e.g. "delete a user".'},
            "limit": {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL, "description": "Most tools."},
        },
        ["query"],
    ),
    DESCRIBE: _tool(
        DESCRIBE,
        "Get a tool's schema",
        f"Returns a tool's description and input schema. Next: {CALL}.",
        {"name": _NAME},
        ["name"],
    ),
    CALL: _tool(
        CALL,
        "Call a tool",
        "Calls a tool and returns its result.",
        {
            "name": _NAME,
            "arguments": {"type": "object", "description": f"Its arguments, as {DESCRIBE} shows them."},
        },
        ["name"],
    ),
}
"""By name, in the order they are listed."""


def listed(tools: Sequence[Tool]) -> list[Mapping[str, Json]]:
    """The definitions of the three tools. What may happen through `call_tool` is what may happen through any tool."""
    hints = [tool.listed["annotations"] for tool in tools]
    reach = {
        "readOnlyHint": all(hint["readOnlyHint"] for hint in hints),
        "destructiveHint": any(hint["destructiveHint"] for hint in hints),
        "idempotentHint": all(hint["idempotentHint"] for hint in hints),
        "openWorldHint": any(hint["openWorldHint"] for hint in hints),
    }
    definitions = [_wire(tool) for tool in TOOLS.values()]
    return [
        {**definition, "annotations": {**definition["annotations"], **reach}}
        if definition["name"] == CALL
        else definition
        for definition in definitions
    ]


def tokens(tools: Sequence[Tool]) -> int:
    """About what the listing costs a model."""
    return sum(map(model_tokens.of_tool, listed(tools)))


def meant(call: ToolCall) -> ToolCall:
    """The call that `call_tool` asks for, and any other call as it is."""
    if call.name != CALL:
        return call
    given = settle.arguments(prepare(TOOLS[CALL], ServerConfig()), call.arguments).arguments
    name, inner = given.get("name"), given.get("arguments")
    if inner is None:  # arguments beside the name have one reading
        inner = {key: value for key, value in given.items() if key not in ("name", "arguments")}
    if not isinstance(name, str) or not isinstance(inner, Mapping) or name in TOOLS:
        return call
    return replace(call, name=name, arguments=inner)


async def run(
    call: ToolCall,
    target: Target,
    catalog: Catalog,
    *,
    sender: Sender,
    settings: Settings,
    admit: Callable[[], None] = lambda: None,
    confirmer: Confirmer | None = None,
) -> Done | Failed | UnknownTool:
    """The call line: one of the three tools is answered here, and any other call takes the usual way."""
    tool = TOOLS.get(call.name)
    if tool is None:
        outcome = await call_line.run(
            call, target, catalog, sender=sender, settings=settings, admit=admit, confirmer=confirmer
        )
        if isinstance(outcome, UnknownTool):
            return UnknownTool(f"{outcome.message}; {SEARCH} finds the tools of this server")
        return outcome
    prepared = prepare(tool, ServerConfig())
    try:
        admit()
        settled = settle.arguments(prepared, call.arguments)
        if problems := arguments.check(prepared, settled.arguments):
            raise WrongArguments(problems)
        body = _body(call.name, settled.arguments, catalog, target.config)
    except CallLimited as failure:
        return Failed(tool, failure, Trace(rate_limit=failure.rate_limit))
    except WrongArguments as failure:
        return Failed(tool, failure, Trace())
    return Done(tool, body, Trace(), settled.notes)


def _body(name: str, given: Mapping[str, Json], catalog: Catalog, config: ServerConfig) -> dict[str, Json]:
    """The answer of one of the three tools. Raises WrongArguments."""
    if name == SEARCH:
        return _found(catalog, config, given["query"], given.get("limit", USUAL))
    if name == DESCRIBE:
        return _described(catalog, config, given["name"])
    # A call that names a tool was put in place of this one.
    raise WrongArguments([f'"name" is {shown(given["name"])}; name a tool that {SEARCH} finds'])


def search(catalog: Catalog, tools: Sequence[Tool], query: str) -> list[Tool]:
    """Those of the tools that match, best first."""
    index = _postings(catalog.search_index)
    numbers = {name: number for number, name in enumerate(catalog.tools)}
    worth: dict[int, float] = {}
    for term in set(terms(query)):
        for number, value in index.get(term, ()):
            worth[number] = worth.get(number, 0.0) + value
    scored = [(worth[numbers[tool.name]], tool) for tool in tools if numbers[tool.name] in worth]
    best = max((score for score, _ in scored), default=0.0)
    return [tool for score, tool in sorted(scored, key=lambda one: -one[0]) if score >= best * NEAR]


def _found(catalog: Catalog, config: ServerConfig, query: str, limit: int) -> dict[str, Json]:
    tools = selection.visible(catalog, config)
    found = search(catalog, tools, query)
    hidden = selection.hidden(catalog, config)
    body: dict[str, Json] = {"tools": [_entry(tool, config, hidden) for tool in found[:limit]], "matches": len(found)}
    if not found:
        tags = sorted({tag for tool in tools for tag in tool.tags})
        body["message"] = (
            f"None of the {len(tools)} tools matches {shown(query)}. They are about {', '.join(tags)}; search for one "
            "of these words, or for what the tool does"
        )
    return body


def _entry(tool: Tool, config: ServerConfig, hidden: frozenset[str]) -> dict[str, Json]:
    definition = prepare(tool, config).definition
    access = "destructive" if tool.destructive else tool.access
    required = definition["inputSchema"].get("required", [])
    return {
        "name": tool.name,
        "does": _sentence(offered_texts.without(definition["description"], hidden)),
        "access": access,
        "required": required,
    }


def _sentence(description: str) -> str:
    """The first sentence of a description."""
    sentence = _END.split(description, maxsplit=1)[0]
    return sentence if len(sentence) <= SENTENCE_CHARS else sentence[: SENTENCE_CHARS - 3] + "..."


def _described(catalog: Catalog, config: ServerConfig, name: str) -> dict[str, Json]:
    try:
        found = selection.find(catalog, config, name).definition
    except errors.UnknownTool as unknown:
        raise WrongArguments([f"{unknown.message}; {SEARCH} finds the tools of this server"]) from None
    definition = offered_texts.definition(found, selection.hidden(catalog, config))
    return {key: definition[key] for key in ("name", "description", "inputSchema", "annotations")}


def _wire(tool: Tool) -> dict[str, Json]:
    """The definition in the form that every host takes."""
    return {**tool.definition, "inputSchema": portable(tool.definition["inputSchema"])}


@functools.lru_cache(maxsize=32)
def _postings(index: bytes) -> Mapping[str, Sequence[Sequence[Json]]]:
    """The decoded index, kept per process for some integrations."""
    found: Mapping[str, Sequence[Sequence[Json]]] = decode(index)
    return found
