"""The state folder is the same from any shell, and a project can have one of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.cli.connection import local_file
from functions.cli.state_dir import state_dir


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which holds no state."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "platform", "folder"),
    [
        ({"HOME": "/home/é u"}, "linux", "/home/é u/.local/share/postern"),
        ({"HOME": "/home/u", "XDG_DATA_HOME": "/data"}, "linux", "/data/postern"),
        ({"HOME": "/home/u", "XDG_DATA_HOME": "not/absolute"}, "linux", "/home/u/.local/share/postern"),
        ({"HOME": "/Users/u", "XDG_DATA_HOME": "/data"}, "darwin", "/Users/u/Library/Application Support/Postern"),
        ({"HOME": "/home/u", "POSTERN_STATE_DIR": "/srv/state"}, "linux", "/srv/state"),
        ({"HOME": "/home/u", "POSTERN_STATE_DIR": ""}, "linux", "/home/u/.local/share/postern"),
        ({}, "linux", ".postern"),
    ],
)
def test_the_folder_is_the_users_unless_a_variable_names_one(
    environment: dict[str, str], platform: str, folder: str
) -> None:
    assert state_dir(environment, platform) == folder


def test_a_folder_of_the_project_wins_over_the_users_and_a_variable_over_both(here: Path) -> None:
    (here / ".postern").mkdir()
    assert state_dir({"HOME": "/home/u"}) == ".postern"
    assert state_dir({"HOME": "/home/u", "POSTERN_STATE_DIR": "/srv/state"}) == "/srv/state"
    assert local_file({"HOME": "/home/u"}) == Path(".postern/local.json")
