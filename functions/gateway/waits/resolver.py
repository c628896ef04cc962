"""The addresses of a name, looked up on threads of their own: a resolver that hangs delays nobody but who asks it.

asyncio looks names up on its default threads, of which there are as many as processors plus four. A few hanging names
would take them all, and with them the decoding of large answers and every other name. Here one name takes one thread,
however many calls wait for it, and the threads do not keep a process from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from functions.gateway.waits.names import NAMES_AT_ONCE, Busy, LookUp, listed, numeric


class Resolver:
    """The look-ups of one process. `look_up` asks the system."""

    def __init__(self, look_up: LookUp = socket.getaddrinfo, *, at_once: int = NAMES_AT_ONCE) -> None:
        self._look_up = look_up
        self._free = threading.Semaphore(at_once)
        self._under_way: dict[tuple[Any, ...], asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a name in the resolver's order, none twice. Raises OSError or UnicodeError."""
        if known := numeric(host, port):
            return known
        loop = asyncio.get_running_loop()
        key = (loop, host, port)
        found = self._under_way.get(key)
        if found is None:
            if not self._free.acquire(blocking=False):
                raise Busy
            found = self._under_way[key] = loop.create_future()
            found.add_done_callback(lambda done: self._forget(key, done))
            threading.Thread(target=self._ask, args=(loop, found, host, port), name="postern-dns", daemon=True).start()
        return await asyncio.shield(found)  # one caller that gives up leaves it to the others

    def _ask(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[str]], host: str, port: int) -> None:
        result: list[str] | Exception
        try:
            result = listed(self._look_up(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # raised again to those who wait
            result = error
        finally:
            self._free.release()
        try:
            loop.call_soon_threadsafe(_settle, found, result)
        except RuntimeError:
            return  # the loop has ended, and with it everybody who waited

    def _forget(self, key: tuple[Any, ...], done: asyncio.Future[list[str]]) -> None:
        self._under_way.pop(key, None)
        done.exception()  # all who waited may have given up


def _settle(found: asyncio.Future[list[str]], result: list[str] | Exception) -> None:
    if isinstance(result, Exception):
        found.set_exception(result)
    else:
        found.set_result(result)


RESOLVER = Resolver()
"""The one of this process."""
