"""What both ways to look a name up share."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any

NAMES_AT_ONCE = 32
"""Names that are looked up at once. Each takes a thread until the system gives up, often after 5 to 30 s."""

LookUp = Callable[..., Sequence[tuple[Any, ...]]]
"""The signature of `socket.getaddrinfo`."""


class Busy(OSError):
    """Too many other names are being looked up."""

    def __init__(self) -> None:
        super().__init__("too many names are being looked up")


def numeric(host: str, port: int) -> list[str]:
    """The host itself where it is an address; empty for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return []
    return listed(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))


def listed(found: Sequence[tuple[Any, ...]]) -> list[str]:
    """The addresses of a look-up, none twice."""
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
