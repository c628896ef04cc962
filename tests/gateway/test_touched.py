"""What a call would touch, found before it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from functions.gateway import touched
from functions.gateway.errors import UpstreamUnreachable
from functions.gateway.json_text import Json
from functions.gateway.paging import Position
from functions.gateway.touched import SHOWN_BYTES, Touched
from tests.gateway.calling import catalog_of, tool
from tool_catalog.catalog import Tool, Touches

DELETE = tool("DELETE", "/things/1", name="delete_a_thing", method="delete", access="write")
GET = tool(name="get_a_thing", method="get")
BASE = "https://api.example.com"


class Read:
    """An upstream that returns one document, or raises one failure; keeps what was asked."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self.asked: list[tuple[str, Mapping[str, Json]]] = []

    async def read_before(self, reader: Tool, given: Mapping[str, Json], position: Position | None = None) -> Json:
        self.asked.append((reader.name, given))
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


def found(rules: Touches | None, given: Mapping[str, Json], read: Read) -> Touched:
    return asyncio.run(touched.find(read, catalog_of(GET), replace(DELETE, touches=rules), given, BASE))


def test_a_tool_whose_record_says_nothing_reads_nothing() -> None:
    read = Read({})
    assert found(None, {"id": "1"}, read) == Touched()
    assert read.asked == []


@pytest.mark.parametrize("count", ["ids", "missing", "`true`", "'2'"])
def test_what_is_no_number_is_not_said(count: str) -> None:
    assert found(Touches(what="thing/things", count=count), {"ids": ["a"]}, Read({})) == Touched()


@pytest.mark.parametrize(("ids", "words"), [([], "0 things"), (["a"], "1 thing"), (["a"] * 1_200, "1,200 things")])
def test_arguments_are_counted_without_a_read(ids: list[Json], words: str) -> None:
    read = Read({})
    assert found(Touches(what="thing/things", count="length(ids)"), {"ids": ids}, read) == Touched(words)
    assert read.asked == []


READ = Touches(what="thing/things", read="get_a_thing", arguments="{id: id}", count="`1`", show="@")


def test_the_object_is_read_and_shown() -> None:
    read = Read({"id": "1", "text": "Likes tea."})
    assert found(READ, {"id": "1"}, read) == Touched("1 thing", {"id": "1", "text": "Likes tea."})
    assert read.asked == [("get_a_thing", {"id": "1"})]


def test_of_a_large_object_the_beginning_is_shown() -> None:
    shown = found(READ, {"id": "1"}, Read({"id": "1", "text": "x" * SHOWN_BYTES})).shown
    assert isinstance(shown, str)
    assert shown.startswith('{"id":"1","text":"xxx')
    assert len(shown) == SHOWN_BYTES


def test_a_read_that_fails_leaves_the_number_unknown() -> None:
    assert found(READ, {"id": "1"}, Read(UpstreamUnreachable("no connection"))) == Touched()


@pytest.mark.parametrize(
    "rules",
    [
        replace(READ, read="a_tool_that_is_not_there"),
        replace(READ, arguments="id"),
        replace(READ, arguments="length(id, id)"),
    ],
)
def test_a_record_that_does_not_fit_the_call_reads_nothing(rules: Touches) -> None:
    read = Read({"id": "1"})
    assert found(rules, {"id": "1"}, read) == Touched()
    assert read.asked == []
