"""A lock that only one process holds, and that ends with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra.locks import locked
from tests.infra import template


def test_a_second_process_waits_says_so_and_goes_on(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "build.lock"
    command = [sys.executable, "-m", "infra.locks", str(lock), "echo", "built"]
    with locked(lock, "nobody"):
        second = subprocess.Popen(command, cwd=template.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        assert second.stderr.readline() == "waiting for another build of this checkout to end\n"
        assert second.poll() is None
    out, _ = second.communicate()
    assert (out, second.returncode) == ("built\n", 0)


def test_the_exit_code_of_the_command_is_that_of_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.locks", str(tmp_path / "lock"), "false"]
    for _ in range(3):
        assert subprocess.run(command, cwd=template.ROOT, check=False).returncode == 1
