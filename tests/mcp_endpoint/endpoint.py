"""An endpoint to test: servers minted into a real store, requests put straight into the ASGI application or over a
loopback socket."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from functions.gateway.audit import Audit
from functions.gateway.consents import Consent, Issued
from functions.gateway.credentials import KEY_BYTES, seal, seal_credential, token_key
from functions.gateway.grants import (
    ApiToken,
    Grant,
    GrantedAccount,
    ServerConfig,
    digest,
    handle,
    mint_api_token,
    mint_secret,
)
from functions.gateway.http_connection import Progress
from functions.gateway.json_text import Json
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.methods import Methods
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Put, Store
from tests.gateway.calling import AdvancingLoop
from tests.patience import STUCK_SECONDS, until

HeaderLines = Sequence[tuple[str, str]]

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class CannedSender(Sender):
    """Answers every upstream request with the same response and keeps what was sent."""

    def __init__(self, status: int = 200, body: Json = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(Settings())
        self.status = status
        self.body = {"results": [], "next": None} if body is None else body
        self.headers = {"content-type": "application/json", **(headers or {})}
        self.sent: list[UpstreamRequest] = []
        self.deadlines: list[float] = []

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        return await self.watched(request, deadline, Progress())

    async def watched(self, request: UpstreamRequest, deadline: float, progress: Progress) -> UpstreamResponse:
        self.sent.append(request)
        self.deadlines.append(deadline)
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return UpstreamResponse(self.status, self.headers, body)


@dataclass(frozen=True)
class Answer:
    """What came back from the endpoint."""

    status: int
    header_lines: list[tuple[str, str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.header_lines)

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def code(self) -> int | None:
        """Code of the JSON-RPC error, None where the answer is no error."""
        document = self.json if self.body else {}
        code: int | None = document.get("error", {}).get("code")
        return code


@dataclass
class Bench:
    """A store, a clock and an endpoint over them."""

    store: Store
    clock: Clock = field(default_factory=Clock)
    sender: Sender = field(default_factory=CannedSender)
    settings: Settings = field(default_factory=Settings)

    def endpoint(self, methods: Methods | None = None, log: Audit | None = None, **seams: Any) -> Endpoint:
        return Endpoint(
            settings=self.settings,
            store=self.store,
            methods=methods or Methods(self.settings, self.sender, log, confirmations=self.store),
            clock=self.clock,
            **{"new_id": lambda: "request-1", **seams},
        )

    def mint(
        self,
        *,
        lives: timedelta | None = timedelta(days=1),
        integration: str = "mem0",
        base_url: str = "https://api.mem0.ai",
        api_key: str = "m0-secret-key",
        id: str = "srv_1",
        token: str = "",
        **config: Any,
    ) -> str:
        """Store a server, the only one of its account, and give its token."""
        token = token or mint_secret(secrets.token_bytes)
        data_key = secrets.token_bytes(KEY_BYTES)
        sealed = seal_credential({"api_key": api_key}, data_key, "acc_1", secrets.token_bytes)
        server = Grant(
            id=id,
            name="Mem0 for tests",
            account=GrantedAccount("acc_1", integration, base_url, {}, sealed),
            config=ServerConfig(**config),
            created_at=self.clock.now,
            expires_at=None if lives is None else self.clock.now + lives,
            sealed_data_key=seal(data_key, token_key(token), "acc_1", secrets.token_bytes),
        )
        copies = [Put(key, server.account.to_json()) for key in layout.granted_accounts(handle(token))]
        self.store.write([*copies, Put(layout.token(digest(token)), server.to_json())])
        return token

    def issue_api_token(self, *, lives: timedelta | None = None, **limits: Any) -> str:
        """Store an API token and give it."""
        api_token = mint_api_token(secrets.token_bytes)
        record = ApiToken(
            id="tok_1",
            name="tests",
            created_at=self.clock.now,
            expires_at=None if lives is None else self.clock.now + lives,
            **{"scopes": ("connect",), "account_ids": (), "server_ids": (), **limits},
        )
        self.store.write([Put(layout.api_token(digest(api_token)), record.to_json())])
        return api_token

    def issue_access_token(
        self, *, id: str = "tok_2", server_id: str = "srv_1", lives: timedelta = timedelta(minutes=10), **limits: Any
    ) -> str:
        """Store an API token and the consent of its holder, and give an access token."""
        principal = ApiToken(
            id=id,
            name="person",
            created_at=self.clock.now,
            **{"scopes": ("connect",), "account_ids": (), "server_ids": (), "expires_at": None, **limits},
        )
        secret, ends = mint_secret(secrets.token_bytes), self.clock.now + lives
        consent = Consent(
            id=mint_secret(secrets.token_bytes)[:22],
            principal=id,
            person="person",
            client_id="pcl_1",
            client_name="a client",
            account_id="acc_1",
            server_id=server_id,
            resource="",
            family="",
            refresh="",
            access=(Issued(digest(secret), ends),),
            created_at=self.clock.now,
            expires_at=self.clock.now + timedelta(days=30),
        )
        self.store.write(
            [Put(layout.api_token_entry(id), principal.to_json()), Put(consent.key, consent.to_json())],
        )
        return f"psa_{id}.{consent.id}.{secret}"


@contextmanager
def opened(folder: Path, **fields: Any) -> Iterator[Bench]:
    """A bench on an empty SQLite store in `folder`."""
    store = SqliteStore(folder / "store.sqlite")
    try:
        yield Bench(store, **fields)
    finally:
        store.close()


def legacy(method: str, params: Json = None, *, id: Json = 1, version: str | None = "2025-11-25") -> Request:
    """A legacy request; `version` None leaves the header out."""
    message: dict[str, Json] = {"jsonrpc": "2.0", "id": id, "method": method}
    if params is not None:
        message["params"] = params
    lines = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")]
    if version is not None:
        lines.append(("mcp-protocol-version", version))
    return Request(lines, json.dumps(message).encode())


def modern(method: str, params: Json = None, *, id: Json = 1, meta: Json = None) -> Request:
    """A modern request with the headers its body asks for; `meta` is put over the usual envelope."""
    params = {**(params or {}), "_meta": {**META, **(meta or {})}}
    lines = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", params["_meta"]["io.modelcontextprotocol/protocolVersion"]),
        ("mcp-method", method),
    ]
    lines += [("mcp-name", params[name]) for name in ("name", "uri") if isinstance(params.get(name), str)]
    return Request(lines, json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode())


@dataclass(frozen=True)
class Request:
    """Header lines, and a body."""

    lines: HeaderLines
    body: bytes

    def having(self, *lines: tuple[str, str]) -> Request:
        """The same with these lines in place of those of their names."""
        names = {name for name, _ in lines}
        return Request([*(line for line in self.lines if line[0] not in names), *lines], self.body)

    def adding(self, *lines: tuple[str, str]) -> Request:
        """The same with these lines more."""
        return Request([*self.lines, *lines], self.body)

    def without(self, *names: str) -> Request:
        """The same without the lines of these names."""
        return Request([line for line in self.lines if line[0] not in names], self.body)


def post(app: Any, token: str | None, request: Request, **scope: Any) -> Answer:
    """POST to `/mcp/{token}`, or to `/mcp` without a token."""
    return exchange(app, "POST", "/mcp" if token is None else f"/mcp/{token}", request.lines, request.body, **scope)


def exchange(app: Any, verb: str, path: str, lines: HeaderLines = (), body: bytes = b"", **scope: Any) -> Answer:
    """One HTTP exchange with an ASGI application."""
    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        return runner.run(exchange_async(app, verb, path, lines, body, **scope))


async def exchange_async(
    app: Any, verb: str, path: str, lines: HeaderLines = (), body: bytes = b"", **scope: Any
) -> Answer:
    """The same on a running event loop."""
    messages: list[Json] = []
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Json:
        if not unread:
            await asyncio.Event().wait()  # the client stays until it has its answer
        return unread.pop()

    async def send(message: Json) -> None:
        messages.append(message)

    await app(
        {
            "type": "http",
            "method": verb,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines],
            **scope,
        },
        receive,
        send,
    )
    start, *rest = messages
    return Answer(
        start["status"],
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]],
        b"".join(message.get("body", b"") for message in rest),
    )


def listen() -> tuple[socket.socket, str]:
    """A bound loopback socket and its origin."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def served(app: Any, listener: socket.socket | None = None) -> Iterator[str]:
    """The application on a loopback socket; gives its origin."""
    listener = listener or listen()[0]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the server starts")
    assert thread.is_alive(), "the server did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STUCK_SECONDS)
        listener.close()
