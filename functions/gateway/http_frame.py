"""What both planes do around a request, whatever it asks for.

The frame reads a bounded body, gives the request its id and its deadline, and turns every failure into a response. It
logs what callers must not see: the `detail` of an error, and the type and place of an unexpected exception. It never
logs a value. It counts the failures that are ours, because Lambda takes each of them for a success. How an error looks
in a body is the plane's own decision, passed in as `refuse`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeVar

from functions.gateway.errors import EncodedBody, Invalid, PosternError, TooLarge, ToolFailure, Unavailable, place
from functions.gateway.metrics import Count, uncounted
from functions.gateway.settings import Settings
from functions.gateway.value_classes import dataclass
from functions.gateway.wording import shown
from functions.stores.store import StoreError, StoreUnavailable

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of every response that does not state them itself: some responses show a secret once, and the path of an MCP
URL is one."""

STORE_RETRY_SECONDS = 30
"""When to retry after a failure of the store that does not pass by itself, e.g. a missing right: somebody must act."""

LENGTH_DIGITS = 19
"""Digits of a Content-Length that are read; a longer one is ignored, and the bytes themselves are counted."""

_REQUEST_ID = "postern.request_id"

logger = logging.getLogger(__name__)


class Request(Protocol):
    """What the frame needs of a request. Each plane has a class of its own."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def scope(self) -> MutableMapping[str, Any]: ...

    def stream(self) -> AsyncIterator[bytes]: ...


class Headers(Protocol):
    """Headers of a response that can still be added to."""

    def setdefault(self, name: str, value: str, /) -> str: ...


class Response(Protocol):
    """What the frame needs of a response."""

    @property
    def headers(self) -> Headers: ...


Asked = TypeVar("Asked", bound=Request)
Answered = TypeVar("Answered", bound=Response)


@dataclass(frozen=True, slots=True)
class Frame(Generic[Answered]):
    """The frame of one plane.

    `refuse`  the plane's response to an error.
    `departed`  what reading a body raises when the caller has left.
    `new_id`  the id of a request where the platform gives none.
    `count`  counts the failures that are ours.
    """

    settings: Settings
    refuse: Callable[[PosternError], Answered]
    departed: type[Exception]
    new_id: Callable[[], str] = lambda: os.urandom(8).hex()
    count: Count = uncounted

    async def answer(self, request: Asked, run: Callable[[Asked], Awaitable[Answered]]) -> Answered:
        """The response of `run`, or the refusal of what it raised; with the security headers. Never raises."""
        try:
            response = await run(request)
        except self.departed:
            response = self.refuse(Invalid("the request did not end"))  # nobody receives it
        except Exception as error:
            ours = self._as_ours(error, self.request_id(request))
            self.note(ours, error, request)
            response = self.refuse(ours)
        return dressed(response)

    def note(self, error: PosternError, cause: BaseException | None, request: Request) -> None:
        """Count an error if it is ours: a status of 5xx that is not a failed call, whose log entry counts it."""
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, ToolFailure):
            self.count("server_errors", error=type(cause or error).__name__, request_id=self.request_id(request))

    async def body(self, request: Request) -> bytes:
        """The body of the request. Raises TooLarge as soon as its announced or received length is over the limit, and
        EncodedBody for a body that is compressed."""
        coding = request.headers.get("content-encoding", "").strip()
        if coding.lower() not in ("", "identity"):
            raise EncodedBody(f"the request body has Content-Encoding {shown(coding)}; send it without an encoding")
        limit = self.settings.max_request_bytes
        announced = request.headers.get("content-length", "")
        too_large = TooLarge(f"the request body is over {limit:,} bytes, which is the limit; send less at once")
        if announced.isascii() and announced.isdigit() and len(announced) <= LENGTH_DIGITS and int(announced) > limit:
            raise too_large
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large
        return bytes(body)

    def seconds_left(self, request: Request) -> float:
        """Until the request must have its answer: our own limit, or the rest of Lambda's time if that is less."""
        seconds = float(self.settings.call_timeout_seconds)
        context = request.scope.get("aws.context")
        if context is not None:
            left = context.get_remaining_time_in_millis() - self.settings.deadline_margin_ms
            seconds = min(seconds, left / 1000)
        return seconds

    def request_id(self, request: Request) -> str:
        """Lambda's id of the request, or our own; every call returns the same one."""
        known: str | None = request.scope.get(_REQUEST_ID)
        if known is None:
            context = request.scope.get("aws.context")
            known = str(getattr(context, "aws_request_id", "")) or self.new_id()
            request.scope[_REQUEST_ID] = known
        return known

    def _as_ours(self, error: Exception, request_id: str) -> PosternError:
        match error:
            case PosternError():
                log_detail(error, request_id)
                return error
            case StoreUnavailable():
                logger.warning("request %s: the store is unavailable: %s", request_id, error)
                return Unavailable("the store is busy; try again", retry_after=error.retry_after)
            case StoreError():
                logger.error("request %s: the store failed: %s", request_id, error)
                return Unavailable(
                    "the store failed; the log of this deployment names the cause", retry_after=STORE_RETRY_SECONDS
                )
            case _:
                logger.error("request %s: unexpected %s at %s", request_id, type(error).__name__, place(error))
                return PosternError("unexpected error; the log of this deployment names the place")


def dressed(response: Answered) -> Answered:
    """The response with the security headers."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def bearer(authorization: str | None) -> str:
    """The secret of an `Authorization: Bearer` header; "" without one."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def log_detail(error: PosternError, request_id: str) -> None:
    """Log the part of an error that callers do not see, at a level that says whose fault it is."""
    if error.detail:
        if isinstance(error, ToolFailure):
            level = logging.WARNING
        else:
            level = logging.ERROR if error.status >= 500 else logging.INFO
        logger.log(level, "request %s: %s: %s", request_id, type(error).__name__, error.detail)
