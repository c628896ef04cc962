"""Long runs against `postern serve` as a process. `python -m tests.soak.run [--kills N] [--calls N] [--clients N]`

kills     the process is killed (SIGKILL) while servers are minted, rotated and revoked and memories are added; after
          each restart everything that was acknowledged is there, and what was revoked is dead
calls     calls one after another and from several clients at once; every one succeeds, and the memory of the process
          stays flat from the first tenth to the last
clients   how many clients call at once
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.started import started

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
"""A start that takes longer has failed."""

GROWTH_BYTES = 30_000_000
"""How much the process may grow between the first tenth of the calls and the last: caches that fill, not a leak."""

PAUSE_SECONDS = 0.2
"""Wait of a client that was refused because too many calls wait already; such a call was not sent."""

Json = Any


class Unsound(Exception):
    """The endpoint lost or kept something that it must not."""


@dataclass
class Running:
    """A served endpoint."""

    process: subprocess.Popen[str]
    ready: dict[str, str] = field(repr=False)

    def memory(self) -> int:
        """Resident bytes of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(folder: str, port: int) -> Iterator[Running]:
    """`postern serve` on a port (0: a free one); killed at the end if it still runs."""
    command = [sys.executable, "-m", "functions.cli", "serve", "--port", str(port), "--json"]
    environment = {**os.environ, "POSTERN_STATE_DIR": folder, "PYTHONPATH": str(ROOT), "POSTERN_LOG_LEVEL": "ERROR"}
    with started(command, "}", cwd=ROOT, env=environment, stderr=None, patience=START_SECONDS) as endpoint:
        yield Running(endpoint.process, json.loads(endpoint.printed))


@dataclass
class Ledger:
    """What the endpoint has acknowledged. `unknown`: URLs whose last request had no answer."""

    alive: dict[str, str] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    memories: set[str] = field(default_factory=set)


def kills(folder: str, count: int, random: Random) -> str:
    """Kill and restart so many times under changes. Raises Unsound."""
    ledger, port, changes = Ledger(), 0, 0
    for number in range(count + 1):
        with serving(folder, port) as running:
            port = int(running.ready["base_url"].rsplit(":", 1)[1])
            check(running, ledger)
            if number < count:
                timer = threading.Timer(random.uniform(0.1, 2.0), running.process.send_signal, [signal.SIGKILL])
                timer.start()
                changes += change(running, ledger, random)
                timer.join()
    return (
        f"{count} kills under {changes:,} changes: {len(ledger.alive)} live URLs, {len(ledger.dead)} dead ones and "
        f"{len(ledger.memories)} memories are as acknowledged"
    )


def change(running: Running, ledger: Ledger, random: Random) -> int:
    """Mint, rotate, revoke and add until the endpoint is gone; the number of acknowledged changes."""
    account = f"/integrated-account/{running.ready['account_id']}/mcp"
    done = 0
    with management(running) as api:
        while True:
            kind = random.choice(("mint", "mint", "rotate", "revoke", "add"))
            server = random.choice([*ledger.alive]) if ledger.alive else None
            touched = ledger.alive.get(server or "", "")
            try:
                if kind == "add":
                    text = f"Fact number {random.randrange(10**9)} is kept."
                    message = {"messages": [{"role": "user", "content": text}], "user_id": "soak", "infer": False}
                    if not call(running.ready["mcp_url"], "create_a_mem_0_memory", message)["isError"]:
                        ledger.memories.add(text)
                elif kind == "mint" or server is None:
                    minted = (
                        api.post(account, json={"name": f"soak {random.randrange(10**12)}"}).raise_for_status().json()
                    )
                    ledger.alive[minted["id"]] = minted["url"]
                elif kind == "rotate":
                    rotated = api.post(f"{account}/{server}/rotate", json={}).raise_for_status().json()
                    ledger.alive[server] = rotated["url"]
                    ledger.dead.add(touched)
                else:
                    api.delete(f"{account}/{server}").raise_for_status()
                    del ledger.alive[server]
                    ledger.dead.add(touched)
            except httpx.TransportError:
                if server is not None and kind in ("rotate", "revoke"):
                    ledger.unknown.add(touched)
                    ledger.alive.pop(server, None)
                return done
            done += 1


def check(running: Running, ledger: Ledger) -> None:
    """Raises Unsound where the endpoint is not as it has acknowledged."""
    for url in ledger.alive.values():
        if ping(url) != 200:
            raise Unsound("a URL that was minted is dead")
    for url in ledger.dead:
        if ping(url) != 404:
            raise Unsound("a URL that was revoked or rotated is alive")
    if ledger.memories:
        found: set[str] = set()
        page: Json = {}
        while True:
            arguments = {"filters": {"user_id": "soak"}, "limit": 100, **page}
            result = call(running.ready["mcp_url"], "list_all_mem_0_memories", arguments)["structuredContent"]
            found |= {memory["memory"] for memory in result["result"]}
            if not result.get("next_cursor"):
                break
            page = {"next_cursor": result["next_cursor"]}
        if not ledger.memories <= found:
            raise Unsound(f"{len(ledger.memories - found)} acknowledged memories are lost")


def calls(folder: str, count: int, clients: int) -> str:
    """Make so many calls from so many clients at once. Raises Unsound."""
    with serving(folder, 0) as running:
        url = running.ready["mcp_url"]
        message = {"messages": [{"role": "user", "content": "I like tea."}], "user_id": "soak", "infer": False}
        call(url, "create_a_mem_0_memory", message)
        arguments = {"query": "tea", "filters": {"user_id": "soak"}}
        begun = time.monotonic()
        sizes: list[int] = []
        refused: list[int] = []
        pause = threading.Event()

        def work(number: int) -> None:
            with httpx.Client(timeout=60.0, trust_env=False) as http:
                for place in range(number, count, clients):
                    while (result := call(url, "mem_0_memories_search", arguments, http))["isError"]:
                        text = result["content"][0]["text"]
                        if "nothing was sent" not in text:
                            raise Unsound(f"a call failed: {text}")
                        refused.append(place)
                        pause.wait(PAUSE_SECONDS)
                    if place % max(1, count // 10) == 0:
                        sizes.append(running.memory())

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(work, range(clients)))
        seconds = time.monotonic() - begun
        grown = sizes[-1] - sizes[1]
        if grown > GROWTH_BYTES:
            raise Unsound(f"the process grew by {grown / 1e6:.0f} MB: {[round(size / 1e6) for size in sizes]} MB")
        speed = f"{count:,} calls from {clients} clients in {seconds:.0f} s ({count / seconds:.0f}/s), no failure"
        speed += f", {len(refused):,} refused for want of a place and sent again"
        return f"{speed}; resident {sizes[1] / 1e6:.0f} MB after a tenth, {sizes[-1] / 1e6:.0f} MB at the end"


def management(running: Running) -> httpx.Client:
    """A client of the management API."""
    headers = {"authorization": f"Bearer {running.ready['api_token']}"}
    return httpx.Client(base_url=running.ready["base_url"], headers=headers, timeout=30.0, trust_env=False)


def ping(url: str) -> int:
    """The status of a ping to an MCP URL."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return httpx.post(url, json=message, timeout=30.0, trust_env=False).status_code


def call(url: str, tool: str, arguments: Json, http: httpx.Client | None = None) -> Json:
    """The result of one call."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    if http is None:
        answer = httpx.post(url, json=message, timeout=60.0, trust_env=False)
    else:
        answer = http.post(url, json=message)
    return answer.raise_for_status().json()["result"]


def main() -> int:
    """Run both parts; returns the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description="Long runs against a served endpoint.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            print(kills(folder, options.kills, Random(options.seed)), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            print(calls(folder, options.calls, options.clients), flush=True)
    except Unsound as error:
        print(f"unsound: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
