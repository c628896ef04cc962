"""Every rule of the gate: a broken record and the exact messages it gets. UPDATE_GOLDEN=1 rewrites the expectations."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.tool_catalog.conftest import GOLDEN
from tool_catalog.building import build

CASES = sorted(path for path in (GOLDEN / "broken_records").iterdir() if path.is_dir())


def overlay(case: Path, library: Path) -> None:
    """Put the case's files over the library's; `<name>.absent` removes one."""
    for path in case.iterdir():
        if path.suffix == ".absent":
            (library / path.stem).unlink()
        elif path.name != "expected.txt":
            shutil.copy(path, library / path.name)


def test_the_library_without_a_break_has_no_problem(library: Path) -> None:
    document, problems = build(library)
    assert problems == []
    assert document is not None
    assert [tool["definition"]["name"] for tool in document["tools"]] == ["list_all_library_books"]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_broken_record_is_refused_with_file_line_and_what_is_valid(case: Path, library: Path) -> None:
    overlay(case, library)
    document, problems = build(library)
    told = "".join(f"{problem}\n" for problem in problems)
    expected = case / "expected.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(told)
    assert document is None
    assert told == expected.read_text()


def test_problems_of_all_files_are_told_at_once(library: Path) -> None:
    overlay(GOLDEN / "broken_records" / "base_url_plain_http", library)
    overlay(GOLDEN / "broken_records" / "argument_undescribed", library)
    _, problems = build(library)
    assert [problem.file for problem in problems] == ["library/books.yaml", "library/integration.yaml"]


def test_a_part_shared_by_two_methods_is_reported_once_where_it_stands(library: Path) -> None:
    books = (library / "books.yaml").read_text()
    second = books.split("methods:\n")[1].replace("  list:\n", "  recent:\n    access: read\n", 1)
    (library / "books.yaml").write_text(books + second)
    integration = (library / "integration.yaml").read_text()
    (library / "integration.yaml").write_text(integration.replace("description: Title of", "descripton: Title of"))
    _, problems = build(library)
    assert [str(problem) for problem in problems] == [
        "library/integration.yaml:19: schemas.book.properties.title.descripton: unknown JSON Schema keyword; "
        'did you mean "description"?'
    ]


def test_the_example_of_the_documentation_compiles(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "records.md").read_text()
    folder = tmp_path / "library"
    folder.mkdir()
    for filename in ("integration.yaml", "books.yaml"):
        (folder / filename).write_text(text.split(f"```yaml\n# {filename}\n")[1].split("```")[0])
    document, problems = build(folder)
    assert problems == []
    assert document is not None
    [tool] = document["tools"]
    assert tool["definition"]["name"] == "list_all_library_books"
    assert list(tool["definition"]["inputSchema"]["properties"]) == [
        *("branch", "shelf", "limit", "next_cursor", "fields", "max_tokens")
    ]
