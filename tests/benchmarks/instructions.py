"""Instructions that the data plane takes for a start and for a warm request, with few tools and with many.

The figure is the same on a busy machine: valgrind's callgrind counts in the process of the handler. The upstream and
the table run outside of it, and the cost of the kernel is not in it. A start is the whole process, from its first
instruction to its first listing and on to its first call. Exit code 1 above a ceiling; 0 with a printed reason where
valgrind is not installed, but 1 in CI, which installs it.

    python -m tests.benchmarks.instructions [CONTENDER ...]
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import preparing, world
from tests.benchmarks.contenders import CONTENDERS, POSTERN
from tests.benchmarks.contenders.worker import COUNTED

FEW, MANY = 60, 3_000
"""Tools of the two catalogues: as many as the Mem0 integration has, and as a large API has."""

FIGURES = ("start to first list", "start to first call", "warm list", "warm call")

CEILINGS = {
    "start to first list": 561_000_000,
    "start to first call": 628_000_000,
    "warm list": 715_000,
    "warm call": 2_216_000,
}
"""Instructions of Postern with FEW tools, for CPython 3.13 on x86-64: what was measured plus a twentieth."""

GROWTH = {"start to first list": 1.04, "start to first call": 1.04, "warm list": 1.5, "warm call": 1.02}
"""Highest ratio of MANY tools to FEW: what was measured and a little more. A warm listing copies its 3 MB once, because
the id of the request stands in front of them."""


def counted(name: str, tools: int = FEW) -> dict[str, int]:
    """Instructions of a contender, by the names of FIGURES."""
    with profiled(name, tools=tools) as (profiles, _):
        to_list, to_call, *warm = (_total(profiles[figure]) for figure in FIGURES)
    return dict(zip(FIGURES, (to_list, to_list + to_call, *(total // COUNTED for total in warm)), strict=True))


@contextmanager
def profiled(name: str, *options: str, tools: int = FEW) -> Iterator[tuple[dict[str, Path], int]]:
    """callgrind's profiles of a contender by the names of FIGURES, and the id of the process that they are of. A
    profile of a warm request is that of COUNTED ones; that of the first call begins after the first listing. `options`
    are Python's."""
    contender = next(one for one in CONTENDERS if one.name == name)
    python = preparing.python_of(contender.environment)
    with tempfile.TemporaryDirectory() as folder, world.running() as around:
        minted = preparing.mint("bench", around.upstream)
        preparing.put(around.table, minted)
        setup = preparing.Prepared(tools, around, minted).setup(contender)
        worker = [str(python), *options, "-m", "tests.benchmarks.contenders.worker"]
        asked = [contender.module, str(contender.same_work)]
        environment = {**preparing.environment(), "PYTHONHASHSEED": "0"}
        where: dict[str, Any] = {"cwd": preparing.CACHE, "env": environment}
        # A start that does not count writes bytecode.
        subprocess.run([*worker, *asked, "cold", json.dumps(setup)], **where, check=True, stdout=subprocess.DEVNULL)
        command = [
            *("valgrind", "--tool=callgrind", "--zero-before=getloadavg", "--dump-before=getpriority"),
            *(f"--callgrind-out-file={folder}/out", "--quiet", *worker, *asked, "count", json.dumps(setup)),
        ]
        with subprocess.Popen(
            command, **where, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            _, said = process.communicate()
        if process.returncode:
            sys.exit(f"{name} failed under valgrind: {said[-2000:]}")
        # The third profile is what lies between the first call and the warm listings.
        numbers = (1, 2, 4, 5)
        profiles = (Path(folder) / f"out.{number}" for number in numbers)
        yield dict(zip(FIGURES, profiles, strict=True)), process.pid


def _total(path: Path) -> int:
    """The sum of a callgrind profile."""
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    assert found is not None
    return int(found[1])


def main() -> int:
    """Count, print, compare; returns the exit code."""
    if shutil.which("valgrind") is None:
        print("no instructions were counted: valgrind is not installed (Debian package valgrind)")
        return 1 if os.environ.get("CI") else 0
    code = 0
    for name in sys.argv[1:] or [POSTERN]:
        few, many = counted(name), counted(name, MANY)
        for figure in FIGURES:
            ratio = many[figure] / few[figure]
            print(
                f"{name}, {figure}: {few[figure]:,} instructions with {FEW} tools, {many[figure]:,} with {MANY:,} "
                f"({ratio:.3f})"
            )
            if name == POSTERN and few[figure] > CEILINGS[figure]:
                print(f"that is over the ceiling of {CEILINGS[figure]:,}: find out what was added to it")
                code = 1
            if name == POSTERN and ratio > GROWTH[figure]:
                print(f"that is over the ratio of {GROWTH[figure]}: find out what grows with the number of tools")
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
