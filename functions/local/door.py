"""Who may knock: the Host and the Origin of a request are checked before any of the three apps sees it.

A web page can point its own host name at 127.0.0.1 (DNS rebinding), and any page can send requests to this machine. The
Host header shows the first, the Origin header the second. Programs send no Origin, and their Host names this machine.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.gateway import json_text
from functions.gateway.http_frame import dressed
from functions.mcp_endpoint import protocol

LOOPBACK = ("127.0.0.1", "localhost")
"""Host names of this machine. The port does not matter: a development server on another port is local too."""

EXTENSIONS = ("chrome-extension", "moz-extension", "safari-web-extension")
"""Schemes of the origins of browser extensions. A person installed them and let them reach this machine. No web page
has such an origin."""

WRONG_HOST = "This host name is not served here"
WRONG_ORIGIN = "This origin is not allowed here; set POSTERN_ALLOWED_ORIGINS to allow web pages of other origins"


def door(app: ASGIApp, *, hosts: Collection[str], origins: Collection[str]) -> ASGIApp:
    """The app behind the check.

    `hosts`    names that a request may give as Host, with any port.
    `origins`  web origins that may send requests, in addition to pages of this machine; "*" = any.
    """

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := _refused(scope, hosts, origins)) is not None:
            await refused(scope, receive, send)
        else:
            await app(scope, receive, send)

    return guarded


def _refused(scope: Scope, hosts: Collection[str], origins: Collection[str]) -> Response | None:
    named = _values(scope, b"host")
    if len(named) != 1 or not _is_served(named[0], hosts):
        return refusal(scope, 421, "Misdirected Request", WRONG_HOST)
    for origin in _values(scope, b"origin"):
        if "*" not in origins and origin not in origins and not _is_local(origin):
            return refusal(scope, 403, "Forbidden", WRONG_ORIGIN)
    return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def _is_served(host: str, hosts: Collection[str]) -> bool:
    """True when `host`, with or without a port, is one of the names."""
    host = host.lower()
    name, colon, port = host.rpartition(":")
    return host in hosts or (bool(colon) and port.isdigit() and name in hosts)


def _is_local(origin: str) -> bool:
    """True for the origin of a page that this machine serves or of an extension in a browser on it. "null", the origin
    of a sandboxed page, is not one."""
    try:
        parts = urlsplit(origin)
        return parts.scheme in EXTENSIONS or (parts.scheme in ("http", "https") and parts.hostname in LOOPBACK)
    except ValueError:
        return False


def refusal(scope: Scope, status: int, error: str, message: str) -> Response:
    """The answer to a request that no app saw: as JSON-RPC at the MCP endpoint, and as the error object of the
    management API elsewhere."""
    if scope["path"].split("/")[1:2] == ["mcp"]:
        content = protocol.error(status * 100 + 1, message)
    else:
        content = json_text.encode({"statusCode": status, "error": error, "message": message, "details": None})
    return dressed(Response(content, status, media_type="application/json"))
