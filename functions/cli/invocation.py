"""What a command receives, and the errors it may raise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from functions.cli.terminal import Terminal
from functions.gateway.json_text import Json

Options_co = TypeVar("Options_co", covariant=True)


class Where(Protocol):
    """The options that say which endpoint a command speaks to."""

    @property
    def endpoint(self) -> str | None:
        """An address or a name."""

    @property
    def api_token(self) -> str | None:
        """The API token to use there."""


class UsageError(Exception):
    """The command line is not valid: exit code 2. The message says what is valid; nothing was sent."""


class Misuse(UsageError):
    """A word that the command does not take, or one that is missing. `usage` is what the command takes."""

    def __init__(self, message: str, usage: str = "") -> None:
        super().__init__(message)
        self.usage = usage


class Failed(Exception):
    """The command was refused or failed: exit code 1. `body` is the error object of the endpoint, if there is one."""

    def __init__(self, message: str, body: Json = None) -> None:
        super().__init__(message)
        self.body = body


@dataclass(frozen=True)
class Invocation(Generic[Options_co]):
    """One run of one command. `clock` returns the current time in UTC."""

    options: Options_co
    environment: Mapping[str, str]
    terminal: Terminal
    clock: Callable[[], datetime]
