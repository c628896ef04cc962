"""An endpoint on which servers are minted from outside, and what can be seen of them there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from functions import local
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


DEAD = 40401
"""The error code of a dead URL."""


def ping(url: str) -> int:
    """What a ping gets: 200, or the code of the error."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = httpx.post(url, json=message, trust_env=False, verify=False)
    return int(answer.json().get("error", {}).get("code", answer.status_code))
