"""One ASGI app out of three, told apart by the first part of the path.

::

    /mcp...  /.well-known...  /health      the data plane
    /.well-known/oauth-authorization-server/...  the management API, which has the authorization server
    /memory/...                            the embedded memory, a Mem0-compatible upstream
    everything else                        the management API
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from functions.gateway.events import within

DATA_PLANE = ("mcp", ".well-known", "health")
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server/"
MEMORY = "memory"

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[None]]
"""What has to run for as long as the app is served."""


def one_app(*, data_plane: ASGIApp, control_plane: ASGIApp, memory: ASGIApp, lifespan: Lifespan) -> ASGIApp:
    """The app that the laptop serves."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(lifespan, receive, send)
            return
        root_path = scope.get("root_path", "")
        path = within(scope["path"], root_path) or scope["path"]
        first = path.split("/")[1] if "/" in path else ""
        if first == MEMORY:
            await memory({**scope, "root_path": f"{root_path}/{MEMORY}"}, receive, send)
        elif first in DATA_PLANE and not path.startswith(AUTHORIZATION_SERVER):
            await data_plane(scope, receive, send)
        else:
            await control_plane(scope, receive, send)

    return app


def mounted(app: ASGIApp, base_path: str) -> ASGIApp:
    """The app below a base path. A path without it is served, too: some proxies take it off, and some do not."""

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and base_path:
            scope = {**scope, "root_path": base_path}
            if within(scope["path"], base_path) is None:
                scope["path"] = base_path + scope["path"]
                scope["raw_path"] = base_path.encode() + scope["raw_path"]
        await app(scope, receive, send)

    return below


async def _live(lifespan: Lifespan, receive: Receive, send: Send) -> None:
    """ASGI's lifespan protocol around a context manager."""
    await receive()
    async with lifespan():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
