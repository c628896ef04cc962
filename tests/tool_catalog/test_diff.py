"""What an agent sees change: from files, folders and git, in words, as JSON and as an exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tool_catalog.conftest import GOLDEN, Edit
from tool_catalog import cli, comparison

Diff = Callable[..., tuple[int, str, str]]


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def diff(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Diff:
    """Run the command on the library, whose compiled file is committed; gives code, output and errors."""
    assert library.is_relative_to(tmp_path)
    assert cli.main(["compile", "--into", str(tmp_path)], {}) == 0
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "records", "compiled")
    git(tmp_path, "commit", "--quiet", "--message", "The library as it was")
    capsys.readouterr()

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["diff", *arguments, "--into", str(tmp_path)], {})
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_without_a_change_the_exit_code_is_zero(diff: Diff) -> None:
    assert diff() == (0, "an agent sees no change\n", "")
    assert diff("HEAD", "HEAD", "--breaking") == (0, "an agent sees no change\n", "")


def test_each_change_that_an_agent_sees_is_a_line_and_what_breaks_is_marked(diff: Diff, edit: Edit) -> None:
    edit("books.yaml", "Pages through the books of a branch", "Pages through all books of a branch")
    edit("books.yaml", "max_size: 50", "max_size: 40")
    edit("books.yaml", "tags: [books]", "tags: [books, town]")
    edit("integration.yaml", "title: {type: string, description: Title of the book.}", "isbn: {type: string}")
    edit("integration.yaml", "A library's catalogue", "A town library's catalogue")
    edit(
        "books.yaml",
        "        shelf: {type: string, description: 'Only this shelf, e.g. \"A3\". Default all.'}\n",
        "        shelf: {type: string, enum: [A3, A4], description: 'Only this shelf, e.g. \"A3\".'}\n"
        "        floor: {type: integer, description: 'Only this floor, e.g. 2. Default all.'}\n"
        "        town: {type: string, description: 'The town of the branch, e.g. \"Ulm\".'}\n"
        "      required: [town]\n",
    )
    edit("books.yaml", "arguments: {shelf: A3}", "arguments: {shelf: A3, town: Ulm}")
    code, out, _ = diff()
    assert code == 1
    expected = GOLDEN / "library.diff.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(out)
    assert out == expected.read_text()
    assert diff("--breaking")[0] == 1


def test_only_breaking_changes_count_where_that_is_asked(diff: Diff, edit: Edit) -> None:
    edit("books.yaml", "Pages through the books of a branch", "Pages through all books of a branch")
    assert (diff()[0], diff("--breaking")[0]) == (1, 0)


def test_tools_that_come_go_and_change_their_name(diff: Diff, edit: Edit, library: Path) -> None:
    edit("books.yaml", "  list:\n", "  recent:\n    access: read\n")
    second = (library / "books.yaml").read_text().replace("resource: books", "resource: loans")
    second = second.replace("/branches/{branch}/books", "/branches/{branch}/loans").replace("List books", "List loans")
    (library / "loans.yaml").write_text(second)
    code, out, _ = diff()
    assert code == 1
    assert out.splitlines() == [
        "library: 1 added, 1 renamed; 1 breaking",
        "! > list_all_library_books",
        "!     now library_books_recent",
        "  + library_loans_recent",
        "      read: List loans",
    ]
    shutil.rmtree(library.parent)
    assert diff()[:2] == (0, "an agent sees no change\n")


def test_a_request_that_changes_unseen_is_named_and_no_change(diff: Diff, edit: Edit) -> None:
    edit("books.yaml", "size: count", "size: per_page")
    assert diff() == (
        0,
        "an agent sees no change\nlibrary: what is sent upstream changed unseen in list_all_library_books\n",
        "",
    )


def test_two_files_or_folders_are_compared_without_git(diff: Diff, edit: Edit, tmp_path: Path) -> None:
    old = shutil.copytree(tmp_path / "compiled", tmp_path / "old")
    edit("books.yaml", "title: List books", "title: List all books")
    assert cli.main(["compile", "--into", str(tmp_path)], {}) == 0
    for first, second in ((old, tmp_path), (old / "library.json", tmp_path / "compiled" / "library.json")):
        code, out, _ = diff(str(first), str(second), "--format", "json")
        [change] = json.loads(out[out.index("[") :])
        assert (code, change["tool"], change["kind"], change["breaking"]) == (
            1,
            "list_all_library_books",
            "changed",
            False,
        )
        assert change["details"] == [{"text": 'title: "List books" -> "List all books"', "breaking": False}]


def test_a_folder_or_a_file_is_compared_with_its_own_records_only(
    library: Path, edit: Edit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert library.is_relative_to(tmp_path)
    assert cli.main(["compile", "--into", str(tmp_path)], {}) == 0
    edit("books.yaml", "title: List books", "title: List all books")
    for old in (tmp_path, tmp_path / "compiled", tmp_path / "compiled" / "library.json"):
        capsys.readouterr()
        assert cli.main(["diff", str(old)], {"POSTERN_CATALOGS": str(tmp_path)}) == 1
        assert capsys.readouterr().out.splitlines()[0] == "library: 1 changed"


def test_what_cannot_be_compared_ends_with_two_and_one_line(
    diff: Diff, edit: Edit, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff("no-such-ref") == (
        2,
        "",
        f'"no-such-ref" is neither a file, a folder nor a git ref of {tmp_path}\n',
    )
    other = tmp_path / "empty"
    other.mkdir()
    assert diff(str(other)) == (2, "", f"{other} holds no compiled file; name a folder that holds compiled/\n")
    (other / "x.json").write_text("{}")
    assert diff(str(other)) == (2, "", f"{other / 'x.json'} is not a compiled file of this version of Postern\n")
    edit("books.yaml", "title: List books", "titel: List books")
    code, _, err = diff()
    assert code == 2
    assert "library/books.yaml:5: methods.list.titel: unknown key" in err
    shutil.rmtree(tmp_path / ".git")
    assert diff() == (
        2,
        "",
        f"{tmp_path} is not in a git repository; name two compiled files or folders: diff OLD NEW\n",
    )


@pytest.mark.parametrize(
    ("old", "new", "tighter"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}, False),
        ({"type": ["string", "null"]}, {"type": "string"}, True),
        ({"type": "integer"}, {"type": "number"}, False),
        ({"type": "number"}, {"type": "integer"}, True),
        ({}, {"type": "string"}, True),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, False),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, True),
        ({"enum": ["a"]}, {}, False),
        ({"maximum": 5}, {"maximum": 6}, False),
        ({"maximum": 5}, {"maximum": 4}, True),
        ({"minLength": 1}, {"minLength": 2}, True),
        ({}, {"maxItems": 2}, True),
        ({"pattern": "a"}, {"pattern": "b"}, True),
        ({"pattern": "a"}, {}, False),
        ({"description": "a"}, {"description": "b"}, False),
        ({"items": {"type": "string"}}, {"items": {"type": "integer"}}, True),
        ({"properties": {"a": {}}}, {"properties": {"a": {}, "b": {}}}, False),
        ({"properties": {"a": {}, "b": {}}}, {"properties": {"a": {}}}, True),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}, "required": ["a"]}, True),
        ({"required": ["a", "b"]}, {"required": ["a"]}, False),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "integer"}]}, True),
    ],
)
def test_a_schema_is_narrower_unless_it_certainly_takes_as_much(old: Any, new: Any, tighter: bool) -> None:
    assert comparison.narrower(old, new) is tighter
    assert comparison.narrower({"items": old}, {"items": new}) is tighter
