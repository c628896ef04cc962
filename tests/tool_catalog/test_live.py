"""A running process serves what changes in folders of your own, and keeps what cannot be replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tool_catalog.conftest import BASE
from tool_catalog import cli, compiled_file, folders
from tool_catalog.compiled_file import CatalogError
from tool_catalog.folders import PACKAGE, Folder, FolderError
from tool_catalog.live import LiveCatalogs


@pytest.fixture
def own(tmp_path: Path) -> Folder:
    """A folder with the records of the library, not compiled."""
    shutil.copytree(BASE, tmp_path / "own" / "records" / "library")
    return Folder(tmp_path / "own")


def put(path: Path, old: str, new: str) -> None:
    """Replace a text in a file, which then has another size."""
    text = path.read_text()
    assert old in text
    assert len(old) != len(new)
    path.write_text(text.replace(old, new, 1))


def looked(live: LiveCatalogs) -> list[str]:
    """What two looks say: the first sees a change, the second that it is complete."""
    assert live.refresh() == []
    return live.refresh()


def test_without_folders_of_your_own_it_is_the_catalogues_of_the_package() -> None:
    live = LiveCatalogs(())
    assert dict(live) == {name: compiled_file.load(name) for name in compiled_file.available()}
    assert (live.load("mem0"), len(live), live.refresh()) == (
        compiled_file.load("mem0"),
        len(compiled_file.available()),
        [],
    )
    with pytest.raises(CatalogError, match='no catalogue for integration "museum"; available: mem0, mem0_oss'):
        live.load("museum")


def test_records_are_served_without_a_compiled_file_and_again_when_they_change(own: Folder) -> None:
    live = LiveCatalogs((own,))
    assert live.notes == (f"library: served from {own.path}, 1 tool",)
    books = own.records / "library" / "books.yaml"
    put(books, "Only this shelf,", "Nothing but this shelf,")
    assert looked(live) == ["library: reloaded, 1 tool"]
    listed = live["library"].tools["list_all_library_books"].listed
    assert "Nothing but this shelf" in listed["inputSchema"]["properties"]["shelf"]["description"]
    assert live.refresh() == []
    assert not own.compiled.exists()


def test_a_change_in_progress_is_not_read(own: Folder) -> None:
    live = LiveCatalogs((own,))
    books = own.records / "library" / "books.yaml"
    for words in ("Just one", "Just a single"):
        put(books, "Only this" if words == "Just one" else "Just one", words)
        assert live.refresh() == []
    assert live.refresh() == ["library: reloaded, 1 tool"]


def test_a_broken_record_keeps_the_catalogue_of_before_and_is_named_with_its_line_once(own: Folder) -> None:
    live = LiveCatalogs((own,))
    before = live["library"]
    books = own.records / "library" / "books.yaml"
    put(books, "title: List books", "titel: List books!")
    [line] = looked(live)
    kept, *problems = line.split(f"{own.records}/")
    assert kept == "library: not reloaded, the catalogue of before stays: "
    assert problems[0] == 'library/books.yaml:4: methods.list: missing key "title"; '
    assert problems[1].startswith('library/books.yaml:5: methods.list.titel: unknown key; did you mean "title"?')
    assert live["library"] is before
    assert live.refresh() == []
    put(books, "titel: List books!", "title: List all books")
    assert looked(live) == ["library: reloaded, 1 tool"]


def test_a_compiled_file_alone_is_served_and_read_again(own: Folder) -> None:
    assert cli.main(["compile", "--into", str(own.path)], {}) == 0
    own.records.rename(own.path / "aside")
    live = LiveCatalogs((own,))
    assert live["library"] == compiled_file.load("library", own.compiled)
    own.compiled_file("library").write_text("{}")
    [line] = looked(live)
    assert line.startswith(
        f"library: not reloaded, the catalogue of before stays: {own.compiled_file('library')}: format"
    )


def test_broken_records_leave_the_compiled_file_in_service(own: Folder) -> None:
    assert cli.main(["compile", "--into", str(own.path)], {}) == 0
    put(own.records / "library" / "books.yaml", "title: List books", "titel: List books!")
    live = LiveCatalogs((own,))
    [line] = live.notes
    assert line.startswith("library: the records do not compile, so the compiled file is served: ")
    assert "books.yaml:5: methods.list.titel" in line
    assert list(live["library"].tools) == ["list_all_library_books"]


def test_an_integration_that_comes_and_one_that_goes_are_said_once(own: Folder) -> None:
    shutil.copytree(own.records / "library", own.path / "aside")
    shutil.rmtree(own.records)
    live = LiveCatalogs((own,))
    assert live.notes == (folders.empty(own),)
    shutil.copytree(own.path / "aside", own.records / "library")
    assert looked(live) == [f"library: served from {own.path}, 1 tool"]
    shutil.rmtree(own.records)
    gone = "library: its files are gone; the catalogue that was read last stays until the restart"
    assert live.refresh() == [gone]
    assert live.refresh() == []
    assert live.load("library").label == "Library"


def test_a_name_that_comes_twice_changes_nothing_and_stops_a_start(own: Folder, tmp_path: Path) -> None:
    other = Folder(tmp_path / "other")
    other.path.mkdir()
    live = LiveCatalogs((own, other))
    shutil.copytree(own.records / "library", other.records / "library")
    [line] = live.refresh()
    assert line.startswith('integration "library" is in two folders: ')
    assert line.endswith("The catalogues stay as they are")
    assert live.refresh() == []
    with pytest.raises(FolderError):
        LiveCatalogs((own, other))
    shutil.copytree(BASE, tmp_path / "third" / "records" / "mem0")
    with pytest.raises(FolderError, match=f'"mem0" is in two folders: {PACKAGE.path}'):
        LiveCatalogs((Folder(tmp_path / "third"),))
