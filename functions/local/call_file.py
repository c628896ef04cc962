"""`calls.jsonl`: one line per log entry, in files of bounded size."""

from __future__ import annotations

import os
from pathlib import Path

MAX_BYTES = 10_000_000
"""Size at which a new file begins: about 12,000 calls, small enough for any editor."""

KEPT_FILES = 4
"""Older files that are kept, as calls.jsonl.1 (the newest) to calls.jsonl.4; the next one replaces the oldest."""


class CallFile:
    """Appends lines. Only the owner may read the files. One thread may use it at a time.

    Raises OSError when the file cannot be opened or written.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept_files: int = KEPT_FILES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept_files = kept_files
        self._descriptor = self._open()

    def write(self, line: str) -> None:
        """Append a line, which ends in a line feed. A line that does not fit whole leaves nothing behind."""
        data = line.encode()
        size = os.fstat(self._descriptor).st_size
        if size and size + len(data) > self._max_bytes:
            self._rotate()
            size = 0
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            os.ftruncate(self._descriptor, size)  # half a line would spoil the next one
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _rotate(self) -> None:
        for number in range(self._kept_files, 0, -1):
            newer = self._path if number == 1 else self._older(number - 1)
            if newer.exists():
                newer.replace(self._older(number))
        opened = self._open()
        os.close(self._descriptor)
        self._descriptor = opened

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
