"""The progress of long work on standard error: a bar on a terminal, elsewhere a line for each tenth."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

QUIET_SECONDS = 2.0
"""Seconds before anything is shown, so that short work shows nothing."""

BAR = 30
"""Width of the bar in characters."""


class Progress:
    """One piece of work with a known number of steps. `clock` returns seconds and never goes back."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self.stream = stream
        self.clock = clock
        self.started = clock()
        self.terminal = stream.isatty()
        self.shown = -1
        self.drawn = 0

    def step(self, label: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of the stage `label` are done."""
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
        """Remove the bar."""
        if self.drawn:
            self.stream.write(f"\r{' ' * self.drawn}\r")
            self.stream.flush()
