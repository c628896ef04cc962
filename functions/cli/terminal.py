"""What a command prints: its result on standard output, every remark about the result on standard error."""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from functions.gateway import json_text
from functions.gateway.json_text import Json

BAR_CHARS = 30
"""Characters of a progress bar."""

PATIENCE = 2.0
"""Seconds after which a waiting command says what it is waiting for."""


class Declined(Exception):
    """A question was not answered with yes. The message names the option that leaves it out."""


@dataclass(frozen=True)
class Terminal:
    """`as_json`: print results and errors as JSON documents."""

    stdin: TextIO
    out: TextIO
    err: TextIO
    as_json: bool = False

    def result(self, document: Json, text: str) -> None:
        """Print the result: `document` as JSON with `--json`, else `text`."""
        print(json_text.readable(document) if self.as_json else text, file=self.out, flush=True)

    def line(self, text: str) -> None:
        """Print one line of a result that has several parts."""
        print(text, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """Print a remark about the result, except with `--json`."""
        if not self.as_json:
            print(text, file=self.err, flush=True)

    def progress(self, done: int, of: int) -> None:
        """Show a bar on standard error, where that is a terminal; it is drawn over until `done` is `of`."""
        if self.as_json or not self.err.isatty():
            return
        filled = BAR_CHARS * done // of
        bar = "#" * filled + "." * (BAR_CHARS - filled)
        print(f"\r[{bar}] {done} of {of}", file=self.err, end="\n" if done == of else "", flush=True)

    def failure(self, message: str, body: Json = None) -> None:
        """Print why the command failed. With `--json` this is the error object of the endpoint, if there is one."""
        if self.as_json:
            print(json_text.readable(body or {"message": message}), file=self.err, flush=True)
        else:
            print(f"postern: {message}", file=self.err, flush=True)

    def confirm(self, question: str, option: str) -> None:
        """Ask before something that cannot be undone. Raises Declined unless a person answers y or yes."""
        print(f"{question} [y/N] ", file=self.err, end="", flush=True)
        if self.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Declined(f"nothing was changed; {option} goes on without asking")

    @contextlib.contextmanager
    def waiting(self, what: str, after: float = PATIENCE) -> Iterator[None]:
        """Print on standard error what the command waits for, once the wait has taken `after` seconds."""
        timer = threading.Timer(after, self.note, [f"{what} ..."])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def printable(text: str) -> str:
    """Text from elsewhere, safe for a terminal: control characters, which could rewrite the screen, become \\x.."""
    return "".join(
        char if unicodedata.category(char)[0] != "C" else f"\\x{ord(char):02x}" for char in text.replace("\n", " ")
    )
