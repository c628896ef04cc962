"""What the tests of the catalogue share: a small integration that compiles, and copies of it to break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"
BASE = GOLDEN / "records_base" / "library"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A fresh folder of records of the small integration `library`."""
    folder = tmp_path / "records" / "library"
    shutil.copytree(BASE, folder)
    return folder


Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(library: Path) -> Edit:
    """Replace a text in one of the library's files; the text must be there."""

    def replace(filename: str, old: str, new: str) -> None:
        path = library / filename
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return replace
