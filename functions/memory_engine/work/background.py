"""A thread that works while there is work, and otherwise sleeps until it is woken."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from functions.memory_engine.core import Signal


class Background(ABC):
    """`start` and `stop` may alternate any number of times. Work left at a `stop` waits for the next `start`."""

    def __init__(self, name: str, signal: Signal) -> None:
        self._name = name
        self._signal = signal
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin or continue."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Return when the current turn has ended."""
        if self._thread is not None:
            self._stopping.set()
            self._signal.give()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._signal.clear()
            pause = self._turn()
            if pause > 0:
                self._signal.wait(pause)

    @abstractmethod
    def _turn(self) -> float:
        """Do one piece of work. Returns the seconds to sleep, 0 for none. An exception ends the thread."""
