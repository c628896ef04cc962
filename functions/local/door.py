"""The check of Host and Origin before any of the three apps sees a request."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.gateway import errors, json_text
from functions.gateway.doorway import Doorway
from functions.gateway.http_frame import dressed
from functions.mcp_endpoint import protocol


def door(app: ASGIApp, doorway: Doorway) -> ASGIApp:
    """The app behind the check."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                doorway.check(_values(scope, b"host"), _values(scope, b"origin"))
            except errors.Refused as refused:
                await refusal(scope, refused)(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def refusal(scope: Scope, refused: errors.Refused) -> Response:
    """The answer to a request that no app saw: as JSON-RPC at the MCP endpoint, and as the error object of the
    management API elsewhere."""
    status, body, headers = errors.http(refused)
    if scope["path"].split("/")[1:2] == ["mcp"]:
        content = protocol.error(errors.rpc_code(refused), refused.message)
    else:
        content = json_text.sendable({**body, "details": None})
    return dressed(Response(content, status, headers, media_type="application/json"))
