"""Whose requests the light store signs: keys of the environment, or keys of the container, which change.

Lambda gives a function its keys in three variables. A function with SnapStart gets the address of an endpoint in their
place, because keys in a snapshot would have expired when a copy of it starts. The first request asks for the keys, and
later ones before they expire. While the endpoint fails, the old keys serve until their last second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from functions.gateway import json_text
from functions.gateway.value_classes import dataclass, field
from functions.stores.store import StoreError, StoreUnavailable

VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ENDPOINT = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
ENDPOINT_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the name of a variable

REFRESH_BEFORE = timedelta(minutes=10)
"""How long before their expiry keys are asked for anew; botocore begins to insist at this time, too."""

TRY_AGAIN_AFTER = timedelta(seconds=30)
"""How long a failed refresh is not tried again while the old keys still serve."""

SECONDS = 1.0
"""Longest wait for the endpoint, in seconds. It is a process of the same machine."""

MAX_BYTES = 65_536
"""Bytes of the endpoint's response; keys take about 1.5 kB."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that the keys may be asked of without TLS, as in AWS's own SDKs; Lambda's endpoint is on the first."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access key, secret key and, for a role's temporary keys, the session token."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


CurrentKeys = Callable[[datetime], Credentials]
"""The keys that are valid at a time in UTC. Raises StoreUnavailable."""

Ask = Callable[[str, Mapping[str, str]], bytes]
"""The body of the 200 response to a GET of this URL with these headers. Raises OSError."""


def current_keys(environment: Mapping[str, str], ask: Ask | None = None) -> CurrentKeys:
    """The keys of this environment. Raises StoreError naming what is missing or wrong."""
    missing = [name for name in VARIABLES if not environment.get(name)]
    endpoint = environment.get(ENDPOINT)
    if missing and endpoint:
        return ContainerKeys(endpoint, environment.get(ENDPOINT_TOKEN, ""), ask or _ask)
    if missing:
        raise StoreError(f"DynamoDB store: {', '.join(missing)} not set; Lambda sets them, on a laptop you must")
    access_key, secret_key = (environment[name] for name in VARIABLES)
    keys = Credentials(access_key, secret_key, environment.get("AWS_SESSION_TOKEN") or None)
    return lambda _: keys


class ContainerKeys:
    """The keys of the container's endpoint, asked for when they are needed. Raises StoreError for an endpoint that is
    neither on this machine nor behind TLS."""

    def __init__(self, endpoint: str, token: str, ask: Ask) -> None:
        url = urlsplit(endpoint)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
            raise StoreError(
                f"DynamoDB store: {ENDPOINT} is neither https nor on this machine; its keys are not asked for"
            )
        self._endpoint = endpoint
        self._headers = {"Authorization": token} if token else {}
        self._ask = ask
        self._keys: Credentials | None = None
        self._expire_at = self._ask_at = datetime.min.replace(tzinfo=UTC)

    def __call__(self, now: datetime) -> Credentials:
        """See CurrentKeys."""
        if self._keys is None or now >= self._ask_at:
            try:
                self._keys, self._expire_at = _read(self._ask(self._endpoint, self._headers))
                self._ask_at = self._expire_at - REFRESH_BEFORE
            except (OSError, ValueError, KeyError, TypeError) as error:
                if self._keys is None or now >= self._expire_at:
                    raise StoreUnavailable(
                        f"DynamoDB store: no keys from the container's endpoint ({type(error).__name__})"
                    ) from None  # its text may hold a part of the keys
                self._ask_at = min(now + TRY_AGAIN_AFTER, self._expire_at)
        return self._keys


def _read(content: bytes) -> tuple[Credentials, datetime]:
    """Keys and their expiry. Raises ValueError, KeyError or TypeError for another document."""
    found: Any = json_text.decode_lenient(content)
    keys = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    if not all(isinstance(value, str) and value.isascii() for value in (keys.access_key, keys.secret_key)):
        raise TypeError
    return keys, datetime.fromisoformat(found["Expiration"]).astimezone(UTC)


def _ask(url: str, headers: Mapping[str, str]) -> bytes:
    import http.client  # only where keys are asked for: every other start does without it

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.request(
            "GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=dict(headers)
        )
        response = connection.getresponse()
        content = response.read(MAX_BYTES)
        if response.status != 200:
            raise OSError(f"status {response.status}")
        return content
    except http.client.HTTPException as error:
        raise OSError(type(error).__name__) from None
    finally:
        connection.close()
