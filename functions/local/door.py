"""The check of Host and Origin in front of the management API and the memory. The MCP endpoint makes its own."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.gateway import errors, json_text
from functions.gateway.doorway import Doorway
from functions.gateway.http_frame import dressed


def door(app: ASGIApp, doorway: Doorway) -> ASGIApp:
    """The app behind the check."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                doorway.check(_values(scope, b"host"), _values(scope, b"origin"))
            except errors.Refused as refused:
                await _refusal(refused)(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def _refusal(refused: errors.Refused) -> Response:
    """The answer to a request that no app saw: the error object of the management API."""
    status, body, headers = errors.http(refused)
    content = json_text.sendable({**body, "details": None})
    return dressed(Response(content, status, headers, media_type="application/json"))
