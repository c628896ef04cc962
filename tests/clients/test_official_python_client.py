"""The official Python client (mcp 2.3) in every mode, against the whole product over HTTP."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent

from functions.gateway.json_text import Json
from functions.mcp_endpoint.admission import DEAD
from tests.clients.product import ADD, FILTERS, LIST, NO_API_TOKEN, Product
from tests.clients.session import messages

MODES = ["auto", "legacy", "2026-07-28"]

DELETE_ALL = "mem_0_memories_bulk_delete_by_filter"


def _text(result: CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("mode", MODES)
def test_it_lists_and_calls(product: Product, mode: Json) -> None:
    async def use() -> None:
        async with Client(product.mint(), mode=mode) as client:
            listed = await client.list_tools()
            assert LIST in [tool.name for tool in listed.tools]
            added = await client.call_tool(
                ADD, {"messages": [{"role": "user", "content": "I prefer tea."}], "user_id": "usr_98765"}
            )
            assert added.is_error is False
            result = await client.call_tool(LIST, FILTERS)
            assert result.is_error is False
            assert result.structured_content is not None
            assert result.structured_content == json.loads(_text(result))
            wrong = await client.call_tool(LIST, {"user_id": "usr_98765"})
            assert wrong.is_error is True
            assert 'nest it: {"filters": {"user_id": "usr_98765"}}' in json.loads(_text(wrong))["message"]

    asyncio.run(use())


@pytest.mark.parametrize("mode", MODES)
def test_it_shows_why_a_dead_url_is_dead(product: Product, mode: Json) -> None:
    async def use() -> None:
        async with Client(product.dead_url, mode=mode) as client:
            await client.list_tools()

    with pytest.raises((MCPError, BaseExceptionGroup)) as failure:
        asyncio.run(use())
    assert DEAD in messages(failure.value)


@pytest.mark.parametrize("mode", MODES)
def test_it_shows_that_a_server_ended_in_mid_use(product: Product, mode: Json) -> None:
    url = product.mint(minutes=15)

    async def use() -> None:
        async with Client(url, mode=mode) as client:
            assert (await client.call_tool(LIST, FILTERS)).is_error is False
            product.clock.move(minutes=15)
            await client.call_tool(LIST, FILTERS)

    with pytest.raises((MCPError, BaseExceptionGroup)) as failure:
        asyncio.run(use())
    assert DEAD in messages(failure.value)


@pytest.mark.parametrize("mode", MODES)
def test_it_shows_that_a_required_api_token_is_missing_and_takes_one(product: Product, mode: Json) -> None:
    url = product.mint(require_api_token_auth=True)

    async def use(headers: dict[str, str]) -> int:
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=mode) as client:
                return len((await client.list_tools()).tools)

    with pytest.raises((MCPError, BaseExceptionGroup)) as failure:
        asyncio.run(use({}))
    assert NO_API_TOKEN in messages(failure.value)
    assert asyncio.run(use({"Authorization": f"Bearer {product.issue_api_token()}"})) > 5


@pytest.mark.parametrize("mode", MODES)
def test_it_sends_the_token_as_a_header(product: Product, mode: Json) -> None:
    token = product.mint().rsplit("/", 1)[1]

    async def use() -> int:
        async with httpx2.AsyncClient(headers={"X-API-Key": token}) as http:
            transport = streamable_http_client(f"{product.ready.base_url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                return len((await client.list_tools()).tools)

    assert asyncio.run(use()) > 5


@pytest.mark.parametrize("mode", MODES)
def test_it_is_told_which_tool_does_not_exist(product: Product, mode: Json) -> None:
    url = product.mint(methods=["read"])

    async def use() -> None:
        async with Client(url, mode=mode) as client:
            await client.call_tool(ADD, {})

    with pytest.raises((MCPError, BaseExceptionGroup)) as failure:
        asyncio.run(use())
    assert f'Unknown tool: no tool "{ADD}" on this server' in messages(failure.value)


MESSAGE = {"messages": [{"role": "user", "content": "I prefer tea."}], "user_id": "usr_98765"}


@pytest.mark.parametrize("mode", MODES)
def test_it_waits_for_what_was_queued(product: Product, mode: Json) -> None:
    async def use() -> Json:
        async with Client(product.mint(), mode=mode) as client:
            result = await client.call_tool(ADD, {**MESSAGE, "wait_seconds": 20})
            assert result.is_error is False
            return result.structured_content

    assert asyncio.run(use())["status"] == "SUCCEEDED"


@pytest.mark.parametrize(("answer", "is_error"), [("accept", False), ("decline", True), ("cancel", True)])
def test_it_asks_its_person_to_confirm_a_deletion(product: Product, answer: Json, is_error: bool) -> None:
    """2026-07-28: the client shows the question and repeats the call with the answer by itself."""
    asked: list[str] = []

    async def person(context: object, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=answer, content={"confirm": True} if answer == "accept" else None)

    async def use() -> CallToolResult:
        url = product.mint(confirm=["destructive"])
        async with Client(url, mode="2026-07-28", elicitation_callback=person) as client:
            return await client.call_tool(DELETE_ALL, {"filters": {"user_id": "usr_98765"}})

    assert asyncio.run(use()).is_error is is_error
    assert len(asked) == 1
    assert asked[0].startswith(
        "Delete all memories of an entity (mem_0_memories_bulk_delete_by_filter). The call would"
    )


@pytest.mark.parametrize("mode", MODES)
def test_without_a_person_it_gets_a_code_in_every_mode(product: Product, mode: Json) -> None:
    async def use() -> None:
        async with Client(product.mint(confirm=["destructive"]), mode=mode) as client:
            given = {"filters": {"user_id": "usr_98765"}}
            refused = await client.call_tool(DELETE_ALL, given)
            assert refused.is_error is True
            code = json.loads(_text(refused))["message"].split('"confirmation_code": "')[1].split('"')[0]
            assert (await client.call_tool(DELETE_ALL, {**given, "confirmation_code": code})).is_error is False
            assert (await client.call_tool(DELETE_ALL, {**given, "confirmation_code": code})).is_error is True

    asyncio.run(use())
