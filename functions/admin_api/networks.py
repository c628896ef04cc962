"""From which addresses the management API of a deployment may be used: networks, checked before anything else.

The address is the one that the platform took the request from. A header can name any address, so none is read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from functions.gateway.errors import Forbidden
from functions.gateway.settings import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

OUTSIDE = "The management API is not open to this network; its operator can add the network to ManagementNetworks"


def read(written: Sequence[str]) -> tuple[Network, ...]:
    """The networks of the settings. Raises SettingsError."""
    try:
        return tuple(map(ipaddress.ip_network, written))
    except ValueError as problem:
        raise SettingsError(
            f"POSTERN_MANAGEMENT_NETWORKS: {problem}; valid: networks such as 203.0.113.0/24 or 2001:db8::/32"
        ) from None


def check(source: str, networks: Sequence[Network]) -> None:
    """Raises Forbidden for a request from an address outside the networks, where there are some."""
    if not networks:
        return
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        raise Forbidden(OUTSIDE) from None
    if not any(address in network for network in networks):
        raise Forbidden(OUTSIDE)
