"""Faults planted into the decisions that guard a call, and the tests that should notice: `make mutants`.

A random sample of the faults that Cosmic Ray knows is planted, one at a time, into a copy of the repository; a test of
the room must fail. Each one that survives is printed with its place. ARGS="--each 10 --seed 7 --only pins" for less.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".cache" / "mutants-tools" / "bin"
TREE = ROOT / ".cache" / "mutants" / "tree"

SECONDS = 300
"""Time of one run of the tests; a fault that makes them hang is noticed."""

ANNOTATIONS = "core/ReplaceBinaryOperator_BitOr_%"
"""Faults that mostly change `X | None` in an annotation, which nothing evaluates."""


class Subject(NamedTuple):
    """Code, and the tests that hold it."""

    code: str
    tests: str


SUBJECTS = {
    "admission": Subject(
        "functions/mcp_endpoint/admission.py",
        "tests/mcp_endpoint/test_admission.py tests/gateway/test_grants.py tests/mcp_endpoint/test_app.py",
    ),
    "settle": Subject(
        "functions/gateway/settle.py", "tests/gateway/test_settle.py tests/wrong_calls tests/model_gate -k 'not job'"
    ),
    "requests": Subject(
        "functions/gateway/requests.py",
        "tests/gateway/test_requests.py tests/gateway/test_parameter_styles.py tests/properties/test_requests.py",
    ),
    "pins": Subject(
        "functions/gateway/pins", "tests/gateway/pins tests/properties/test_pins.py tests/gateway/test_call.py"
    ),
}

CONFIG = """[cosmic-ray]
module-path = "{code}"
timeout = {seconds}.0
excluded-modules = []
test-command = "{python} -m pytest -x -q {tests}"
[cosmic-ray.distributor]
name = "local"
"""


def planted(name: str, subject: Subject, each: int, seed: int) -> tuple[int, list[str]]:
    """The number of faults planted into a subject, and the survivors: file, line and what was changed."""
    config, session = TREE.parent / f"{name}.toml", TREE.parent / f"{name}.sqlite"
    session.unlink(missing_ok=True)
    config.write_text(CONFIG.format(code=subject.code, tests=subject.tests, python=sys.executable, seconds=SECONDS))
    tool = [str(TOOLS / "cosmic-ray")]
    subprocess.run([*tool, "baseline", str(config)], cwd=TREE, check=True)  # the tests pass without a fault
    subprocess.run([*tool, "init", str(config), str(session)], cwd=TREE, check=True)
    with sqlite3.connect(session) as database:
        order = "module_path, start_pos_row, start_pos_col, operator_name, operator_args, occurrence"
        known = f"SELECT job_id FROM mutation_specs WHERE operator_name NOT LIKE ? ORDER BY {order}"
        jobs = [job for (job,) in database.execute(known, (ANNOTATIONS,))]
        chosen = random.Random(seed).sample(range(len(jobs)), min(each, len(jobs)))
        database.execute("CREATE TEMP TABLE chosen (job_id)")
        database.executemany("INSERT INTO chosen VALUES (?)", [(jobs[place],) for place in chosen])
        for table in ("mutation_specs", "work_items"):
            database.execute(f"DELETE FROM {table} WHERE job_id NOT IN (SELECT job_id FROM chosen)")
    subprocess.run([*tool, "exec", str(config), str(session)], cwd=TREE, check=True)
    with sqlite3.connect(session) as database:
        survived = database.execute(
            "SELECT module_path, start_pos_row, diff FROM mutation_specs JOIN work_results USING (job_id)"
            " WHERE test_outcome = 'SURVIVED' ORDER BY module_path, start_pos_row"
        ).fetchall()
    return len(chosen), [f"{path}:{line}\n{_change(diff)}" for path, line, diff in survived]


def _change(diff: str) -> str:
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(f"    {line}" for line in lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=50, help="faults planted into each subject (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample (default 1)")
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="subjects to plant faults into (default all)")
    options = parser.parse_args(words)
    shutil.rmtree(TREE, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(TREE)], check=True)
    survivors = 0
    for name in options.only or SUBJECTS:
        number, survived = planted(name, SUBJECTS[name], options.each, options.seed)
        survivors += len(survived)
        print(f"{name}: {number} faults planted, {number - len(survived)} noticed", *survived, sep="\n", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
