"""Whatever an upstream answers, a call ends in a bounded, honest result: each mode by list, get, create and delete."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.gateway.settings import Settings
from tests.gateway.calling import API_KEY
from tests.hostile_upstream.modes import MODES

ROOT = Path(__file__).parents[2]

CPU_SECONDS = 10.0
"""For the four calls of one mode. The costliest takes about a tenth of it; a shaping that ran wild took over 120 s."""

MEGABYTES = 250.0
"""Growth of the peak of resident memory in one mode. A 5 MB answer of 300,000 members weighs some 100 MB when decoded;
two nested codings once took 2,000 MB."""

UNSENT = ("nothing was sent", "nothing was done")
ACTED = ("whether it was carried out is unknown", "so it was carried out", "look whether it was carried out")

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from Linux")


@pytest.fixture(scope="module", params=["event_loop", "blocking"])
def ran(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the child printed, by mode, on an event loop as on a laptop and blocking as in a function."""
    command = [sys.executable, "-m", "tests.hostile_upstream.child", request.param]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-3_000:]
    assert API_KEY not in child.stderr
    return {line["mode"]: line for line in map(json.loads, child.stdout.splitlines())}


def test_there_are_modes_enough() -> None:
    assert len(MODES) >= 90


@linux
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_costs_little_and_ends_in_an_honest_result(mode: str, ran: dict[str, Any]) -> None:
    found = ran[mode]
    assert found["cpu"] < CPU_SECONDS
    assert found["megabytes"] < MEGABYTES
    assert len(found["outcomes"]) == 4
    for name, outcome in found["outcomes"].items():
        text = outcome["text"]
        assert len(text.encode()) < 2 * Settings().max_result_bytes, name
        assert API_KEY not in text
        assert base64.b64encode(f"user:{API_KEY}".encode()).decode() not in text
        read = name.startswith(("list", "get"))
        assert outcome["received"] <= (2 if read else 1), f"{name} was sent more than once"
        if read:
            assert not (outcome["acted"] and outcome["class"] != "Done"), name
        elif outcome["class"] not in ("Done", "UpstreamRefused"):
            assert outcome["acted"] == outcome["sent"], name
        if not read and outcome["class"] not in ("Done", "UpstreamRefused") and outcome["sent"]:
            assert any(words in text for words in ACTED), name
        if not read and outcome["class"] in ("UpstreamTimeout", "UpstreamUnreachable"):
            assert any(words in text for words in (ACTED if outcome["sent"] else UNSENT)), name
        assert "forged" not in text, "bytes behind an answer are not the next one"
