"""Every error the gateway raises, and what each becomes on the three planes.

::

    PosternError                    message: safe for the caller; detail: for the log
    |-- Refused                     the transport or the control plane says no
    |   |-- Invalid            400  bad input; `details` lists every problem
    |   |-- Unauthenticated    401  no or wrong API token (control plane only, never on a token URL)
    |   |-- Forbidden          403  right token, not for this
    |   |-- NotFound           404
    |   |-- WrongVerb          405
    |   |-- Conflict           409
    |   |-- TooLarge           413
    |   |-- WrongMediaType     415
    |   |-- EncodedBody        415  a compressed body; the header Accept-Encoding says what is taken
    |   |-- Misdirected        421  a host name that is not served here
    |   `-- Unavailable        503  with `retry_after` seconds
    |-- UnknownTool                 no model can fix it: JSON-RPC -32602
    `-- ToolFailure                 a smarter model could fix it: a result with isError
        |-- WrongArguments     400  `problems` lists all of them
        |-- CallLimited        429  the server's own limit of calls; nothing was sent
        |-- OutsidePins         403  another entity than the pinned one
        |-- ConfirmationNeeded  428  the server asks for a confirmation first; nothing was sent
        |-- Declined            403  a person was asked for a confirmation and declined; nothing was sent
        |-- Unconfirmable       503  no confirmation can be kept at the moment; nothing was sent
        |-- UpstreamRefused         the upstream's own status and body
        |-- UpstreamUnreadable 502  an answer that is not what the API documents
        |-- UpstreamUnreachable 502 no answer at all
        |-- UpstreamBusy       503  every connection of this account is taken; nothing was sent
        |-- EventFailed        502  the upstream accepted the call and reported later that it failed
        |-- UpstreamTimeout    504  no answer in time; whether it acted is unknown
        |-- TooLargeAnswer     502  more bytes than we read
        `-- LostResult         500  a fault of ours after the request was sent

`http` is total over this tree: any PosternError has an answer on an HTTP plane. `rpc_code` gives the JSON-RPC code of a
refusal. A message says what was wrong, where, what is valid and what to do; it never names the tool, because
`call.Failed` puts the tool's name before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from functions.gateway.json_text import Json, well_formed
from functions.gateway.rate_limits import RateLimit
from functions.gateway.wording import listed

SHOWN_FRAMES = 6
"""Frames of an unexpected exception that are logged, as file:line."""

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


class WrongVerb(Refused):
    """The path does not take this HTTP method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class Conflict(Refused):
    """Somebody changed it in between, or it exists already."""

    status = HTTPStatus.CONFLICT


class TooLarge(Refused):
    """More bytes than we take."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class WrongMediaType(Refused):
    """Not JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class EncodedBody(Refused):
    """The body is compressed."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Misdirected(Refused):
    """The request is for a host name that is not served here."""

    status = HTTPStatus.MISDIRECTED_REQUEST


class Unavailable(Refused):
    """Try again after `retry_after` seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class UnknownTool(PosternError):
    """No tool of that name on this server; a hidden tool is an unknown tool."""

    status = HTTPStatus.NOT_FOUND


class ToolFailure(PosternError):
    """A call that did not succeed, in words a model can act on.

    `raw_response`  what the upstream said, as JSON or as text: its words stand nowhere else, so `message` has none.
    `sent`          False when it is certain that the request did not leave us. `call.Failed` says what follows from it.
    """

    is_remote = False

    def __init__(
        self,
        message: str,
        *,
        raw_response: Json = None,
        upstream_status: int | None = None,
        sent: bool = True,
        detail: str = "",
    ) -> None:
        super().__init__(message, detail=detail)
        self.sent = sent
        self.raw_response = raw_response
        self.upstream_status = upstream_status

    @property
    def status_code(self) -> int:
        """HTTP status that stands for this failure: the upstream's own where it gave one."""
        return int(self.status)

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, one problem a line."""
        return (self.message,)


class WrongArguments(ToolFailure):
    """The arguments do not fit the tool; every problem is in the message, one a line, and then the corrected arguments
    where they can be computed."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, problems: Sequence[str], corrected: str | None = None, *, raw_response: Json = None) -> None:
        self.problems = tuple(well_formed(problem) for problem in problems)
        self.corrected = corrected
        super().__init__("\n".join(self.lines), sent=False, raw_response=raw_response)

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems, and the corrected arguments."""
        return self.problems if self.corrected is None else (*self.problems, f"corrected: {self.corrected}")


class CallLimited(ToolFailure):
    """The server has had as many calls as it accepts. `rate_limit` says when the next one may come."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, rate_limit: RateLimit) -> None:
        super().__init__(message, sent=False)
        self.rate_limit = rate_limit


class OutsidePins(ToolFailure):
    """The call names, or would touch, an entity this server is not pinned to. `corrected` are the arguments of the call
    within the pins, where it can be computed."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self, message: str, *, corrected: str | None = None, **about: Any) -> None:
        super().__init__(message, **about)
        self.corrected = corrected

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, and the corrected arguments."""
        return (self.message,) if self.corrected is None else (self.message, f"corrected: {self.corrected}")


class ConfirmationNeeded(ToolFailure):
    """The server asks for a confirmation of this call; nothing was sent.

    `reason`   why the code that was given does not count, "" where none was given. `touches`: e.g. "12 memories".
    `code`     makes the repeat of the call count, as `argument`, until `ends`.
    `person`   the code counts only once a person has approved it at `link` ("" where the address is not known).
    """

    status = HTTPStatus.PRECONDITION_REQUIRED

    def __init__(
        self,
        *,
        reason: str,
        touches: str,
        raw_response: Json,
        argument: str,
        code: str,
        ends: datetime,
        person: bool,
        link: str,
        server_id: str,
    ) -> None:
        self.server_id = server_id
        self.touches = touches
        self.argument = argument
        self.code = code
        self.ends = ends
        self.person = person
        self.link = link
        why = "this server asks for a confirmation of this call" + (f", and {reason}" if reason else "")
        super().__init__(f"{why}; nothing was sent", raw_response=raw_response, sent=False)

    def to_json(self) -> dict[str, Json]:
        """What a page needs to ask a person, and to repeat the call as it was."""
        person = {"link": self.link} if self.person else {}
        return {"argument": self.argument, "code": self.code, "subject": self.subject, **person}

    @property
    def subject(self) -> str:
        """What the call would touch, in a sentence; "" where that is not known."""
        return f"The call would touch {self.touches}." if self.touches else ""

    @property
    def lines(self) -> tuple[str, ...]:
        """The refusal, what the call would touch, and how it is confirmed."""
        ends = f"{self.ends:%H:%M:%S} UTC"
        code = f'"{self.argument}": "{self.code}"'
        if self.person:
            place = f"at {self.link}" if self.link else f"in the console (/console#/approve, server {self.server_id})"
            ways = [
                f"A person must approve the call until {ends} {place}",
                f"Once it is approved, repeat the call with the same arguments and {code}; it works once",
            ]
        else:
            ways = [
                f"If the user agrees, repeat the call with the same arguments and {code}; it works once, until {ends}"
            ]
        seen = [] if self.raw_response is None else ["raw_response shows what is there now"]
        return (self.message, *filter(None, [self.subject]), *seen, *ways)


class Declined(ToolFailure):
    """A person was asked for a confirmation and declined. Nothing was sent."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__("the person who was asked declined this call; nothing was sent", sent=False)


class Unconfirmable(ToolFailure):
    """The server asks for a confirmation, and none can be kept. Nothing was sent."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class UpstreamRefused(ToolFailure):
    """The upstream answered with an error status; its status and body are passed on."""

    is_remote = True

    def __init__(self, message: str, *, upstream_status: int, raw_response: Json = None, detail: str = "") -> None:
        super().__init__(message, raw_response=raw_response, upstream_status=upstream_status, detail=detail)
        self._status_code = upstream_status

    @property
    def status_code(self) -> int:
        """The upstream's status."""
        return self._status_code


class UpstreamUnreadable(ToolFailure):
    """The upstream answered something else than the JSON its API documents."""

    status = HTTPStatus.BAD_GATEWAY
    is_remote = True


class UpstreamUnreachable(ToolFailure):
    """No connection to the upstream."""

    status = HTTPStatus.BAD_GATEWAY


class UpstreamBusy(ToolFailure):
    """Every connection that the account may use to this upstream was taken. Nothing was sent."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class EventFailed(ToolFailure):
    """The upstream accepted the call, and its event says that it failed; `raw_response` holds the event."""

    status = HTTPStatus.BAD_GATEWAY
    is_remote = True


class UpstreamTimeout(ToolFailure):
    """No answer before the deadline. A write may or may not have happened; the message says to check."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class TooLargeAnswer(ToolFailure):
    """The upstream's answer is over the bytes we read; the message says how to narrow."""

    status = HTTPStatus.BAD_GATEWAY


class LostResult(ToolFailure):
    """A fault of ours after the request was sent: the message says what the upstream answered."""


def effect(*, changes_nothing: bool) -> str:
    """What a model must know after a request whose outcome is lost: may it be repeated?"""
    if changes_nothing:
        return "nothing was changed; try again later"
    return "whether it was carried out is unknown: look before you repeat it"


def invalid(problems: Sequence[str]) -> Invalid:
    """The error of input with these problems: the message states them, `details.problems` lists them."""
    shown = listed(problems)
    message = shown[0] if len(shown) == 1 else f"{len(problems)} problems: " + "; ".join(shown)
    return Invalid(message, details={"problems": shown})


def http(error: PosternError) -> tuple[int, dict[str, Json], dict[str, str]]:
    """Status, JSON body and headers of an error on a plain HTTP plane (management API, proxy)."""
    if isinstance(error, ToolFailure):
        return error.status_code, envelope(error), {}
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
        if isinstance(error, EncodedBody):
            headers["accept-encoding"] = "identity"  # RFC 9110, 15.5.16
    return int(error.status), body, headers


def rpc_code(error: PosternError) -> int:
    """The JSON-RPC code of an error: for a refusal of the transport, its HTTP status and "01"."""
    if isinstance(error, UnknownTool):
        return INVALID_PARAMS
    return int(error.status) * 100 + 1 if isinstance(error, Refused) else INTERNAL_ERROR


def envelope(failure: ToolFailure) -> dict[str, Json]:
    """What stands for a failed call in a result or in a body."""
    return {
        "status_code": failure.status_code,
        "error": phrase(failure.status_code),
        "message": failure.message,
        "is_remote_error": failure.is_remote,
        "raw_response": failure.raw_response,
        "rate_limit": None,
    }


def place(error: Exception) -> str:
    """Where an exception was raised and through which lines, the innermost first; its message may hold values."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-SHOWN_FRAMES:]
    return " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))


def phrase(status_code: int) -> str:
    """The name of a status in RFC 9110, whatever the Python: 3.13 renamed some to what the RFC calls them."""
    if status_code in _RENAMED:
        return _RENAMED[status_code]
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return f"Status {status_code}"
