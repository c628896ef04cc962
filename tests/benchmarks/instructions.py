"""Instructions that one warm request of the data plane takes: a figure that is the same on a busy machine.

valgrind's callgrind counts them in the process of the handler; the upstream and the table run outside of it, and the
cost of the kernel is not in it. Exit code 1 above a ceiling; 0 with a printed reason where valgrind is not installed,
but 1 in CI, which installs it.

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

from tests.benchmarks import preparing, world
from tests.benchmarks.contenders import CONTENDERS, POSTERN
from tests.benchmarks.contenders.worker import COUNTED

TOOLS = 60

CEILINGS = {"list": 715_000, "call": 2_216_000}
"""Instructions of a warm request of Postern, for CPython 3.13 on x86-64: what was measured plus a twentieth."""


def counted(name: str) -> dict[str, int]:
    """Instructions per warm listing and per warm call of a contender."""
    with profiled(name) as (profiles, _):
        return {method: _total(profile) // COUNTED for method, profile in profiles.items()}


@contextmanager
def profiled(name: str, *options: str) -> Iterator[tuple[dict[str, Path], int]]:
    """callgrind's profiles of COUNTED warm listings and calls of a contender, and the id of the process that ran them.
    `options` are Python's."""
    contender = next(one for one in CONTENDERS if one.name == name)
    python = preparing.python_of(contender.environment)
    with tempfile.TemporaryDirectory() as folder, world.running() as around:
        minted = preparing.mint("bench", around.upstream)
        preparing.put(around.table, minted)
        setup = preparing.Prepared(TOOLS, around, minted).setup(contender)
        command = [
            *("valgrind", "--tool=callgrind", "--zero-before=getloadavg", "--dump-before=getpriority"),
            *(f"--callgrind-out-file={folder}/out", "--quiet", str(python), *options),
            *("-m", "tests.benchmarks.contenders.worker"),
            *(contender.module, str(contender.same_work), "count", json.dumps(setup)),
        ]
        environment = {**preparing.environment(), "PYTHONHASHSEED": "0"}
        with subprocess.Popen(
            command,
            cwd=preparing.CACHE,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            _, said = process.communicate()
        if process.returncode:
            sys.exit(f"{name} failed under valgrind: {said[-2000:]}")
        yield (
            # the first one is that of the start
            {method: Path(folder) / f"out.{number}" for number, method in enumerate(("list", "call"), start=2)},
            process.pid,
        )


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
        for method, instructions in counted(name).items():
            print(f"{name}: {instructions:,} instructions per warm {method}")
            if name == POSTERN and instructions > CEILINGS[method]:
                print(f"that is over the ceiling of {CEILINGS[method]:,}: find out what was added to the {method}")
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
