"""Which addresses of a network may be connected to: those of the public internet, however they are spelt."""

from __future__ import annotations

import asyncio
import ipaddress
import socket


class NotReachable(Exception):
    """No connection can be made; the message is a phrase for the reason, and never holds a URL."""


class NotPublic(NotReachable):
    """The name has an address that is not on the public internet."""


async def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of `host`, all of which must be public, in the resolver's order. Raises NotReachable."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotReachable("the name does not resolve") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(is_public(address) for address in addresses):
        raise NotPublic("the name resolves to a private address")
    return addresses


def is_public(address: str) -> bool:
    """True for an address of the public internet; False for loopback, private, link-local, multicast, reserved ones,
    IPv6 forms that carry such an IPv4 address, and all of IPv6 that IANA has not given out as global unicast."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if embedded is not None:
            return is_public(str(embedded))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _GLOBAL_UNICAST or ip in _DOCUMENTATION:
            return False
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")
