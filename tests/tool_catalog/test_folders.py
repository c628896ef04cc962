"""Folders of catalogues: which are taken, and the one line about each that is not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.tool_catalog.conftest import BASE
from tool_catalog import cli, folders
from tool_catalog.folders import PACKAGE, Folder, FolderError


def filled(path: Path) -> Folder:
    """A folder of catalogues with the records of the library."""
    shutil.copytree(BASE, path / "records" / "library")
    return Folder(path)


def test_folders_are_taken_in_order_and_each_once(tmp_path: Path) -> None:
    first, second = tmp_path / "a b", tmp_path / "ä"
    for path in (first, second):
        path.mkdir()
    value = os.pathsep.join(["", str(first), str(second), str(first)])
    assert folders.own(value) == (Folder(first), Folder(second))
    assert folders.own("") == ()


def test_a_path_that_is_not_a_readable_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    missing, file = tmp_path / "missing", tmp_path / "file"
    file.write_text("")
    with pytest.raises(FolderError) as refused:
        folders.own(str(missing))
    assert str(refused.value) == (
        f"POSTERN_CATALOGS: there is no folder {missing}; make it with: tool-catalog new NAME --base-url URL "
        f"--into {missing}"
    )
    with pytest.raises(FolderError) as refused:
        folders.own(str(file))
    assert str(refused.value) == f"POSTERN_CATALOGS: {file} is not a folder; name the folder that holds records/"
    with pytest.raises(FolderError) as refused:
        folders.own("x" * 300)
    assert str(refused.value) == f"POSTERN_CATALOGS: {'x' * 300} cannot be read (File name too long)"


def test_an_integration_in_two_folders_is_refused_with_both(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), filled(tmp_path / "other")
    with pytest.raises(FolderError) as refused:
        folders.homes((PACKAGE, one, other))
    assert str(refused.value) == (
        f'integration "library" is in two folders: {one.path} and {other.path}; rename one, or take one folder out of '
        "POSTERN_CATALOGS"
    )
    (one.compiled).mkdir()
    shutil.copy(PACKAGE.compiled_file("mem0"), one.compiled_file("mem0"))
    with pytest.raises(FolderError, match='integration "mem0" is in two folders: '):
        folders.homes((PACKAGE, one))


def test_names_come_from_records_and_from_compiled_files(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    (folder.records / "notes").mkdir()
    (folder.records / "notes" / "README").write_text("not an integration")
    folder.compiled.mkdir()
    (folder.compiled / "museum.json").write_text("{}")
    (folder.compiled / ".museum.json.x1").write_text("{}")
    assert (folder.recorded(), folder.integrations()) == (("library",), ("library", "museum"))


@pytest.mark.parametrize("command", ["compile", "check", "diff"])
def test_the_command_line_says_each_of_these_in_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.mkdir()
    assert cli.main([command, "--into", str(missing)], {}) == 1
    assert capsys.readouterr().err.startswith(f"--into: there is no folder {missing}; make it with: tool-catalog new ")
    assert cli.main([command, "--into", str(empty)], {}) == 1
    assert capsys.readouterr().err == (
        f"{empty} holds no catalogue yet; make one with: tool-catalog new NAME --base-url URL --into {empty}\n"
    )
    assert cli.main([command], {"POSTERN_CATALOGS": str(missing)}) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_catalogues_of_your_own_are_compiled_checked_and_shown_beside_those_of_the_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, empty = filled(tmp_path / "own"), tmp_path / "empty"
    empty.mkdir()
    environment = {"POSTERN_CATALOGS": f"{folder.path}{os.pathsep}{empty}"}
    assert cli.main(["compile", "library"], environment) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("library.json: 1 tools\n", folders.empty(Folder(empty)) + "\n")
    assert folder.compiled_file("library").is_file()
    assert not PACKAGE.compiled_file("library").exists()
    assert cli.main(["check"], environment) == 0
    assert "library.json: up to date, 1 tools\n" in capsys.readouterr().out
    assert cli.main(["show", "list_all_library_books"], environment) == 0
    shutil.rmtree(folder.records)
    assert cli.main(["check"], environment) == 0


def test_new_records_compile_as_drafts_and_each_text_to_write_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "not there yet"
    assert cli.main(["new", "acme", "--base-url", "https://api.acme.example", "--into", str(into)], {}) == 0
    told = capsys.readouterr().out.splitlines()
    records = into / "records" / "acme"
    assert told[:2] == [str(records / "integration.yaml"), str(records / "items.yaml")]
    assert cli.main(["compile", "--into", str(into)], {}) == 1
    refused = capsys.readouterr().err.splitlines()
    assert len(refused) == (records / "items.yaml").read_text().count("DRAFT: ") + 1 + 1
    assert cli.main(["compile", "--into", str(into), "--allow-drafts"], {}) == 0
    assert capsys.readouterr().out == "acme.json: 2 tools\n"
    for name, url, problem in (
        ("acme", "https://api.acme.example", "exists already; edit its files, or choose another name"),
        ("Acme!", "https://api.acme.example", '"Acme!" is not an integration name; use lower-case letters'),
        ("other", "http://api.acme.example", "is not a base URL; give one that starts with https://"),
    ):
        assert cli.main(["new", name, "--base-url", url, "--into", str(into)], {}) == 1
        assert problem in capsys.readouterr().err


def test_new_records_go_to_the_first_folder_of_your_own(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.mkdir()
    environment = {"POSTERN_CATALOGS": f"{first}{os.pathsep}{second}"}
    assert cli.main(["new", "acme", "--base-url", "https://api.acme.example"], environment) == 0
    assert (first / "records" / "acme" / "integration.yaml").is_file()
    assert list(second.iterdir()) == []
