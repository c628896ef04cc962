"""What is wrong with the state folder stops the start with one line and exit code 1, and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from functions import local
from functions.gateway.settings import Settings
from functions.local import LocalError
from tests.cli.conftest import run

Spoil = Callable[[Path], None]


def _text(name: str, text: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)

    return spoil


def _garbage(name: str) -> Spoil:
    return _text(name, "not a database\n" * 1000)


def _a_folder(name: str) -> Spoil:
    return lambda folder: (folder / name).mkdir()


def _foreign(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        other = sqlite3.connect(folder / name)
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.execute("PRAGMA application_id = 4711")
        other.commit()
        other.close()

    return spoil


def _newer(folder: Path) -> None:
    with local.start(Settings(state_dir=str(folder)), {}):
        pass
    file = sqlite3.connect(folder / "postern.sqlite")
    file.execute("PRAGMA user_version = 99")
    file.close()


CASES: dict[str, tuple[Spoil, str]] = {
    "a damaged table": (_garbage("postern.sqlite"), "damaged, or not an SQLite file"),
    "a foreign table": (_foreign("postern.sqlite"), "an SQLite file of another program"),
    "a newer table": (_newer, "written by a newer version (format 99"),
    "a folder for the table": (_a_folder("postern.sqlite"), "Is a directory"),
    "a damaged memory": (_garbage("memory.sqlite"), "is not a memory file"),
    "a foreign memory": (_foreign("memory.sqlite"), "is a SQLite database of another program"),
    "a folder for the memory": (_a_folder("memory.sqlite"), "memory.sqlite"),
    "a folder for the call log": (_a_folder("calls.jsonl"), "calls.jsonl cannot be used (Is a directory)"),
    "a folder for the state file": (_a_folder("local.json"), "local.json cannot be read (Is a directory)"),
    "a state file of something else": (_text("local.json", "[]"), "local.json is not a state file of Postern"),
    "a folder for the lock": (_a_folder("serving.lock"), "cannot be used (Is a directory)"),
    "a short key": (_text("account-keys.key", "c2hvcnQ="), "does not hold a key (32 bytes as base64)"),
}


def _contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix == ".sqlite"}


@pytest.mark.parametrize(("spoil", "reason"), CASES.values(), ids=CASES.keys())
def test_a_start_that_cannot_succeed_says_why_in_one_line(tmp_path: Path, spoil: Spoil, reason: str) -> None:
    spoil(tmp_path)
    before = _contents(tmp_path)
    ran = run("serve", "--port", "0", environment={"POSTERN_STATE_DIR": str(tmp_path)})
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("postern: ")
    assert reason in ran.err
    assert ran.err.count("\n") == 1, ran.err
    assert "Traceback" not in ran.err
    after = _contents(tmp_path)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("place", ["a-file/state", "/proc/no-such-place"])
def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("")
    folder = str(tmp_path / place)
    ran = run("serve", "--port", "0", environment={"POSTERN_STATE_DIR": folder})
    assert ran.code == 1
    assert ran.err.startswith(f"postern: the state folder {folder} cannot be used (")
    assert ran.err.endswith("); set POSTERN_STATE_DIR to a folder that this user may write\n")


def test_one_folder_is_served_by_one_endpoint_at_a_time(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    with local.start(settings, {}) as first:
        in_use = r"is in use by another endpoint \(process \d+\); stop it, or set"
        with pytest.raises(LocalError, match=in_use), local.start(settings, {}):
            pass
        ran = run("serve", "--port", "0", environment={"POSTERN_STATE_DIR": str(tmp_path)})
        assert (ran.code, ran.err.count("\n")) == (1, 1)
    with local.start(settings, {}) as second:
        assert second.server_id == first.server_id
