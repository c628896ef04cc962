"""The tools that a server lists, as JSON that is made once and split into pages."""

from __future__ import annotations

from collections.abc import Iterable

from functions.gateway import offered_texts, prepared, selection
from functions.gateway.errors import INVALID_PARAMS
from functions.gateway.grants import Grant
from functions.gateway.json_text import decode, encode
from functions.gateway.value_classes import dataclass
from functions.mcp_endpoint import resources
from functions.mcp_endpoint.protocol import RpcError
from tool_catalog.catalog import Catalog, StoredTools, Tool

PAGE_BYTES = 4_000_000
"""Bytes of a page: an answer of a Lambda has at most 6 MB, and its event format escapes every quote. A page is not made
smaller than that, because Claude Code, Codex and other hosts show the tools of the first page only."""

EDITION_CHARS = 8
"""Characters of a catalogue's digest in a cursor, by which a cursor of the catalogue before is refused."""

RUN_BYTES = 65_536
"""Bytes of definitions that are read at once. What is this small comes from memory that was in use before, and a page
of 3 MB that is read at once takes 4 ms more."""

LISTINGS_KEPT = 128
"""Listings kept per process, some 100 kB each; the oldest goes first."""

KEPT_BYTES = 32_000_000
"""Bytes of all listings kept, where a character takes one. A listing of 3,000 tools has 3 MB."""

_Listed = tuple[str, int, str, bool]
"""Digest of the token, revision of the server, digest of the catalogue, and whether with views. Every server that lists
all tools as they are has the same listing, which is also kept without a token and a revision."""

WRONG_CURSOR = "Invalid params: this cursor is not valid; list again without a cursor"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: an array as JSON; `next_cursor` is "" on the last one."""

    tools: str
    next_cursor: str


class Listings:
    """The content of `tools` for every server seen, frozen as JSON and split into pages."""

    def __init__(self, page_bytes: int = PAGE_BYTES, kept: int = LISTINGS_KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self._page_bytes = page_bytes
        self._kept = kept
        self._kept_bytes = kept_bytes
        self._pages: dict[_Listed, tuple[str, ...]] = {}

    def page(self, grant: Grant, catalog: Catalog, token_digest: str, cursor: str | None, views: bool = False) -> Page:
        """One page, the first where `cursor` is None or "". `views`: each tool names its page, if it has one. Raises
        RpcError for a cursor that was not issued here."""
        key = (token_digest, grant.revision, catalog.source_sha256, views)
        pages = self._pages.get(key)
        if pages is None:
            pages = self._made(grant, catalog, views)
            self._keep(key, pages)
        # A cursor is for one page of one revision and one catalogue: a changed server has other cursors.
        edition = f"{grant.revision}-{catalog.source_sha256[:EDITION_CHARS]}{'-views' if views else ''}"
        cursors = ["", *(f"{edition}-{number}" for number in range(1, len(pages))), ""]
        if (cursor or "") not in cursors:
            raise RpcError(INVALID_PARAMS, WRONG_CURSOR)
        number = cursors.index(cursor or "")
        return Page(pages[number], cursors[number + 1])

    def _made(self, grant: Grant, catalog: Catalog, views: bool) -> tuple[str, ...]:
        whole = _as_compiled(grant, catalog, views)
        if whole is None:
            return self._split(wires(grant, catalog, views))
        everybody = ("", 0, catalog.source_sha256, views)
        pages = self._pages.get(everybody)
        if pages is None:
            pages = self._split(whole.runs(min(RUN_BYTES, self._page_bytes)))
            self._keep(everybody, pages)
        return pages

    def _keep(self, key: _Listed, pages: tuple[str, ...]) -> None:
        self._pages[key] = pages
        while len(self._pages) > 1 and (len(self._pages) > self._kept or self._bytes() > self._kept_bytes):
            del self._pages[next(iter(self._pages))]

    def _bytes(self) -> int:
        distinct = {id(pages): pages for pages in self._pages.values()}
        return sum(len(page) for pages in distinct.values() for page in pages)

    def _split(self, found: Iterable[bytes]) -> tuple[str, ...]:
        pages: list[list[str]] = [[]]
        size = 0
        for wire in found:
            if pages[-1] and size + len(wire) > self._page_bytes:
                pages.append([])
                size = 0
            pages[-1] += (",", wire.decode())
            size += len(wire) + 1
        joined = tuple("".join(("[", *page[1:], "]")) for page in pages)
        _keep_blocks(max(map(len, joined)))
        return joined


def _keep_blocks(size: int) -> None:
    """Let the answers that hold a page of this size be made in memory that is kept from one to the next.

    glibc takes a block from the system, zeroes it and gives it back, unless a block as large has been freed before. No
    page of this one is ever touched. A warm listing of 3 MB takes 0.7 ms with it, and 2.1 ms without.
    """
    bytes(2 * size)


def _as_compiled(grant: Grant, catalog: Catalog, views: bool) -> StoredTools | None:
    """The tools of a server that lists all of them as they stand in the compiled file; None for any other server."""
    config, tools = grant.config, catalog.tools
    changed = config.profile == "discovery" or (views and catalog.views) or not prepared.is_unchanged(config)
    if changed or not selection.shows_all(catalog, config) or not isinstance(tools, StoredTools):
        return None
    return tools


def wires(grant: Grant, catalog: Catalog, views: bool = False) -> Iterable[bytes]:
    """The definitions that this server lists, as JSON."""
    tools = selection.visible(catalog, grant.config)
    if grant.config.profile != "discovery":
        hidden = offered_texts.hidden(catalog.tools, (tool.name for tool in tools))
        wires = ((tool, _true(tool, prepared.wire(tool, grant.config), hidden)) for tool in tools)
        return (resources.with_view(tool, wire, catalog) if views else wire for tool, wire in wires)
    from functions.gateway import discovery  # other servers need none of it

    return map(encode, discovery.listed(tools))


def _true(tool: Tool, wire: bytes, hidden: frozenset[str]) -> bytes:
    """The definition without what it says of tools that the server does not offer."""
    if tool.mentions is not None and hidden.isdisjoint(tool.mentions):
        return wire
    return encode(offered_texts.definition(decode(wire), hidden))
