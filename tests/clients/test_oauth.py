"""The official Python client signs in to a server that requires an API token: discovery, registration, consent, tokens,
calls, and a refresh after the access token has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from functions.gateway.json_text import Json
from tests.clients.consent import sign_in
from tests.clients.product import FILTERS, LIST, Product

MODES = ["auto", "legacy", "2026-07-28"]
CALLBACK = "http://127.0.0.1:33418/callback"


class Kept:
    """What a client keeps between its runs."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """Opens the consent page that the client asks for and gives an API token. `opened` counts the pages."""

    def __init__(self, api_token: str) -> None:
        self.opened = 0
        self._api_token = api_token
        self._answer: dict[str, list[str]] = {}

    async def open(self, address: str) -> None:
        self.opened += 1
        back = await asyncio.to_thread(sign_in, address, self._api_token)
        assert back.startswith(CALLBACK)
        self._answer = parse_qs(urlsplit(back).query)

    async def answer(self) -> AuthorizationCodeResult:
        [code], [state], [iss] = (self._answer[name] for name in ("code", "state", "iss"))
        return AuthorizationCodeResult(code=code, state=state, iss=iss)


async def with_client(
    url: str, kept: Kept, person: Person, mode: Json, use: Callable[[Client, OAuthClientProvider], Awaitable[None]]
) -> None:
    metadata = OAuthClientMetadata(
        client_name="Official client",
        redirect_uris=[AnyUrl(CALLBACK)],
        grant_types=["authorization_code", "refresh_token"],
    )
    provider = OAuthClientProvider(url, metadata, kept, person.open, person.answer)
    async with (
        httpx2.AsyncClient(auth=provider) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        await use(client, provider)


async def lists_and_calls(client: Client, _: OAuthClientProvider) -> None:
    assert LIST in [tool.name for tool in (await client.list_tools()).tools]
    assert (await client.call_tool(LIST, FILTERS)).is_error is False


@pytest.mark.parametrize("mode", MODES)
def test_it_signs_in_once_and_refreshes(product: Product, mode: Json) -> None:
    url, kept, person = product.mint(require_api_token_auth=True), Kept(), Person(product.issue_api_token())
    seen: list[OAuthToken] = []

    async def use(client: Client, provider: OAuthClientProvider) -> None:
        for _ in range(3):
            await lists_and_calls(client, provider)
            assert kept.tokens is not None
            seen.append(kept.tokens)
            product.clock.move(minutes=10)  # the access token ends
            provider.context.token_expiry_time = 1.0  # as the client's own clock would say

    asyncio.run(with_client(url, kept, person, mode, use))
    assert len({tokens.access_token for tokens in seen}) == 3
    assert len({tokens.refresh_token for tokens in seen}) == 3
    assert person.opened == 1


def test_a_later_run_uses_what_the_client_kept(product: Product) -> None:
    url, kept, person = product.mint(require_api_token_auth=True), Kept(), Person(product.issue_api_token())
    for _ in range(3):
        asyncio.run(with_client(url, kept, person, "auto", lists_and_calls))
    assert person.opened == 1


def test_a_plain_url_and_a_configured_header_never_open_a_sign_in(product: Product) -> None:
    kept, person = Kept(), Person("")
    asyncio.run(with_client(product.mint(), kept, person, "auto", lists_and_calls))
    headers = {"Authorization": f"Bearer {product.issue_api_token()}"}
    guarded = product.mint(require_api_token_auth=True)

    async def use() -> None:
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(guarded, http_client=http)) as client,
        ):
            assert LIST in [tool.name for tool in (await client.list_tools()).tools]

    asyncio.run(use())
    assert (person.opened, kept.tokens, kept.client) == (0, None, None)
