"""An application behind the laptop's web server that counts what comes."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send


async def counted(scope: Scope, receive: Receive, send: Send) -> None:
    """Returns "uvicorn", the verb, the path, and how many bytes the body had."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = f"uvicorn {scope['method']} {scope['path']} {size}".encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})
