"""`postern demo`: the main job once, step by step, through the official MCP client; exit code 1 if any step fails.

Without `--endpoint` the demo starts the whole endpoint on a free port, with a temporary state folder. With it, the demo
runs against a deployed endpoint and an account there. It uses a new user id and removes everything it made.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from functions.cli import completers, tool_clients
from functions.cli.command import Remote, declaration, option
from functions.cli.commands.serve import settings_from
from functions.cli.connection import Connection, connection
from functions.cli.durations import until, whole_second
from functions.cli.invocation import Failed, Invocation
from functions.cli.management_api import ManagementApi, is_loopback, open_api, path, verification
from functions.cli.tables import count
from functions.cli.terminal import Terminal, printable
from functions.gateway.grants import read_time, write_time
from functions.gateway.json_text import Json

if TYPE_CHECKING:
    from mcp import Client

FACT = "I always take a window seat on long flights."
QUESTION = "window seat"

LIFE = timedelta(minutes=15)
SHORT_LIFE, REMOTE_SHORT_LIFE = timedelta(seconds=2), timedelta(seconds=10)
"""Life of the server whose expiry is watched: long enough for a first call, also over a network with skewed clocks."""

LATE = timedelta(seconds=30)
"""If a server still answers this long after its expiry, the step fails."""

PATIENCE = 60.0
"""Seconds after which an unfinished event counts as failed. Mem0 needs seconds, the embedded memory milliseconds."""

DEAD_CODE = 40401
"""The JSON-RPC code of a dead URL."""

POLL = 0.1
"""Seconds between two polls."""


class StepFailed(Exception):
    """A step did not do what it promises."""


@dataclass
class Steps:
    """The steps so far, printed as they happen."""

    terminal: Terminal
    started: float = field(default_factory=time.perf_counter)
    done: list[dict[str, Json]] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, name: str, doing: str = "still working") -> Iterator[Callable[[str], None]]:
        """One step. It passes its line to the yielded function; `doing` is printed when the step takes a while.

        Raises StepFailed for any error.
        """
        lines: list[str] = []
        begun = time.perf_counter()
        try:
            with self.terminal.waiting(f"            {name}: {doing}"):
                yield lines.append
        except Exception as error:
            known = isinstance(error, StepFailed | Failed)
            self._report(name, begun, False, str(error) if known else f"{type(error).__name__}: {error}")
            raise StepFailed(name) from error
        self._report(name, begun, True, lines[-1])

    def _report(self, name: str, begun: float, passed: bool, text: str) -> None:
        took = round((time.perf_counter() - begun) * 1000)
        self.done.append({"step": name, "passed": passed, "milliseconds": took, "report": text})
        if not self.terminal.as_json:
            mark = "ok" if passed else "FAILED"
            self.terminal.line(f"{len(self.done):2}  {mark:6}  {took:>6} ms  {name:<9}  {printable(text)}")

    @property
    def seconds(self) -> float:
        """Seconds since the first step."""
        return time.perf_counter() - self.started


DEMO = declaration("demo")


@dataclass(frozen=True, kw_only=True)
class Demo(Remote):
    """The words of `demo`."""

    account: str | None = option("with --endpoint: the Mem0 account to use", "ID", completer=completers.accounts)


@DEMO.alone(Demo)
def _demo(invocation: Invocation[Demo]) -> int:
    steps = Steps(invocation.terminal)
    try:
        with contextlib.ExitStack() as stack:
            if invocation.options.endpoint:
                where = connection(invocation)
            else:
                where = _start(invocation, steps, stack)
            asyncio.run(_story(invocation, steps, where))
        passed = True
    except StepFailed:
        passed = False
    terminal = invocation.terminal
    if terminal.as_json:
        terminal.result({"passed": passed, "seconds": round(steps.seconds, 2), "steps": steps.done}, "")
    elif passed:
        terminal.line(f"All {len(steps.done)} steps passed, in {steps.seconds:.1f} s.")
    else:
        failed = ", ".join(step["step"] for step in steps.done if not step["passed"])
        terminal.line(f"Failed: {failed}; after {steps.seconds:.1f} s.")
    return 0 if passed else 1


def _start(invocation: Invocation[Demo], steps: Steps, stack: contextlib.ExitStack) -> Connection:
    settings = settings_from(invocation)
    with steps.step("start") as report:
        from functions import local  # late: the planes and the memory take a while to import

        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="postern-demo-"))
        settings = replace(settings, state_dir=folder, public_url="", allowed_hosts=())
        # Never the memory that is in use here: what the demo adds is removed with its folder.
        environment = {name: value for name, value in invocation.environment.items() if name != "POSTERN_MEMORY_PATH"}
        ready = stack.enter_context(local.start(settings, environment))
        upstream = "an embedded memory" if folder in ready.connected_to else ready.connected_to
        report(f"the whole endpoint on {ready.base_url}, connected to {upstream}")
    return Connection(ready.base_url, ready.api_token, ready.account_id)


async def _story(invocation: Invocation[Demo], steps: Steps, where: Connection) -> None:
    user_id = f"demo_{secrets.token_hex(4)}"
    clock = invocation.clock
    options = Remote(endpoint=where.base_url, api_token=where.api_token)
    with open_api(Invocation(options, invocation.environment, invocation.terminal, clock)) as api:
        account_id = api.account_id(invocation.options.account or where.account_id)
        servers: list[str] = []

        def mint(name: str, config: Json, life: timedelta) -> Json:
            body = {
                "name": f"{name} {user_id}",
                "config": config,
                "expires_at": write_time(whole_second(clock() + life)),
            }
            minted = api.post(path("integrated-account", account_id, "mcp"), body)
            servers.append(minted["id"])
            return minted

        with steps.step("mint") as report:
            minted = mint("demo", {}, LIFE)
            report(f"an MCP URL with {minted['tool_count']} tools, until {until(minted['expires_at'], clock())}")
        try:
            async with tool_clients.connect(minted["url"]) as client:
                event_id = await _remember(steps, client, user_id)
                await _recall(steps, client, event_id, user_id)
            await _read_only(steps, mint("demo, read only", {"methods": ["read"]}, LIFE), user_id)
            with steps.step("expire", "calling a server until it expires") as report:
                life = SHORT_LIFE if is_loopback(where.base_url) else REMOTE_SHORT_LIFE
                report(await _watch_expiry(mint("demo, short-lived", {}, life), event_id, clock))
        finally:
            with steps.step("tidy up") as report:
                report(await _tidy_up(api, account_id, minted["url"], servers, user_id))


async def _remember(steps: Steps, client: Client, user_id: str) -> str:
    """List, add, poll. Returns the id of the event."""
    with steps.step("list") as report:
        names = {tool["name"] for tool in await tool_clients.list_tools(client)}
        needed = {"create_a_mem_0_memory", "get_single_mem_0_event_by_id", "mem_0_memories_search"}
        if missing := needed - names:
            raise StepFailed(
                f"{', '.join(sorted(missing))} missing from the tools; check that the account has the integration mem0"
            )
        report(f"{len(names)} tools, over MCP {client.protocol_version}")
    with steps.step("add") as report:
        messages = [{"role": "user", "content": FACT}]
        added = await _called(client, "create_a_mem_0_memory", {"messages": messages, "user_id": user_id})
        event_id = str(added["event_id"])
        report(f'"{FACT}" for user {user_id}: accepted, and {added["status"]}')
    with steps.step("poll", "the event has not finished") as report:
        event: Json = {}
        looks = 0
        give_up = time.monotonic() + PATIENCE
        while event.get("status") not in ("SUCCEEDED", "FAILED"):
            if looks:
                await asyncio.sleep(POLL)
            if time.monotonic() > give_up:
                raise StepFailed(f"after {PATIENCE:.0f} s the event is still {event['status']}")
            event = await _called(client, "get_single_mem_0_event_by_id", {"id": event_id})
            looks += 1
        if event["status"] != "SUCCEEDED":
            raise StepFailed(f"the event ended {event['status']}: {event.get('error')}")
        report(f"the event is {event['status']} after {count(looks, 'poll')}: the memory is saved, not only accepted")
    return event_id


async def _recall(steps: Steps, client: Client, event_id: str, user_id: str) -> None:
    """Search for what was added, and read its history."""
    with steps.step("search") as report:
        event = await _called(client, "get_single_mem_0_event_by_id", {"id": event_id})
        saved = {entry["id"] for entry in event["results"]}
        asked = {"query": QUESTION, "filters": {"user_id": user_id}}
        hits: list[Json] = []
        give_up = time.monotonic() + PATIENCE
        while not hits and time.monotonic() < give_up:
            found = await _called(client, "mem_0_memories_search", asked)
            hits = [hit for hit in found["results"] if hit["id"] in saved]
            if not hits:
                await asyncio.sleep(POLL)
        if not hits:
            raise StepFailed(f'"{QUESTION}" does not find any of the {len(saved)} memories that the event saved')
        memory = hits[0]
        report(f'"{QUESTION}" finds "{memory["memory"]}" with score {memory["score"]:.2f}')
    with steps.step("history") as report:
        changes = (await _called(client, "list_all_mem_0_memory_history", {"memory_id": memory["id"]}))["result"]
        if [change["event"] for change in changes] != ["ADD"]:
            raise StepFailed(f"its history is {[change['event'] for change in changes]}, not one ADD")
        report(f"one change: {changes[0]['event']} at {changes[0]['created_at']}")


async def _read_only(steps: Steps, server: Json, user_id: str) -> None:
    from mcp import MCPError

    with steps.step("refuse") as report:
        async with tool_clients.connect(server["url"]) as client:
            names = {tool["name"] for tool in await tool_clients.list_tools(client)}
            if "create_a_mem_0_memory" in names:
                raise StepFailed("a server with methods [read] shows a tool that writes")
            try:
                await tool_clients.call_tool(client, "create_a_mem_0_memory", {"messages": [], "user_id": user_id})
            except MCPError as error:
                if error.code != -32602:
                    raise StepFailed(f"a write is refused with {error.code}, not as an unknown tool") from None
                reason = error.message.split(":")[0]
                report(
                    f"a read-only server shows {len(names)} tools; a write there is refused: {reason} ({error.code})"
                )
            else:
                raise StepFailed("a server with methods [read] took a write")


async def _watch_expiry(server: Json, event_id: str, clock: Callable[[], datetime]) -> str:
    """Call until the server has expired. On this machine there is one clock, so the exact second is checked."""
    from mcp import MCPError

    ends = read_time(server["expires_at"])
    exact = is_loopback(server["url"])
    calls = 0
    async with tool_clients.connect(server["url"]) as client:
        while True:
            begun = clock()
            if begun > ends + LATE:
                raise StepFailed(f"it still answers {LATE.seconds} s after {server['expires_at']}")
            try:
                await tool_clients.call_tool(client, "get_single_mem_0_event_by_id", {"id": event_id})
            except MCPError as error:
                if exact and clock() < ends:
                    raise StepFailed(f"it was refused before {server['expires_at']}: {error.message}") from None
                break
            if exact and begun >= ends:
                raise StepFailed(f"it answered a call of {write_time(begun)}, after its end at {server['expires_at']}")
            calls += 1
            await asyncio.sleep(POLL)
    if calls == 0:
        raise StepFailed("it never answered")
    answer = f'refused with "{_dead(server["url"]).split(";")[0]}"'
    return f"{count(calls, 'call')} answered before {server['expires_at']}, none from then on: {answer}"


def _dead(url: str) -> str:
    """The message of a dead URL. Raises StepFailed when the answer is not the fixed refusal."""
    ping = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    response = httpx.post(url, json=ping, timeout=30.0, trust_env=not is_loopback(url), verify=verification(url))
    body = response.json()
    error = body.get("error", {})
    if error.get("code") != DEAD_CODE or body["id"] != ping["id"]:
        raise StepFailed(f"a dead URL answers {response.status_code}, not the error {DEAD_CODE}")
    return str(error["message"])


async def _tidy_up(api: ManagementApi, account_id: str, url: str, servers: list[str], user_id: str) -> str:
    async with tool_clients.connect(url) as client:
        await _called(client, "mem_0_memories_bulk_delete_by_filter", {"filters": {"user_id": user_id}})
    for server_id in servers:
        with contextlib.suppress(Failed):  # the one that expired may be removed already
            api.delete(path("integrated-account", account_id, "mcp", server_id))
    _dead(url)
    return f"the memories of {user_id} and the servers of this demo are removed; the first URL is dead too"


async def _called(client: Client, name: str, arguments: dict[str, Json]) -> Json:
    """The body of a call that must succeed. Raises StepFailed with the message of the tool."""
    answer = await tool_clients.call_tool(client, name, arguments)
    if answer.failed:
        raise StepFailed(f"{name}: {answer.body['message'] if isinstance(answer.body, dict) else answer.body}")
    return answer.body
