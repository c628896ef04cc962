"""What a command receives, and the two errors it may raise."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from functions.cli.terminal import Terminal
from functions.gateway.json_text import Json


class UsageError(Exception):
    """The command line is not valid: exit code 2. The message says what is valid; nothing was sent."""


class Failed(Exception):
    """The command was refused or failed: exit code 1. `body` is the error object of the endpoint, if there is one."""

    def __init__(self, message: str, body: Json = None) -> None:
        super().__init__(message)
        self.body = body


@dataclass(frozen=True)
class Invocation:
    """One run of one command. `clock` returns the current time in UTC."""

    options: argparse.Namespace
    environment: Mapping[str, str]
    terminal: Terminal
    clock: Callable[[], datetime]
