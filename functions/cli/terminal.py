"""What a command prints: its result on standard output, every remark about the result on standard error.

For people the result is text. Only on a terminal it is drawn with the library rich, unless NO_COLOR is set; where it is
piped it is plain. With --json it is a JSON document.
"""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO, runtime_checkable

from functions.gateway import json_text
from functions.gateway.json_text import Json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH = 120
"""Columns of a text that no terminal shows: as many as the longest line of an example."""

PATIENCE = 2.0
"""Default of `Terminal.patience`: most answers come in less."""


class Declined(Exception):
    """A question was not answered with yes. The message names the option that leaves it out."""


@runtime_checkable
class Drawable(Protocol):
    """A part of a result that is drawn on a terminal that is wide enough."""

    def drawn(self, width: int) -> RenderableType | None:
        """What the library draws; None where the text is better."""


@dataclass(frozen=True)
class Terminal:
    """`as_json`: print results and errors as JSON documents. `is_plain`: use no colour and draw nothing.

    `patience`  seconds after which a waiting command says what it is waiting for.
    """

    stdin: TextIO
    out: TextIO
    err: TextIO
    as_json: bool = False
    is_plain: bool = False
    patience: float = PATIENCE

    @property
    def is_rich(self) -> bool:
        """True where the result is drawn for a person."""
        return not self.is_plain and not self.as_json and self.out.isatty()

    def console(self, file: TextIO | None = None) -> Console:
        """Where the library draws."""
        from rich.console import Console  # late: a script that reads JSON never needs it

        shown = file or self.out
        width = None if shown.isatty() else WIDTH
        return Console(file=shown, no_color=self.is_plain, highlight=False, markup=False, width=width)

    def result(self, document: Json, *parts: object) -> None:
        """Print the result: `document` as JSON with `--json`, else the parts, which are texts, tables and details."""
        if self.as_json:
            print(json_text.readable(document), file=self.out, flush=True)
            return
        console = self.console() if self.is_rich else None
        for part in parts:
            drawn = part.drawn(console.width) if console is not None and isinstance(part, Drawable) else None
            if console is not None and drawn is not None:
                console.print(drawn)
            else:
                print(part, file=self.out, flush=True)

    def line(self, text: str) -> None:
        """Print one line of a result that has several parts."""
        print(text, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """Print a remark about the result, except with `--json`."""
        if not self.as_json:
            print(text, file=self.err, flush=True)

    @contextlib.contextmanager
    def progress(self, what: str, of: int) -> Iterator[Callable[[], object]]:
        """Show a bar on standard error, where that is a terminal. Calling the yielded function moves it by one."""
        if self.as_json or self.is_plain or not self.err.isatty():
            yield lambda: None
            return
        from rich.progress import Progress  # late: few commands take long

        with Progress(console=self.console(self.err)) as bar:
            task = bar.add_task(what, total=of)
            yield lambda: bar.advance(task)

    def failure(self, message: str, body: Json = None, usage: str = "") -> None:
        """Print why the command failed. With `--json` this is the error object of the endpoint, if there is one."""
        if self.as_json:
            print(json_text.readable(body or {"message": message}), file=self.err, flush=True)
        else:
            print(f"usage: {usage}\npostern: {message}" if usage else f"postern: {message}", file=self.err, flush=True)

    def confirm(self, question: str, option: str) -> None:
        """Ask before something that cannot be undone. Raises Declined unless a person answers y or yes."""
        print(f"{question} [y/N] ", file=self.err, end="", flush=True)
        if self.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Declined(f"nothing was changed; {option} goes on without asking")

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Print on standard error what the command waits for, once the wait has taken `patience`."""
        timer = threading.Timer(self.patience, self.note, [f"{what} ..."])
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
