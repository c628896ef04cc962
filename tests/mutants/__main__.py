"""Plant faults into pins, admission, settling and requests, and report those that no test notices.

Exits with 1 for a survivor that accepted.yaml does not list, and for a fault that it lists and a test notices.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.mutants import faults, trial
from tests.mutants.faults import Fault

ROOT = Path(__file__).parents[2]
ACCEPTED = Path(__file__).with_name("accepted.yaml")


class Subject(NamedTuple):
    """Files of code; the tests that mirror them, which run first; and the tests that run where those notice nothing."""

    code: tuple[str, ...]
    first: tuple[str, ...]
    then: tuple[str, ...]


SUBJECTS = {
    "admission": Subject(
        ("functions/mcp_endpoint/admission.py",),
        ("tests/mcp_endpoint/test_admission.py",),
        ("tests/gateway/test_grants.py", "tests/mcp_endpoint/test_app.py", "tests/mcp_endpoint/test_sign_in.py"),
    ),
    "settle": Subject(
        ("functions/gateway/settle.py",), ("tests/gateway/test_settle.py",), ("tests/wrong_calls", "tests/model_gate")
    ),
    "requests": Subject(
        ("functions/gateway/requests.py", "functions/gateway/parameter_styles.py"),
        ("tests/gateway/test_requests.py", "tests/gateway/test_parameter_styles.py"),
        (
            "tests/gateway/test_bodies.py",
            "tests/properties/test_requests.py",
            "tests/properties/test_parameter_styles.py",
        ),
    ),
    "pins": Subject(
        tuple(sorted(str(path.relative_to(ROOT)) for path in (ROOT / "functions/gateway/pins").rglob("*.py"))),
        ("tests/gateway/pins",),
        ("tests/properties/test_pins.py", "tests/gateway/test_call.py"),
    ),
}


class Report(NamedTuple):
    """What became of the faults of a subject. `limited` counts those that a limit ended, of those that were noticed."""

    tried: int
    limited: int
    accepted: int
    survivors: list[Fault]
    stale: list[tuple[Fault, str]]
    seconds: float


def accepted() -> dict[tuple[str, str, str], str]:
    """The faults that no test is asked to notice, each with the reason."""
    listed = yaml.safe_load(ACCEPTED.read_text("utf-8")) or {}
    return {(path, each["in"], each["fault"]): each["because"] for path, entries in listed.items() for each in entries}


def known(subject: Subject) -> list[Fault]:
    return [fault for path in subject.code for fault in faults.of(path, (ROOT / path).read_text("utf-8"))]


def tried(subject: Subject, chosen: Sequence[Fault], jobs: int) -> Report:
    """Try the faults in functions on all tests; then the others, and what survived, with everything imported afresh."""
    reasons, every = accepted(), (*subject.first, *subject.then)
    in_functions = [fault for fault in chosen if fault.function]
    baseline, found = trial.collected(subject.code, every, in_functions, jobs)
    outcomes = dict(zip(in_functions, found, strict=True))
    seconds = sum(outcome.seconds for outcome in found)

    def again(tests: Sequence[str], left: Sequence[Fault]) -> None:
        nonlocal outcomes, seconds
        afresh = trial.afresh(baseline, tests, left, jobs)
        outcomes |= afresh
        seconds += sum(outcome.seconds for outcome in afresh.values())

    again(subject.first, [fault for fault in chosen if fault not in outcomes])
    passed = [fault for fault in chosen if not outcomes[fault].noticed_by]
    again(every, [fault for fault in passed if not fault.function or fault.key not in reasons])
    passed = [fault for fault in chosen if not outcomes[fault].noticed_by]
    return Report(
        tried=len(chosen),
        limited=sum(outcome.noticed_by == trial.THE_LIMIT for outcome in outcomes.values()),
        accepted=sum(fault.key in reasons for fault in passed),
        survivors=[fault for fault in passed if fault.key not in reasons],
        stale=[(fault, outcomes[fault].noticed_by) for fault in chosen if fault.key in reasons and fault not in passed],
        seconds=seconds,
    )


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, help="plant a sample of this many faults into each subject")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample (default 1)")
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="subjects to plant faults into (default all)")
    parser.add_argument("--like", default="", help="only faults whose path, function or change has this text")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time (default 2)")
    options = parser.parse_args(words)
    wrong = False
    for name in options.only or SUBJECTS:
        chosen = [fault for fault in known(SUBJECTS[name]) if options.like in " ".join(fault.key)]
        if options.each is not None:
            chosen = random.Random(options.seed).sample(chosen, min(options.each, len(chosen)))
        report = tried(SUBJECTS[name], chosen, options.jobs)
        wrong |= bool(report.survivors or report.stale)
        noticed = report.tried - report.accepted - len(report.survivors)
        print(
            f"{name}: {report.tried} faults planted, {noticed} noticed ({report.limited} by a limit), "
            f"{report.accepted} accepted, {len(report.survivors)} survived; {report.seconds:.0f} CPU seconds"
        )
        for fault in report.survivors:
            print(f"  {fault.path}:{fault.lines.start} in {fault.where}: {fault.name}")
        for fault, test in report.stale:
            print(f"  accepted.yaml lists what {test} notices: {fault.path} in {fault.where}: {fault.name}")
        sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
