"""The log that code scanning reads: valid SARIF 2.1.0, and each problem at its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.tool_catalog.conftest import Edit
from tool_catalog import cli

SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0-excerpt.json").read_text())


def checked(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """The exit code of the check, and its log, which is valid."""
    code = cli.main(["check", "--format", "sarif", "--into", str(root)], {})
    captured = capsys.readouterr()
    assert captured.err == ""
    log = json.loads(captured.out)
    checker = jsonschema.Draft4Validator.FORMAT_CHECKER
    jsonschema.Draft4Validator(SCHEMA, format_checker=checker).validate(log)
    return code, log["runs"][0]


@pytest.fixture
def root(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of catalogues, which is the folder that the check runs in."""
    assert library.is_relative_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_check_without_a_problem_is_a_log_without_results(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "--into", str(root)], {}) == 0
    capsys.readouterr()
    code, run = checked(root, capsys)
    assert (code, run["results"], run["tool"]["driver"]["name"]) == (0, [], "tool-catalog")
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["record", "stale"]


def test_each_problem_of_a_record_is_at_its_file_and_line(
    root: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    edit("books.yaml", "title: List books", "titel: List books")
    code, run = checked(root, capsys)
    assert code == 1
    [missing, unknown] = run["results"]
    assert unknown["message"]["text"].startswith('methods.list.titel: unknown key; did you mean "title"?')
    assert (missing["ruleId"], missing["ruleIndex"], missing["level"]) == ("record", 0, "error")
    assert unknown["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "records/library/books.yaml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 5},
            }
        }
    ]


def test_a_stale_file_is_a_result_without_a_line(root: Path, edit: Edit, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "--into", str(root)], {}) == 0
    capsys.readouterr()
    edit("integration.yaml", "label: Library", "label: Town library")
    code, run = checked(root, capsys)
    [stale] = run["results"]
    assert (code, stale["ruleId"]) == (1, "stale")
    assert stale["message"]["text"] == "stale; run `tool-catalog compile`: label: changed"
    place = stale["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "compiled/library.json", "uriBaseId": "%SRCROOT%"}}


def test_a_file_outside_the_folder_of_the_check_has_its_whole_address(
    root: Path, edit: Edit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    edit("books.yaml", "title: List books", "titel: List books")
    (root / "else where").mkdir()
    monkeypatch.chdir(root / "else where")
    _, run = checked(root, capsys)
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": (root / "records" / "library" / "books.yaml").as_uri()}
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"].endswith("/else%20where/")
