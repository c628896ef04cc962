"""The first set-up of a clone: one line where it cannot be done, whatever is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.set_up import FAILURES, reason
from tests.gateway.loopback import unused_origin
from tests.patience import STUCK_SECONDS

ROOT = Path(__file__).parents[2]
OLD = """#!/bin/sh
exec {python} -c 'import sys; sys.version_info = (3, 9, 1); sys.version = "3.9.1 (main)"; exec(sys.argv[1])' "$2"
"""
"""An interpreter that says it is Python 3.9."""


def make(python: str, venv: Path, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`make` of the environment that every other target needs."""
    return subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={python}", f"VENV={venv}", f"{venv}/.ready"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(venv.parent), **(variables or {})},
        capture_output=True,
        text=True,
        timeout=STUCK_SECONDS,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on standard error, without the one of make itself."""
    assert done.returncode != 0
    return [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]


def test_an_old_python_is_told_which_one_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text(OLD.format(python=sys.executable))
    old.chmod(0o755)
    assert said(make(str(old), tmp_path / "venv")) == [
        "Postern needs Python 3.11 or newer; this is 3.9.1. Try: make PYTHON=python3.13"
    ]


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert said(make("python9.9", tmp_path / "venv")) == [
        "There is no python9.9; install Python 3.11 or newer, or name one: make PYTHON=python3.13"
    ]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    venv = tmp_path / "file" / "venv"
    assert said(make(sys.executable, venv)) == [
        f"{venv} cannot be made: {venv} cannot be written; clone into a folder that this user may write"
    ]


def test_without_a_network_one_line_says_so_and_a_file_has_the_rest(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    index = {"PIP_INDEX_URL": f"{unused_origin()}/simple", "PIP_CONFIG_FILE": os.devnull}
    for _ in range(2):  # the second time, the environment is there
        assert said(make(sys.executable, venv, index)) == [
            "infra/requirements/local.txt could not be installed: the package index cannot be reached; the first "
            f"set-up needs a network, or an index of your own in PIP_INDEX_URL; {venv}/set-up.log has the whole output"
        ]
    assert "Connection refused" in (venv / "set-up.log").read_text()


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("OSError: [Errno 30] Read-only file system: '/x'", "v cannot be written"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "differs from its locked hash"),
        ("WARNING: Retrying ...: Temporary failure in name resolution\nNameResolutionError(x)", "cannot be reached"),
        ("first\nERROR: something else\n\n", "ERROR: something else"),
        ("", "the command said nothing"),
    ],
)
def test_what_pip_says_becomes_one_line(output: str, told: str) -> None:
    line = reason(output, Path("v"))
    assert told in line
    assert "\n" not in line


def test_every_reason_is_a_line_of_its_own() -> None:
    assert len({text for _, text in FAILURES}) == len(FAILURES)
