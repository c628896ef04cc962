"""Whatever the arguments are, a request goes to the account's host and to the tool's own path."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from functions.gateway import requests
from functions.gateway.errors import ToolFailure, WrongArguments
from functions.gateway.json_text import Json
from functions.gateway.upstream import Sender
from tests.gateway import loopback
from tests.gateway.calling import MEM0, SETTINGS, tool
from tests.gateway.loopback import Upstream
from tool_catalog.catalog import Tool
from tool_catalog.request_template import Parameter

PATHED = [entry for entry in MEM0.tools.values() if "{" in entry.request.path]
CONTEXT = {"org_id": "org_1", "project_id": "proj_1"}

NASTY = st.sampled_from(
    [
        *(
            "..",
            ".",
            "../..",
            "a/../../b",
            "%2e%2e",
            "..;",
            "//evil.example",
            "https://evil.example/x",
            "@evil.example",
        ),
        *(
            "a@b:80",
            "?x=1",
            "#f",
            "a?b#c",
            "a\\..\\b",
            " ",
            "\t",
            "\r\nHost: evil",
            "\0",
            "é",
            "😀",
            "{memory_id}",
            "%",
        ),
        *("%00", "..%2f", "a%2f..%2fb", ";", "a b", "\u2028", "．．", "。。", "\ud800"),
    ]
)
VALUES = st.text(max_size=30) | NASTY | st.builds("".join, st.lists(NASTY, min_size=2, max_size=3))


@pytest.fixture(scope="module")
def stub() -> Iterator[Upstream]:
    with loopback.upstream() as running:
        yield running


def segments(path: str) -> list[str]:
    return path.split("/")


def expected_path(entry: Tool, arguments: dict[str, Json]) -> list[Json]:
    """The template's segments, each placeholder filled with the very value."""
    filled: list[Json] = []
    for segment in segments(entry.request.path):
        match = re.fullmatch(r"\{(.+)\}", segment)
        if match is None:
            filled.append(segment)
            continue
        [parameter] = [found for found in entry.request.parameters if found.name == match[1]]
        filled.append(arguments.get(parameter.argument or "", CONTEXT.get(parameter.context or "", parameter.value)))
    return filled


@given(st.sampled_from(PATHED), st.data())
@settings(max_examples=300, deadline=None)
def test_a_path_value_fills_its_segment_and_nothing_else(entry: Tool, data: st.DataObject) -> None:
    names = [found.argument for found in entry.request.parameters if found.location == "path" and found.argument]
    arguments = {**entry.example, **{name: data.draw(VALUES) for name in names}}
    assume(all(_has_utf_8(value) for value in arguments.values()))
    try:
        built = requests.build(entry, arguments, "https://api.example.com/base", CONTEXT)
    except WrongArguments:
        return
    parsed = httpx.URL(built.url)
    assert (parsed.scheme, parsed.host, parsed.port) == ("https", "api.example.com", None)
    assert built.origin == "https://api.example.com"
    sent = parsed.raw_path.decode().partition("?")[0].removeprefix("/base")
    assert [unquote(segment) for segment in segments(sent)] == expected_path(entry, arguments)
    decoded_first = re.split(r"[/\\]", unquote(sent))
    assert not {".", ".."} & set(decoded_first)


@given(value=VALUES)
@example(value="\u00a0no-break space at both ends\u00a0")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_an_upstream_receives_is_what_was_built(stub: Upstream, value: str) -> None:
    entry = tool(
        "POST",
        "/v1/{id}/end/",
        Parameter("path", "id", "id"),
        Parameter("query", "q", "q"),
        Parameter("header", "X-Key", "key"),
        Parameter("body", "text", "text"),
    )
    assume(_has_utf_8(value))
    stub.requests.clear()
    stub.answers(loopback.answer(200, {}))
    arguments = {"id": value, "q": value, "key": value, "text": value}

    async def go() -> None:
        sender = Sender(SETTINGS)
        try:
            await sender.send(requests.build(entry, arguments, stub.origin, {}), asyncio.get_running_loop().time() + 10)
        finally:
            await sender.close()

    try:
        asyncio.run(go())
    except ToolFailure:
        assert stub.requests == []
        return
    [received] = stub.requests
    path, _, query = received.target.partition("?")
    assert segments(path)[:2] + segments(path)[3:] == ["", "v1", "end", ""]
    assert unquote(segments(path)[2]) == value
    assert dict(httpx.QueryParams(query)) == {"q": value}
    assert received.headers["host"].decode() == stub.origin.removeprefix("http://")
    assert received.headers["x-key"].decode() == value.strip(" \t")
    assert received.json == {"text": value}
    assert [name for name, _ in received.lines].count("x-key") == 1


def _has_utf_8(value: Json) -> bool:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True
