"""`make bench`: every benchmark, or the ones named: `make bench ARGS="endpoint memory_engine"`.

--quick   the comparison with the peers in under two minutes, once everything is installed
--write   put its tables into docs/benchmarks.md
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Run them one after the other."""
    known = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    options = {argument for argument in sys.argv[1:] if argument.startswith("--")}
    chosen = [argument for argument in sys.argv[1:] if argument not in options] or known
    if unknown := (set(chosen) - set(known)) | (options - {"--quick", "--write"}):
        sys.exit(
            f"no benchmark or option {', '.join(sorted(unknown))}; there are: {', '.join(known)}, --quick, --write"
        )
    for name in chosen:
        benchmark = importlib.import_module(f"tests.benchmarks.bench_{name}")
        if name == "peers":
            benchmark.run(quick="--quick" in options, write="--write" in options)
        else:
            benchmark.run()


main()
