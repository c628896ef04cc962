"""How far long work is, on standard error: a bar on a terminal, a line per tenth elsewhere, nothing for short work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

QUIET_SECONDS = 2.0
"""Work that is done within this time shows nothing."""

BAR = 30
"""Characters of the bar."""


class Progress:
    """One piece of work with a known number of steps. `clock` gives seconds and only ever rises."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self.stream = stream
        self.clock = clock
        self.started = clock()
        self.terminal = stream.isatty()
        self.shown = -1
        self.drawn = 0

    def step(self, label: str, done: int, total: int) -> None:
        """Say that `done` of `total` steps of the stage `label` are done."""
        tenths = done * (BAR if self.terminal else 10) // max(total, 1)
        if done == 0:
            self.shown = -1
        if self.clock() - self.started < QUIET_SECONDS or tenths == self.shown:
            return
        self.shown = tenths
        if self.terminal:
            text = f"{label} [{'#' * tenths}{'-' * (BAR - tenths)}] {done}/{total}"
            self.stream.write(f"\r{text.ljust(self.drawn)}")
            self.drawn = len(text)
        else:
            self.stream.write(f"{label} {done}/{total}\n")
        self.stream.flush()

    def end(self) -> None:
        """Take the bar away."""
        if self.drawn:
            self.stream.write(f"\r{' ' * self.drawn}\r")
            self.stream.flush()
