"""What holds for every test: a property has no deadline, files are in memory, and tests are no garbage."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("postern", deadline=None)  # a busy machine is not a defect
hypothesis.settings.load_profile("postern")

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory."""

FREE_BYTES = 2_000_000_000
"""Least free memory for the files of a run. Runs were seen to hold 12 MB; what a failed test leaves comes on top."""


def in_memory() -> bool:
    """Whether the files of tests can be in memory, and programs among them can be run. Docker allows neither."""
    try:
        system = os.statvfs(MEMORY)
        return shutil.disk_usage(MEMORY).free >= FREE_BYTES and not system.f_flag & os.ST_NOEXEC
    except (AttributeError, OSError):
        return False


def pytest_configure(config: pytest.Config) -> None:
    """Keep the folders of tests in memory: a thousand tests make an SQLite file, which waits for the disk six times."""
    if in_memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the collector pass over what lives as long as the run: 9,000 tests, and the modules they need."""
    gc.collect()
    gc.freeze()
