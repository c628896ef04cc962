"""The state folder: created when it does not exist, private, and used by one endpoint at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from functions.local.errors import LocalError, Occupied

LOCK = "serving.lock"
"""The file that the serving process keeps locked. It holds the number of that process."""

PID_BYTES = 20
"""Bytes of that number that are read."""


@contextlib.contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Hold the folder while the context is open. Raises LocalError when it cannot be used or is in use.

    The system releases the lock with the process, so a killed endpoint leaves nothing behind.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LocalError(
            f"the state folder {folder} cannot be used ({error.strerror}); set POSTERN_STATE_DIR to a folder that "
            "this user may write"
        ) from error
    try:
        _take(lock, folder)
        yield
    finally:
        os.close(lock)


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, PID_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
        raise Occupied(
            f"the state folder {folder} is in use by another endpoint (process {holder}); stop it, or set "
            "POSTERN_STATE_DIR to another folder"
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
