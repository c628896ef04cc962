"""The whole of Postern in one process on 127.0.0.1: both planes and the embedded memory, state in one folder.

::

    /mcp...  /.well-known...  /health      the data plane
    /memory/...                            the embedded memory, a Mem0-compatible upstream
    everything else                        the management API

The account and the first MCP server are made through the management API, over HTTP, as anybody would make them. What is
needed to print the same URL after a restart is kept in `local.json` in the state folder, readable by its owner alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.api_tokens import service as api_tokens
from functions.admin_api.app import create_app as create_admin_api
from functions.gateway.audit import Audit
from functions.gateway.grants import mint_api_token
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.mcp_endpoint.app import Endpoint
from functions.memory_engine.app import create_app as create_memory_engine
from functions.memory_engine.settings import EngineSettings
from functions.stores.sqlite import SqliteStore
from tool_catalog import catalog

HOST = "127.0.0.1"
PORT = 8765
"""Where `postern serve` listens unless told otherwise; a fixed port keeps a pasted URL valid."""

SWEEP_SECONDS = 30
"""How often expired records are removed: within the minute that a deployment's schedules keep, too."""

START_SECONDS = 30
"""How long a start may take before it counts as failed; it is well under two."""

QUIET = ("httpx", "httpcore", "httpx2", "mcp", "uvicorn.error", "uvicorn.access", "botocore", "urllib3")
"""Loggers that write whole URLs at INFO, and with them tokens and credentials."""

PLATFORM_URL = "https://api.mem0.ai"
EMBEDDED = "embedded memory"
DATA_PLANE = ("mcp", ".well-known", "health")


class LocalError(Exception):
    """The local endpoint cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What `serve` prints. `connected_to` names the upstream: the embedded memory and its file, or a Mem0 URL."""

    base_url: str
    mcp_url: str = field(repr=False)
    api_token: str = field(repr=False)
    account_id: str
    server_id: str
    connected_to: str
    memory_url: str
    memory_api_key: str = field(repr=False)


def run(settings: Settings, environment: Mapping[str, str], port: int, on_ready: Callable[[Ready], None]) -> None:
    """Serve until SIGINT or SIGTERM. Raises LocalError."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with start(settings, environment, port) as ready:
        on_ready(ready)
        stop.wait()


@contextlib.contextmanager
def start(
    settings: Settings,
    environment: Mapping[str, str],
    port: int = 0,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    audit_stream: TextIO | None = None,
) -> Iterator[Ready]:
    """The same on a background thread, for as long as the context is open. Port 0 takes a free one.

    `environment` may hold MEM0_API_KEY and MEM0_BASE_URL (the account is then the real Mem0) and POSTERN_MEMORY_*.
    `audit_stream` takes a line per tool call; None writes them to `calls.jsonl` in the state folder.
    Raises LocalError.
    """
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    folder = Path(settings.state_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = _State.read(folder / "local.json")
    engine_settings = EngineSettings.from_environment(environment)
    if "POSTERN_MEMORY_PATH" not in environment:
        engine_settings = replace(engine_settings, path=folder / "memory.sqlite")
    if not engine_settings.api_keys:
        engine_settings = replace(engine_settings, api_keys=(state.memory_api_key,))
    engine_settings = replace(engine_settings, clock=clock)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(port))
        base_url = f"http://{HOST}:{listener.getsockname()[1]}"
        settings = replace(
            settings,
            private_upstreams=True,
            public_url=settings.public_url or base_url,
            allowed_hosts=settings.allowed_hosts or _own_hosts(settings.public_url),
        )
        stream = audit_stream or stack.enter_context(_call_lines(folder / "calls.jsonl"))
        store = SqliteStore(folder / "postern.sqlite")
        stack.callback(store.close)
        api_tokens.bootstrap(store, clock(), secrets.token_bytes, state.api_token)
        app = _whole(settings, engine_settings, store=store, clock=clock, stream=stream, folder=folder)
        stack.enter_context(_serving(app, listener))
        with httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {state.api_token}"},
            timeout=START_SECONDS,
            trust_env=False,
        ) as management:
            upstream = _upstream(environment, base_url, engine_settings)
            server = _connect(management, state, upstream)
        ready = Ready(
            base_url=base_url,
            mcp_url=f"{settings.public_url}/mcp/{server['token']}",
            api_token=state.api_token,
            account_id=server["account_id"],
            server_id=server["server_id"],
            connected_to=upstream.label,
            memory_url=f"{base_url}/memory",
            memory_api_key=engine_settings.api_keys[0],
        )
        state.servers[upstream.key] = server
        state.write(ready)
        yield ready


@dataclass(frozen=True, slots=True)
class _Upstream:
    """What the account connects to. `key` tells one upstream from another across restarts."""

    key: str
    label: str
    base_url: str
    api_key: str = field(repr=False)


@dataclass(slots=True)
class _State:
    """`local.json`: secrets of this laptop's endpoint, and the server of each upstream it was ever connected to."""

    path: Path
    api_token: str = field(repr=False)
    memory_api_key: str = field(repr=False)
    servers: dict[str, dict[str, str]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> _State:
        """What the file holds; fresh secrets where there is none. Raises LocalError."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, kept["api_token"], kept["memory_api_key"], kept["servers"])
        except FileNotFoundError:
            return cls(path, mint_api_token(secrets.token_bytes), f"m0-local-{secrets.token_urlsafe(24)}", {})
        except (ValueError, KeyError, TypeError) as error:
            raise LocalError(f"{path} cannot be read ({type(error).__name__}); move it away to start anew") from error

    def write(self, ready: Ready) -> None:
        """Write the file whole or not at all, readable by its owner alone."""
        content = {
            "base_url": ready.base_url,
            "mcp_url": ready.mcp_url,
            "account_id": ready.account_id,
            "server_id": ready.server_id,
            "connected_to": ready.connected_to,
            "memory_url": ready.memory_url,
            "api_token": self.api_token,
            "memory_api_key": self.memory_api_key,
            "servers": self.servers,
        }
        aside = self.path.with_suffix(f".{os.getpid()}")
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        aside.replace(self.path)


def _upstream(environment: Mapping[str, str], base_url: str, engine_settings: EngineSettings) -> _Upstream:
    api_key = environment.get("MEM0_API_KEY", "").strip()
    if not api_key:
        label = f"the {EMBEDDED} in {engine_settings.path}"
        return _Upstream("embedded", label, f"{base_url}/memory", engine_settings.api_keys[0])
    mem0_url = environment.get("MEM0_BASE_URL", "").strip().rstrip("/") or PLATFORM_URL
    return _Upstream(mem0_url, f"Mem0 at {mem0_url}", mem0_url, api_key)


def _connect(management: httpx.Client, state: _State, upstream: _Upstream) -> dict[str, str]:
    """The account and MCP server of this upstream: the ones of an earlier start while they are there, else new ones."""
    seen = hashlib.sha256(f"{upstream.base_url} {upstream.api_key}".encode()).hexdigest()[:16]
    account = {"base_url": upstream.base_url, "credentials": {"api_key": upstream.api_key}}
    kept = state.servers.get(upstream.key)
    if kept is not None:
        path = f"/integrated-account/{kept['account_id']}"
        if management.get(f"{path}/mcp/{kept['server_id']}").status_code == 200:
            if kept["seen"] != seen:
                _ask(management, "PATCH", path, account)
                kept["seen"] = seen
            return kept
    body = {"integration": "mem0", "name": upstream.label[:100], **account}
    account_id = _ask(management, "POST", "/integrated-account", body)["id"]
    server = _ask(management, "POST", f"/integrated-account/{account_id}/mcp", {"name": "My memory"})
    return {"account_id": account_id, "server_id": server["id"], "token": server["token"], "seen": seen}


def _ask(management: httpx.Client, verb: str, path: str, body: Json) -> Json:
    response = management.request(verb, path, json=body)
    if response.status_code >= 400:
        raise LocalError(f"could not connect: {response.json().get('message', response.status_code)}")
    return response.json()


def _whole(
    settings: Settings,
    engine_settings: EngineSettings,
    *,
    store: SqliteStore,
    clock: Callable[[], datetime],
    stream: TextIO,
    folder: Path,
) -> ASGIApp:
    """Both planes and the memory behind one front door."""
    sender = Sender(settings)
    audit = Audit(settings, store, stream)
    data_plane = Endpoint(settings=settings, store=store, sender=sender, audit=audit, clock=clock)
    control_plane = create_admin_api(
        settings,
        store,
        {name: catalog.load(name) for name in catalog.available()},
        LocalKeys(folder / "account-keys.key", secrets.token_bytes),
        sender,
        audit=audit,
        clock=clock,
    )
    memory = create_memory_engine(engine_settings)

    @contextlib.asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with memory.router.lifespan_context(memory):
            sweeper = asyncio.create_task(_sweep(store, clock))
            try:
                yield
            finally:
                sweeper.cancel()
                await sender.close()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(running, receive, send)
            return
        first = scope["path"].split("/")[1] if "/" in scope["path"] else ""
        if first == "memory":
            await memory({**scope, "root_path": scope.get("root_path", "") + "/memory"}, receive, send)
        elif first in DATA_PLANE:
            await data_plane(scope, receive, send)
        else:
            await control_plane(scope, receive, send)

    return app


async def _lifespan(
    running: Callable[[], contextlib.AbstractAsyncContextManager[None]], receive: Receive, send: Send
) -> None:
    await receive()
    async with running():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _sweep(store: SqliteStore, clock: Callable[[], datetime]) -> None:
    """What DynamoDB's TTL does in a deployment."""
    while True:
        await asyncio.to_thread(store.sweep, int(clock().timestamp()))
        await asyncio.sleep(SWEEP_SECONDS)


def _listen(port: int) -> socket.socket:
    # With its protocol named, asyncio switches Nagle's algorithm off: without, each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise LocalError(
            f"port {port} of {HOST} is taken ({error.strerror}); stop what listens there, or choose another: "
            f"postern serve --port {port + 1}"
        ) from error
    return listener


def _own_hosts(public_url: str) -> tuple[str, ...]:
    """Host names that may be asked for: a web page that points a name of its own at 127.0.0.1 is refused."""
    public = urlsplit(public_url).hostname
    return (HOST, "localhost", *([public] if public else []))


def _call_lines(path: Path) -> TextIO:
    """The file that takes a line per call, opened to append and readable by its owner alone."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")


@contextlib.contextmanager
def _serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """The app served on a background thread. Raises LocalError when it does not come up."""
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="on", ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="postern", daemon=True)
    thread.start()
    give_up = datetime.now(UTC).timestamp() + START_SECONDS
    pause = threading.Event()
    while not server.started:
        if not thread.is_alive() or datetime.now(UTC).timestamp() > give_up:
            raise LocalError("the endpoint did not start; the log above says why")
        pause.wait(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)


if __name__ == "__main__":
    sys.exit("start it with: postern serve")
