"""Instructions that each Python function takes of a start or a warm request of the data plane, with what it calls.

valgrind sees machine code only. `-X perf` gives each Python function a piece of code of its own, whose name Python
writes into a file, and the profile is read by these names. The pieces add a tenth, so compare functions of one run.

    python -m tests.benchmarks.function_costs FIGURE [TOOLS] [LINES]

FIGURE is "start to first list", "start to first call" (what follows the first listing), "warm list" or "warm call".
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


def costs(profile: Path, names: Path, times: int) -> Iterator[tuple[int, str]]:
    """Instructions of one of `times` requests, and the function, the costliest first."""
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
            yield int(found[1].replace(",", "")) // times, function


def main() -> None:
    """Print the functions of one figure."""
    figure, *numbers = sys.argv[1:]
    tools, lines = (*map(int, numbers), *(instructions.FEW, LINES)[len(numbers) :])
    with instructions.profiled(POSTERN, "-X", "perf", tools=tools) as (profiles, process):
        names = Path(f"/tmp/perf-{process}.map")
        found = list(costs(profiles[figure], names, COUNTED if figure.startswith("warm") else 1))
        names.unlink()
    for count, name in found[:lines]:
        print(f"{count:12,} {re.sub('/[^ ]*/(?=functions/|lib/)', '', name)}")


if __name__ == "__main__":
    main()
