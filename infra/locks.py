"""One at a time on this machine: a lock file that the system releases when its process ends.

python -m infra.locks FILE COMMAND...    runs the command while it holds the lock
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock. While another process holds it, one line says that this one waits for `what`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for {what} to end", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Run a command under the lock and return its exit code."""
    path, *command = sys.argv[1:]
    with locked(Path(path), "another build of this checkout"):
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
