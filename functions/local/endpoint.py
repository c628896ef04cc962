"""Start and run the endpoint: what is built, in which order, and what closes it again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import secrets
import signal
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import httpx
from starlette.types import ASGIApp

from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.api_tokens.root import bootstrap
from functions.admin_api.app import create_app as create_admin_api
from functions.gateway.audit import Audit
from functions.gateway.doorway import LOOPBACK, THIS_MACHINE, Doorway
from functions.gateway.settings import Settings, SettingsError, is_traced
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.tracing import Tracer
from functions.gateway.upstream import Sender
from functions.local import first_server, state_file
from functions.local.call_file import CallFile
from functions.local.direct_http import DirectHttp
from functions.local.door import door
from functions.local.errors import LocalError
from functions.local.log_queue import Lines, LogQueue, SettledStore
from functions.local.planes import mounted, one_app
from functions.local.state_file import StateFile
from functions.local.state_folder import occupied
from functions.local.trace_queue import TraceQueue, exporting
from functions.local.turns import Turns, app_in_turn
from functions.local.web_server import HOST, START_SECONDS, listen, serving
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.methods import Methods
from functions.mcp_endpoint.traces import Traces
from functions.memory_engine.app import create_app as create_memory_engine
from functions.memory_engine.settings import EngineSettings
from functions.memory_engine.storage.opening import DatabaseUnavailable
from functions.purge.notices import rounds_of
from functions.purge.webhook import Webhook
from functions.stores import layout
from functions.stores.sqlite import KeptReads, SqliteStore
from functions.stores.store import StoreError
from tool_catalog import folders
from tool_catalog.folders import FolderError
from tool_catalog.live import LiveCatalogs

PORT = 8765
"""Where `postern serve` listens by default. A fixed port keeps a pasted URL valid."""

WAKE_SECONDS = 1.0
"""How often the main thread looks for a signal: one that arrives just before it begins to wait does not wake it."""

SWEEP_SECONDS = 30
"""How often expired items are removed and notices are sent: within the minute that a deployment keeps too."""

RELOAD_SECONDS = 1.0
"""How often the files of your own catalogues are looked at. A change is served after two looks."""

MAX_TABLE_BYTES = 200_000_000
"""Size of the table above which its oldest log entries are removed: some 250,000 calls."""

QUIET = ("httpx", "httpcore", "httpx2", "mcp", "uvicorn.error", "uvicorn.access", "botocore", "urllib3")
"""Loggers that write whole URLs at INFO, and with them tokens and credentials."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """What `serve` prints.

    `connected_to`  names the upstream: the embedded memory and its file, or a Mem0 URL.
    `console_url`   signs one person in to the web console, once.
    `user_id`       the id that the server of `mcp_url` is pinned to, "" where it is not pinned.
    """

    base_url: str
    mcp_url: str = field(repr=False)
    api_token: str = field(repr=False)
    account_id: str
    server_id: str
    connected_to: str
    console_url: str = field(repr=False, compare=False)
    memory_url: str
    memory_api_key: str = field(repr=False)
    user_id: str = ""


def run(
    settings: Settings,
    environment: Mapping[str, str],
    port: int,
    on_ready: Callable[[Ready], None],
    tell: Callable[[str], None],
    *,
    personal: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM. `tell` takes a line about each catalogue that changes. Raises LocalError."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with start(settings, environment, port, tell=tell, personal=personal) as ready:
        on_ready(ready)
        gc.collect()
        gc.freeze()  # what was built stays: a full collection would walk it for 20 ms, in which nobody is served
        while not stop.wait(WAKE_SECONDS):
            pass


@contextlib.contextmanager
def start(
    settings: Settings,
    environment: Mapping[str, str],
    port: int = 0,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    audit_stream: TextIO | None = None,
    tell: Callable[[str], None] = logger.info,
    personal: bool = False,
) -> Iterator[Ready]:
    """Serve on a background thread while the context is open. Port 0 takes any free port.

    `environment` may hold MEM0_API_KEY and MEM0_BASE_URL (the account is then the real Mem0) and POSTERN_MEMORY_*.
    `tell` takes a line about each of your own catalogues that changes.
    `audit_stream` receives one line per tool call; None writes the lines to `calls.jsonl` in the state folder.
    `personal` pins the server to this laptop's user, as `postern run` does.
    Raises LocalError.
    """
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    with contextlib.ExitStack() as stack:
        try:
            ready = _start(
                stack, settings, environment, port, clock=clock, audit_stream=audit_stream, tell=tell, personal=personal
            )
        except (StoreError, DatabaseUnavailable, FolderError) as error:
            raise LocalError(str(error)) from error
        except OSError as error:
            raise LocalError(
                f"{error.filename or settings.state_dir} cannot be used ({error.strerror}); set POSTERN_STATE_DIR to "
                "a folder that this user may write"
            ) from error
        yield ready


def _start(
    stack: contextlib.ExitStack,
    settings: Settings,
    environment: Mapping[str, str],
    port: int,
    *,
    clock: Callable[[], datetime],
    audit_stream: TextIO | None,
    tell: Callable[[str], None],
    personal: bool,
) -> Ready:
    """Build and serve everything; `stack` closes it again."""
    catalogs = LiveCatalogs(folders.own(settings.catalogs))
    for note in catalogs.notes:
        tell(note)
    folder = Path(settings.state_dir)
    stack.enter_context(occupied(folder))
    state = StateFile.read(folder / state_file.NAME)
    engine_settings = _engine_settings(environment, folder, state, clock)
    traces = _traces(stack, environment, settings)
    listener = stack.enter_context(listen(port, settings.listen))
    base_url = f"http://{HOST}:{listener.getsockname()[1]}"
    public_url = settings.public_url.rstrip("/") or base_url + settings.mounted_at
    settings = replace(
        settings,
        private_upstreams=True,
        public_url=public_url,
        management_url=settings.management_url or public_url,
        allowed_hosts=settings.allowed_hosts or _own_hosts(public_url),
        allowed_origins=(*settings.allowed_origins, THIS_MACHINE, _origin(public_url)),
    )
    store = SqliteStore(folder / "postern.sqlite")
    stack.callback(store.close)
    lines: Lines
    if audit_stream is None:
        lines = CallFile(folder / "calls.jsonl")
        stack.callback(lines.close)
    else:
        lines = audit_stream
    log = LogQueue(store, lines)
    stack.callback(log.close)
    bootstrap(store, clock(), secrets.token_bytes, state.api_token)
    app, http = _compose(
        settings,
        engine_settings,
        store=store,
        clock=clock,
        log=log,
        folder=folder,
        catalogs=catalogs,
        tell=tell,
        traces=traces,
    )
    stack.enter_context(serving(mounted(app, settings.mounted_at), listener, http))
    with httpx.Client(
        base_url=base_url,
        headers={"Authorization": f"Bearer {state.api_token}"},
        timeout=START_SECONDS,
        trust_env=False,
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # without roots, which take 20 ms to load: this is plain HTTP
    ) as management:
        upstream = first_server.upstream(environment, base_url, engine_settings)
        server = first_server.connect(management, state, upstream)
        if personal:
            server = first_server.personal(management, state, server["account_id"])
        console_url = first_server.sign_in_link(management)
    ready = Ready(
        base_url=base_url,
        mcp_url=f"{settings.public_url}/mcp/{server['token']}",
        api_token=state.api_token,
        account_id=server["account_id"],
        server_id=server["server_id"],
        connected_to=upstream.label,
        console_url=console_url,
        memory_url=f"{base_url}/memory",
        memory_api_key=engine_settings.api_keys[0],
        user_id=state.user_id if personal else "",
    )
    shown = ("base_url", "mcp_url", "account_id", "server_id", "connected_to", "memory_url")
    state.write({name: getattr(ready, name) for name in shown})
    return ready


def _traces(stack: contextlib.ExitStack, environment: Mapping[str, str], settings: Settings) -> Traces | None:
    """The spans of requests and the queue that sends them; None where nothing is to be traced. Raises LocalError."""
    if not is_traced(environment):
        return None
    try:
        chosen = TraceSettings.from_environment(environment)
    except SettingsError as error:
        raise LocalError(str(error)) from error
    if not chosen.endpoint:
        return Traces(Tracer(chosen, io.StringIO())) if chosen.upstreams else None
    queue = TraceQueue(exporting(chosen, settings))
    stack.callback(queue.close)
    return Traces(Tracer(chosen, queue))


def _engine_settings(
    environment: Mapping[str, str], folder: Path, state: StateFile, clock: Callable[[], datetime]
) -> EngineSettings:
    """The settings of the embedded memory. What the environment leaves open comes from the state folder."""
    settings = EngineSettings.from_environment(environment)
    if "POSTERN_MEMORY_PATH" not in environment:
        settings = replace(settings, path=folder / "memory.sqlite")
    if not settings.api_keys:
        settings = replace(settings, api_keys=(state.memory_api_key,))
    return replace(settings, clock=clock)


def _compose(
    settings: Settings,
    engine_settings: EngineSettings,
    *,
    store: SqliteStore,
    clock: Callable[[], datetime],
    log: LogQueue,
    folder: Path,
    catalogs: LiveCatalogs,
    tell: Callable[[str], None],
    traces: Traces | None,
) -> tuple[ASGIApp, Callable[..., DirectHttp]]:
    """Both planes and the memory as one app, and what makes the protocol of a connection. Raises LocalError for a
    webhook that cannot be used."""
    sender = Sender(settings)
    try:
        webhook = Webhook.of(settings, settings.webhook_secret, sender, clock) if settings.webhook_url else None
    except SettingsError as error:
        raise LocalError(str(error)) from error
    audit = Audit(settings, log, log.stream, counted=False)
    methods = Methods(settings, sender, audit, load_catalog=catalogs.load, confirmations=store)
    data_plane = Endpoint(settings=settings, store=KeptReads(store), methods=methods, clock=clock, traces=traces)
    control_plane = create_admin_api(
        settings,
        SettledStore(store, log),
        catalogs,
        LocalKeys(folder / "account-keys.key", secrets.token_bytes),
        sender,
        audit=audit,
        clock=clock,
    )
    memory = create_memory_engine(engine_settings)

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with memory.router.lifespan_context(memory):
            work = [repeated(partial(_sweep, store, clock), SWEEP_SECONDS, "expired items could not be removed")]
            if webhook is not None:
                send = partial(_notify, store, webhook, clock)
                work.append(repeated(send, SWEEP_SECONDS, "notices could not be sent"))
            if catalogs.own:
                look = partial(_reload, catalogs, tell)
                work.append(repeated(look, RELOAD_SECONDS, "your own catalogues could not be read"))
            tasks = [asyncio.create_task(each) for each in work]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await sender.close()

    turns = Turns()
    doorway = Doorway(settings.allowed_hosts, settings.allowed_origins)
    app = one_app(
        data_plane=app_in_turn(data_plane, turns),
        control_plane=door(control_plane, doorway),
        memory=door(memory, doorway),
        lifespan=lifespan,
    )
    return app, partial(DirectHttp, endpoint=data_plane, turns=turns, base_path=settings.mounted_at)


async def repeated(work: Callable[[], Awaitable[object]], seconds: float, failed: str) -> None:
    """Do something now, and again whenever `seconds` have passed. A failure is logged and ends nothing: what is left
    undone is done the next time."""
    while True:
        try:
            await work()
        except Exception as error:
            logger.warning("%s: %s", failed, error if isinstance(error, StoreError) else type(error).__name__)
        await asyncio.sleep(seconds)


async def _sweep(store: SqliteStore, clock: Callable[[], datetime]) -> None:
    """Remove expired items, as the TTL of DynamoDB does in a deployment, and keep the log within its size."""
    await asyncio.to_thread(store.sweep, int(clock().timestamp()))
    await asyncio.to_thread(store.trim, layout.LOG, MAX_TABLE_BYTES)


async def _notify(store: SqliteStore, webhook: Webhook, clock: Callable[[], datetime]) -> None:
    """Send the webhook what it is to hear, as the purge function does in a deployment."""
    await rounds_of(store, webhook.send, clock(), lambda: True)


async def _reload(catalogs: LiveCatalogs, tell: Callable[[str], None]) -> None:
    """Serve what changes in the folders of your own catalogues, and say so."""
    for line in await asyncio.to_thread(catalogs.refresh):
        tell(line)


def _own_hosts(public_url: str) -> tuple[str, ...]:
    """The host names that requests may name. A web page that points its own name at 127.0.0.1 is refused."""
    public = urlsplit(public_url).hostname
    return (*LOOPBACK, *([public] if public else []))


def _origin(url: str) -> str:
    """The origin of a URL, as a browser sends it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
