"""A process that a test starts: read until a line says that it is ready, and interrupted as with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.patience import STUCK_SECONDS


def measured() -> dict[str, str]:
    """The variables by which `make coverage` measures a process; none in other runs.

    A test that gives its process an environment of its own adds them.
    """
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


@dataclass
class Started:
    """A process, and what it printed up to the line that was waited for."""

    process: subprocess.Popen[str]
    printed: str = ""

    def until(self, *beginnings: str) -> str:
        """What the process prints next, up to a line that begins so. Raises AssertionError where it ends before."""
        assert self.process.stdout is not None
        printed = ""
        for line in self.process.stdout:
            printed += line
            if line.startswith(beginnings):
                return printed
        raise AssertionError(f"the process ended without a line that begins with {beginnings}:\n{printed}")

    def stop(self) -> tuple[int, str]:
        """Interrupt the process. Returns its exit code, and what it said at last: on standard error, if that is read
        apart."""
        self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=STUCK_SECONDS)
        return self.process.returncode, out if errors is None else errors


@contextmanager
def started(
    command: Sequence[str | Path],
    *beginnings: str,
    cwd: Path,
    env: Mapping[str, str],
    stderr: int | None = subprocess.STDOUT,
    patience: float = STUCK_SECONDS,
) -> Iterator[Started]:
    """A process that has printed a line with one of the beginnings. It is killed at the end if it still runs."""
    with subprocess.Popen(
        [str(word) for word in command], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        stuck = threading.Timer(patience, process.kill)
        stuck.start()
        try:
            found = Started(process)
            found.printed = found.until(*beginnings)
            stuck.cancel()
            yield found
        finally:
            stuck.cancel()
            process.kill()  # what an assertion that failed left running would be waited for without end
