"""What a large document is, and that garbage collection waits while one is alive.

A document of a million values holds no garbage, but the collector would walk all of it again and again. Decoding would
take four times as long, and each walk stops every other call for up to 0.1 s. Reference counts free the document.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LARGE_BYTES = 100_000
"""Bytes of a document that is read between two turns of the event loop, which takes some milliseconds. A larger one is
read on a thread (waits/event_loop.py)."""


class Collector:
    """The collector of this process, and how many documents it waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits = 0
        self._was_enabled = True

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let the collector wait while the context is open. Contexts may overlap, on any threads."""
        with self._lock:
            if not self._waits:
                self._was_enabled = gc.isenabled()
            self._waits += 1
            gc.disable()
        try:
            yield
        finally:
            with self._lock:
                self._waits -= 1
                if not self._waits and self._was_enabled:
                    gc.enable()


collector = Collector()
