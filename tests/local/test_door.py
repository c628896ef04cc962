"""Host and Origin are checked in front of the management API, the MCP endpoint and the memory alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from functions import local
from functions.gateway.settings import Settings
from functions.local import Ready
from tests.patience import STUCK_SECONDS

PATHS = [
    "/mcp",
    "/health",
    "/.well-known/oauth-protected-resource",
    "/openapi.json",
    "/integrated-account",
    "/memory/v1/ping/",
]


@pytest.fixture(name="ready", scope="module")
def _ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    with local.start(Settings(state_dir=str(tmp_path_factory.mktemp("state"))), {}) as ready:
        yield ready


def _get(ready: Ready, path: str, **headers: str) -> httpx.Response:
    return httpx.get(ready.base_url + path, headers=headers, trust_env=False, verify=False, timeout=STUCK_SECONDS)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost:x", "", "[::1]"]
)
def test_a_foreign_host_name_reaches_no_app(ready: Ready, path: str, host: str) -> None:
    answer = _get(ready, path, Host=host)
    assert answer.status_code == 421
    assert "This host name is not served here" in answer.text
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1.evil.example", "null", "file://", "http://["]
)
def test_a_page_of_a_foreign_origin_reaches_no_app(ready: Ready, path: str, origin: str) -> None:
    answer = _get(ready, path, Origin=origin)
    assert answer.status_code == 403
    assert "This origin is not allowed here" in answer.text
    assert "access-control-allow-origin" not in answer.headers
    preflight = httpx.options(
        ready.base_url + path, headers={"Origin": origin}, trust_env=False, verify=False, timeout=STUCK_SECONDS
    )
    assert preflight.status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:6274", "http://127.0.0.1:3000", "https://localhost", "chrome-extension://abcdefghijklmnop"],
)
def test_pages_of_this_machine_are_served_whatever_their_port(ready: Ready, origin: str) -> None:
    assert _get(ready, "/health", Origin=origin).status_code == 200
    assert _get(ready, "/health", Host="LOCALHOST:1", Origin=origin).status_code == 200


def test_a_refusal_at_the_mcp_endpoint_is_json_rpc_and_elsewhere_the_error_object(ready: Ready) -> None:
    assert _get(ready, "/mcp", Host="evil.example").json()["error"]["code"] == 42101
    assert _get(ready, "/mcp/x", Origin="null").json()["error"]["code"] == 40301
    assert _get(ready, "/openapi.json", Origin="null").json() == {
        "statusCode": 403,
        "error": "Forbidden",
        "message": ("This origin is not allowed here; set POSTERN_ALLOWED_ORIGINS to allow web pages of other origins"),
        "details": None,
    }


def test_origins_that_the_operator_names_are_served_and_the_public_url_too(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=str(tmp_path), allowed_origins=("https://app.example",), public_url="https://tunnel.example"
    )
    with local.start(settings, {}) as ready:
        for origin, status in {
            "https://app.example": 200,
            "https://tunnel.example": 200,
            "https://x.example": 403,
        }.items():
            assert _get(ready, "/openapi.json", Origin=origin).status_code == status
        assert _get(ready, "/openapi.json", Host="tunnel.example").status_code == 200


def test_every_origin_is_served_only_when_the_operator_says_so(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path), allowed_origins=("*",)), {}) as ready:
        assert _get(ready, "/health", Origin="https://any.example").status_code == 200
