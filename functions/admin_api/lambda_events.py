"""The management API as a Lambda function: each event is one exchange with the ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from functions.admin_api import networks
from functions.admin_api.networks import Network
from functions.gateway import errors, events, json_text
from functions.gateway.events import Arrived
from functions.gateway.http_frame import SECURITY_HEADERS

FAILED = b'{"statusCode":500,"error":"Internal Server Error","message":"unexpected error"}'

logger = logging.getLogger(__name__)


class LambdaHandler:
    """Answers events with an application that has no start-up and no shut-down.

    `allowed`    the networks whose addresses may use the application; none = every one.
    `base_path`  what the API is mounted at. `loop`: the one loop of the process, because a kept connection lives on
    the loop that opened it.
    """

    def __init__(
        self, app: ASGIApp, base_path: str, loop: asyncio.AbstractEventLoop, allowed: Sequence[Network] = ()
    ) -> None:
        self._app = app
        self._base_path = base_path
        self._loop = loop
        self._allowed = allowed

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """The response to one event, in the form that its platform takes."""
        arrived = events.read(event, self._base_path)
        if arrived is None:
            return dict(events.NO_REQUEST)
        try:
            networks.check(arrived.source_ip, self._allowed)
        except errors.Forbidden as refused:
            status, document, _ = errors.http(refused)
            lines = [("content-type", "application/json"), *SECURITY_HEADERS.items()]
            return events.response(arrived.form, status, errors.phrase(status), lines, json_text.encode(document))
        status, lines, body = self._loop.run_until_complete(_exchange(self._app, arrived, context))
        return events.response(arrived.form, status, errors.phrase(status), lines, body)


async def _exchange(app: ASGIApp, arrived: Arrived, context: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    unread: list[Message] = [{"type": "http.request", "body": arrived.body(), "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return unread.pop() if unread else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(_scope(arrived, context), receive, send)
    except Exception as error:
        logger.error("unexpected %s at %s", type(error).__name__, errors.place(error))
    if not sent:
        return HTTPStatus.INTERNAL_SERVER_ERROR, [("content-type", "application/json")], FAILED
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    return sent[0]["status"], lines, b"".join(message.get("body", b"") for message in sent[1:])


def _scope(arrived: Arrived, context: Any) -> Scope:
    headers = dict(reversed(arrived.lines))
    scheme = headers.get("x-forwarded-proto", "https")
    port = headers.get("x-forwarded-port", "")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "http_version": "1.1",
        "method": arrived.method,
        "scheme": scheme if scheme in ("http", "https") else "https",
        "root_path": arrived.below,
        "path": arrived.below + arrived.path,
        "raw_path": None,
        "query_string": arrived.query.encode("latin-1", "replace"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in arrived.lines],
        "client": (arrived.source_ip, 0),
        "server": (arrived.host or headers.get("host", "localhost"), int(port) if port.isdecimal() else 443),
        "aws.context": context,
    }
