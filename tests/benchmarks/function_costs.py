"""Instructions that each Python function takes of a warm request of the data plane, with what it calls.

valgrind sees machine code only. `-X perf` gives each Python function a piece of code of its own, whose name Python
writes into a file, and the profile is read by these names. The pieces add a tenth, so compare functions of one run.

    python -m tests.benchmarks.function_costs list|call [LINES]
"""

from __future__ import annotations

import bisect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import instructions
from tests.benchmarks.contenders import POSTERN
from tests.benchmarks.contenders.worker import COUNTED

LINES = 80
_COST = re.compile(r"\s*([\d,]+) \(.*?\)\s+.*?0x([0-9a-f]{8,16})")


def costs(profile: Path, names: Path) -> Iterator[tuple[int, str]]:
    """Instructions of one request and the function, the costliest first."""
    code: dict[int, tuple[int, str]] = {}
    for line in names.read_text(encoding="utf-8", errors="replace").splitlines():
        start, size, name = line.split(" ", 2)
        code[int(start, 16)] = (int(size, 16), name.removeprefix("py::"))
    starts = sorted(code)
    command = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(profile)]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        found = _COST.match(line)
        at = bisect.bisect_right(starts, int(found[2], 16)) - 1 if found else -1
        if found is None or at < 0:
            continue
        length, function = code[starts[at]]
        if int(found[2], 16) < starts[at] + length:
            yield int(found[1].replace(",", "")) // COUNTED, function


def main() -> None:
    """Print the functions of one method."""
    method, lines = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else LINES
    with instructions.profiled(POSTERN, "-X", "perf") as (profiles, process):
        names = Path(f"/tmp/perf-{process}.map")
        found = list(costs(profiles[method], names))
        names.unlink()
    for count, name in found[:lines]:
        print(f"{count:12,} {re.sub('/[^ ]*/(?=functions/|lib/)', '', name)}")


if __name__ == "__main__":
    main()
