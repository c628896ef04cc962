"""A tool and its arguments become one upstream request. Pure: no clock, no network, no credential.

The scheme and host are the account's base URL and nothing else: a path value is percent-encoded whole, and one that
could still move the path, for an upstream or a proxy that decodes first ("", ".", "..", "a/../b"), is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from functions.gateway import bodies
from functions.gateway.errors import WrongArguments
from functions.gateway.expressions import BadExpression, search
from functions.gateway.json_text import Json
from functions.gateway.paging import Position
from functions.gateway.parameter_styles import parts, pieces, spreads
from functions.gateway.value_classes import dataclass, field
from functions.gateway.wording import shown
from tool_catalog.catalog import Tool
from tool_catalog.request_template import ANY_KIND, JSON_MEDIA_TYPE, Pagination, Parameter

MAX_URL_CHARS = 65_000
"""Longest URL that is sent. Most servers refuse far shorter ones, in words of their own."""

READS = ("GET", "HEAD", "OPTIONS", "QUERY")
"""Verbs that change nothing upstream."""

UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header value may hold (RFC 9110, 5.5): a line break in it would start another header. The class names what is
refused, because one that names what is allowed takes 4 ms of each start to compile."""


NOT_IN_A_COOKIE = re.compile(r'[^\x21-\x7e]|[",;\\]')
"""What no value of a cookie may hold (RFC 6265, 4.1.1)."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One HTTP request. `origin` is scheme and authority; `path` and `query` are encoded; `body` is bytes.
    `safe` is True where nothing changes upstream whatever the verb says, e.g. for a search by POST. `account_id` names
    the account whose share of connections the request uses.

    Query and headers stay out of the repr, for a credential may be among them.
    """

    verb: str
    origin: str
    path: str
    query: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    safe: bool = False
    account_id: str = ""

    def with_headers(self, headers: tuple[tuple[str, str], ...]) -> UpstreamRequest:
        """The request with these headers in place of its own."""
        return UpstreamRequest(
            self.verb, self.origin, self.path, self.query, headers, self.body, self.safe, self.account_id
        )

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
        return (self.path or "/") + (f"?{self.query}" if self.query else "")


def build(
    tool: Tool,
    arguments: Mapping[str, Json],
    base_url: str,
    context: Mapping[str, str],
    position: Position | None = None,
    *,
    account_id: str = "",
) -> UpstreamRequest:
    """The request of one call. `context` is the account's; `position` is given for paged tools.

    Raises WrongArguments for a path or header value that cannot be sent, and for a path value that neither the
    arguments nor the account's context give.
    """
    base = urlsplit(base_url)
    path = tool.request.path
    query: list[str] = []
    headers: list[tuple[str, str]] = []
    cookies: list[str] = []
    body: list[tuple[Parameter, Json]] = []
    problems: list[str] = []
    values = [(parameter, _value(parameter, arguments, context)) for parameter in tool.request.parameters]
    if position is not None and tool.pagination is not None:
        values += _paging(tool.pagination, position)
    taken = {
        (parameter.location, bodies.outermost(parameter))
        for parameter, value in values
        if not (isinstance(value, dict) and spreads(parameter))
    }
    for parameter, value in values:
        if isinstance(value, dict) and spreads(parameter):
            problems += [
                f'"{parameter.argument}" has a member {shown(name)}, which the tool sends itself; leave it out there'
                for name in value
                if (parameter.location, name.partition("[")[0]) in taken  # many read a[] and a[b] as values of a
            ]
        if parameter.location == "path":
            problem = _path_problem(parameter, value)
            if problem:
                problems.append(problem)
            else:
                [written] = pieces(parameter, value)
                path = path.replace(f"{{{parameter.name}}}", written)
        elif parameter.location == "body":
            if value is not None or parameter.argument in arguments:
                body.append((parameter, value))
        elif value is None:
            pass  # neither a query nor a header has a null
        elif parameter.location == "query":
            query += pieces(parameter, value)
        elif parameter.location == "header":
            [written] = pieces(parameter, value)
            if UNSENDABLE.search(written):
                problems.append(f'"{parameter.argument}" holds a line break or another control character; leave it out')
            headers.append((parameter.name, written.strip(" \t")))
        elif parameter.location == "cookie":
            cookies += pieces(parameter, value)
            if parameter.style == "cookie" and any(NOT_IN_A_COOKIE.search(part) for part in parts(value)):
                problems.append(f'"{parameter.argument}" holds a character that no cookie can hold; leave it out')
    problems += bodies.problems(tool.request.media_type, body)
    if cookies:
        headers.append(("Cookie", "; ".join(cookies)))
    if tool.request.accept not in (JSON_MEDIA_TYPE, ANY_KIND):
        headers.append(("Accept", tool.request.accept))
    content = None
    if not problems and (body or tool.request.body_required):
        content_type, content = bodies.encoded(tool.request.media_type, body)
        headers.append(("Content-Type", content_type))
    request = UpstreamRequest(
        verb=tool.request.verb,
        origin=f"{base.scheme}://{base.netloc.rpartition('@')[2]}",
        path=base.path.rstrip("/") + path,
        query="&".join(query),
        headers=tuple(headers),
        body=content,
        safe=tool.access == "read",
        account_id=account_id,
    )
    if not problems and len(request.url) > MAX_URL_CHARS:
        problems.append(
            f"these arguments go into the URL and make it {len(request.url)} characters long; at most {MAX_URL_CHARS} "
            "are sent"
        )
    if problems:
        raise WrongArguments(problems)
    return request


def _value(parameter: Parameter, arguments: Mapping[str, Json], context: Mapping[str, str]) -> Json:
    if parameter.argument is not None and parameter.argument in arguments:
        given = arguments[parameter.argument]
        return given if parameter.map is None else _mapped(parameter, given)
    if parameter.context is not None and parameter.context in context:
        return context[parameter.context]
    return parameter.value


def _mapped(parameter: Parameter, given: Json) -> Json:
    """What the catalogue's expression makes of an argument, e.g. messages of texts."""
    assert parameter.map is not None
    try:
        return search(parameter.map, given)
    except BadExpression as error:
        raise WrongArguments([f'"{parameter.argument}" cannot be sent: {error}']) from error


def _paging(pagination: Pagination, position: Position) -> list[tuple[Parameter, Json]]:
    values: list[tuple[Parameter, Json]] = []
    if pagination.style == "cursor":
        if position.at:
            values.append((pagination.position, position.at))
    else:
        values.append((pagination.position, int(position.at)))
    if pagination.size is not None:
        values.append((pagination.size, position.size))
    return values + [(Parameter("query", name), value) for name, value in position.carried]


def _path_problem(parameter: Parameter, value: Json) -> str | None:
    """Why a value cannot be a part of the path; None where it can."""
    if value is None:
        where = f'"{parameter.argument}" is missing' if parameter.argument else f"{parameter.name} is not known"
        if parameter.context:
            return f"{where}, and this account has no {parameter.context}; give it as an argument"
        return f"{where}; it is part of the path"
    found = parts(value)
    if not found or not all(map(_names_one_thing, found)):
        return (
            f'"{parameter.argument or parameter.name}" is {shown(value)}; it is part of a '
            'path and must name one thing: not empty, no control characters, no "." or ".." between slashes'
        )
    return None


def _names_one_thing(part: str) -> bool:
    return part != "" and part.isprintable() and not {".", ".."} & set(re.split(r"[/\\]", part))
