"""The data plane with the Mem0 catalogue and the SQLite store: a cold start, a warm listing, a warm call.

Cold is a fresh process from spawn to its first answers, ten times after one discarded start. Warm is one process, one
request after another, through the Lambda handler with an API Gateway payload 2.0 event. The upstream is a constant
answer on loopback; there is no TLS and no real network in any figure. `bench_peers` compares; this file looks at us.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from functions.stores.sqlite import SqliteStore
from functions.stores.store import Put
from tests.benchmarks import preparing, world
from tests.benchmarks.synthetic import event

STARTS = 10
CALLS = 1000
WARM_UP = 20

LIST_CALL = ("tools/call", {"name": "list_all_mem_0_memories", "arguments": {"filters": {"user_id": "usr_1"}}})


def measure_here(token: str) -> dict[str, float]:
    """In this fresh process: import, first answers, then warm medians; milliseconds."""
    sys.stdout, kept = open(os.devnull, "w", encoding="utf-8"), sys.stdout  # noqa: SIM115 - where the log lines go
    started = time.perf_counter()
    from functions.mcp_endpoint.handler import handler

    ready = time.perf_counter()
    figures = {"import": (ready - started) * 1000}
    for name, (method, params) in {"list": ("tools/list", {}), "call": LIST_CALL}.items():
        request = event(token, "modern", method, params)
        times = []
        for _ in range(CALLS + WARM_UP):
            before = time.perf_counter()
            answer = handler(request, None)
            times.append((time.perf_counter() - before) * 1000)
            assert answer["statusCode"] == 200, answer
            assert '"isError":true' not in answer["body"], answer["body"][:500]
        figures[f"first {name}"] = times[0]
        figures[f"{name} p50"] = statistics.median(times[WARM_UP:])
        figures[f"{name} p95"] = statistics.quantiles(times[WARM_UP:], n=20)[18]
        figures[f"{name} bytes"] = len(answer["body"])
    sys.stdout = kept
    return figures


def run() -> None:
    """Print the table."""
    with world.running() as around, tempfile.TemporaryDirectory() as folder:
        minted = preparing.mint("mem0", around.upstream)
        SqliteStore(Path(folder) / "postern.sqlite").write([Put(key, body) for key, body in minted.items.items()])
        environment = {
            **os.environ,
            "POSTERN_STATE_DIR": folder,
            "POSTERN_PRIVATE_UPSTREAMS": "true",
            "TOKEN": minted.token,
        }
        ready = "import functions.mcp_endpoint.handler"
        starts = []
        for _ in range(STARTS + 1):
            before = time.perf_counter()
            subprocess.run([sys.executable, "-c", ready], env=environment, check=True)
            starts.append((time.perf_counter() - before) * 1000)
        program = (
            "import json, os; from tests.benchmarks.bench_endpoint import measure_here; "
            "print(json.dumps(measure_here(os.environ['TOKEN'])))"
        )
        output = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
    figures = {"process start to ready, median": statistics.median(starts[1:]), **json.loads(output.stdout)}
    print("data plane (ms unless bytes)")
    for name, value in figures.items():
        print(f"  {name:32} {value:10.0f}" if "bytes" in name else f"  {name:32} {value:10.2f}")


if __name__ == "__main__":
    run()
