"""One way to page for every upstream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from functions.gateway import paging, requests
from functions.gateway.json_text import Json
from functions.gateway.paging import Position
from tests.gateway.calling import tool
from tool_catalog.request_template import Pagination, Parameter


def pagination(style: str, following: str | None = None) -> Pagination:
    return Pagination(style, Parameter("query", "p"), Parameter("query", "s"), 20, 100, next=following)  # type: ignore[arg-type]


def started(style: str = "page", **arguments: Json) -> Position | None:
    return paging.start(tool(pagination=pagination(style)), arguments)


def test_a_first_call_starts_at_the_first_page_with_the_size_asked_for() -> None:
    assert started() == Position("1", 20)
    assert started("offset", limit=50) == Position("0", 50)
    assert started("cursor", limit=50.0) == Position("", 50)
    assert paging.start(tool(), {"limit": 5}) is None


@pytest.mark.parametrize("position", [Position("3", 20), Position("40", 100, 7), Position("0", 1, 999_999_999)])
def test_a_cursor_given_out_is_read_back(position: Position) -> None:
    assert started("offset", next_cursor=position.cursor(), limit=3) == position


def test_an_upstream_cursor_may_hold_any_text() -> None:
    for at in ("a.b.c", "1.2.3", "é\n\t", "x" * 2_000, "=="):
        assert started("cursor", next_cursor=Position(at, 5, 2).cursor()) == Position(at, 5, 2)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "20.0", "0.0.1", "101.0.1", "20.0.x", "20.0.-1", "20.0.1.5", "20.0.²", "20.0." + "1" * 10, "20.x.1"],
)
def test_a_cursor_that_was_never_given_is_refused(cursor: str) -> None:
    with pytest.raises(paging.BadCursor):
        started("page", next_cursor=cursor)


@pytest.mark.parametrize(
    ("style", "following", "more", "count", "at"),
    [
        ("page", "next", "https://x/?page=4", 20, "4"),
        ("page", "next", True, 0, "4"),
        ("page", "next", None, 20, None),
        ("page", None, None, 20, "4"),
        ("page", None, None, 19, None),
        ("page", None, None, 0, None),
        ("offset", "next", True, 20, "23"),
        ("offset", None, None, 20, "23"),
        ("offset", None, None, 3, None),
        ("cursor", "next", "abc", 20, "abc"),
        ("cursor", "next", 77, 20, "77"),
        ("cursor", "next", "", 20, None),
        ("cursor", "next", None, 20, None),
    ],
)
def test_the_end_is_where_the_upstream_says_or_where_a_page_is_not_full(
    style: str, following: str | None, more: Json, count: int, at: str | None
) -> None:
    found = paging.following(pagination(style, following), Position("3", 20, 5), more, count)
    assert found == (None if at is None else Position(at, 20, 0))


@pytest.mark.parametrize(
    ("style", "link", "at"),
    [
        ("page", "https://api.example.com/things?at=3&size=50", "3"),
        ("page", "https://api.example.com/things?at=1", "2"),  # a link backwards is not followed
        ("page", "https://api.example.com/things?other=9", "2"),
        ("page", "https://[broken", "2"),
        ("offset", "/things?at=7", "7"),  # the upstream gave smaller pages than it was asked for
        ("cursor", "?at=abc%3D&size=5", "abc="),
        ("cursor", "abc", "abc"),
    ],
)
def test_the_place_of_the_next_page_is_taken_from_the_upstreams_own_link(style: str, link: str, at: str) -> None:
    paged = pagination(style, "next")
    paged = replace(paged, position=Parameter("query", "at"))
    first = Position("", 20) if style == "cursor" else Position("1", 20)
    assert paging.following(paged, first, link, 20) == Position(at, 20)


CARRYING = Pagination("page", Parameter("query", "p"), None, 20, 100, next="next", carry=("after", "at"))


@pytest.mark.parametrize(
    ("link", "carried"),
    [
        ("https://x/l?p=2&after=17.3&at=a%20b%26c&other=1#after=9", (("after", "17.3"), ("at", "a b&c"))),
        ("/l?after=%C3%A9.%3F", (("after", "é.?"),)),
        ("https://x/l?p=2", ()),
        ("https://after=1/", ()),
        (True, ()),
        ("https://x/?after=" + "1" * 2_000, ()),
    ],
)
def test_parameters_of_the_upstreams_link_are_carried_to_the_next_page(link: Json, carried: Any) -> None:
    following = paging.following(CARRYING, Position("1", 20, 3), link, 20)
    assert following == Position("2", 20, 0, carried)
    read = paging.start(tool(pagination=CARRYING), {"next_cursor": following.cursor()})
    assert read == following
    request = requests.build(tool(pagination=CARRYING), {}, "https://x", {}, following)
    assert dict(parse_qsl(request.query)) == {"p": "2", **dict(carried)}


@pytest.mark.parametrize("cursor", ["20.0.2?other=1", "20.0.?after=1", "20.0.2?after=1&p=9", "20.0.x?after=1"])
def test_a_cursor_carries_nothing_else(cursor: str) -> None:
    with pytest.raises(paging.BadCursor):
        paging.start(tool(pagination=CARRYING), {"next_cursor": cursor})
    with pytest.raises(paging.BadCursor):
        started(next_cursor="20.0.2?after=1")
