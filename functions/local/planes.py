"""One ASGI app out of three, told apart by the first part of the path.

::

    /mcp...  /.well-known...  /health      the data plane
    /memory/...                            the embedded memory, a Mem0-compatible upstream
    everything else                        the management API
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

DATA_PLANE = ("mcp", ".well-known", "health")
MEMORY = "memory"

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[None]]
"""What has to run for as long as the app is served."""


def one_app(*, data_plane: ASGIApp, control_plane: ASGIApp, memory: ASGIApp, lifespan: Lifespan) -> ASGIApp:
    """The app that the laptop serves."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(lifespan, receive, send)
            return
        first = scope["path"].split("/")[1] if "/" in scope["path"] else ""
        if first == MEMORY:
            await memory({**scope, "root_path": f"{scope.get('root_path', '')}/{MEMORY}"}, receive, send)
        elif first in DATA_PLANE:
            await data_plane(scope, receive, send)
        else:
            await control_plane(scope, receive, send)

    return app


async def _live(lifespan: Lifespan, receive: Receive, send: Send) -> None:
    """ASGI's lifespan protocol around a context manager."""
    await receive()
    async with lifespan():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
