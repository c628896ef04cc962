"""The embedded memory engine at full size: 100,000 memories of 20 to 60 words over 1,000 users.

    python -m tests.benchmarks.bench_memory_engine [--memories 100000] [--users 1000] [--keep FILE]

Prints one table. Search, list and add are measured over HTTP on loopback, against the engine in a process of its own,
whose resident memory is what the table gives. Text is drawn from a Zipf distribution over 20,000 made-up words.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from functions.memory_engine.engine import Engine
from functions.memory_engine.settings import EngineSettings
from functions.memory_engine.work import adding

SYLLABLES = (
    *("ka", "lo", "mi", "ren", "tas", "vel", "dor", "pin", "sha", "gru"),
    *("bel", "on", "ist", "ing", "ed", "er", "al", "um", "qua", "zel"),
)
VOCABULARY = 20_000
KEY = {"Authorization": "Token m0-bench"}


class Text:
    """Made-up text whose word frequencies look like those of a language."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        words: dict[str, None] = {}
        while len(words) < VOCABULARY:
            words["".join(self.random.choice(SYLLABLES) for _ in range(self.random.randint(2, 4)))] = None
        self.words = list(words)
        self.cumulative = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(VOCABULARY)))

    def sentence(self, low: int, high: int) -> str:
        count = self.random.randint(low, high)
        return " ".join(self.random.choices(self.words, cum_weights=self.cumulative, k=count))


def fill(path: Path, memories: int, users: int) -> float:
    """Write the file, a hundred messages per add. Returns memories per second."""
    text = Text(1)
    engine = Engine(EngineSettings(path=path))
    each = max(1, memories // users)
    begun = time.perf_counter()
    for number in range(users):
        for start in range(0, each, 100):
            body = {
                "messages": [{"role": "user", "content": text.sentence(20, 60)} for _ in range(min(100, each - start))],
                "user_id": f"user-{number}",
                "app_id": "bench",
                "metadata": {"topic": text.random.choice(["food", "work", "home"]), "rank": number % 10},
                "timestamp": 1_700_000_000 + number * 1000,
            }
            adding.add_verbatim(engine.core, body)
    spent = time.perf_counter() - begun
    engine.close()
    return memories / spent


def serve(path: Path) -> tuple[subprocess.Popen[bytes], str, float]:
    """The engine in its own process. Returns it, its URL, and the seconds that opening the file took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = (
        "import sys, time, uvicorn; from pathlib import Path\n"
        "from functions.memory_engine.app import create_app\n"
        "from functions.memory_engine.settings import EngineSettings\n"
        "begun = time.perf_counter(); app = create_app(EngineSettings(path=Path(sys.argv[1])))\n"
        "print(time.perf_counter() - begun, flush=True)\n"
        "uvicorn.run(app, host='127.0.0.1', port=int(sys.argv[2]), log_level='error')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path), str(port)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    opened = float(process.stdout.readline())
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/v1/ping/", headers=KEY).status_code == 200:
                return process, url, opened
        except httpx.HTTPError:
            time.sleep(0.02)
    raise SystemExit("the engine did not answer within 30 s")


def resident(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Resident and peak resident memory in MB (Linux)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
    return int(values["VmRSS"]) / 1024, int(values["VmHWM"]) / 1024


def timed(count: int, request: Callable[[int], httpx.Response]) -> str:
    spent = []
    for number in range(count):
        begun = time.perf_counter()
        answer = request(number)
        spent.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
    cuts = statistics.quantiles(spent, n=100)
    return f"p50 {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, max {max(spent):.1f} ms"


def adds(url: str, count: int, clients: int, infer: bool, text: Text) -> float:
    """Adds per second from so many clients at a time; each is answered before that client's next."""
    bodies = [
        {
            "messages": [{"role": "user", "content": f"I {text.sentence(20, 60)}"}],
            "user_id": f"user-{n % 1000}",
            "infer": infer,
        }
        for n in range(count)
    ]
    shares = [bodies[n::clients] for n in range(clients)]

    def work(share: list[dict[str, Any]]) -> None:
        with httpx.Client(base_url=url, headers=KEY, timeout=30) as client:
            for body in share:
                assert client.post("/v3/memories/add/", json=body).status_code == 200

    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - begun)


def run(memories: int = 100_000, users: int = 1_000, keep: Path | None = None) -> None:
    """Print the table. `keep` names a file to use, or to leave behind."""
    with tempfile.TemporaryDirectory() as folder:
        path = keep or Path(folder) / "memory.db"
        rows: list[tuple[str, str]] = []
        if not path.exists():
            rows.append(("fill, 100 messages per add", f"{fill(path, memories, users):.0f} memories/s"))
        rows.append(("file size", f"{path.stat().st_size / 1e6:.0f} MB"))
        process, url, opened = serve(path)
        try:
            rows.append(("open the file", f"{opened * 1000:.0f} ms"))
            rows.append(("resident memory at rest", f"{resident(process)[0]:.0f} MB"))
            measure(url, users, rows)
            after, peak = resident(process)
            rows.append(("resident memory after, and peak", f"{after:.0f} MB, {peak:.0f} MB"))
        finally:
            process.terminate()
            process.wait()
    print(f"\nMemory engine: {memories} memories of 20 to 60 words, {users} users, {os.cpu_count()} cores")
    for name, value in rows:
        print(f"  {name:<44} {value}")


def measure(url: str, users: int, rows: list[tuple[str, str]]) -> None:
    text = Text(1)
    text.random.seed(2)
    with httpx.Client(base_url=url, headers=KEY, timeout=60) as client:

        def search(filters: dict[str, Any], low: int = 3, high: int = 6) -> httpx.Response:
            body = {"query": text.sentence(low, high), "filters": filters, "threshold": 0.0}
            return client.post("/v3/memories/search/", content=json.dumps(body))

        def one_user(_: int) -> httpx.Response:
            return search({"user_id": f"user-{text.random.randrange(users)}"})

        def compound(page: int) -> httpx.Response:
            filters = {
                "AND": [
                    {"app_id": "bench"},
                    {"OR": [{"metadata": {"topic": "food"}}, {"metadata": {"rank": 3}}]},
                    {"NOT": {"user_id": "user-7"}},
                    {"created_at": {"gte": "2023-11-14", "lt": "2023-11-24"}},
                ]
            }
            return client.post("/v3/memories/", content=json.dumps({"filters": filters, "page": page % 20 + 1}))

        def list_user(_: int) -> httpx.Response:
            filters = {"user_id": f"user-{text.random.randrange(users)}", "metadata": {"topic": "food"}}
            return client.post("/v3/memories/", content=json.dumps({"filters": filters}))

        rows.append(("search in one user (cold first)", timed(500, one_user)))
        rows.append(("search across all", timed(300, lambda _: search({"app_id": "bench"}))))
        rows.append(("search across all, one word", timed(200, lambda _: search({"app_id": "bench"}, 1, 1))))
        rows.append(("search across all, 12 words", timed(100, lambda _: search({"app_id": "bench"}, 12, 12))))
        rows.append(("list in one user, metadata filter", timed(200, list_user)))
        rows.append(("list across all, compound filter", timed(50, compound)))
        rows.append(("add, infer=false, 1 client", f"{adds(url, 1500, 1, False, text):.0f}/s"))
        rows.append(("add, infer=false, 8 clients", f"{adds(url, 3000, 8, False, text):.0f}/s"))
        accepted = adds(url, 1500, 8, True, text)
        begun = time.perf_counter()
        pending = client.get("/v1/events/?status=PENDING&page_size=1").json()["count"]
        while client.get("/v1/events/?status=PENDING&page_size=1").json()["count"]:
            time.sleep(0.05)
        rest = time.perf_counter() - begun
        rows.append(("add, infer=true by rule, 8 clients: accepted", f"{accepted:.0f}/s"))
        rows.append(("  worked off", f"{1500 / (1500 / accepted + rest):.0f}/s ({pending} were waiting)"))
        rows.append(("stats", timed(20, lambda _: client.get("/v1/stats/"))))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--memories", type=int, default=100_000)
    options.add_argument("--users", type=int, default=1_000)
    options.add_argument("--keep", type=Path, help="use the file here, or leave it here")
    given = options.parse_args()
    run(given.memories, given.users, given.keep)
