"""What the endpoints refuse: for a client, an error of OAuth; for a person, a page."""

from __future__ import annotations

from functions.gateway.errors import Invalid, PosternError, Refused


class OAuthError(Refused):
    """An error in the words of OAuth (RFC 6749, 5.2). `code` is one of its names."""

    def __init__(self, code: str, message: str, *, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.code = code
        self.http_status = status


class BadRequest(Invalid):
    """A request that a person sees a page about. `code` is the name of OAuth that its client could be sent."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class TooMany(OAuthError):
    """More requests than the endpoint serves."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "temporarily_unavailable",
            f"this endpoint has more requests than it serves; wait {retry_after} s, then try again",
            status=429,
            retry_after=retry_after,
        )


def code_of(error: PosternError) -> str:
    """The name of OAuth for any error."""
    if isinstance(error, OAuthError):
        return error.code
    if not isinstance(error, Refused):
        return "server_error"
    return "invalid_request" if int(error.status) < 500 else "temporarily_unavailable"
