"""A tool and its arguments become one upstream request. Pure: no clock, no network, no credential.

The scheme and host are the account's base URL and nothing else: a path value is percent-encoded whole, and one that
could still move the path, for an upstream or a proxy that decodes first ("", ".", "..", "a/../b"), is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode, urlsplit

from functions.gateway import json_text
from functions.gateway.errors import WrongArguments
from functions.gateway.json_text import Json
from functions.gateway.paging import Position
from functions.gateway.wording import shown
from tool_catalog.catalog import Parameter, Tool

"""Characters of an offending value that a message repeats."""

MAX_URL_CHARS = 65_000
"""Longest URL that is sent. Most servers refuse far shorter ones, in words of their own."""

READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Verbs that change nothing upstream."""

UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\U0010ffff]")
"""What no header value may hold (RFC 9110, 5.5): a line break in it would start another header."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One HTTP request. `origin` is scheme and authority; `path` is encoded; `query` is decoded pairs; `body` is bytes.
    `safe` is True where nothing changes upstream whatever the verb says, as for a search by POST.

    Query and headers stay out of the repr, for a credential may be among them.
    """

    verb: str
    origin: str
    path: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    safe: bool = False

    @property
    def changes_nothing(self) -> bool:
        """True where the upstream is as before even if the answer is lost."""
        return self.safe or self.verb in READS

    @property
    def url(self) -> str:
        """The whole URL; may hold a credential in its query, so never log it."""
        return self.origin + self.target

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line."""
        return (self.path or "/") + (f"?{urlencode(self.query)}" if self.query else "")


def build(
    tool: Tool,
    arguments: Mapping[str, Json],
    base_url: str,
    context: Mapping[str, str],
    position: Position | None = None,
) -> UpstreamRequest:
    """The request of one call. `context` is the account's; `position` is given for paged tools.

    Raises WrongArguments for a path or header value that cannot be sent, and for a path value that neither the
    arguments nor the account's context give.
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
        elif parameter.location == "body":
            if value is not None or parameter.argument in arguments:
                body = _put(body, parameter.name, value)
        elif value is None:
            continue  # a query or a header has no null
        elif parameter.location == "query":
            query += _query(parameter, value)
        elif parameter.location == "header":
            if UNSENDABLE.search(_text(value)):
                problems.append(f'"{parameter.argument}" holds a line break or another control character; leave it out')
            headers.append((parameter.name, _text(value).strip(" \t")))
    request = UpstreamRequest(
        verb=tool.request.verb,
        origin=f"{base.scheme}://{base.netloc.rpartition('@')[2]}",
        path=base.path.rstrip("/") + path,
        query=tuple(query),
        headers=tuple(headers),
        safe=tool.access == "read",
    )
    if not problems and len(request.url) > MAX_URL_CHARS:
        problems.append(
            f"these arguments go into the URL and make it {len(request.url)} characters long; at most {MAX_URL_CHARS} "
            "are sent"
        )
    if problems:
        raise WrongArguments(problems)
    if body is None:
        return request
    if tool.request.body_format == "form":
        media_type, content = "application/x-www-form-urlencoded", urlencode(_form(body)).encode()
    else:
        media_type = "application/json"
        content = json_text.encode(body)
    return replace(request, headers=(*headers, ("Content-Type", media_type)), body=content)


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
    text = _text(value)
    if not text or not text.isprintable() or {".", ".."} & set(re.split(r"[/\\]", text)):
        return (
            f'"{parameter.argument or parameter.name}" is {shown(text)}; it is part of a '
            'path and must name one thing: not empty, no control characters, no "." or ".." between slashes'
        )
    return ""


def _query(parameter: Parameter, value: Json) -> list[tuple[str, str]]:
    """The value in its style; one that is not of the style's shape (a schema may allow several) is sent plain."""
    name = parameter.name
    match parameter.style:
        case "json":
            return [(name, json_text.text(value))]
        case "spread" if isinstance(value, Mapping):
            return [(key, _text(entry)) for key, entry in value.items() if entry is not None]
        case "deep" if isinstance(value, Mapping):
            return [(f"{name}[{key}]", _text(entry)) for key, entry in value.items() if entry is not None]
        case "comma" if isinstance(value, list):
            return [(name, ",".join(_text(entry) for entry in value))]
        case "repeat" if isinstance(value, list):
            return [(name, _text(entry)) for entry in value]
        case "brackets" if isinstance(value, list):
            return [(f"{name}[]", _text(entry)) for entry in value]
        case _:
            return [(name, _text(value))]


def _form(body: Mapping[str, Json]) -> list[tuple[str, str]]:
    """The pairs of a form: a list repeats its name, null is left out, an object is written as JSON."""
    pairs: list[tuple[str, str]] = []
    for name, value in body.items():
        pairs += [
            (name, _text(entry)) for entry in (value if isinstance(value, list) else [value]) if entry is not None
        ]
    return pairs


def _put(body: Json, name: str, value: Json) -> Json:
    """The body with the value in it; "" is the whole body, "/a/b" a path of keys."""
    if name == "":
        return dict(value) if isinstance(value, Mapping) else value
    root: dict[str, Json] = body if isinstance(body, dict) else {}
    *parents, last = name[1:].split("/") if name.startswith("/") else [name]
    target = root
    for key in parents:
        target = target.setdefault(key, {})
    target[last] = value
    return root


def _text(value: Json) -> str:
    """A scalar as an upstream reads it in a URL or a header, whole numbers without a point; anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json_text.text(value)
