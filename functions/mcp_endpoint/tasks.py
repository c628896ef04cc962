"""The tasks extension of 2026-07-28 (SEP-2663), without a store: a task is an event that a write queued upstream.

The id of a task is sealed and holds the tool, the event and the time of the call, so every request about a task stands
alone. Its state is read from the upstream each time. A client that does not declare the extension never sees a task: it
gets the write's own result, and `wait_seconds`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from functions.gateway import selection, waiting
from functions.gateway.call import event_failed
from functions.gateway.credentials import SealError, open_sealed, seal
from functions.gateway.errors import INTERNAL_ERROR, INVALID_PARAMS
from functions.gateway.grants import Grant, Target, read_time, write_time
from functions.gateway.json_text import Json, decode, encode, text
from functions.gateway.outcomes import Failed, Trace
from functions.gateway.settings import Settings
from functions.gateway.value_classes import dataclass
from functions.gateway.waiting import Queued, State
from functions.mcp_endpoint.protocol import MISSING_CAPABILITY, TASKS_EXTENSION, Call, RpcError
from tool_catalog.catalog import Catalog, Tool

POLL_MS = 1_000
"""How often a client may look, in ms: most events end within some seconds."""

STATUS: Mapping[waiting.Kind, str] = {
    "running": "working",
    "unknown": "working",
    "asking": "input_required",
    "done": "completed",
    "failed": "completed",
    "cancelled": "cancelled",
    "gone": "failed",
}
"""State of an event -> status of its task. A tool that ran and failed is completed, with an error as its result; failed
is a task whose outcome nobody can know any more."""

REQUIRED: Json = {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}}

UNKNOWN = "Invalid params: this server has no task of this id"


@dataclass(frozen=True, slots=True)
class Task:
    """One task, as its id says it."""

    id: str
    tool: Tool
    created_at: datetime
    queued: Queued


def check_declared(call: Call) -> None:
    """Raises RpcError for a client that did not declare the extension."""
    if not call.follows_tasks:
        raise RpcError(MISSING_CAPABILITY, f"This needs the extension {TASKS_EXTENSION} of the client", REQUIRED)


def check_tool(call: Call, tool: Tool) -> None:
    """Raises RpcError for a tool whose outcome a client can get as a task only, where the client cannot."""
    if tool.event is not None and tool.event.required:
        check_declared(call)


def created(
    grant: Grant, target: Target, tool: Tool, event_id: str, *, now: datetime, random: Callable[[int], bytes]
) -> dict[str, Json]:
    """The result of a tools/call whose outcome is a task."""
    about = encode([tool.name, event_id, write_time(now)])
    sealed = base64.urlsafe_b64encode(seal(about, target.signing_key, _bound(grant), random)).decode()
    return {"resultType": "task", "status": "working", **_base(sealed.rstrip("="), now, now, grant)}


def opened(task_id: str, grant: Grant, target: Target, catalog: Catalog, settings: Settings) -> Task:
    """The task of an id. Raises RpcError for an id that this server did not give, or whose tool it no longer shows."""
    try:
        sealed = base64.b64decode(task_id + "=" * (-len(task_id) % 4), altchars=b"-_", validate=True)
        name, event_id, created_at = decode(open_sealed(sealed, target.signing_key, _bound(grant)))
    except (SealError, ValueError):
        raise RpcError(INVALID_PARAMS, UNKNOWN) from None
    tool = catalog.tools.get(name)
    queued = None
    if tool is not None and selection.shows(tool, grant.config):
        queued = waiting.event_of(tool, event_id, catalog, target.base_url, settings)
    if tool is None or queued is None:
        raise RpcError(INVALID_PARAMS, UNKNOWN)
    return Task(task_id, tool, read_time(created_at), queued)


def detailed(task: Task, state: State, trace: Trace, grant: Grant, now: datetime) -> dict[str, Json]:
    """The result of tasks/get."""
    members: dict[str, Json] = {
        "status": STATUS[state.kind],
        **_base(task.id, task.created_at, now, grant),
    }
    match state.kind:
        case "done":
            members["result"] = _result(text(state.body), is_error=False) | {"structuredContent": dict(state.body)}
        case "failed":
            failed = Failed(task.tool, event_failed(state, task.queued.event_id), trace)
            members["result"] = _result(text(failed.envelope()), is_error=True)
        case "asking":
            members["inputRequests"] = dict(state.asks or {})
        case "gone":
            members["error"] = {"code": INTERNAL_ERROR, "message": f"The outcome cannot be known: {state.why}"}
        case "unknown":
            members["statusMessage"] = f"The state could not be read: {state.why}"
    return members


def action(task: Task, call: Call) -> tuple[str | None, dict[str, Json]]:
    """The tool that a tasks/cancel or a tasks/update stands for and its arguments; None where the upstream has none."""
    given: dict[str, Json] = {task.queued.event.argument: task.queued.event_id}
    if call.method == "tasks/cancel":
        return task.queued.states.cancel, given
    return task.queued.states.answer, {**given, task.queued.states.answers: call.params["inputResponses"]}


def _result(written: str, *, is_error: bool) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": written}], "isError": is_error}


def _base(task_id: str, created_at: datetime, now: datetime, grant: Grant) -> dict[str, Json]:
    """What every form of a task has. It is served until the server ends; how long the upstream keeps it is unknown."""
    left = None if grant.expires_at is None else max(1, int((grant.expires_at - now) / timedelta(milliseconds=1)))
    return {
        "taskId": task_id,
        "createdAt": write_time(created_at),
        "lastUpdatedAt": write_time(now),
        "ttlMs": left,
        "pollIntervalMs": POLL_MS,
    }


def _bound(grant: Grant) -> str:
    return f"task of {grant.id}"
