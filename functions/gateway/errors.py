"""Every error the gateway raises, and what each becomes on the three planes.

::

    PosternError                    message: safe for the caller; detail: for the log
    |-- Refused                     the transport or the control plane says no
    |   |-- Invalid            400  bad input; `details` lists every problem
    |   |-- Unauthenticated    401  no or wrong API token (control plane only, never on a token URL)
    |   |-- Forbidden          403  right token, not for this
    |   |-- NotFound           404
    |   |-- Conflict           409
    |   |-- TooLarge           413
    |   |-- WrongMediaType     415
    |   `-- Unavailable        503  with `retry_after` seconds
    |-- UnknownTool                 no model can fix it: JSON-RPC -32602
    `-- ToolFailure                 a smarter model could fix it: a result with isError
        |-- WrongArguments     400  `problems` lists all of them
        |-- OutOfScope         403  another entity than the pinned one
        |-- UpstreamRefused         the upstream's own status, body and rate limit
        |-- UpstreamUnreadable 502  an answer that is not what the API documents
        |-- UpstreamUnreachable 502 no answer at all
        |-- UpstreamTimeout    504  no answer in time; whether it acted is unknown
        `-- TooLargeAnswer     502  more bytes than we read

`http`, `jsonrpc` and `tool_result` are total over this tree: any PosternError has an answer on each plane.
A message says what was wrong, where, what is valid and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from functions.gateway.json_text import Json, well_formed
from functions.gateway.rate_limits import RateLimit
from functions.gateway.wording import listed

INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

_RENAMED = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


class PosternError(Exception):
    """Base of the tree. `message` may be shown to any caller; `detail` goes to the log only."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, message: str, *, detail: str = "") -> None:
        self.message = well_formed(message)
        super().__init__(self.message)
        self.detail = detail


class Refused(PosternError):
    """A refusal with an HTTP status; `details` carries what is valid, problem by problem."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, message: str, *, details: Json = None, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(message, detail=detail)
        self.details = details
        self.retry_after = retry_after


class Invalid(Refused):
    """Bad input."""


class Unauthenticated(Refused):
    """No API token, or not one we know."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Refused):
    """A known API token that is not for this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(Refused):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Refused):
    """Somebody changed it in between, or it exists already."""

    status = HTTPStatus.CONFLICT


class TooLarge(Refused):
    """More bytes than we take."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class WrongMediaType(Refused):
    """Not JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unavailable(Refused):
    """Try again after `retry_after` seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class UnknownTool(PosternError):
    """No tool of that name on this server; a hidden tool is an unknown tool."""

    status = HTTPStatus.NOT_FOUND


class ToolFailure(PosternError):
    """A call that did not succeed, told in words a model can act on.

    `is_remote`   the upstream said so. `raw_response` is its body then, JSON or text.
    `rate_limit`  what the upstream's headers told, when there was an answer.
    `sent`        the request left us, so that the upstream may have acted on it; False = it may simply be repeated.
    """

    is_remote = False

    def __init__(
        self,
        message: str,
        *,
        raw_response: Json = None,
        rate_limit: RateLimit | None = None,
        upstream_status: int | None = None,
        sent: bool = True,
        detail: str = "",
    ) -> None:
        super().__init__(message, detail=detail)
        self.sent = sent
        self.raw_response = raw_response
        self.rate_limit = rate_limit
        self.upstream_status = upstream_status

    @property
    def status_code(self) -> int:
        """HTTP status that stands for this failure: the upstream's own where it gave one."""
        return int(self.status)


class WrongArguments(ToolFailure):
    """The arguments do not fit the tool's schema; every problem is in the message, one a line."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, tool: str, problems: Sequence[str]) -> None:
        super().__init__("\n".join(f"{tool}: {problem}" for problem in problems), sent=False)
        self.problems = tuple(problems)


class OutOfScope(ToolFailure):
    """The call names, or would touch, an entity this server is not pinned to."""

    status = HTTPStatus.FORBIDDEN


class UpstreamRefused(ToolFailure):
    """The upstream answered with an error status; its status and body are passed on."""

    is_remote = True

    @property
    def status_code(self) -> int:
        """The upstream's status."""
        assert self.upstream_status is not None
        return self.upstream_status


class UpstreamUnreadable(ToolFailure):
    """The upstream answered something else than the JSON its API documents."""

    status = HTTPStatus.BAD_GATEWAY
    is_remote = True


class UpstreamUnreachable(ToolFailure):
    """No connection to the upstream."""

    status = HTTPStatus.BAD_GATEWAY


class UpstreamTimeout(ToolFailure):
    """No answer before the deadline. A write may or may not have happened; the message says to check."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class TooLargeAnswer(ToolFailure):
    """The upstream's answer is over the bytes we read; the message says how to narrow."""

    status = HTTPStatus.BAD_GATEWAY


def invalid(problems: Sequence[str]) -> Invalid:
    """The error of input with these problems: the message tells them, `details.problems` lists them."""
    shown = listed(problems)
    message = shown[0] if len(shown) == 1 else f"{len(problems)} problems: " + "; ".join(shown)
    return Invalid(message, details={"problems": shown})


def http(error: PosternError) -> tuple[int, dict[str, Json], dict[str, str]]:
    """Status, JSON body and headers of an error on a plain HTTP plane (management API, proxy)."""
    if isinstance(error, ToolFailure):
        headers = error.rate_limit.headers() if error.rate_limit else {}
        return error.status_code, tool_result(error), headers
    body: dict[str, Json] = {
        "statusCode": int(error.status),
        "error": phrase(error.status),
        "message": error.message,
    }
    headers = {}
    if isinstance(error, Refused):
        if error.details is not None:
            body["details"] = error.details
        if error.retry_after is not None:
            headers["retry-after"] = str(error.retry_after)
    return int(error.status), body, headers


def jsonrpc(error: PosternError) -> dict[str, Json]:
    """The `error` member of a JSON-RPC answer."""
    if isinstance(error, UnknownTool):
        return {"code": INVALID_PARAMS, "message": error.message}
    if isinstance(error, Refused):
        return {"code": int(error.status) * 100 + 1, "message": error.message}
    return {"code": INTERNAL_ERROR, "message": error.message}


def tool_result(error: PosternError) -> dict[str, Json]:
    """The envelope of a failed call: what an isError result holds, and the body of a failed proxy call."""
    status_code = error.status_code if isinstance(error, ToolFailure) else int(error.status)
    envelope: dict[str, Json] = {
        "status_code": status_code,
        "error": phrase(status_code),
        "message": error.message,
        "is_remote_error": isinstance(error, ToolFailure) and error.is_remote,
        "raw_response": None,
        "rate_limit": None,
    }
    if isinstance(error, ToolFailure):
        envelope["raw_response"] = error.raw_response
        envelope["rate_limit"] = error.rate_limit.to_json() if error.rate_limit else None
    return envelope


def phrase(status_code: int) -> str:
    """The name of a status in RFC 9110, whatever the Python: 3.13 renamed some to what the RFC calls them."""
    if status_code in _RENAMED:
        return _RENAMED[status_code]
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return f"Status {status_code}"
