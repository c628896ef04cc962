"""The only file that touches an upstream network.

One attempt, never a retry: what the upstream says is what the caller hears. Redirects are not followed, cookies are not
kept (the next call may be another account's), proxies and netrc of the environment are ignored, and nothing of the
caller's own headers is passed on. Unless private upstreams are allowed by settings, the address a name resolves to is
checked at the moment of connecting, so that neither a base URL nor a changed DNS record can reach the network around
us.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from functions.gateway.errors import TooLargeAnswer, UpstreamTimeout, UpstreamUnreachable, UpstreamUnreadable
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings

if TYPE_CHECKING:
    import httpx

KEEPALIVE_SECONDS = 30
"""An idle connection is kept this long: under the usual 60 s of load balancers, so that we close first."""

MAX_CONNECTIONS = 100
"""Connections per process; a Lambda serves one request at a time, a laptop some dozens."""

SILENCED = ("httpx", "httpcore")
"""Loggers that write whole URLs at INFO and headers at DEBUG, with the credential among them."""

READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Verbs after which a lost answer changed nothing."""


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """`headers` have lower-case names; `body` is decoded from any content encoding. `seconds` is the time it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float


class Sender:
    """Sends requests over kept connections. Make one per process; it follows the event loop it is called on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        """The upstream's answer, whatever its status. `deadline` is on the clock of `time.monotonic()`, in seconds.

        Raises UpstreamTimeout, UpstreamUnreachable, UpstreamUnreadable or TooLargeAnswer.
        """
        import httpx

        started = time.monotonic()
        host = request.origin.split("://")[1]
        if started >= deadline:
            raise UpstreamTimeout(f"no time was left to ask {host}; nothing was done, try again", sent=False)
        try:
            async with asyncio.timeout(deadline - started):
                return await self._exchange(request, started)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UpstreamTimeout(
                f"{host} did not answer within {max(1, round(time.monotonic() - started))} s; {_effect(request)}",
                detail=type(error).__name__,
            ) from error
        except httpx.ConnectError as error:
            raise UpstreamUnreachable(
                f"no connection to {host} ({_reason(error)}); nothing was done", sent=False, detail=type(error).__name__
            ) from error
        except httpx.DecodingError as error:
            raise UpstreamUnreadable(
                f"{host} answered with bytes that are not in the content encoding it names; {_effect(request)}",
                detail=type(error).__name__,
            ) from error
        except (httpx.LocalProtocolError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            # Their texts quote what could not be sent, a credential maybe: not to be shown by a traceback either.
            raise UpstreamUnreachable(
                f"the request to {host} has no valid form in HTTP; nothing was sent",
                sent=False,
                detail=type(error).__name__,
            ) from None
        except httpx.HTTPError as error:
            raise UpstreamUnreachable(
                f"the connection to {host} broke before the answer was complete; {_effect(request)}",
                detail=type(error).__name__,
            ) from error

    async def _exchange(self, request: UpstreamRequest, started: float) -> UpstreamResponse:
        client = self._client_of_this_loop()
        most = self._settings.max_upstream_bytes
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        async with client.stream(request.verb, request.url, headers=headers, content=request.body) as response:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > most:
                    raise TooLargeAnswer(
                        f"the upstream's answer is over {most} bytes; ask for less: a smaller limit, a narrower filter",
                        upstream_status=response.status_code,
                    )
                chunks.append(chunk)
            lower = {name.lower(): value for name, value in response.headers.items()}
            return UpstreamResponse(response.status_code, lower, b"".join(chunks), time.monotonic() - started)

    async def close(self) -> None:
        """Close kept connections."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _client_of_this_loop(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = _client(self._settings), loop
        return self._client


def _client(settings: Settings) -> httpx.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    # httpcore imports sniffio at each lock that it takes, four times a request. Where sniffio is not installed, each of
    # these imports searches the disk: 17 % of a call's instructions. With a None here they fail at once.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
    import httpx

    for name in SILENCED:
        logging.getLogger(name).setLevel(logging.WARNING)
    transport = httpx.AsyncHTTPTransport(
        trust_env=False,
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS),
    )
    if not settings.private_upstreams:
        # httpx has no public way to give a transport a network backend, and a check before the call would race DNS.
        transport._pool._network_backend = _guarded_backend()
    return httpx.AsyncClient(
        transport=transport,
        timeout=None,  # noqa: S113 - the deadline above covers the whole exchange
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": "postern", "Accept": "application/json", "Accept-Encoding": "gzip, deflate"},
    )


def _guarded_backend() -> Any:
    import httpcore

    class Guarded(httpcore.AnyIOBackend):
        """Connects to addresses of the public internet only."""

        async def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
            *others, last = await public_addresses(host, port)
            for address in others:  # a name with both kinds of address, on a machine without IPv6
                try:
                    return await super().connect_tcp(address, port, *args, **kwargs)
                except httpcore.ConnectError:
                    continue
            return await super().connect_tcp(last, port, *args, **kwargs)

    return Guarded()


async def public_address(host: str, port: int) -> str:
    """The first address of `host`, all of whose addresses must be public. Raises httpcore.ConnectError."""
    return (await public_addresses(host, port))[0]


async def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of `host`, all of which must be public, in the resolver's order. Raises httpcore.ConnectError."""
    import httpcore

    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name does not resolve") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(is_public(address) for address in addresses):
        raise httpcore.ConnectError("the name resolves to a private address")
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


def _reason(error: Exception) -> str:
    """Why a connection failed, in the words of `public_address` or a short phrase; never a URL."""
    text = str(error)
    if text.startswith("the name"):
        return text
    return "refused or unreachable"


def _effect(request: UpstreamRequest) -> str:
    if request.safe or request.verb in READS:
        return "nothing was changed; try again"
    return "whether it was carried out is unknown: look before you repeat it"
