"""Work counted instead of timed: the same number on an idle machine and on a busy one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

Found = TypeVar("Found")


def counted(work: Callable[[], Found]) -> tuple[Found, int]:
    """What `work` returns, and how many calls of Python and built-in functions this thread made for it.

    The profile hook is the thread's own (cProfile counts every thread from Python 3.12 on, a test runner's too), and no
    garbage is collected meanwhile: finalisers of earlier work would count as this work's.
    """
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    collecting = gc.isenabled()
    gc.disable()
    sys.setprofile(count)
    try:
        found = work()
    finally:
        sys.setprofile(None)
        if collecting:
            gc.enable()
    return found, calls
