"""The owner's copy: complete, readable, and taken in whole or not at all."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from functions.memory_engine.storage.jsonl import TABLES, ImportRefused, export_jsonl, import_jsonl
from functions.memory_engine.storage.opening import DatabaseUnavailable, to_copy
from tests.memory_engine.conftest import bench


@pytest.fixture(name="filled")
def _filled(file: Path) -> Path:
    """A file with a row in every table that can have one without a model."""
    with bench(path=file, webhook_retry_seconds=(3600.0,)) as memory:
        ids = memory.remember("Likes tea", "Lives in Zürich 🏔", metadata={"k": [1, None]}, expiration_date="2030-01-01")
        memory.remember("Knows the way", agent_id="bot", run_id="r1")
        memory.call("PUT", f"/v1/memories/{ids[0]}/", {"text": "Likes coffee"})
        memory.call("POST", "/v1/feedback/", {"memory_id": ids[0], "feedback": "POSITIVE"})
        memory.search("coffee")
        memory.call("POST", "/api/v1/orgs/organizations/", {"name": "Acme"}, 201)
        memory.call("POST", "/v2/profiles/settings/", {"enabled": True})
        job = {"operation": "trigger", "entity_type": "user", "entity_id": "alice"}
        started = memory.call("POST", "/v2/profiles/jobs/", job, 202, headers={"Idempotency-Key": "key-00000001"})
        memory.event(started["event_id"])
        export = {"schema": {"properties": {"memories": {}}}, "filters": {"AND": [{"user_id": "alice"}]}}
        memory.call("POST", "/v1/exports/", export, 201)
        hook = {"url": "http://127.0.0.1:9/", "name": "h", "event_types": ["memory_add"]}
        memory.engine.deliverer.stop()
        memory.call("POST", "/api/v1/webhooks/projects/proj_local/", hook, 201)
        memory.infer(("user", "I own a kayak."), user_id="alice")
    return file


def _copy(file: Path) -> str:
    out = io.StringIO()
    export_jsonl(file, out)
    return out.getvalue()


def _tables(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    connection = to_copy(file)
    try:
        return {t: sorted(map(tuple, connection.execute(f"SELECT * FROM {t}")), key=repr) for t in TABLES}
    finally:
        connection.close()


def test_a_copy_taken_in_again_is_the_same_in_every_table(filled: Path, tmp_path: Path) -> None:
    text = _copy(filled)
    new = tmp_path / "new.db"
    counts = import_jsonl(new, io.StringIO(text))
    before = _tables(filled)
    assert _tables(new) == before
    assert counts == {table: len(rows) for table, rows in before.items()}
    assert all(counts.values()), f"the test fills every table: {counts}"
    assert _copy(new) == text
    with bench(path=new, random_bytes=os.urandom) as memory:
        assert [hit["memory"] for hit in memory.search("cofee")] == ["Likes coffee"]
        history = memory.call("GET", f"/v1/memories/{memory.search('coffee')[0]['id']}/history/")
        assert [entry["event"] for entry in history] == ["ADD", "UPDATE"]
        assert memory.remember("Likes tea", user_id="somebody new")


def test_a_copy_can_be_taken_while_the_engine_runs(file: Path) -> None:
    with bench(path=file) as memory:
        memory.remember("Likes tea")
        assert '"memory":"Likes tea"' in _copy(file)
        memory.remember("Likes coffee")


def test_every_line_is_one_json_object_that_says_what_it_is(filled: Path) -> None:
    lines = [json.loads(line) for line in _copy(filled).splitlines()]
    assert lines[0] == {"format": "postern-memory", "version": 1}
    assert set(lines[-1]) == {"end"}
    assert {tuple(line) for line in lines[1:-1]} == {("table", "row")}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lines: lines[:-1], "the copy ends after line {last} without its end line, so part of it is missing"),
        (lambda lines: lines[:3] + lines[4:], "the copy was changed (its checksum differs)"),
        (lambda lines: [lines[0], lines[1].replace("coffee", "cocoa"), *lines[2:]], "the copy was changed"),
        (lambda lines: [*lines, lines[1]], "text follows the end line"),
        (lambda lines: [lines[0], "{", *lines[1:]], "line 2 is not JSON: "),
        (lambda lines: [lines[0], "[]", *lines[1:]], "line 2 is not a JSON object"),
        (lambda lines: [lines[0], '{"table":"words","row":{"word":"x"}}'], 'line 2: there is no table "words"'),
        (lambda lines: [lines[0], '{"table":"counters","row":{"x; --":1}}'], "line 2: counters has no column x; --"),
        (lambda lines: [lines[0], '{"table":"counters","row":{"name":"x"}}'], "line 2: NOT NULL constraint failed"),
        (lambda lines: [lines[0], lines[1], lines[1]], "line 3: UNIQUE constraint failed"),
        (lambda lines: [lines[0], '{"row":1}'], 'line 2 is not {"table": ..., "row": {...}}'),
        (lambda lines: lines[1:], 'line 1 is not {"format":"postern-memory","version":1}'),
        (lambda lines: [], "the copy ends after line 0 without its end line"),
    ],
)
def test_a_copy_that_is_cut_or_changed_is_refused_whole(filled: Path, tmp_path: Path, change: Any, reason: str) -> None:
    lines = _copy(filled).splitlines()
    changed = change(lines)
    new = tmp_path / "new.db"
    with pytest.raises(ImportRefused) as refused:
        import_jsonl(new, io.StringIO("".join(f"{line}\n" for line in changed)))
    assert reason.replace("{last}", str(len(lines) - 1)) in str(refused.value)
    assert not _tables(new)["memories"]


def test_a_file_that_holds_data_is_not_imported_into(filled: Path) -> None:
    text, before = _copy(filled), _tables(filled)
    with pytest.raises(ImportRefused, match=r"already holds data \(memories\); import into a new file$"):
        import_jsonl(filled, io.StringIO(text))
    assert _tables(filled) == before


def test_nothing_is_imported_under_a_running_engine(filled: Path, file: Path) -> None:
    text = _copy(filled)
    with bench(path=filled), pytest.raises(DatabaseUnavailable, match="is in use by another memory engine"):
        import_jsonl(filled, io.StringIO(text))


def test_what_is_not_there_is_not_exported(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(DatabaseUnavailable, match="there is no memory file here"):
        export_jsonl(missing, io.StringIO())
    assert not missing.exists()
