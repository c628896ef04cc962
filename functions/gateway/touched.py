"""What a call would touch, before it is made: a number, and what the one object looks like, as far as a record says how
to find out. A record counts the arguments, or reads at the upstream; a read that fails leaves the number unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from functions.gateway import answers, paging
from functions.gateway.errors import ToolFailure
from functions.gateway.expressions import BadExpression, search
from functions.gateway.json_text import Json, text
from functions.gateway.paging import BadCursor, Position
from functions.gateway.value_classes import dataclass
from tool_catalog.catalog import Catalog, Tool

SHOWN_BYTES = 2_000
"""Bytes of JSON of an object that are shown with a refusal: enough to recognise it."""


@dataclass(frozen=True, slots=True)
class Touched:
    """`words`  e.g. "12 memories", "" where the number is not known. `shown`: the object, where there is one."""

    words: str = ""
    shown: Json = None


class Reads(Protocol):
    """The upstream, as far as a call may read before it."""

    async def read_before(self, reader: Tool, given: Mapping[str, Json], position: Position | None = None) -> Json: ...


async def find(upstream: Reads, catalog: Catalog, tool: Tool, given: Mapping[str, Json], base_url: str) -> Touched:
    """What the call would touch. Never raises for an upstream that does not say it."""
    rules = tool.touches
    if rules is None:
        return Touched()
    try:
        if rules.read is None or rules.arguments is None:
            return Touched(_words(search(rules.count or "null", given), rules.what))
        asked = search(rules.arguments, given)
        reader = catalog.tools.get(rules.read)
        if not isinstance(asked, Mapping) or reader is None:
            return Touched()
        document = await upstream.read_before(reader, asked, paging.start(reader, {"limit": 1, **asked}))
        number: Json = answers.total(reader, document)
        shown = answers.mapped(reader, document, base_url)
        if rules.count is not None:
            number = search(rules.count, shown)
        found = search(rules.show, shown) if rules.show is not None else None
    except (ToolFailure, BadExpression, BadCursor):
        return Touched()
    return Touched(_words(number, rules.what), found if len(text(found)) <= SHOWN_BYTES else text(found)[:SHOWN_BYTES])


def _words(number: Json, what: str) -> str:
    if not isinstance(number, int | float) or isinstance(number, bool):
        return ""
    one, _, many = what.partition("/")
    return f"1 {one}" if number == 1 else f"{int(number):,} {many or one}"
