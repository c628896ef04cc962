"""Where a client may have people sent back to: https, or a program on their own computer."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlencode, urlsplit

MAX_URI_CHARS = 2_000
"""Characters of one redirect URI: what browsers and proxies pass on everywhere."""

LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
"""Hosts of a person's own computer. Their port may differ from the registered one (RFC 8252, 7.3)."""

_URI = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")

RULE = (
    "a redirect URI must be https, or http to 127.0.0.1, [::1] or localhost, with no fragment, user name or wildcard, "
    f"and at most {MAX_URI_CHARS:,} characters"
)


def is_valid(uri: object) -> bool:
    """True for a redirect URI that a client may have."""
    if not isinstance(uri, str) or len(uri) > MAX_URI_CHARS or not _URI.fullmatch(uri) or "@" in uri.split("?")[0]:
        return False
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    host = host_of(uri)
    if not _HOST.fullmatch(host) or port == 0:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)


def matches(asked: str, registered: Collection[str]) -> bool:
    """True when the client has this redirect URI. It must be equal, except for the port of a loopback address."""
    return asked in registered or (
        is_loopback(asked)
        and any(is_loopback(uri) and _without_port(uri) == _without_port(asked) for uri in registered)
    )


def is_loopback(uri: str) -> bool:
    """True for a program on the person's own computer."""
    return uri.startswith("http://") and host_of(uri) in LOOPBACK


def host_of(uri: str) -> str:
    """The host without its port, as the URI has it."""
    authority = urlsplit(uri).netloc
    return authority.split("]")[0] + "]" if authority.startswith("[") else authority.split(":")[0]


def origin_of(uri: str) -> str:
    """Scheme and authority."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def with_parameters(uri: str, parameters: Mapping[str, str]) -> str:
    """The redirect URI with the response of an authorization request in its query."""
    separator = "&" if "?" in uri else "?"
    return f"{uri}{separator}{urlencode(parameters)}"


def _without_port(uri: str) -> str:
    parts = urlsplit(uri)
    return parts._replace(netloc=host_of(uri)).geturl()
