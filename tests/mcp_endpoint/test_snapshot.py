"""SnapStart: a copy of the started process is unique, holds no connection, and has loaded what calls need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from functions.mcp_endpoint import snapshot
from tests.stores.scripted_dynamodb import scripted

ROOT = Path(__file__).parents[2]

HANDED_ON = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG")
"""Variables that the process gets of ours; the last one lets it be measured with the suite."""

PROGRAM = """
import json, ssl, sys, types

hooks = types.ModuleType("snapshot_restore_py")
before, after = [], []
hooks.register_before_snapshot = lambda run, *given: before.append((run, given))
hooks.register_after_restore = lambda run, *given: after.append((run, given))
sys.modules["snapshot_restore_py"] = hooks

from functions.mcp_endpoint import handler, snapshot
from functions.stores.store import Key

handler.store.get([Key("TOKEN#a")])
open_before = handler.store._connection is not None
for run, given in before:
    run(*given)
loaded = [name for name in snapshot.NEEDED_BY_CALLS if name in sys.modules]
mixed = []
ssl.RAND_add = lambda data, entropy: mixed.append((len(data), entropy))
for run, given in after:
    run(*given)
found = handler.store.get([Key("TOKEN#a")])
handler.store.close()
print(json.dumps([open_before, loaded, mixed, found, len(before), len(after)]))
"""


def test_only_a_start_for_a_snapshot_registers_anything() -> None:
    assert snapshot.is_taken({"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
    for kind in ("on-demand", "provisioned-concurrency", ""):
        assert not snapshot.is_taken({"AWS_LAMBDA_INITIALIZATION_TYPE": kind})
    assert not snapshot.is_taken({})


def test_a_snapshot_holds_what_calls_need_and_no_connection() -> None:
    """In a process of its own, because the modules of a call must not be loaded yet."""
    with scripted({}, {}) as script:
        environment = {
            **{name: os.environ[name] for name in HANDED_ON if name in os.environ},
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "POSTERN_STORE": "dynamodb",
            "POSTERN_TABLE": "postern",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_ENDPOINT_URL": script.endpoint,
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    answer: list[Any] = json.loads(done.stdout)
    assert answer == [True, list(snapshot.NEEDED_BY_CALLS), [[32, 32]], [None], 1, 1]
    assert script.connections == 2, "the copy has opened a connection of its own"
