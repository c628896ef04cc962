"""Mint an MCP server that expires by itself, and revoke it. Needs only the standard library, so any runner can.

The environment says where and what: POSTERN_ENDPOINT (origin of the management API), POSTERN_API_TOKEN (with the scope
mint or manage, or an identity token that a trust admits) and POSTERN_ACCOUNT; POSTERN_METHODS and POSTERN_TAGS
(separated by spaces or commas), POSTERN_PINS (a JSON object) and POSTERN_EXPIRES_IN (seconds).
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

DEFAULT_SECONDS = 900
"""Default life of a server: long enough for a test run, short enough to need no clean-up."""

MAX_SECONDS = 86_400
"""Longest life of a server for a test run: one day."""

TIMEOUT_SECONDS = 30
"""Limit of one request to the management API."""


class CiError(Exception):
    """The run cannot continue. The message says what is wrong, what is valid and what to do."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: to follow it would carry the secret of the request to another address."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none; urllib then raises HTTPError."""


def send(request: urllib.request.Request, seconds: float) -> bytes:
    """The body of a successful response. Raises OSError, and HTTPError, which is one, for any other response."""
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=seconds) as response:
            body: bytes = response.read()
            return body
    except HTTPException as error:  # what is sent is not HTTP
        raise OSError(f"the answer is not valid HTTP ({type(error).__name__})") from None


@dataclass(frozen=True)
class Endpoint:
    """A deployment and an account there. `base_url` is the origin of the management API."""

    base_url: str
    api_token: str = field(repr=False)
    account_id: str


@dataclass(frozen=True)
class Server:
    """A minted server. `url` is a secret; `expires_at` in ISO 8601."""

    id: str
    url: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: str
    tool_count: int


def mint(
    endpoint: Endpoint,
    *,
    name: str | None = None,
    methods: Sequence[str] = (),
    tags: Sequence[str] = (),
    pins: Mapping[str, str] | None = None,
    expires_in: int = DEFAULT_SECONDS,
) -> Server:
    """A new server. Without a name, its id is its name. Empty `methods` and `tags` select all tools. `expires_in` is in
    seconds. Raises CiError."""
    if not 1 <= expires_in <= MAX_SECONDS:
        raise CiError(f"expires_in is {expires_in}; valid: 1 to {MAX_SECONDS} seconds")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=expires_in)
    config = {"methods": list(methods), "tags": list(tags), "pins": dict(pins or {})}
    body: dict[str, Any] = {
        **({"name": name} if name else {}),
        "config": {key: value for key, value in config.items() if value},
        "expires_at": ends.isoformat().replace("+00:00", "Z"),
    }
    made = _request(endpoint, "POST", f"/integrated-account/{quote(endpoint.account_id, safe='')}/mcp", body)
    return Server(made["id"], made["url"], made["token"], made["expires_at"], made["tool_count"])


def revoke(endpoint: Endpoint, server_id: str) -> None:
    """Remove a server. A server that is already removed is not an error. Raises CiError."""
    account, server = quote(endpoint.account_id, safe=""), quote(server_id, safe="")
    try:
        _request(endpoint, "DELETE", f"/integrated-account/{account}/mcp/{server}")
    except CiError as error:
        if not isinstance(error.__cause__, urllib.error.HTTPError) or error.__cause__.code != 404:
            raise


def endpoint_from(environment: Mapping[str, str]) -> Endpoint:
    """The endpoint that the environment names. Raises CiError, naming what is missing."""
    names = ("POSTERN_ENDPOINT", "POSTERN_API_TOKEN", "POSTERN_ACCOUNT")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise CiError(f"{', '.join(missing)} not set; all of {', '.join(names)} are needed")
    base_url = environment["POSTERN_ENDPOINT"].rstrip("/")
    if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:|/|$)", base_url):
        raise CiError("POSTERN_ENDPOINT must start with https:// (http:// only on this machine): it gets an API token")
    return Endpoint(base_url, environment["POSTERN_API_TOKEN"], environment["POSTERN_ACCOUNT"])


def wanted_from(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the environment says of a server: `methods`, `tags`, `pins` and `expires_in` of `mint`. Raises CiError."""
    try:
        pins = json.loads(environment.get("POSTERN_PINS") or "{}")
        if not isinstance(pins, dict):
            raise ValueError
    except ValueError:
        raise CiError('pins is not a JSON object; write e.g. {"user_id": "usr_1"}') from None
    try:
        expires_in = int(environment.get("POSTERN_EXPIRES_IN") or DEFAULT_SECONDS)
    except ValueError:
        raise CiError(f"expires-in is not a number of seconds; valid: 1 to {MAX_SECONDS}") from None
    methods, tags = _words(environment.get("POSTERN_METHODS", "")), _words(environment.get("POSTERN_TAGS", ""))
    return {"methods": methods, "tags": tags, "pins": pins, "expires_in": expires_in}


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _request(endpoint: Endpoint, verb: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {endpoint.api_token}", "content-type": "application/json"}
    request = urllib.request.Request(endpoint.base_url + path, data, headers, method=verb)  # noqa: S310
    try:
        return json.loads(send(request, TIMEOUT_SECONDS) or b"null")
    except urllib.error.HTTPError as error:
        with error:
            if HTTPStatus.MULTIPLE_CHOICES <= error.code < HTTPStatus.BAD_REQUEST:
                raise CiError(
                    f"the management API answers {error.code}, a redirect, which is not followed; POSTERN_ENDPOINT "
                    "must be the address that it leads to"
                ) from error
            raise CiError(f"the management API answers {error.code}: {_said(error.read())}") from error
    except (OSError, ValueError) as error:
        raise CiError(f"the management API at {endpoint.base_url} cannot be used: {error}") from error


def _said(answer: bytes) -> str:
    """The message and the details of an error response, or its first characters."""
    try:
        document = json.loads(answer)
        details = document.get("details")
        return str(document["message"]) + (f" {json.dumps(details)}" if details else "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer[:200].decode(errors="replace")
