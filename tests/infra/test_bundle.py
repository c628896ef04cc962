"""A deployment carries the catalogues of your own folders, behind the same gate as those of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.package.build import BuildError, bundle
from tests.infra import template
from tests.tool_catalog.conftest import BASE
from tool_catalog import cli, compiled_file


def own(path: Path) -> Path:
    """A folder with the records of the library, compiled."""
    shutil.copytree(BASE, path / "records" / "library")
    assert cli.main(["compile", "--into", str(path)], {}) == 0
    return path


def test_the_artefact_has_the_compiled_files_of_every_folder(tmp_path: Path) -> None:
    target = tmp_path / "artefact" / "compiled"
    bundle(f"{own(tmp_path / 'one folder')}{os.pathsep}", target)
    assert compiled_file.available(target) == ("library", "mem0", "mem0_oss")
    assert list(compiled_file.load("library", target).tools) == ["list_all_library_books"]
    assert (target / "mem0.json").read_bytes() == (compiled_file.COMPILED / "mem0.json").read_bytes()


def test_a_name_of_the_package_stops_the_build(tmp_path: Path) -> None:
    shutil.copytree(BASE, tmp_path / "records" / "mem0")
    with pytest.raises(BuildError, match='integration "mem0" is in two folders: '):
        bundle(str(tmp_path), tmp_path / "artefact")
    assert not (tmp_path / "artefact").exists()


def test_a_stale_catalogue_of_your_own_stops_the_build(tmp_path: Path) -> None:
    folder = own(tmp_path / "own")
    books = folder / "records" / "library" / "books.yaml"
    books.write_text(books.read_text().replace("List books", "List all books"))
    done = subprocess.run(
        [sys.executable, "infra/package/build.py", "mcp_endpoint", str(tmp_path / "out")],
        cwd=template.ROOT,
        env={**os.environ, "PYTHONPATH": str(template.ROOT), "POSTERN_CATALOGS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "library.json: stale; run `tool-catalog compile`" in done.stderr
    assert not (tmp_path / "out").exists()
