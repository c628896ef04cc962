"""Runs every mode against every kind of call in a process of its own, and prints what each cost and came to.

    python -m tests.hostile_upstream.child event_loop|blocking

One line of JSON per mode: CPU seconds of the process, growth of its peak of resident memory in MB, and the outcomes.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from functions.gateway.call import run
from functions.gateway.json_text import Json
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.upstream import Sender
from functions.gateway.waits.blocking import finished
from tests.gateway import loopback
from tests.gateway.calling import NOON, SETTINGS, AdvancingBlocking, AdvancingLoop, catalog_of, target, tool
from tests.hostile_upstream.modes import MODES
from tool_catalog.catalog import Result
from tool_catalog.request_template import Auth, Parameter

ADDRESS_SPACE = 4_000_000_000
"""Bytes of address space: the end of a mode that takes memory without bound, whatever the machine has."""

ID = Parameter("path", "id", "id")
CATALOG = catalog_of(
    tool(name="list_things", method="list", result=Result(items="results")),
    tool("GET", "/things/{id}", ID, name="get_a_thing", method="get", required=("id",)),
    tool("POST", name="create_a_thing", method="create", access="write"),
    tool("DELETE", "/things/{id}", ID, name="delete_a_thing", method="delete", access="write", required=("id",)),
    auth=Auth("basic", username="user", password="{api_key}"),
)
CALLS: Mapping[str, Mapping[str, Json]] = {
    "list_things": {},
    "get_a_thing": {"id": "1"},
    "create_a_thing": {},
    "delete_a_thing": {"id": "1"},
}


def main() -> None:
    """All modes, one after the other over one sender, as the upstreams of one process."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    with loopback.upstream() as upstream:
        if sys.argv[1] == "blocking":
            waits = AdvancingBlocking()
            upstream.silent = lambda: waits.advance(3_600)
            finished(_modes(upstream, Sender(SETTINGS, waits)))
            return
        with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
            loop = cast(AdvancingLoop, runner.get_loop())
            upstream.silent = lambda: loop.advance(3_600)
            runner.run(_modes(upstream, Sender(SETTINGS)))


async def _modes(upstream: loopback.Upstream, sender: Sender) -> None:
    for mode, make in MODES.items():
        told = make()
        upstream.answers(told)
        outcomes: dict[str, Json] = {}
        _reset_peak()
        before, started = _memory("VmRSS"), time.process_time()
        for name, arguments in CALLS.items():
            upstream.requests.clear()
            call = ToolCall(name, arguments, NOON, sender.waits.now() + 20)
            outcome = await run(call, target(upstream.origin), CATALOG, sender=sender, settings=SETTINGS)
            outcomes[name] = {**_described(outcome), "received": len(upstream.requests)}
        cost = {"cpu": time.process_time() - started, "megabytes": max(0.0, _memory("VmHWM") - before)}
        print(json.dumps({"mode": mode, **cost, "outcomes": outcomes}), flush=True)
    await sender.close()


def _described(outcome: Done | Failed | UnknownTool) -> dict[str, Json]:
    match outcome:
        case Done():
            text = json.dumps(outcome.body, ensure_ascii=False, allow_nan=False)
            return {"class": "Done", "text": text, "sent": outcome.trace.sent, "acted": True}
        case Failed():
            text = json.dumps(outcome.envelope(), ensure_ascii=False, allow_nan=False)
            kind = type(outcome.failure).__name__
            return {"class": kind, "text": text, "sent": outcome.trace.sent, "acted": outcome.may_have_acted}
        case UnknownTool():
            raise AssertionError(outcome.message)


def _memory(field: str) -> float:
    """A field of the process's memory in MB: VmRSS is what it holds, VmHWM the most it held since the last reset."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1_000
    raise AssertionError(f"/proc/self/status has no {field}")


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", "utf-8")


if __name__ == "__main__":
    main()
