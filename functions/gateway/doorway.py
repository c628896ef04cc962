"""Which host names are served, which web pages may send requests, and by which way: the check of Host and Origin.

A web page can point its own host name at an address that it may not read (DNS rebinding), and any page can send
requests anywhere. The Host header shows the first, the Origin header the second. Programs send no Origin, and a request
without one passes.

A content delivery network in front of an endpoint can be walked around, because the address behind it is public. It
therefore adds a header with a secret, and a request without that header came another way.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from functions.gateway.errors import Forbidden, Misdirected
from functions.gateway.value_classes import dataclass, field

ANY = "*"
"""As an origin: every one is served."""

LOOPBACK = ("127.0.0.1", "localhost")
"""Host names of this machine. The port does not matter: a development server on another port is local too."""

EXTENSIONS = ("chrome-extension", "moz-extension", "safari-web-extension")
"""Schemes of the origins of browser extensions. A person installed them and let them reach this machine. No web page
has such an origin."""

WEB_HOSTS = "web-hosts"
THIS_MACHINE = "this-machine"

PRESETS: Mapping[str, tuple[str, ...]] = {
    WEB_HOSTS: (
        "https://chatgpt.com",
        "https://claude.ai",
        "https://claude.com",
        "https://github.dev",
        "https://vscode.dev",
    ),
    THIS_MACHINE: (),
}
"""Words that may stand for origins: the hosts that are known to send theirs, and the pages and extensions of this
machine, which have no list. The desktop app of Claude sends the origin of claude.ai, too."""

SECRET_HEADER = "x-postern-origin-secret"  # noqa: S105 - the name of a header
"""What the network in front of the endpoint sends with each request."""

WRONG_WAY = "This endpoint is reached through its own domain; use the URL that was minted"
WRONG_HOST = "This host name is not served here"
WRONG_ORIGIN = "This origin is not allowed here; set POSTERN_ALLOWED_ORIGINS to allow web pages of other origins"


@dataclass(frozen=True, slots=True)
class Doorway:
    """Who may knock.

    `hosts`    names that a request may give as Host, with any port; empty: the one that the platform says, or any.
    `origins`  web origins whose pages may send requests, words of PRESETS among them; "*" = any.
    `secret`   what SECRET_HEADER must hold; empty: every way is right.
    """

    hosts: Collection[str]
    origins: Collection[str]
    secret: str = field(default="", repr=False)

    def check(self, hosts: Sequence[str], origins: Iterable[str], platform_host: str = "", secret: str = "") -> None:
        """Raises Misdirected for a host name that is not served, Forbidden for an origin that is not allowed and for a
        request that came around the network in front.

        `hosts`, `origins`, `secret`  the values of the request's headers. `platform_host`: the name under which the
        platform took the request, "" where it says none.
        """
        if self.secret and not hmac.compare_digest(secret.encode(), self.secret.encode()):
            raise Forbidden(WRONG_WAY)
        if self.hosts:
            served = len(hosts) == 1 and _is_one_of(hosts[0], self.hosts)
        else:
            served = not platform_host or all(_is_one_of(host, (platform_host,)) for host in hosts)
        if not served:
            raise Misdirected(WRONG_HOST)
        if not all(self.admits(origin) for origin in origins):
            raise Forbidden(WRONG_ORIGIN)

    def admits(self, origin: str) -> bool:
        """True for an origin whose pages may send requests. "null", the origin of a sandboxed page, must be named."""
        allowed = self.origins
        return (
            ANY in allowed
            or origin in allowed
            or (WEB_HOSTS in allowed and origin in PRESETS[WEB_HOSTS])
            or (THIS_MACHINE in allowed and _is_local(origin))
        )


def origin_problem(written: str) -> str:
    """What is wrong with an origin of the settings, "" for nothing."""
    if written in (ANY, "null", *PRESETS):
        return ""
    try:
        parts = urlsplit(written)
        right = bool(parts.scheme and parts.netloc) and written == f"{parts.scheme}://{parts.netloc}".lower()
    except ValueError:
        right = False
    if right:
        return ""
    return f"valid: origins such as https://app.example, in lower case and without a path, {', '.join(PRESETS)}, or *"


def _is_one_of(host: str, names: Collection[str]) -> bool:
    """True when `host`, with or without a port, is one of the names."""
    host = host.strip().lower()
    name, colon, port = host.rpartition(":")
    return host in names or (bool(colon) and port.isdigit() and name in names)


def _is_local(origin: str) -> bool:
    """True for the origin of a page that this machine serves or of an extension in a browser on it."""
    try:
        parts = urlsplit(origin)
        return parts.scheme in EXTENSIONS or (parts.scheme in ("http", "https") and parts.hostname in LOOPBACK)
    except ValueError:
        return False
