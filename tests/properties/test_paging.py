"""Following next_cursor gives every record once and in order, whatever is asked for and wherever answers are cut."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway.call import run
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Done, ToolCall
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from tests.gateway.calling import NOON, catalog_of, target, tool
from tool_catalog.catalog import PinAnswer, Result, Tool
from tool_catalog.request_template import Pagination, Parameter

Style = Literal["page", "offset", "cursor"]

MOST = 5
"""Records per page, at the most."""


@dataclass
class Shelf(Sender):
    """An upstream list of records, served in one of the styles; `says` whether it tells when there is more."""

    records: list[Json]
    style: Style
    says: bool
    asked: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(Settings())

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        asked = dict(parse_qsl(request.query))
        self.asked.append(asked)
        size = int(asked["size"])
        assert 1 <= size <= MOST
        at = {
            "page": lambda: (int(asked["at"]) - 1) * size,
            "offset": lambda: int(asked["at"]),
            "cursor": lambda: int(asked.get("at", "c.0").removeprefix("c.")),
        }[self.style]()
        page = self.records[at : at + size]
        document: dict[str, Json] = {"results": page}
        if self.says:
            more = at + size < len(self.records)
            document["next"] = (f"c.{at + size}" if self.style == "cursor" else "https://x") if more else None
        return UpstreamResponse(200, {}, json.dumps(document).encode())


def listing(style: Style, says: bool, collect: int, sort: str | None, pin: PinAnswer | None) -> Tool:
    return tool(
        "GET",
        "/",
        *(Parameter("result", name, name) for name in ("limit", "next_cursor", "fields", "max_tokens")),
        pagination=Pagination(
            style,
            Parameter("query", "at"),
            Parameter("query", "size"),
            3,
            MOST,
            next="next" if says else None,
            collect=collect,
        ),
        result=Result(items="results", sort=sort),
        pin=pin,
    )


@given(
    lengths=st.lists(st.integers(0, 400), max_size=30),
    style=st.sampled_from(["page", "offset", "cursor"]),
    says=st.booleans(),
    collect=st.integers(1, 3),
    sort=st.sampled_from([None, "n"]),
    pinned=st.booleans(),
    caps=st.integers(1_000, 2_500),
    data=st.data(),
)
@settings(max_examples=250, deadline=None)
def test_every_record_comes_once_and_in_order(
    *,
    lengths: list[int],
    style: Style,
    says: bool,
    collect: int,
    sort: str | None,
    pinned: bool,
    caps: int,
    data: st.DataObject,
) -> None:
    says = says or style == "cursor"
    records = [{"n": n, "user_id": f"u{n % 3 % 2}", "text": "x" * length} for n, length in enumerate(lengths)]
    shelf = Shelf(records, style, says)
    loaded = catalog_of(listing(style, says, collect, sort, PinAnswer("@") if pinned else None))
    due = [record["n"] for record in records if not pinned or record["user_id"] == "u1"]
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(4 * len(records) + 4):
        arguments: dict[str, Json] = {}
        if cursor is not None:
            arguments["next_cursor"] = cursor
        limit = data.draw(st.none() | st.integers(1, MOST))
        if limit is not None:
            arguments["limit"] = limit
        tokens = data.draw(st.none() | st.integers(250, 600))
        if tokens is not None:
            arguments["max_tokens"] = tokens
        to = target("http://shelf", ServerConfig(pins={"user_id": "u1"} if pinned else {}))
        asked = ToolCall("list_all_things", arguments, NOON, deadline=0.0)
        outcome = asyncio.run(run(asked, to, loaded, sender=shelf, settings=Settings(max_result_bytes=caps)))
        assert isinstance(outcome, Done), outcome
        body = outcome.body
        seen += [record["n"] for record in body["result"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert cursor is None, "the end is reached"
    assert seen == due
