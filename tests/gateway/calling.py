"""A tool to call and a call to make, without a catalogue file in the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from functions.gateway.call import Answer, Caller, call
from functions.gateway.credentials import Credential
from functions.gateway.grants import Grant, ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from tests.gateway.loopback import Upstream
from tool_catalog import catalog
from tool_catalog.catalog import Auth, Catalog, Pagination, Parameter, Pin, Request, Result, Tool

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
API_KEY = "m0-sécret-key-0123456789"
SETTINGS = Settings(private_upstreams=True)
MEM0 = catalog.load("mem0")


def tool(
    verb: str = "GET",
    path: str = "/things/",
    *parameters: Parameter,
    name: str = "list_all_things",
    method: str = "list",
    access: str = "read",
    properties: Mapping[str, Json] | None = None,
    required: tuple[str, ...] = (),
    body_format: str = "json",
    pagination: Pagination | None = None,
    result: Result | None = None,
    pin: Pin | None = None,
    output: Mapping[str, Json] | None = None,
) -> Tool:
    """A tool whose arguments are those of its parameters, of any type unless told."""
    given: dict[str, Json] = {parameter.argument: {} for parameter in parameters if parameter.argument}
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {**given, **(properties or {})},
        "required": list(required),
        "additionalProperties": False,
    }
    return Tool(
        name=name,
        resource="things",
        method=method,
        access=access,  # type: ignore[arg-type]
        tags=("things",),
        definition={
            "name": name,
            "title": "Things",
            "description": "Things.",
            "inputSchema": schema,
            "outputSchema": dict(output or {"type": "object"}),
            "annotations": {"destructiveHint": False, "readOnlyHint": access == "read"},
        },
        request=Request(verb, path, parameters, body_format),  # type: ignore[arg-type]
        pagination=pagination,
        result=result or Result(),
        pin=pin,
        checks=(),
        example={},
    )


def catalog_of(*tools: Tool, auth: Auth | None = None) -> Catalog:
    """A catalogue of these tools, called Things."""
    return Catalog(
        integration="things",
        label="Things",
        base_url="https://api.example.com",
        instructions="",
        auth=auth or Auth("header", "Authorization", "Token {api_key}"),
        credentials={"api_key": {"description": "A key.", "secret": True}},
        context={},
        probe=None,
        rate_limits={"limit": "X-RateLimit-Limit", "remaining": "X-RateLimit-Remaining", "reset": "X-RateLimit-Reset"},
        pinnable=("user_id", "agent_id", "app_id", "run_id"),
        source_sha256="",
        tools={tool.name: tool for tool in tools},
    )


def server(base_url: str = "https://api.example.com", config: ServerConfig | None = None, **context: str) -> Grant:
    """A server of the account acc_1."""
    return Grant(
        id="srv_1",
        name="Things for tests",
        account_id="acc_1",
        integration="things",
        base_url=base_url,
        context=context,
        config=config or ServerConfig(),
        created_at=NOON,
        expires_at=None,
        sealed_credential=b"",
        sealed_data_key=b"",
    )


def caller(
    loaded: Catalog,
    base_url: str,
    sender: Sender,
    *,
    config: ServerConfig | None = None,
    settings: Settings = SETTINGS,
    seconds: float = 20,
    api_key: str = API_KEY,
    trace: Mapping[str, str] | None = None,
    **context: str,
) -> Caller:
    """A caller that has `seconds` from now."""
    return Caller(
        server=server(base_url, config, **context),
        catalog=loaded,
        credential=Credential({"api_key": api_key}),
        sender=sender,
        settings=settings,
        now=NOON,
        deadline=time.monotonic() + seconds,
        trace=trace or {},
    )


class AdvancingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test can put forward, so that a wait ends whatever the speed of the machine."""

    def __init__(self) -> None:
        super().__init__()
        self._advanced = 0.0

    def time(self) -> float:
        return super().time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Put the clock forward; may be called on any thread."""

        def forward() -> None:
            self._advanced += seconds

        self.call_soon_threadsafe(forward)


def call_once(
    loaded: Catalog,
    base_url: str,
    name: str,
    arguments: Mapping[str, Json],
    *,
    settings: Settings = SETTINGS,
    stalled: Upstream | None = None,
    **how: Any,
) -> Answer:
    """One call on a sender of its own; its time is over as soon as the upstream `stalled` falls silent."""

    async def go() -> Answer:
        sender = Sender(settings)
        try:
            return await call(caller(loaded, base_url, sender, settings=settings, **how), name, arguments)
        finally:
            await sender.close()

    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        if stalled is not None:
            loop = cast(AdvancingLoop, runner.get_loop())
            stalled.silent = lambda: loop.advance(3_600)
        return runner.run(go())
