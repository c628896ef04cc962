"""Lines and branches that the suite reaches, by room: `make coverage`.

Prints a row for each room and the lines of a bounded room that no test reaches. Exits with 1 below a bound, and with 1
when a test failed: the rows are then those of a run that may have ended early.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REPORT = ROOT / ".cache" / "coverage" / "report.json"

OVERALL = 95.0
"""Per cent of all lines and branches."""

BOUNDS = {"functions/gateway": 100.0, "functions/mcp_endpoint": 100.0, "functions/stores": 100.0}
"""Per cent of rooms where a line that no test reaches is a decision that nothing holds."""


@dataclass
class Reached:
    """Lines and branches of a room, and how many of them were reached."""

    there: int = 0
    reached: int = 0

    @property
    def per_cent(self) -> float:
        return 100.0 * self.reached / self.there if self.there else 100.0


def room(path: str) -> str:
    parts = Path(path).parts
    return "/".join(parts[:2]) if parts[0] == "functions" and len(parts) > 2 else parts[0]


def measure(words: list[str]) -> bool:
    """Run the suite with coverage; `words` are for pytest. Returns whether every test passed."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.unlink(missing_ok=True)  # a run that is not finished has no rows, rather than those of the last one
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "worksteal",
        "--cov",
        "--cov-report",
        f"json:{REPORT}",
    ]
    done = subprocess.run(
        [*tests, "-m", "not browser and not clients and not aws and not image and not packages", *words],
        cwd=ROOT,
        check=False,
    )
    return done.returncode == 0


def judged(files: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The lines to print for a report of coverage, and whether every room is at or above its bound."""
    rooms: defaultdict[str, Reached] = defaultdict(Reached)
    missed: list[str] = []
    for path, file in files.items():
        summary = file["summary"]
        for one in (rooms[room(path)], rooms["all"]):
            one.there += summary["num_statements"] + summary["num_branches"]
            one.reached += summary["covered_lines"] + summary["covered_branches"]
        if room(path) in BOUNDS and (file["missing_lines"] or file["missing_branches"]):
            branches = [f"{start}->{end}" for start, end in file["missing_branches"]]
            missed.append(f"{path}: {', '.join(map(str, [*file['missing_lines'], *branches]))}")
    bounds = {"all": OVERALL, **BOUNDS}
    lines = []
    for name, found in sorted(rooms.items()):
        bound = f"  bound {bounds[name]:.0f} %" if name in bounds else ""
        lines.append(f"{name:<28} {found.per_cent:6.2f} %  of {found.there:>6}{bound}")
    held = all(name in rooms and rooms[name].per_cent >= bound for name, bound in bounds.items())
    return [*lines, *missed], held


def main(words: list[str]) -> int:
    passed = words == ["report"] or measure(words)
    if not REPORT.exists():
        print("There is no report: the run was not finished.", file=sys.stderr)
        return 1
    lines, held = judged(json.loads(REPORT.read_text("utf-8"))["files"])
    print(*lines, sep="\n")
    if not passed:
        print("A test failed, so the rows may be those of a run that ended early.", file=sys.stderr)
    return 0 if held and passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
