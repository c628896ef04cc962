"""tools/list: what a client gets, page by page, and how long it may keep it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.gateway.grants import Grant, ServerConfig, digest
from functions.gateway.json_text import Json
from functions.gateway.portable_schema import portable
from functions.mcp_endpoint.admission import Presented, admit
from functions.mcp_endpoint.listings import Listings
from functions.mcp_endpoint.methods import Methods
from functions.stores import layout
from functions.stores.store import Put
from tests.gateway.calling import grant
from tests.mcp_endpoint.endpoint import Bench, Request, legacy, modern, post
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_file import COMPILED, load, read

SEARCH = "mem_0_memories_search"
DELETE = "delete_a_mem_0_memory_by_id"
MEMORY = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"


def _call(name: str, **arguments: Json) -> Request:
    return modern("tools/call", {"name": name, "arguments": arguments})


def _names(answer: Json) -> list[str]:
    return [tool["name"] for tool in answer["result"]["tools"]]


def test_a_listing_is_the_catalogue_s_own_definitions(bench: Bench) -> None:
    answer = post(bench.endpoint(), bench.mint(), legacy("tools/list")).json
    shown = [tool.listed for tool in load("mem0").tools.values() if not tool.needs_pin]
    assert answer["result"] == {"tools": shown}
    assert all(portable(tool["inputSchema"]) == tool["inputSchema"] for tool in answer["result"]["tools"])


def test_a_modern_listing_may_be_kept_for_a_minute_by_its_reader_alone(bench: Bench) -> None:
    """2026-07-28 caching: ttlMs and cacheScope; listings differ from token to token, so never public."""
    result = post(bench.endpoint(), bench.mint(), modern("tools/list")).json["result"]
    assert (result["ttlMs"], result["cacheScope"], result["resultType"]) == (60_000, "private", "complete")


@pytest.mark.parametrize(("lives", "ttl_ms"), [(None, 60_000), (timedelta(seconds=5), 5_000)])
@pytest.mark.parametrize("method", ["tools/list", "server/discover"])
def test_nothing_may_be_kept_beyond_the_expiry(bench: Bench, method: str, lives: timedelta | None, ttl_ms: int) -> None:
    result = post(bench.endpoint(), bench.mint(lives=lives), modern(method)).json["result"]
    assert result["ttlMs"] == ttl_ms


def test_only_the_tools_of_the_filter_are_listed_and_others_do_not_exist(bench: Bench) -> None:
    token = bench.mint(methods=("read",), tags=("memories",))
    endpoint = bench.endpoint()
    names = _names(post(endpoint, token, legacy("tools/list")).json)
    assert SEARCH in names
    assert DELETE not in names
    hidden = post(endpoint, token, _call(DELETE, id=MEMORY))
    assert (hidden.status, hidden.code) == (400, -32602)
    assert hidden.json["error"]["message"].startswith(f'Unknown tool: no tool "{DELETE}" on this server')
    assert post(endpoint, token, legacy("tools/call", {"name": DELETE})).status == 200


def test_a_pinned_server_lists_tools_as_it_takes_them(bench: Bench) -> None:
    token = bench.mint(pins={"user_id": "usr_1"})
    listed = post(bench.endpoint(), token, legacy("tools/list")).json["result"]["tools"]
    [create] = [tool for tool in listed if tool["name"] == "create_a_mem_0_memory"]
    assert "user_id" not in create["inputSchema"]["properties"]


def test_a_changed_server_lists_anew_and_a_rotated_one_does_not_take_over_an_old_listing(bench: Bench) -> None:
    endpoint = bench.endpoint()
    token = bench.mint(methods=("delete",))
    assert _names(post(endpoint, token, legacy("tools/list")).json)[0] == DELETE
    item = bench.store.get([layout.token(digest(token))])[0]
    assert item is not None
    changed = {**item.body, "config": {**item.body["config"], "methods": ["get"]}}
    bench.store.write([Put(item.key, changed)])
    assert DELETE not in _names(post(endpoint, token, legacy("tools/list")).json)
    rotated = bench.mint(methods=("get",))
    assert DELETE not in _names(post(endpoint, rotated, legacy("tools/list")).json)


def test_a_long_listing_comes_in_pages(bench: Bench) -> None:
    """2026-07-28 pagination: opaque cursors, an invalid one is -32602."""
    endpoint = bench.endpoint(Methods(bench.settings, bench.sender, page_bytes=20_000))
    token = bench.mint()
    whole = _names(post(bench.endpoint(), token, legacy("tools/list")).json)
    paged: list[str] = []
    cursor: str | None = None
    for _ in range(len(whole)):
        params = {} if cursor is None else {"cursor": cursor}
        answer = post(endpoint, token, modern("tools/list", params))
        assert len(answer.body) < 30_000
        paged += _names(answer.json)
        cursor = answer.json["result"].get("nextCursor")
        if cursor is None:
            break
    assert paged == whole
    first = post(endpoint, token, modern("tools/list")).body
    for absent in ("", None):
        assert post(endpoint, token, modern("tools/list", {"cursor": absent})).body == first
    for wrong in ("zzz", "1-0", "2-1", "1-999"):
        refused = post(endpoint, token, modern("tools/list", {"cursor": wrong}))
        assert (refused.status, refused.code) == (400, -32602)
        assert refused.json["error"]["message"] == (
            "Invalid params: this cursor is not valid; list again without a cursor"
        )


@pytest.mark.parametrize("page_bytes", [1, 1_500, 5_000, 10**6])
def test_a_listing_of_all_tools_as_they_are_makes_no_tool(page_bytes: int) -> None:
    """The pages hold what a server of the same tools lists that looks at each of them."""
    content = (COMPILED / "mem0_oss.json").read_bytes()
    for views in (False, True):
        catalog = replace(read(content, "mem0_oss"), views={})
        pages = _pages(Listings(page_bytes), catalog, views)
        assert "list_all_mem_0_oss_memories" in "".join(pages)
        assert vars(catalog.tools)["_made"] == {}
        one_by_one = replace(catalog, tools=dict(catalog.tools))
        listed = [tool for page in pages for tool in json.loads(page)]
        assert listed == [tool for page in _pages(Listings(page_bytes), one_by_one, views) for tool in json.loads(page)]
        longest = max(len(tool.wire or b"") for tool in catalog.tools.values())
        assert all(len(page) <= max(page_bytes, longest) + len("[]") for page in pages)


def _pages(listings: Listings, catalog: Catalog, views: bool) -> list[str]:
    pages: list[str] = []
    cursor = ""
    while not pages or cursor:
        page = listings.page(grant(), catalog, "digest", cursor, views)
        pages.append(page.tools)
        cursor = page.next_cursor
    return pages


def test_no_more_listings_are_kept_than_told(bench: Bench) -> None:
    listings = Listings(kept=3)
    catalog = load("mem0")
    for number in range(10):
        listings.page(_server(bench, f"srv_{number}"), catalog, f"digest-{number}", None)
    assert len(listings._pages) == 3


def test_no_more_bytes_of_listings_are_kept_than_told_and_always_the_newest() -> None:
    catalog = load("mem0")
    one = len(Listings().page(grant(), catalog, "digest", None).tools)
    for bytes_kept, number in ((1, 1), (one, 1), (3 * one, 3), (10 * one, 10)):
        listings = Listings(kept_bytes=bytes_kept)
        for count in range(20):
            listings.page(grant(), catalog, f"digest-{count}", None)
        assert [digest for digest, *_ in listings._pages] == [f"digest-{count}" for count in range(20 - number, 20)]


def test_servers_that_list_all_tools_as_they_are_share_one_listing() -> None:
    listings, catalog = Listings(), load("mem0_oss")
    pages = {id(listings.page(grant(), catalog, f"digest-{count}", None).tools) for count in range(20)}
    assert len(pages) == 1
    narrowed = listings.page(grant(config=ServerConfig(methods=("get",))), catalog, "digest", None).tools
    assert id(narrowed) not in pages
    assert len(json.loads(narrowed)) < len(catalog.tools)
    assert listings._bytes() == sum(map(len, (narrowed, listings.page(grant(), catalog, "digest-0", None).tools)))


def _server(bench: Bench, id: str) -> Grant:
    token = bench.mint(id=id, methods=("get",))
    return admit(Presented(token, ""), bench.store, bench.clock.now).grant
