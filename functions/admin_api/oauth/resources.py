"""Which MCP server an access token is for (RFC 8707): the resource is an MCP URL of this deployment."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from functions.admin_api.oauth.errors import BadRequest
from functions.gateway.grants import TOKEN, Grant, digest, is_live, keys_of
from functions.stores.store import Store

MAX_CHARS = 2_000
"""Characters of a resource."""

INVALID_TARGET = "invalid_target"

_PATH = re.compile(rf".*/mcp/({TOKEN.pattern})/?")


@dataclass(frozen=True, slots=True)
class Resource:
    """A live server that people may sign in to. `digest` stands for its URL, which holds a secret."""

    server: Grant
    digest: str = field(repr=False)


class Resources:
    """`origins` are those at which this deployment serves MCP URLs. `clock` returns the present in UTC."""

    def __init__(self, store: Store, origins: Collection[str], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._origins = frozenset(origins)
        self._clock = clock

    def find(self, resource: str) -> Resource:
        """The server of an MCP URL. Raises BadRequest for any other text."""
        if not resource:
            raise BadRequest(
                "The client did not say which MCP server it wants to use: the parameter resource is missing",
                code=INVALID_TARGET,
            )
        token = self._token(resource)
        keys = keys_of(token) if token else []
        items = [item for item in self._store.get(keys) if item is not None]
        server = Grant.from_json(items[0].body, items[1].body, items[0].version) if len(items) == 2 else None
        if server is None or not is_live(server, self._clock()):
            raise BadRequest(
                "The MCP server that the client named is not one of this deployment, or it was revoked or has expired",
                code=INVALID_TARGET,
            )
        if not (server.config.require_api_token_auth and server.config.oauth):
            raise BadRequest("Nobody needs to sign in to the MCP server that the client named", code=INVALID_TARGET)
        return Resource(server, of(resource))

    def _token(self, resource: str) -> str:
        """The token in an MCP URL; "" for a URL of somebody else."""
        try:
            parts = urlsplit(resource)
            origin = f"{parts.scheme}://{parts.netloc.lower()}"
        except ValueError:
            return ""
        match = _PATH.fullmatch(parts.path)
        is_ours = len(resource) <= MAX_CHARS and origin in self._origins and not parts.query and not parts.fragment
        return match[1] if match is not None and is_ours else ""


def of(resource: str) -> str:
    """The digest of a resource. A slash at its end makes no difference."""
    return digest(resource.rstrip("/"))


def origins(public_url: str, hosts: Collection[str]) -> list[str]:
    """The origins of MCP URLs: the public one, and on a laptop its other names."""
    parts = urlsplit(public_url)
    port = f":{parts.port}" if parts.port else ""
    names = [parts.netloc, *(host if ":" in host else f"{host}{port}" for host in hosts)]
    return [f"{parts.scheme}://{name.lower()}" for name in dict.fromkeys(names)]
