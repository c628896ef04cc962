"""Where a client that has to sign in is sent: the address it was given, whatever stands in front of the endpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mcp_endpoint.endpoint import Bench, exchange


@pytest.mark.parametrize(
    ("public_url", "allowed_hosts", "host", "origin"),
    [
        ("", (), "mcp.example", "://mcp.example"),
        ("", (), "mcp.example:8443", "://mcp.example:8443"),
        ("https://public.example", (), "origin.internal", "https://public.example"),
        ("https://public.example/", ("public.example",), "public.example", "https://public.example"),
        ("https://public.example", ("public.example", "other.example"), "other.example", "://other.example"),
    ],
)
def test_the_metadata_name_the_address_that_the_client_was_given(
    bench: Bench, public_url: str, allowed_hosts: tuple[str, ...], host: str, origin: str
) -> None:
    bench.settings = replace(
        bench.settings, management_url="https://manage.example", public_url=public_url, allowed_hosts=allowed_hosts
    )
    endpoint, token = bench.endpoint(), bench.mint(require_api_token_auth=True)
    for _ in range(3):
        path = f"/.well-known/oauth-protected-resource/mcp/{token}"
        answer = exchange(endpoint, "GET", path, [("host", host)], b"")
        assert answer.status == 200, answer.body
        assert answer.json["resource"].endswith(f"{origin}/mcp/{token}")
        assert answer.json["resource"].startswith("http")
