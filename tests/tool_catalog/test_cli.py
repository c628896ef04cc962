"""`tool-catalog`: all or nothing, the same bytes everywhere, and a stale file never passes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tool_catalog.conftest import Edit
from tool_catalog import cli
from tool_catalog.folders import PACKAGE

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the library's records; gives (exit code, standard output, standard error)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main([*arguments, "--into", str(tmp_path)], {})
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_compile_then_check_agree(run: Run, tmp_path: Path) -> None:
    assert run("compile") == (0, "library.json: 1 tools\n", "")
    assert run("check") == (0, "library.json: up to date, 1 tools\n", "")
    content = (tmp_path / "compiled" / "library.json").read_bytes()
    assert content.endswith(b"}\n")
    assert b"\r" not in content


def test_windows_line_ends_and_a_byte_order_mark_give_the_same_bytes(run: Run, library: Path, tmp_path: Path) -> None:
    run("compile")
    before = (tmp_path / "compiled" / "library.json").read_bytes()
    for path in library.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert run("check")[0] == 0
    run("compile")
    assert (tmp_path / "compiled" / "library.json").read_bytes() == before


def test_check_names_the_changed_tools_and_what_changed(run: Run, edit: Edit) -> None:
    run("compile")
    edit("books.yaml", "Only this shelf,", "Just this shelf,")
    edit("books.yaml", "max_size: 50", "max_size: 40")
    edit("integration.yaml", "label: Library", "label: Town library")
    code, _, told = run("check")
    assert code == 1
    assert told == (
        "library.json: stale; run `tool-catalog compile`\n"
        "  label: changed\n"
        "  list_all_library_books: changed inputSchema.properties.shelf.description, "
        "inputSchema.properties.limit.maximum, pagination.max_size\n"
    )


def test_check_names_added_and_removed_tools(run: Run, edit: Edit) -> None:
    run("compile")
    edit("books.yaml", "  list:\n", "  recent:\n    access: read\n")
    _, _, told = run("check")
    assert told.splitlines()[1:] == ["  list_all_library_books: removed", "  library_books_recent: added"]


def test_check_fails_when_only_a_comment_changed_or_the_file_is_missing(run: Run, edit: Edit) -> None:
    assert run("check")[2] == "library.json: stale; run `tool-catalog compile`\n  missing\n"
    run("compile")
    edit("books.yaml", "resource: books", "# Books of all branches.\nresource: books")
    code, _, told = run("check")
    assert code == 1
    assert told.splitlines()[1:] == ["  the records changed, the tools did not"]


def test_a_problem_writes_nothing_and_exits_with_one(run: Run, edit: Edit, tmp_path: Path) -> None:
    run("compile")
    before = (tmp_path / "compiled" / "library.json").read_bytes()
    edit("books.yaml", "title: List books", "titel: List books")
    code, out, told = run("compile")
    assert (code, out) == (1, "")
    assert told.endswith("2 problems; nothing was written\n")
    assert (tmp_path / "compiled" / "library.json").read_bytes() == before


def test_show_prints_the_tool_and_where_its_example_goes(run: Run) -> None:
    run("compile")
    code, out, _ = run("show", "list_all_library_books")
    definition, _, rest = out.partition("\n\n")
    assert code == 0
    assert json.loads(definition)["name"] == "list_all_library_books"
    assert rest == (
        "books.list: read; tags books\n"
        'example: {"shelf": "A3"}\n'
        "upstream: GET https://library.example.com/api/branches/{branch}/books\n"
        "  path branch = the account's branch\n"
        '  query shelf = "A3" (argument shelf)\n'
    )


def test_show_of_an_unknown_tool_names_close_ones(run: Run) -> None:
    run("compile")
    assert run("show", "list_all_library_book") == (
        1,
        "",
        'there is no tool "list_all_library_book"; did you mean "list_all_library_books"?\n',
    )


def test_an_unknown_integration_is_refused_with_what_is_missing(run: Run) -> None:
    assert run("compile", "museum") == (
        1,
        "",
        "museum/integration.yaml: missing; every integration has this file\n1 problem; nothing was written\n",
    )


def test_the_committed_catalogues_are_what_their_records_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"], {}) == 0, capsys.readouterr().err
    assert sorted(path.parent.name for path in PACKAGE.records.glob("*/integration.yaml")) == sorted(
        line.split(".json")[0] for line in capsys.readouterr().out.splitlines()
    )


def test_a_compiled_file_without_records_fails_the_check(run: Run, tmp_path: Path) -> None:
    run("compile")
    (tmp_path / "compiled" / "museum.json").write_text("{}\n")
    code, _, told = run("check")
    assert (code, told) == (1, "museum.json: has no records; remove the file\n")


def test_names_that_leave_no_room_for_a_prefix_are_named_and_compiled(run: Run, library: Path) -> None:
    path = library / "books.yaml"
    path.write_text(
        path.read_text().replace("    title: List books\n", f"    title: List books\n    name: {'a' * 51}\n")
    )
    code, out, err = run("compile")
    assert (code, out) == (0, "library.json: 1 tools\n")
    assert err == (
        f"1 of 1 tool names have over 50 characters, e.g. {'a' * 51}; hosts that put a prefix before it "
        'may refuse them, so give such a method a "name" of its own\n'
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", [["show", "mem_0_memories_search"], ["check"]], ids=["much", "little"])
def test_a_reader_that_goes_away_is_no_error_to_report(command: list[str]) -> None:
    program = [sys.executable, "-c", "import sys; from tool_catalog.cli import main; sys.exit(main())"]
    with subprocess.Popen([*program, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before anything is written: the write fails, and so does the flush at the end
        assert process.stderr.read() == b""
    assert process.returncode == 1
