"""A thread that works while there is something to do, and else sleeps until it is woken."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Background(ABC):
    """`start` and `stop` may be called again and again; what is left at a `stop` waits for the next `start`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is new work."""
        self._awake.set()

    def start(self) -> None:
        """Begin, or go on."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Return when the turn at hand has ended."""
        if self._thread is not None:
            self._stopping.set()
            self._awake.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            pause = self._turn()
            if pause > 0:
                self._awake.wait(pause)

    @abstractmethod
    def _turn(self) -> float:
        """Do one piece of work. Returns the seconds to sleep, 0 for none. What it raises ends the thread."""
