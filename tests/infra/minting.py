"""An endpoint on which servers are minted from outside, and what can be seen of them there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from functions import local
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from infra.ci.ephemeral_server import Endpoint


@contextmanager
def endpoint(folder: Path) -> Iterator[Endpoint]:
    """A whole endpoint that stands in for a deployed one. Its state is in `folder`."""
    with local.start(Settings(state_dir=str(folder), private_upstreams=True), {}) as ready:
        yield Endpoint(ready.base_url, ready.api_token, ready.account_id)


def variables(endpoint: Endpoint) -> dict[str, str]:
    return {
        "POSTERN_ENDPOINT": endpoint.base_url,
        "POSTERN_API_TOKEN": endpoint.api_token,
        "POSTERN_ACCOUNT": endpoint.account_id,
    }


def servers(endpoint: Endpoint) -> set[str]:
    """Names of the living servers."""
    url = f"{endpoint.base_url}/integrated-account/{endpoint.account_id}/mcp"
    answer = httpx.get(url, headers={"authorization": f"Bearer {endpoint.api_token}"}, trust_env=False, verify=False)
    return {server["name"] for server in answer.json()["result"]}


@contextmanager
def trust(endpoint: Endpoint) -> Iterator[Json]:
    """A trust of the endpoint in the workflows of octo/agent, which tests/identity_issuer.py plays."""
    http = httpx.Client(
        base_url=endpoint.base_url, headers={"authorization": f"Bearer {endpoint.api_token}"}, trust_env=False
    )
    with http:
        body = {
            "name": "agent CI",
            "issuer": "github",
            "claims": {"repository": ["octo/agent"], "ref": ["refs/heads/main"]},
            "account_ids": [endpoint.account_id],
            "mint": {"methods": ["read"], "pins": {"user_id": "usr_ci"}, "max_lifetime_seconds": 900},
        }
        made = http.post("/trust", json=body)
        assert made.status_code == 201, made.text
        yield made.json()
        assert http.delete(f"/trust/{made.json()['id']}").status_code == 200


DEAD = 40401
"""The error code of a dead URL."""


def ping(url: str) -> int:
    """What a ping gets: 200, or the code of the error."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = httpx.post(url, json=message, trust_env=False, verify=False)
    return int(answer.json().get("error", {}).get("code", answer.status_code))
