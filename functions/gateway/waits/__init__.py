"""What the gateway waits for: time, a name, a connection and its bytes, and the work on a large document.

Everything that waits is written once, as a coroutine, and waits through `Waits`. A laptop serves many requests at once:
its waits are those of asyncio's event loop (event_loop.py). A function serves one request at a time, so each of its
waits blocks (blocking.py), and its coroutines end at their first step, without any event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import ssl

Found = TypeVar("Found")


class Timer(Protocol):
    """Something that is to be done later."""

    def cancel(self) -> None:
        """Leave it undone."""


class Wire(Protocol):
    """The bytes of one connection. `error` is the kind of error that ended it, "" for none."""

    error: str

    @property
    def is_closed(self) -> bool:
        """True when nothing more can be sent."""

    @property
    def has_unsent(self) -> bool:
        """True while bytes that were given to `send` have not been accepted."""

    def send(self, data: bytes) -> None:
        """Send as much as is accepted at once. The rest goes out while the answer is waited for."""

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end."""

    async def turn(self) -> None:
        """Give way to others and to the deadline, in work that is long."""

    def is_quiet(self) -> bool:
        """True when the connection is open and the upstream has sent nothing that was not received."""

    def close(self) -> None:
        """Close at once."""


class Names(Protocol):
    """Who knows the addresses of names."""

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a name in the resolver's order, none twice. Raises OSError or UnicodeError."""


class Waits(Names, Protocol):
    """How a process waits. Instants are seconds on the clock of `now`."""

    @property
    def home(self) -> Hashable:
        """What a kept connection belongs to: it cannot be used from another one."""

    def now(self) -> float:
        """The present."""

    def until(self, deadline: float) -> AbstractAsyncContextManager[Any]:
        """End what is done in the context at the deadline. Raises TimeoutError then."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""

    async def turn(self) -> None:
        """Give way to others. It is the first wait of an answer that waits, so that others may begin one before they
        know whether it does."""

    async def in_turn(self, size: int, work: Callable[..., Found], *about: Any) -> Found:
        """Work on a request or an answer of `size` bytes, so that a large one keeps nobody waiting."""

    def later(self, seconds: float, act: Callable[..., None], *about: Any) -> Timer:
        """Act after a time."""

    async def open(self, address: str, port: int, tls: ssl.SSLContext | None, host: str) -> Wire:
        """A connection to an address; with `tls`, one to the `host` that its certificate names. Raises OSError."""
