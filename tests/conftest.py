"""What holds for every test: the current folder is empty, files are in memory, and a property has no deadline."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections.abc import Iterator
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


@pytest.fixture(scope="session", autouse=True, name="current_folder")
def _current_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder in which the tests run, and the commands that they start.

    A command prefers the state folder `.postern` of the current folder, and a repository may hold one.
    """
    folder = tmp_path_factory.mktemp("current")
    with contextlib.chdir(folder):
        yield folder


@pytest.fixture(autouse=True)
def _nothing_is_left(current_folder: Path) -> Iterator[None]:
    """What a test leaves in the current folder, or of the process, would change how the next test runs."""
    yield
    assert gc.isenabled(), "this test left the collector off; no test after it would find what it leaves open"
    left = sorted(os.listdir(current_folder))
    assert left == [], f"this test wrote into the current folder: {left}; name a folder, e.g. with POSTERN_STATE_DIR"
