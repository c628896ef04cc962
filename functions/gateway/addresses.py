"""Which addresses a credential may be sent to: what a base URL may look like, and what its name may resolve to.

The control plane checks a base URL when an operator gives it, and the sender checks the resolved addresses at the
moment of connecting, so that a DNS record that changes later cannot reach the network around us.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from functions.gateway.errors import Invalid, Unavailable
from functions.gateway.waits.names import Busy
from functions.gateway.wording import shown

if TYPE_CHECKING:
    from functions.gateway.waits import Names

PRIVATE_NAMES = (".localhost", ".local", ".internal", ".home.arpa")
"""Endings of names that no public DNS server resolves (RFC 6761, 6762, 8375; `.internal` is reserved by ICANN)."""

PORTS = (80, 443)
"""Ports below 1024 that an API can be on; the others belong to other protocols, e.g. 22 (SSH) and 25 (SMTP)."""

BUSY_SECONDS = 10
"""When to try again while too many names are being looked up: resolvers give a name up after 5 to 30 s."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+(%25[A-Za-z0-9._~-]+)?\]")
_PATH = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments; Python counts .9 and .10 in it as global
        "192.88.99.0/24",  # relays from IPv6 to IPv4, withdrawn by RFC 7526
        "168.63.129.16/32",  # the platform of Azure behind every virtual machine
        "3fff::/20",  # documentation
    )
)


class NoAddress(OSError):
    """A name cannot be connected to. The message completes the sentence "no connection: the name ..."."""


class Unresolved(NoAddress):
    """The name has no address."""

    def __init__(self) -> None:
        super().__init__("the name does not resolve")


class NotPublic(NoAddress):
    """One of the addresses of the name is not on the public internet."""

    def __init__(self) -> None:
        super().__init__("the name resolves to a private address")


def is_public(address: str) -> bool:
    """True for an address of the public internet.

    False for loopback, private, link-local, multicast and reserved addresses, for IPv6 forms that carry such an IPv4
    address, and for all of IPv6 that IANA has not given out as global unicast.
    """
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if embedded is not None:
            return is_public(str(embedded))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _GLOBAL_UNICAST:
            return False
    if any(ip in network for network in _NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast


async def resolve(host: str, port: int, *, private: bool, names: Names) -> list[str]:
    """The addresses of a name in the resolver's order. Raises Unresolved, Busy, or NotPublic unless `private` allows
    it."""
    try:
        addresses = await names.addresses(host, port)
    except Busy:
        raise
    except (OSError, UnicodeError):
        raise Unresolved from None
    if not addresses:
        raise Unresolved
    if not private and not all(is_public(address) for address in addresses):
        raise NotPublic
    return addresses


def check_base_url(text: str, *, private: bool) -> str:
    """The base URL without a trailing slash. `private` allows http and hosts that are not on the public internet.
    Raises Invalid."""
    schemes = ("https", "http") if private else ("https",)
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise Invalid("base_url is not a URL; write it like https://api.example.com") from None
    if "@" in url.netloc:
        raise Invalid("base_url contains a user name or password; remove it and send the secret under credentials")
    if url.scheme not in schemes or not host:
        raise Invalid(
            f"base_url is {shown(text)}; it must start with {' or '.join(f'{name}://' for name in schemes)} and a host"
        )
    if url.query or url.fragment or "?" in text or "#" in text:
        raise Invalid("base_url has a query or a fragment; remove it")
    if not (text.isascii() and text.isprintable()) or " " in text or "\\" in text or port == 0:
        raise Invalid(f"base_url is {shown(text)}; it must be a plain ASCII URL with a valid port")
    if problem := _host_problem(url.netloc, port) or _path_problem(url.path):
        raise Invalid(f"base_url is {shown(text)}; {problem}")
    if private:
        return text.rstrip("/")
    if _is_private_name(host):
        raise _not_public(host, "is not on the public internet")
    if port is not None and port < 1024 and port not in PORTS:
        raise Invalid(
            f"base_url is {shown(text)}; port {port} belongs to another protocol; valid: 80, 443, and 1024 to 65535"
        )
    return text.rstrip("/")


async def check_resolves(base_url: str, names: Names) -> None:
    """Raises Invalid unless the host resolves to public addresses only, and Unavailable while that cannot be told."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    try:
        await resolve(host, url.port or 443, private=False, names=names)
    except NotPublic as error:
        raise _not_public(host, "resolves to an address that is not on the public internet") from error
    except Busy as error:
        raise Unavailable(f"{error}; nothing was saved, try again later", retry_after=BUSY_SECONDS) from error
    except Unresolved as error:
        raise Invalid(f"base_url: the host {host} does not resolve; check its spelling") from error


def _not_public(host: str, what: str) -> Invalid:
    return Invalid(
        f"base_url: {host} {what}, and credentials are not sent there; use the API's public https address "
        "(a deployment for tests can allow it with POSTERN_PRIVATE_UPSTREAMS=true)"
    )


def _is_private_name(host: str) -> bool:
    """True for an address that is not public, and for a name that public DNS never resolves."""
    name = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(name.split("%", maxsplit=1)[0])
    except ValueError:
        return "." not in name or name.endswith(PRIVATE_NAMES)
    return not is_public(name)


def _host_problem(netloc: str, port: int | None) -> str:
    host = netloc.rpartition(":")[0] if port is not None else netloc.removesuffix(":")
    if not _HOST.fullmatch(host):
        return "the host must be an IP address or a name of letters, digits, dots and hyphens"
    return ""


def _path_problem(path: str) -> str:
    if not _PATH.fullmatch(path):
        return "the path holds a character that a URL must percent-encode"
    if any(segment.lower().replace("%2e", ".") in (".", "..") for segment in path.split("/")):
        return 'the path must not hold "." or ".." as a segment'
    return ""
