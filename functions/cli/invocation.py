"""What a command is given, and the two ways in which it ends badly."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from functions.cli.terminal import Terminal
from functions.gateway.json_text import Json


class Misuse(Exception):
    """The command was given wrongly: exit code 2. The message says what is valid."""


class Failed(Exception):
    """The command was refused or could not be done: exit code 1. `body` is the endpoint's own error object, if any."""

    def __init__(self, message: str, body: Json = None) -> None:
        super().__init__(message)
        self.body = body


@dataclass(frozen=True)
class Invocation:
    """One run of one command. `clock` gives the present in UTC."""

    options: argparse.Namespace
    environment: Mapping[str, str]
    terminal: Terminal
    clock: Callable[[], datetime]
