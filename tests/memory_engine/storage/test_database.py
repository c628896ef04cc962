"""The file: what is refused at start, and that what is refused is left as it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from functions.memory_engine.storage import opening
from functions.memory_engine.storage.database import Database
from functions.memory_engine.storage.opening import DatabaseUnavailable
from tests.memory_engine.conftest import Bench, bench


def _refusal(file: Path) -> str:
    """What opening says; the file must be the same, byte for byte, afterwards."""
    before = file.read_bytes()
    with pytest.raises(DatabaseUnavailable) as refused:
        Database(file, busy_timeout_seconds=0.05)
    assert file.read_bytes() == before
    return str(refused.value)


def _filled(file: Path) -> None:
    with bench(path=file) as memory:
        memory.remember(*[f"Memory {number} about the garden" for number in range(200)])


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.write_text("Dear diary")
    assert _refusal(file) == (
        f"{file} is not a memory file (it does not begin as a SQLite database); it was left as it is. "
        "Restore it from a copy, or name another file (POSTERN_MEMORY_PATH)"
    )


def test_a_database_of_another_program_is_refused(file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    assert _refusal(file) == (
        f"{file} is a SQLite database of another program; it was left as it is. Name another file (POSTERN_MEMORY_PATH)"
    )


def test_a_file_cut_short_is_refused(file: Path) -> None:
    _filled(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert f"{file} is cut short: {len(whole) // 2} of {len(whole)} bytes; it was left as it is." in _refusal(file)


def test_a_damaged_schema_is_refused(file: Path) -> None:
    _filled(file)
    damaged = bytearray(file.read_bytes())
    damaged[100:4096] = b"\xff" * 3996
    file.write_bytes(bytes(damaged))
    assert f"{file} cannot be used: " in _refusal(file)


def test_a_file_of_a_newer_version_is_refused(file: Path) -> None:
    _filled(file)
    later = sqlite3.connect(file)
    later.execute("PRAGMA user_version = 99")
    later.close()
    assert _refusal(file) == (
        f"{file} was written by a newer version (schema 99; this one knows {opening.SCHEMA_VERSION}); "
        "it was left as it is. Upgrade, or name another file (POSTERN_MEMORY_PATH)"
    )


def test_a_file_of_an_older_version_is_upgraded(file: Path) -> None:
    with bench(path=file) as memory:
        (known,) = memory.remember("Likes tea.")
    earlier = sqlite3.connect(file)
    earlier.execute("UPDATE memories SET hash = x'00'")
    earlier.execute("PRAGMA user_version = 1")
    earlier.commit()
    earlier.close()
    with bench(path=file) as memory:
        assert [item["id"] for item in memory.search("tea")] == [known]
        assert memory.infer(("user", "likes tea"), user_id="alice") == []


def test_a_second_engine_on_the_same_file_is_refused(file: Path) -> None:
    with bench(path=file), pytest.raises(DatabaseUnavailable) as refused:
        Database(file)
    assert str(refused.value) == (
        f"{file} is in use by another memory engine; stop that one, or give this one a file of its own "
        "(POSTERN_MEMORY_PATH)"
    )
    Database(file).close()


def test_a_file_locked_by_another_program_is_refused(file: Path) -> None:
    _filled(file)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert _refusal(file) == (
            f"{file} is locked by another process; close the program that holds it and start again"
        )
    finally:
        holder.close()


def test_a_file_locked_while_running_is_503_and_works_again_after(file: Path) -> None:
    with bench(path=file, busy_timeout_seconds=0.05) as memory:
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        body = {"messages": [{"role": "user", "content": "x y"}], "user_id": "alice", "infer": False}
        assert memory.call("POST", "/v3/memories/add/", body, 503) == {
            "detail": "The memory file cannot be used now: database is locked. Try again."
        }
        holder.close()
        assert memory.remember("Likes tea")


def test_damage_met_while_running_is_500_and_says_so(file: Path) -> None:
    _filled(file)
    reader = sqlite3.connect(file)
    page = reader.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'memory_index_data'").fetchone()[0]
    reader.close()
    content = bytearray(file.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xab" * 4096
    file.write_bytes(bytes(content))
    with bench(path=file) as memory:
        body = {"query": "garden", "filters": {"user_id": "alice"}}
        assert memory.call("POST", "/v3/memories/search/", body, 500) == {
            "detail": "The memory file is damaged; restore it from a copy."
        }
        assert memory.call("GET", "/v1/ping/")["status"] == "ok"


def test_a_new_file_is_readable_by_its_owner_alone(file: Path) -> None:
    with bench(path=file) as memory:
        memory.remember("Likes tea")
        assert {oct(Path(f"{file}{end}").stat().st_mode & 0o777) for end in ("", "-wal")} == {"0o600"}


def test_one_failing_write_undoes_itself_alone(memory: Bench) -> None:
    database = memory.engine.core.database

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO counters VALUES ('half', 1)")
        raise RuntimeError("half way")

    def works(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO counters VALUES ('whole', 1)")

    together = [database.write_later(change) for change in (fails, works, fails, works)]
    problems = [future.exception() for future in together]
    assert [type(problem) for problem in problems] == [RuntimeError, type(None), RuntimeError, sqlite3.IntegrityError]
    with database.read() as connection:
        rows = connection.execute("SELECT name FROM counters WHERE name IN ('half', 'whole')").fetchall()
    assert [row["name"] for row in rows] == ["whole"]


def test_everything_is_there_after_a_restart(file: Path) -> None:
    with bench(path=file) as memory:
        (memory_id,) = memory.remember("Likes tea", metadata={"k": 1})
        before = memory.call("GET", f"/v1/memories/{memory_id}/")
    with bench(path=file) as memory:
        assert memory.call("GET", f"/v1/memories/{memory_id}/") == before
        assert [hit["id"] for hit in memory.search("tea")] == [memory_id]
        assert len(memory.call("GET", f"/v1/memories/{memory_id}/history/")) == 1
    assert not Path(f"{file}-wal").exists()
