"""`postern demo`: every step passes on a working endpoint, and the exit code is 1 as soon as one fails."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from functions.cli.commands import demo
from functions.cli.terminal import Terminal
from tests.cli.conftest import Local, run

STEPS = ["start", "mint", "list", "add", "poll", "search", "history", "refuse", "expire", "tidy up"]


def test_the_demo_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    in_use = {"POSTERN_STATE_DIR": str(tmp_path / "state"), "POSTERN_MEMORY_PATH": str(tmp_path / "memory.sqlite")}
    ran = run("demo", environment=in_use)
    assert ran.code == 0, ran.out + ran.err
    assert list(tmp_path.iterdir()) == []
    lines = ran.out.splitlines()
    assert [line[23:32].strip() for line in lines[:-1]] == STEPS
    assert all(line[4:6] == "ok" for line in lines[:-1])
    assert lines[-1].startswith("All 10 steps passed, in ")
    assert "/mcp/" not in ran.out, "a minted URL is a secret, and not the point here"


def test_the_demo_runs_against_an_endpoint_that_is_there(local: Local) -> None:
    before = local("server", "list", "--json").json
    ran = local("demo", "--endpoint", local.ready.base_url, "--api-token", local.ready.api_token, "--json")
    assert ran.code == 0, ran.out + ran.err
    story = ran.json
    assert [step["step"] for step in story["steps"]] == STEPS[1:]
    assert story["passed"] is True
    assert all(step["passed"] for step in story["steps"])
    assert local("server", "list", "--json").json == before
    user_id = story["steps"][-1]["report"].split(" and the servers")[0].split()[-1]
    left = local("call", "list_all_mem_0_memories", f"filters.user_id={user_id}", "--json").json
    assert left["result"] == []


def test_a_memory_that_fails_makes_the_demo_fail() -> None:
    ran = run("demo", environment={"POSTERN_MEMORY_LATENCY_MS": "0", "POSTERN_MEMORY_FAILURE_RATE": "1"})
    assert ran.code == 1
    assert "FAILED" in ran.out
    assert ran.out.splitlines()[-1].startswith("Failed: ")


def test_an_endpoint_that_answers_after_the_end_is_caught(local: Local) -> None:
    """The demo believes its own clock: to one that runs ahead, the endpoint answers an hour after the end."""
    options = ["demo", "--endpoint", local.ready.base_url, "--api-token", local.ready.api_token, "--json"]
    ahead = run(*options, environment=local.environment, clock=lambda: datetime.now(UTC) + timedelta(hours=1))
    assert ahead.code == 1
    [expire] = [step for step in ahead.json["steps"] if step["step"] == "expire"]
    assert expire["passed"] is False
    assert "it answered a call of" in expire["report"]


def test_a_step_that_breaks_is_reported_with_its_reason() -> None:
    out = io.StringIO()
    steps = demo.Steps(Terminal(io.StringIO(), out, io.StringIO()))
    for error, told in ((demo.StepFailed("a reason"), "a reason"), (KeyError("id"), "KeyError: 'id'")):
        with pytest.raises(demo.StepFailed), steps.step("add"):
            raise error
        assert out.getvalue().splitlines()[-1].endswith(f"add        {told}")
    assert [step["passed"] for step in steps.done] == [False, False]
