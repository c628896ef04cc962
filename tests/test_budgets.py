"""Budgets of the data plane that no clock measures: what its start and its first call load, what a call imports.

The handler runs in a process of its own that sees the packages of its artefact and no others: an environment for tests
holds more, and a package that is tried for and not there is looked for anew by every call.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import preparing, synthetic, world

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "infra" / "requirements" / "mcp_endpoint.txt"

AT_START: set[str] = set()
"""Packages that importing the handler may load: none."""

AT_FIRST_CALL = {"_cffi_backend", "_sodium", "jmespath", "jsonschema_rs", "nacl"}
"""Packages that the first listing and the first call may load in addition."""

MODULES_AT_START = 250
"""Modules of any kind after the import of the handler. Python's own start is some 40 of them, 79 are ours, and 3.13 has
six more than 3.11."""

MODULES_AFTER_A_CALL = 302
"""Modules after the first call, with the packages of AT_FIRST_CALL; six fewer on 3.11."""

OF_TRACES = ("gateway.trace_context", "gateway.trace_settings", "gateway.tracing", "mcp_endpoint.traces")
"""Modules that a process loads in addition where requests are traced."""

CALL = ("tools/call", {"name": "list_all_mem_0_memories", "arguments": {"filters": {"user_id": "usr_1"}}})

PROGRAM = """
import importlib.metadata, json, os, sys

installed, events = json.loads(sys.argv[1]), json.loads(sys.argv[2])
ours = {"functions", "tool_catalog"}
foreign = {
    package
    for package, distributions in importlib.metadata.packages_distributions().items()
    if not {name.lower().replace("_", "-") for name in distributions} & set(installed)
} - ours - {"tests"}
looked_for = []

def loaded():
    return sorted(name for name, module in sys.modules.items() if module is not None)

class Artefact:
    def find_spec(self, name, path=None, target=None):
        looked_for.append(name)
        if name.partition(".")[0] in foreign | {"sniffio"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in [name for name in sys.modules if name.partition(".")[0] in foreign]:
    del sys.modules[name]
sys.meta_path.insert(0, Artefact())
report = os.fdopen(os.dup(1), "w")
os.dup2(os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT), 1)

from functions.mcp_endpoint.handler import handler

stages = [loaded()]
for event in events:
    looked_for.clear()
    answer = handler(event, None)
    assert answer["statusCode"] == 200 and '"isError":true' not in answer["body"], answer
    stages.append(loaded())
json.dump({"start": stages[0], "called": stages[2], "looked_for": looked_for}, report)
report.close()
"""


def after(log: Path, **variables: str) -> dict[str, Any]:
    """Modules after the start, modules after a listing and a call, and what the fourth call looked for. The lines of
    the handler go to `log`."""
    installed = re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text("utf-8"), re.MULTILINE)
    with world.running() as around:
        minted = preparing.mint("mem0", around.upstream)
        preparing.put(around.table, minted)
        events = [synthetic.event(minted.token, "modern", *request) for request in [("tools/list", {}), *[CALL] * 4]]
        environment = {
            **preparing.environment(),
            "POSTERN_STORE": "dynamodb",
            "POSTERN_TABLE": preparing.TABLE,
            "POSTERN_PRIVATE_UPSTREAMS": "true",
            "AWS_ENDPOINT_URL_DYNAMODB": around.table,
            "HOME": os.environ.get("HOME", "/"),
            **variables,
        }
        names = [name.lower().replace("_", "-") for name in installed]
        command = [sys.executable, "-c", PROGRAM, json.dumps(names), json.dumps(events), str(log)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """A process as a deployment has it."""
    return after(Path(os.devnull))


def packages(modules: list[str]) -> set[str]:
    """Top-level names that are neither of Python nor ours."""
    known = {*sys.stdlib_module_names, "functions", "tool_catalog", "__main__"}
    found = {name.partition(".")[0] for name in modules} - known
    return {name for name in found if not name.startswith(("__editable__", "_distutils_hack", "_virtualenv"))}


def test_a_start_loads_no_package_beyond_the_allowed_ones(loaded: dict[str, Any]) -> None:
    assert packages(loaded["start"]) <= AT_START


def test_a_start_loads_no_more_modules_than_its_budget(loaded: dict[str, Any]) -> None:
    assert len(loaded["start"]) <= MODULES_AT_START


def test_no_request_needs_an_event_loop(loaded: dict[str, Any]) -> None:
    """asyncio takes 12 ms of a start."""
    assert not [name for name in loaded["called"] if name.partition(".")[0] in ("asyncio", "concurrent")]


def test_a_first_call_loads_no_package_beyond_the_allowed_ones(loaded: dict[str, Any]) -> None:
    assert packages(loaded["called"]) - packages(loaded["start"]) <= AT_FIRST_CALL


def test_a_first_call_loads_no_more_modules_than_its_budget(loaded: dict[str, Any]) -> None:
    assert len(loaded["called"]) <= MODULES_AFTER_A_CALL


def test_a_warm_call_looks_for_no_module(loaded: dict[str, Any]) -> None:
    """A module that is not there is looked for again each time it is imported: four such imports were a third of a
    call."""
    assert loaded["looked_for"] == []


def test_traces_load_a_few_modules_of_ours_and_only_where_they_are_on(loaded: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "log"
    traced = after(log, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_TRACES_SAMPLER="always_on")
    own = {f"functions.{name}" for name in OF_TRACES}
    assert own <= set(traced["called"]) - set(loaded["called"])
    assert packages(traced["called"]) <= AT_START | AT_FIRST_CALL
    assert len(set(traced["called"]) - set(loaded["called"])) <= len(own)
    assert traced["looked_for"] == []
    spans = [one for one in map(json.loads, log.read_text("utf-8").splitlines()) if one.get("kind") == "span"]
    assert [one["method"] for one in spans] == ["tools/list", *["tools/call"] * 4]
    assert [len(one.get("upstream", ())) for one in spans] == [0, 1, 1, 1, 1]
