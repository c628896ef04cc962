"""A tool to call and a call to make, without a catalogue file in the way."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from functions.gateway.call import run
from functions.gateway.credentials import Credential
from functions.gateway.grants import Grant, GrantedAccount, ServerConfig, Target
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.settings import Settings
from functions.gateway.tracing import Span
from functions.gateway.upstream import Sender
from functions.gateway.waits.blocking import Blocking
from functions.stores import layout
from functions.stores.store import Item, Store
from tests.gateway.loopback import Upstream
from tests.patience import STUCK_SECONDS
from tool_catalog import compiled_file
from tool_catalog.catalog import Catalog, Pin, Result, Tool
from tool_catalog.request_template import Auth, Pagination, Parameter, Request

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
API_KEY = "m0-sécret-key-0123456789"
SETTINGS = Settings(private_upstreams=True)
MEM0 = compiled_file.load("mem0")


def tool(
    verb: str = "GET",
    path: str = "/things/",
    *parameters: Parameter,
    name: str = "list_all_things",
    method: str = "list",
    access: str = "read",
    properties: Mapping[str, Json] | None = None,
    required: tuple[str, ...] = (),
    media_type: str = "application/json",
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
        request=Request(verb, path, parameters, media_type),
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


def grant(base_url: str = "https://api.example.com", config: ServerConfig | None = None, **context: str) -> Grant:
    """A grant of this account, which never expires."""
    return Grant(
        id="srv_1",
        name="Things for tests",
        account=GrantedAccount("acc_1", "things", base_url, context, sealed_credential=b""),
        config=config or ServerConfig(),
        created_at=NOON,
        expires_at=None,
        sealed_data_key=b"",
    )


def target(base_url: str, config: ServerConfig | None = None, api_key: str = API_KEY, **context: str) -> Target:
    """What a call needs of such a grant."""
    return Target("acc_1", "things", base_url, context, config or ServerConfig(), Credential({"api_key": api_key}))


def log_items(store: Store, account_id: str, day: str) -> list[Item]:
    """The log entries of an account and day, in order, from all of their partitions."""
    partitions = [layout.log(account_id, shard, day) for shard in range(layout.LOG_SHARDS)]
    return sorted((item for one in partitions for item in store.query(one)), key=lambda item: item.key.sort)


class StandingClock:
    """Seconds, from 1,000 on, that pass when a test says so, whatever the speed of the machine. They also pass by
    themselves after STUCK_SECONDS, so that what is stuck fails."""

    def __init__(self) -> None:
        self._advanced = 1_000.0
        self._stuck = time.monotonic() + STUCK_SECONDS

    def __call__(self) -> float:
        return self._advanced + max(0.0, time.monotonic() - self._stuck)

    def advance(self, seconds: float) -> None:
        self._advanced += seconds


class AdvancingLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock that stands."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = StandingClock()

    def time(self) -> float:
        return self._clock()

    def advance(self, seconds: float) -> None:
        """Put the clock forward; may be called on any thread."""
        self.call_soon_threadsafe(self._clock.advance, seconds)


class AdvancingBlocking(Blocking):
    """Waits that block, on a clock that stands; `advance` may be called on any thread. Time that is slept passes at
    once."""

    def __init__(self, **how: Any) -> None:
        clock = StandingClock()
        super().__init__(clock, clock.advance, **how)
        self.advance = clock.advance

    def poll(self, poll: select.poll) -> None:
        while not poll.poll(POLL_MS):
            self.left()


POLL_MS = 5
"""How often a wait that blocks looks at a clock that was put forward."""


def call_once(
    loaded: Catalog,
    base_url: str,
    name: str,
    arguments: Mapping[str, Json],
    *,
    settings: Settings = SETTINGS,
    stalled: Upstream | None = None,
    seconds: float = 20,
    span: Span | None = None,
    **to: Any,
) -> Done | Failed | UnknownTool:
    """One call on a sender of its own, with `seconds` from now; its time is over as soon as the upstream `stalled`
    falls silent."""

    async def go() -> Done | Failed | UnknownTool:
        sender = Sender(settings)
        deadline = asyncio.get_running_loop().time() + seconds
        call = ToolCall(name, arguments, NOON, deadline, span)
        try:
            return await run(call, target(base_url, **to), loaded, sender=sender, settings=settings)
        finally:
            await sender.close()

    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        if stalled is not None:
            loop = cast(AdvancingLoop, runner.get_loop())
            stalled.silent = lambda: loop.advance(3_600)
        return runner.run(go())


def result_of(loaded: Catalog, base_url: str, name: str, arguments: Mapping[str, Json], **how: Any) -> dict[str, Json]:
    """The result of a call that succeeds."""
    outcome = call_once(loaded, base_url, name, arguments, **how)
    assert isinstance(outcome, Done), outcome
    return outcome.body


def failure_of(loaded: Catalog, base_url: str, name: str, arguments: Mapping[str, Json], **how: Any) -> Failed:
    """The failure of a call that does not succeed."""
    outcome = call_once(loaded, base_url, name, arguments, **how)
    assert isinstance(outcome, Failed), outcome
    return outcome
