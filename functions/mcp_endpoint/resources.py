"""What a server has to read by a URI: pages that show results, and results of tools that only read.

A page stands under `ui://<integration>/<tool>` and is for clients that declared MCP Apps. It is one file with nothing
of its own but the records' view of the tool; it reaches this server through the host alone. Any other URI is one that
the records give to a tool. To read it is to call that tool: pins, selection, limits and the log hold for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

from functions.gateway import expressions, selection
from functions.gateway.errors import INTERNAL_ERROR, INVALID_PARAMS, OutsidePins, UpstreamRefused, WrongArguments
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json, encode
from functions.gateway.outcomes import Done, Failed, UnknownTool
from functions.gateway.value_classes import dataclass
from functions.gateway.wording import shown
from functions.mcp_endpoint.protocol import SESSION_HEADER, UI_MEDIA_TYPE, VIEWS_SESSION, Call, RpcError
from tool_catalog.catalog import Catalog, McpResource, Tool
from tool_catalog.request_template import JSON_MEDIA_TYPE

PAGE = Path(__file__).parent / "view.html"
"""The page of every view, made by infra/view_page.py. It is read when a page is asked for."""

PLACE = b'"a view"'
"""What stands in the page where the view of a tool belongs, as JSON."""

ACTIONS = ("edit", "delete", "history")
"""Keys of a view that name a further tool."""

CONFINED: Mapping[str, Json] = {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []}
"""The hosts that a page may reach: none."""

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """The resource that a URI names, and the arguments of its call."""

    resource: McpResource
    arguments: Mapping[str, Json]


def shows_views(call: Call, config: ServerConfig) -> bool:
    """Whether this client is told of pages: it declared them, or the server takes that for granted."""
    return config.views == "always" or (config.views == "declared" and call.shows_views)


def has_views(config: ServerConfig, catalog: Catalog) -> bool:
    """Whether a tool that this server lists has a page."""
    listed_by_name = config.profile != "discovery" and config.views != "never"
    return listed_by_name and any(selection.shows(catalog.tools[name], config) for name in catalog.views)


def session(call: Call, capabilities: Mapping[str, Json], id: str) -> Mapping[str, str]:
    """The header by which a legacy client carries on what it declared; empty where there is nothing to carry."""
    return {SESSION_HEADER: f"{id}{VIEWS_SESSION}"} if call.shows_views and "extensions" in capabilities else {}


def with_view(tool: Tool, wire: bytes, catalog: Catalog) -> bytes:
    """The definition of a tool with the URI of its page, if it has one."""
    if tool.name not in catalog.views:
        return wire
    return b'%b,"_meta":%b}' % (wire[:-1], encode({"ui": {"resourceUri": _page_uri(catalog, tool.name)}}))


def offered(config: ServerConfig, catalog: Catalog) -> list[tuple[str, McpResource]]:
    """The resources whose tools this server shows, each with its URI, in which the variables that it pins are filled
    in."""
    pins = config.pins
    return [
        (
            _VARIABLE.sub(lambda name: quote(pins[name[1]], safe="") if name[1] in pins else name[0], resource.uri),
            resource,
        )
        for resource in catalog.mcp_resources
        if selection.offers(catalog, config, resource.tool)
    ]


def listed(call: Call, config: ServerConfig, catalog: Catalog) -> list[dict[str, Json]]:
    """The resources without a variable, and the pages for a client that shows them."""
    found = [
        {"uri": uri, **_described(resource)} for uri, resource in offered(config, catalog) if not _VARIABLE.search(uri)
    ]
    if not (shows_views(call, config) and has_views(config, catalog)):
        return found
    return found + [
        {
            "uri": _page_uri(catalog, name),
            "name": f"{name}_view",
            "title": view["title"],
            "mimeType": UI_MEDIA_TYPE,
            "_meta": _about_page(),
        }
        for name, view in catalog.views.items()
        if selection.offers(catalog, config, name)
    ]


def templates(config: ServerConfig, catalog: Catalog) -> list[dict[str, Json]]:
    """The resources with a variable."""
    return [
        {"uriTemplate": uri, **_described(resource)}
        for uri, resource in offered(config, catalog)
        if _VARIABLE.search(uri)
    ]


def page(uri: str, config: ServerConfig, catalog: Catalog) -> dict[str, Json] | None:
    """The page of that URI, None for any other URI. A client need not have declared anything to read it: some hosts
    read pages on a connection of their own."""
    name = uri.removeprefix(f"ui://{catalog.integration}/")
    known = name != uri and name in catalog.views
    if not known or not has_views(config, catalog) or not selection.offers(catalog, config, name):
        return None
    view = dict(catalog.views[name])
    for action in ACTIONS:
        if action in view and not selection.offers(catalog, config, view[action]["tool"]):
            del view[action]
    # A script element ends at the first "</script" in it, whatever stands around that.
    written = encode({"tool": name, **view}).replace(b"<", b"\\u003c")
    before, after = _page()
    return {
        "uri": uri,
        "mimeType": UI_MEDIA_TYPE,
        "text": b"".join((before, written, after)).decode(),
        "_meta": _about_page(),
    }


def find(uri: str, config: ServerConfig, catalog: Catalog) -> Found:
    """The resource of that URI. Raises RpcError."""
    resources = offered(config, catalog)
    for template, resource in resources:
        parts = _VARIABLE.split(template)
        form = "".join(re.escape(part) if index % 2 == 0 else r"([^/?#\s]+)" for index, part in enumerate(parts))
        if (match := re.fullmatch(form, uri)) is not None:
            given = {name: unquote(value) for name, value in zip(parts[1::2], match.groups(), strict=True)}
            return Found(resource, _with_values(resource.arguments, {**config.pins, **given}))
    known = f"this server has {', '.join(uri for uri, _ in resources)}" if resources else "this server has none"
    raise RpcError(INVALID_PARAMS, f"Resource not found: {shown(uri)}; {known}", {"uri": uri})


def contents(
    uri: str, resource: McpResource, outcome: Done | Failed | UnknownTool, written: str
) -> list[dict[str, Json]]:
    """What a read returns; `written` is the result as JSON. Raises RpcError where the call did not succeed."""
    match outcome:
        case UnknownTool():
            raise RpcError(INVALID_PARAMS, f"Resource not found: {outcome.message}", {"uri": uri})
        case Failed():
            of_the_caller = isinstance(outcome.failure, WrongArguments | OutsidePins) or _is_absent(outcome)
            code = INVALID_PARAMS if of_the_caller else INTERNAL_ERROR
            raise RpcError(code, f"Resource not read: {outcome.message}", {"uri": uri, **outcome.envelope()})
    whole = {"uri": uri, "mimeType": JSON_MEDIA_TYPE, "text": written}
    member = "blob" if resource.blob is not None else "text"
    expression = resource.blob or resource.text
    if expression is None:
        return [whole]
    try:
        value = expressions.search(expression, outcome.body)
    except expressions.BadExpression:
        return [whole]  # a result that the upstream gave is never lost over its form
    if not isinstance(value, str):
        return [whole]
    found = {"uri": uri, "mimeType": resource.media_type, member: value}
    if outcome.body.get("next_cursor") is None and not outcome.body.get("_postern", {}).get("truncated"):
        return [found]
    rest = f"This is not all; the tool {resource.tool} returns the rest."
    return [found, {"uri": uri, "mimeType": "text/plain", "text": rest}]


def _is_absent(outcome: Failed) -> bool:
    return isinstance(outcome.failure, UpstreamRefused) and outcome.failure.status_code in (404, 410)


def _with_values(value: Json, values: Mapping[str, str]) -> Json:
    """The arguments with the values of variables in their texts; what a value holds is never read as a variable."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda name: values.get(name[1], name[0]), value)
    if isinstance(value, Mapping):
        return {key: _with_values(member, values) for key, member in value.items()}
    return [_with_values(member, values) for member in value] if isinstance(value, list) else value


def _described(resource: McpResource) -> dict[str, Json]:
    return {
        "name": resource.tool,
        "title": resource.title,
        "description": resource.description,
        "mimeType": resource.media_type,
    }


def _page_uri(catalog: Catalog, tool: str) -> str:
    return f"ui://{catalog.integration}/{tool}"


def _about_page() -> dict[str, Json]:
    return {"ui": {"csp": CONFINED, "prefersBorder": True}}


@cache
def _page() -> tuple[bytes, bytes]:
    before, found, after = PAGE.read_bytes().partition(PLACE)
    assert found, f"{PAGE.name} has no place for a view"
    return before, after
