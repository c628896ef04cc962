"""One HTTP request and its response as plain values, and the two forms in which a platform brings them.

A Lambda event holds the whole body and takes the whole response (`gateway/events.py` reads it); ASGI brings a body in
pieces. Starlette and Mangum do more than that: without them a start takes some 25 ms of CPU less, and a warm listing
0.42 million instructions less.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from functions.gateway import errors, events
from functions.gateway.events import Arrived

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODILESS = (204, 304)
"""Statuses whose responses have no Content-Length."""


class Departed(Exception):
    """The caller left before its request had ended."""


class Request:
    """One request.

    `path`     percent-decoded, without what the endpoint is mounted at.
    `lines`    the header lines in their order, names in lower case.
    `headers`  the first value of each name.
    `scope`    what else the platform says: `aws.context` is Lambda's context object, `aws.host` the host name under
               which the platform took the request.
    """

    __slots__ = ("_pieces", "headers", "lines", "method", "path", "scope")

    def __init__(
        self,
        method: str,
        path: str,
        lines: list[tuple[str, str]],
        scope: Scope,
        pieces: Callable[[], AsyncIterator[bytes]],
    ) -> None:
        self.method = method
        self.path = path
        self.lines = lines
        self.headers = dict(reversed(lines))
        self.scope = scope
        self._pieces = pieces

    def values(self, name: str) -> list[str]:
        """The values of a header, one for each of its lines."""
        return [value for header, value in self.lines if header == name]

    def stream(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes. Raises Departed."""
        return self._pieces()


class Response:
    """One response; `headers` may be added to, their names are in lower case.

    `body` is text that UTF-8 can hold: Lambda takes a text, and a listing of 60 tools is then never decoded (0.06
    million instructions less of each).
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def of_event(arrived: Arrived, context: Any) -> Request:
    """The request of an event. `context` is Lambda's context object."""

    async def pieces() -> AsyncIterator[bytes]:
        yield arrived.body()

    scope = {"aws.context": context, "aws.host": arrived.host}
    return Request(arrived.method, arrived.path, arrived.lines, scope, pieces)


def to_event(response: Response, arrived: Arrived) -> dict[str, Any]:
    """The response in the form that the platform of the request takes."""
    if arrived.form == "2.0":
        return {
            "statusCode": response.status,
            "headers": response.headers,
            "body": response.body,
            "isBase64Encoded": False,
        }
    lines = list(response.headers.items())
    return events.response(arrived.form, response.status, errors.phrase(response.status), lines, response.body)


def of_asgi(scope: Scope, receive: Receive) -> Request:
    """The request of an ASGI server."""

    async def pieces() -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Departed
            yield message.get("body", b"")
            more = message.get("more_body", False)

    lines = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    path = events.within(scope["path"], scope.get("root_path", ""))
    return Request(scope["method"], scope["path"] if path is None else path, lines, scope, pieces)


async def send_asgi(response: Response, send: Send) -> None:
    """Give the response to an ASGI server."""
    body = response.body.encode()
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    if response.status not in BODILESS:
        lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
