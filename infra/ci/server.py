"""The MCP server that a test gets."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .ephemeral_server import send

if TYPE_CHECKING:
    from mcp import Client

TIMEOUT_SECONDS = 90
"""Limit of one call: a deployment allows an upstream up to 60 s behind CloudFront, and 30 s by default."""


class CallFailed(Exception):
    """The endpoint returned an error in place of a result, or could not be reached. The message has no token."""


@dataclass(frozen=True)
class PosternServer:
    """The server of one test, or of one session. An agent needs only `url`, which is a secret."""

    url: str = field(repr=False)
    id: str
    expires_at: str
    tool_count: int

    def list_tools(self) -> list[dict[str, Any]]:
        """Every tool that the server shows, as MCP defines a tool. Raises CallFailed."""
        page = self._request("tools/list", {})
        tools: list[dict[str, Any]] = page["tools"]
        while cursor := page.get("nextCursor"):
            page = self._request("tools/list", {"cursor": cursor})
            tools += page["tools"]
        return tools

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one call, as MCP defines it: `isError` says that the call failed. Raises CallFailed, e.g. for a
        tool that the server does not show."""
        return self._request("tools/call", {"name": name, "arguments": dict(arguments)})

    def client(self) -> Client:
        """The official MCP client, for `async with`; needs the distribution `mcp`."""
        from mcp import Client

        return Client(self.url)

    def _request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        request = urllib.request.Request(self.url, message, headers)  # noqa: S310 - https, or this machine
        failed = f"{method} of server {self.id}: "
        try:
            answer = send(request, TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                answer = error.read()
        except OSError as error:
            raise CallFailed(f"{failed}the endpoint cannot be reached: {error}") from None
        try:
            document = json.loads(answer)
        except ValueError:
            raise CallFailed(f"{failed}the answer is not JSON") from None
        if not isinstance(document, dict) or not ({"error", "result"} & set(document)):
            raise CallFailed(f"{failed}the answer is not one of JSON-RPC")
        if "error" in document:
            raise CallFailed(failed + str(document["error"].get("message")))
        result: dict[str, Any] = document["result"]
        return result
