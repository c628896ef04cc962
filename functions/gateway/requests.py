"""A tool and its arguments become one upstream request. Pure: no clock, no network, no credential.

The scheme and host are the account's base URL and nothing else: a path value is percent-encoded whole, and one that
would still move the path ("", ".", "..") is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from functions.gateway.errors import WrongArguments
from functions.gateway.paging import Position
from tool_catalog.catalog import Parameter, Tool

Json = Any


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One HTTP request. `origin` is scheme and authority; `path` is encoded; `query` is decoded pairs; `body` is bytes.

    Query and headers stay out of the repr, for a credential may be among them.
    """

    verb: str
    origin: str
    path: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The whole URL; may hold a credential in its query, so never log it."""
        return self.origin + self.path + (f"?{urlencode(self.query)}" if self.query else "")


def build(
    tool: Tool,
    arguments: Mapping[str, Json],
    base_url: str,
    context: Mapping[str, str],
    position: Position | None = None,
) -> UpstreamRequest:
    """The request of one call. `context` is the account's; `position` is given for paged tools.

    Raises WrongArguments for a path value that cannot be sent and for one that neither the arguments nor the account's
    context give.
    """
    base = urlsplit(base_url)
    path = tool.request.path
    query: list[tuple[str, str]] = []
    headers: list[tuple[str, str]] = []
    body: Json = None
    problems: list[str] = []
    values = [(parameter, _value(parameter, arguments, context)) for parameter in tool.request.parameters]
    if position is not None:
        values += _paging(tool, position)
    for parameter, value in values:
        if parameter.location == "path":
            problem = _path_problem(parameter, value)
            if problem:
                problems.append(problem)
            else:
                path = path.replace(f"{{{parameter.name}}}", quote(_text(value), safe=""))
        elif value is None and parameter.argument not in arguments:
            continue
        elif parameter.location == "query":
            query += _query(parameter, value)
        elif parameter.location == "header":
            headers.append((parameter.name, _text(value)))
        elif parameter.location == "body":
            body = _put(body, parameter.name, value)
    if problems:
        raise WrongArguments(tool.name, problems)
    content = None
    if body is not None:
        if tool.request.body_format == "form":
            content = urlencode(body, doseq=True).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        else:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            headers.append(("Content-Type", "application/json"))
    return UpstreamRequest(
        verb=tool.request.verb,
        origin=f"{base.scheme}://{base.netloc}",
        path=base.path.rstrip("/") + path,
        query=tuple(query),
        headers=tuple(headers),
        body=content,
    )


def _value(parameter: Parameter, arguments: Mapping[str, Json], context: Mapping[str, str]) -> Json:
    if parameter.argument is not None and parameter.argument in arguments:
        return arguments[parameter.argument]
    if parameter.context is not None and parameter.context in context:
        return context[parameter.context]
    return parameter.value


def _paging(tool: Tool, position: Position) -> list[tuple[Parameter, Json]]:
    pagination = tool.pagination
    assert pagination is not None
    values: list[tuple[Parameter, Json]] = []
    if pagination.style == "cursor":
        if position.at:
            values.append((pagination.position, position.at))
    else:
        values.append((pagination.position, int(position.at)))
    if pagination.size is not None:
        values.append((pagination.size, position.size))
    return values


def _path_problem(parameter: Parameter, value: Json) -> str:
    if value is None:
        where = f'"{parameter.argument}" is missing' if parameter.argument else f"{parameter.name} is not known"
        if parameter.context:
            return f"{where}, and this account has no {parameter.context}; give it as an argument"
        return f"{where}; it is part of the path"
    if _text(value) in ("", ".", ".."):
        return f'"{parameter.argument}" is {json.dumps(value)}; it is part of a path and must name one thing'
    return ""


def _query(parameter: Parameter, value: Json) -> list[tuple[str, str]]:
    name = parameter.name
    match parameter.style:
        case "spread":
            return [(key, _text(entry)) for key, entry in value.items()]
        case "json":
            return [(name, json.dumps(value, ensure_ascii=False, separators=(",", ":")))]
        case "deep":
            return [(f"{name}[{key}]", _text(entry)) for key, entry in value.items()]
        case "comma":
            return [(name, ",".join(_text(entry) for entry in value))]
        case "repeat":
            return [(name, _text(entry)) for entry in value]
        case "brackets":
            return [(f"{name}[]", _text(entry)) for entry in value]
        case "plain":
            return [(name, _text(value))]


def _put(body: Json, name: str, value: Json) -> Json:
    """The body with the value in it; "" is the whole body, "/a/b" a path of keys."""
    if name == "":
        return value
    root: dict[str, Json] = body if isinstance(body, dict) else {}
    *parents, last = name[1:].split("/") if name.startswith("/") else [name]
    target = root
    for key in parents:
        target = target.setdefault(key, {})
    target[last] = value
    return root


def _text(value: Json) -> str:
    """A scalar as an upstream reads it in a URL or a header; anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
