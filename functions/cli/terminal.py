"""What a command prints: its result on standard output, all that is said about it on standard error."""

from __future__ import annotations

import contextlib
import json
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from functions.gateway.json_text import Json

PATIENCE = 2.0
"""Seconds after which a command that is still waiting says for what."""


@dataclass(frozen=True)
class Terminal:
    """`as_json`: results are JSON documents, and so are errors."""

    stdin: TextIO
    out: TextIO
    err: TextIO
    as_json: bool = False

    def result(self, document: Json, text: str) -> None:
        """The result: `document` where JSON is asked for, else `text`."""
        print(json.dumps(document, indent=2, ensure_ascii=False) if self.as_json else text, file=self.out, flush=True)

    def line(self, text: str) -> None:
        """One line of a result that comes in parts."""
        print(text, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """Something about the result; not said where JSON is asked for."""
        if not self.as_json:
            print(text, file=self.err, flush=True)

    def failure(self, message: str, body: Json = None) -> None:
        """Why it was not done: the endpoint's own error object where there is one and JSON is asked for."""
        if self.as_json:
            print(json.dumps(body or {"message": message}, indent=2, ensure_ascii=False), file=self.err, flush=True)
        else:
            print(f"postern: {message}", file=self.err, flush=True)

    @contextlib.contextmanager
    def waiting(self, what: str, after: float = PATIENCE) -> Iterator[None]:
        """Say on standard error what is being waited for, once it has taken `after` seconds."""
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
