"""How long a test waits for what takes a moment: so long that only what is stuck takes longer.

A test that fails when a busy machine is slow measures the machine. What a test has to say about speed, it counts
(`tests/work.py`) or asks of a clock that it puts forward itself (`tests/gateway/calling.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

STUCK_SECONDS = 600.0
"""A wait that takes longer never ends. What is waited for takes milliseconds on an idle machine, a start a second."""

PAUSE_SECONDS = 0.001
"""Between two looks: the processor is for what is waited for."""

Found = TypeVar("Found")


def until(found: Callable[[], Found], what: str) -> Found:
    """The first value of `found` that is true. `what`: what is then so, in words for the failure."""
    ends = time.monotonic() + STUCK_SECONDS
    while not (value := found()):
        assert time.monotonic() < ends, f"not within {STUCK_SECONDS:.0f} s: {what}"
        time.sleep(PAUSE_SECONDS)
    return value
