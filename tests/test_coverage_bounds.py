"""The bounds of coverage, on reports made up for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import coverage_bounds
from tests.coverage_bounds import BOUNDS, judged, main


def report(**missed: int) -> dict[str, Any]:
    """A file of 100 lines in each room, and a large one of no bounded room; `missed` lines of each are not reached."""
    files = {f"{name}/code.py": missed.get(name.rpartition("/")[2], 0) for name in BOUNDS}
    return {
        **{path: file(100, lines) for path, lines in files.items()},
        "tool_catalog/gate.py": file(1_000, missed.get("tool_catalog", 0)),
    }


def file(lines: int, missed: int) -> dict[str, Any]:
    return {
        "summary": {
            "num_statements": lines,
            "num_branches": 10,
            "covered_lines": lines - missed,
            "covered_branches": 10 - bool(missed),
        },
        "missing_lines": list(range(1, missed + 1)),
        "missing_branches": [[missed, -1]] if missed else [],
    }


def test_a_report_above_every_bound_is_held() -> None:
    lines, held = judged(report(tool_catalog=30))
    assert held
    assert lines[:2] == [
        "all                           97.69 %  of   1340  bound 95 %",
        "functions/gateway            100.00 %  of    110  bound 100 %",
    ]
    assert lines[-1] == "tool_catalog                  96.93 %  of   1010"


@pytest.mark.parametrize("room", [name.rpartition("/")[2] for name in BOUNDS])
def test_one_line_of_a_bounded_room_is_too_few_and_is_named(room: str) -> None:
    lines, held = judged(report(**{room: 1}))
    assert not held
    assert lines[-1] == f"functions/{room}/code.py: 1, 1->-1"


def test_too_few_lines_of_all_are_too_few() -> None:
    assert not judged(report(tool_catalog=70))[1]


def test_a_report_without_a_bounded_room_holds_nothing() -> None:
    assert not judged({"tool_catalog/gate.py": file(1_000, 0)})[1]


class Suite:
    """Stands for the run of the suite: it ends with a code, and with a report if there is one."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.code = 0
        self.files: dict[str, Any] | None = None

    def run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert f"json:{self.place}" in command
        if self.files is not None:
            self.place.write_text(json.dumps({"files": self.files}))
        return subprocess.CompletedProcess(command, self.code)


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    place = tmp_path / "report.json"
    made = Suite(place)
    monkeypatch.setattr(coverage_bounds, "REPORT", place)
    monkeypatch.setattr(subprocess, "run", made.run)
    return made


def test_a_run_in_which_a_test_fails_shows_its_rows_and_holds_nothing(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.files = report()
    assert main([]) == 0
    suite.code = 1
    assert main([]) == 1
    said = capsys.readouterr()
    assert said.out.count("functions/gateway") == 2
    assert said.err == "A test failed, so the rows may be those of a run that ended early.\n"
    assert main(["report"]) == 0


def test_a_run_that_was_not_finished_shows_no_rows_of_an_older_one(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.files = report()
    assert main([]) == 0
    suite.files, suite.code = None, 2
    capsys.readouterr()
    assert main([]) == 1
    assert main(["report"]) == 1
    assert capsys.readouterr() == ("", "There is no report: the run was not finished.\n" * 2)
