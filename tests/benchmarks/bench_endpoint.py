"""The data plane: a cold start, and what a listing and a call cost once warm.

Cold is a fresh process from spawn to its first answers, ten times after one discarded start. Warm is one process, one
request after another, through the Lambda handler with an API Gateway payload 2.0 event. The store is SQLite, the
upstream a constant answer on loopback; there is no TLS and no real network in any figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STARTS = 10
CALLS = 1000
WARM_UP = 20

ANSWER = json.dumps(
    {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [
            {"id": f"00000000-0000-4000-8000-{n:012d}", "memory": "Prefers tea over coffee in the morning. " * 2}
            for n in range(7)
        ],
    }
).encode()


@contextmanager
def upstream() -> Iterator[str]:
    """A keep-alive loopback server that answers everything with the same 200."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-RateLimit-Limit: 1000\r\n"
        b"X-RateLimit-Remaining: 999\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
    )
    ready = threading.Event()
    state: dict[str, Any] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                for line in request.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        await reader.readexactly(int(line.split(b":")[1]))
                writer.write(head + ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        state["port"] = server.sockets[0].getsockname()[1]
        state["loop"], state["stop"] = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        async with server:
            await state["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{state['port']}"
    finally:
        state["loop"].call_soon_threadsafe(state["stop"].set)
        thread.join(5)


def mint(state_dir: Path, base_url: str) -> str:
    """A server on the whole Mem0 catalogue in a fresh SQLite store; returns its token."""
    from functions.gateway.credentials import seal, seal_credential, token_key
    from functions.gateway.grants import Grant, ServerConfig, digest, mint_token
    from functions.stores import layout
    from functions.stores.sqlite import SqliteStore
    from functions.stores.store import Put

    token, data_key = mint_token(secrets.token_bytes), secrets.token_bytes(32)
    server = Grant(
        id="srv_bench",
        name="bench",
        account_id="acc_bench",
        integration="mem0",
        base_url=base_url,
        context={"org_id": "org", "project_id": "proj"},
        config=ServerConfig(),
        created_at=datetime.now(UTC),
        expires_at=None,
        sealed_credential=seal_credential({"api_key": "bench"}, data_key, "acc_bench", secrets.token_bytes),
        sealed_data_key=seal(data_key, token_key(token), "acc_bench", secrets.token_bytes),
    )
    state_dir.mkdir(parents=True, exist_ok=True)
    SqliteStore(state_dir / "postern.sqlite").write([Put(layout.token(digest(token)), server.to_json())])
    return token


def event(token: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """An API Gateway HTTP API event (payload 2.0) of a 2026-07-28 request."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    }
    headers = {"content-type": "application/json", "mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": f"/mcp/{token}",
        "rawQueryString": "",
        "headers": {"host": "example.com", **headers},
        "requestContext": {
            "domainName": "example.com",
            "stage": "$default",
            "http": {"method": "POST", "path": f"/mcp/{token}", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


LIST_CALL = ("tools/call", {"name": "list_all_mem_0_memories", "arguments": {"filters": {"user_id": "usr_1"}}})


def measure_here(token: str) -> dict[str, float]:
    """In this fresh process: import, first answers, then warm medians; milliseconds."""
    sys.stdout, kept = open(os.devnull, "w", encoding="utf-8"), sys.stdout  # noqa: SIM115 - where the log lines go
    started = time.perf_counter()
    from functions.mcp_endpoint.handler import handler

    ready = time.perf_counter()
    figures = {"import": (ready - started) * 1000}
    for name, (method, params) in {"list": ("tools/list", {}), "call": LIST_CALL}.items():
        request = event(token, method, params)
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
    with upstream() as base_url, tempfile.TemporaryDirectory() as folder:
        token = mint(Path(folder), base_url)
        environment = {**os.environ, "POSTERN_STATE_DIR": folder, "POSTERN_PRIVATE_UPSTREAMS": "true", "TOKEN": token}
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
