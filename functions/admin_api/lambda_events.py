"""The management API as a Lambda function: Mangum runs the ASGI application, for every front door of AWS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mangum import Mangum
from starlette.types import ASGIApp, Scope

from functions.admin_api import networks
from functions.admin_api.networks import Network
from functions.gateway import errors, events, json_text
from functions.gateway.events import Arrived
from functions.gateway.http_frame import SECURITY_HEADERS


class FrontDoor:
    """A request as Mangum takes it, read from its event already: both planes read events by one file, so that a stage,
    a base path and a header mean the same to both."""

    def __init__(self, arrived: Arrived, context: Any, _config: Any) -> None:
        self._arrived = arrived
        self._context = context

    @classmethod
    def infer(cls, *_: Any) -> bool:
        """Whatever gets here is an HTTP request."""
        return True

    @property
    def body(self) -> bytes:
        """The bytes of the request."""
        return self._arrived.body()

    @property
    def scope(self) -> Scope:
        """What ASGI calls a request."""
        return _scope(self._arrived, self._context)

    def __call__(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """The response in the form that the platform takes."""
        status = response["status"]
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response["headers"]]
        return events.response(self._arrived.form, status, errors.phrase(status), lines, response["body"])


class LambdaHandler:
    """Answers events with an application that has no start-up and no shut-down.

    `allowed`    the networks whose addresses may use the application; none = every one.
    `base_path`  what the API is mounted at. `loop`: the one loop of the process, because a kept connection lives on
    the loop that opened it.
    """

    def __init__(
        self, app: ASGIApp, base_path: str, loop: asyncio.AbstractEventLoop, allowed: Sequence[Network] = ()
    ) -> None:
        asyncio.set_event_loop(loop)  # where Mangum looks for it
        self._mangum = Mangum(app, lifespan="off", custom_handlers=[FrontDoor])
        self._base_path = base_path
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
        answer: dict[str, Any] = self._mangum(arrived, context)
        return answer


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
