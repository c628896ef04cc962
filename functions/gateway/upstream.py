"""What a request to an upstream ends with: its answer, or an error that says whether anything may have happened.

One attempt: what the upstream says is what the caller hears. Only a request that changes nothing is sent once more,
when a kept connection turns out to be dead (connections.py). Nothing of the caller's own headers is passed on. Unless
private upstreams are allowed by settings, the address a name resolves to is checked at the moment of connecting. So
neither a base URL nor a changed DNS record can reach the network around us.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.gateway.addresses import NotReachable
from functions.gateway.connections import READS, Broken, Connections, TooLong, Unsendable, WrongEncoding
from functions.gateway.errors import TooLargeAnswer, UpstreamTimeout, UpstreamUnreachable, UpstreamUnreadable
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings


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
        self._connections: Connections | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        """The upstream's answer, whatever its status. `deadline` is on the clock of `time.monotonic()`, in seconds.

        Raises UpstreamTimeout, UpstreamUnreachable, UpstreamUnreadable or TooLargeAnswer.
        """
        started = time.monotonic()
        host = request.origin.partition("://")[2]
        if started >= deadline:
            raise UpstreamTimeout(f"no time was left to ask {host}; nothing was done, try again", sent=False)
        most = self._settings.max_upstream_bytes
        try:
            async with asyncio.timeout(deadline - started):
                reply = await self._connections_of_this_loop().exchange(request, most)
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"{host} did not answer within {max(1, round(time.monotonic() - started))} s; {_effect(request)}",
                detail=_cause(error),
            ) from error
        except NotReachable as error:
            raise UpstreamUnreachable(
                f"no connection to {host} ({error}); nothing was done", sent=False, detail=_cause(error)
            ) from error
        except WrongEncoding as error:
            raise UpstreamUnreadable(
                f"{host} answered with bytes that are not in the content encoding it names; {_effect(request)}",
                detail=_cause(error),
            ) from error
        except Unsendable as error:
            raise UpstreamUnreachable(
                f"the request to {host} has no valid form in HTTP; nothing was sent",
                sent=False,
                detail=_cause(error),
            ) from None
        except Broken as error:
            raise UpstreamUnreachable(
                f"the connection to {host} broke before the answer was complete; {_effect(request)}",
                detail=_cause(error),
            ) from error
        except TooLong as error:
            raise TooLargeAnswer(
                f"the upstream's answer is over {most} bytes; ask for less: a smaller limit, a narrower filter",
                upstream_status=error.status,
            ) from None
        return UpstreamResponse(reply.status, reply.headers, reply.body, time.monotonic() - started)

    async def close(self) -> None:
        """Close kept connections."""
        connections, self._connections = self._connections, None
        if connections is not None and self._loop is asyncio.get_running_loop():
            connections.close()

    def _connections_of_this_loop(self) -> Connections:
        loop = asyncio.get_running_loop()
        if self._connections is None or self._loop is not loop:
            self._connections, self._loop = Connections(private=self._settings.private_upstreams), loop
        return self._connections


def _cause(error: Exception) -> str:
    """The name of what the operating system, TLS or HTTP said, for the log."""
    return type(error.__cause__ or error).__name__


def _effect(request: UpstreamRequest) -> str:
    if request.safe or request.verb in READS:
        return "nothing was changed; try again"
    return "whether it was carried out is unknown: look before you repeat it"
