"""One way to page for every upstream: `limit` in, `next_cursor` out.

A cursor is `size.skip.position`: records per page, how many records of that page were given out already, and the page
number, offset or upstream cursor. Parameters that the upstream's own link carries stand behind a number: `2?after=17`.
So a page that had to be cut is continued exactly where it was cut, and a caller that changes `limit` half way neither
skips nor repeats a record: the cursor's own size holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from functions.gateway.json_text import Json, well_formed
from functions.gateway.value_classes import dataclass, replace
from tool_catalog.catalog import Tool
from tool_catalog.request_template import Pagination

POSITION_CHARS = 2_000
"""Longest cursor taken from an upstream; they are rarely over some hundred characters."""

CURSOR = re.compile(rf"([0-9]{{1,9}})\.([0-9]{{1,9}})\.(.{{0,{POSITION_CHARS}}})", re.DOTALL)
"""size.skip.position."""


class BadCursor(ValueError):
    """`next_cursor` is not one this tool gave, or an upstream's is none we can give."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a paged list a request stands.

    `at`    the page number or offset as digits, or the upstream's cursor ("" = the first page).
    `size`  records per page. `skip`: records of this page that were given out already.
    `carried`  query parameters from the upstream's link to this page.
    """

    at: str
    size: int
    skip: int = 0
    carried: tuple[tuple[str, str], ...] = ()

    def cursor(self) -> str:
        """As `next_cursor`."""
        return f"{self.size}.{self.skip}.{self.at}" + (f"?{urlencode(self.carried)}" if self.carried else "")


def start(tool: Tool, arguments: Mapping[str, Json]) -> Position | None:
    """The position a call asks for; None for a tool without pages. Raises BadCursor."""
    pagination = tool.pagination
    if pagination is None:
        return None
    cursor = arguments.get("next_cursor")
    if cursor is None:
        size = int(arguments.get("limit", pagination.default_size))  # 20.0 is an integer, too
        return Position(_FIRST[pagination.style], size)
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise BadCursor
    size, skip, at = int(match[1]), int(match[2]), match[3]
    numbered = pagination.style != "cursor"
    carried: tuple[tuple[str, str], ...] = ()
    if numbered and pagination.carry:
        at, _, query = at.partition("?")
        carried = tuple(parse_qsl(query))
        if not {name for name, _ in carried} <= set(pagination.carry):
            raise BadCursor
    if not 1 <= size <= pagination.max_size or (numbered and not (at.isascii() and at.isdigit() and len(at) < 10)):
        raise BadCursor
    return Position(at, size, skip, carried)


def following(pagination: Pagination, position: Position, more: Json, count: int) -> Position | None:
    """The position after a page that held `count` records; `more` is what `pagination.next` found in the answer, and is
    ignored where the catalogue has no such expression. None at the end. Raises BadCursor for an upstream cursor that
    cannot be handed on."""
    link = _query(more)
    linked = next((value for name, value in link if name == pagination.position.name), None)
    if pagination.style == "cursor":
        if not more:
            return None
        more = more if linked is None else linked
        if not isinstance(more, str | int) or len(str(more)) > POSITION_CHARS or well_formed(str(more)) != str(more):
            raise BadCursor
        return replace(position, at=str(more), skip=0)
    if not more if pagination.next is not None else count < position.size:
        return None
    carried = tuple((name, value) for name, value in link if name in pagination.carry and well_formed(value) == value)
    if linked is not None and linked.isascii() and linked.isdigit() and int(position.at) < int(linked) < 10**9:
        return replace(position, at=str(int(linked)), skip=0, carried=carried)
    step = 1 if pagination.style == "page" else position.size
    return replace(position, at=str(int(position.at) + step), skip=0, carried=carried)


def _query(more: Json) -> list[tuple[str, str]]:
    """The parameters in the query of a link to the next page; none for anything else. Where an upstream holds smaller
    pages than it was asked for, only its own link says where the next one begins. Nothing else of the link is used."""
    if (
        not isinstance(more, str)
        or not more.startswith(("http://", "https://", "/", "?"))
        or len(more) > POSITION_CHARS
    ):
        return []
    try:
        return parse_qsl(urlsplit(more).query)
    except ValueError:
        return []


_FIRST = {"page": "1", "offset": "0", "cursor": ""}
