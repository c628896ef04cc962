"""Which endpoint a command uses, and with which API token.

    --endpoint, --api-token              or
    POSTERN_ENDPOINT, POSTERN_API_TOKEN  or
    local.json in the state folder, which `postern serve` writes

An endpoint is an address, or a name that `postern endpoint add` gave. A token from local.json or of a name is sent
only to the endpoint that stands next to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from functions.cli import endpoints
from functions.cli.invocation import Failed, Invocation, UsageError, Where
from functions.cli.state_dir import state_dir
from functions.gateway import json_text

LOCAL = "local.json"
"""A file in the state folder: {"base_url", "api_token", "mcp_url", "account_id", "server_id"}, mode 0600."""


@dataclass(frozen=True)
class Connection:
    """`account_id` and `mcp_url` are the ones that `postern serve` made. They are None for a deployed endpoint."""

    base_url: str
    api_token: str = field(repr=False)
    account_id: str | None = None
    mcp_url: str | None = field(default=None, repr=False)


def connection(invocation: Invocation[Where]) -> Connection:
    """The endpoint to use. Raises UsageError for an invalid address, Failed when no endpoint is known."""
    options, environment = invocation.options, invocation.environment
    address = options.endpoint or environment.get("POSTERN_ENDPOINT", "")
    if endpoints.NAME.fullmatch(address):
        named = endpoints.one(environment, address)
        return Connection(named.endpoint, options.api_token or named.api_token)
    api_token = options.api_token or environment.get("POSTERN_API_TOKEN", "")
    try:
        local = read_local(environment)
    except Failed:
        if not (address and api_token):
            raise
        local = None  # both are named, so what the file would add is not needed
    if not address and local is None:
        raise Failed(
            f"no endpoint: start one here with `postern serve`, or name one with --endpoint and --api-token (or "
            f"POSTERN_ENDPOINT and POSTERN_API_TOKEN); there is no {local_file(environment)}"
        )
    base_url = origin(address) if address else local.base_url if local else ""
    if local is not None and local.base_url == base_url:
        return Connection(base_url, api_token or local.api_token, local.account_id, local.mcp_url)
    if not api_token:
        raise Failed(f"no API token for {base_url}: give --api-token, or set POSTERN_API_TOKEN")
    return Connection(base_url, api_token)


def local_file(environment: Mapping[str, str]) -> Path:
    """The file in which `postern serve` writes how to reach it."""
    return Path(state_dir(environment)) / LOCAL


def read_local(environment: Mapping[str, str]) -> Connection | None:
    """The local endpoint, if one was ever started with this state folder. Raises Failed for an unreadable file."""
    path = local_file(environment)
    try:
        found = json_text.decode(path.read_bytes())
        return Connection(found["base_url"], found["api_token"], found["account_id"], found["mcp_url"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(
            f"{path} cannot be read ({type(error).__name__}); `postern serve` replaces it, or name an endpoint with "
            "--endpoint and --api-token"
        ) from None


def origin(address: str) -> str:
    """The address of an endpoint without a trailing slash. Raises UsageError."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f'the endpoint is "{address}"; write e.g. https://example.com or http://127.0.0.1:8765')
    return address.rstrip("/")
