"""`postern log`: recent calls and decisions, new ones as they happen with --follow, all of them with --export."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.cli import completers
from functions.cli.command import Remote, declaration, flag, number, option, repeated
from functions.cli.durations import duration
from functions.cli.invocation import Invocation, UsageError
from functions.cli.management_api import ManagementApi, open_api
from functions.cli.tables import Table, cell
from functions.gateway import json_text
from functions.gateway.grants import read_time, write_time
from functions.gateway.json_text import Json

Asked = dict[str, str | list[str]]
"""Parameters of a request."""

POLL = 1.0
"""Seconds between two reads of the log with --follow."""

OVERLAP = timedelta(seconds=60)
"""How far back each read reaches. An entry is stored when its call ends, with the time the call began, and a call may
take as long as the upstream timeout (25 s by default)."""

COLUMNS = {
    "call": ("time", "outcome", "status", "tool", "ms", "upstream ms", "client", "server"),
    "decision": ("time", "outcome", "status", "decision", "who", "account", "server or API token", "changed"),
    "all": ("time", "outcome", "status", "what", "who", "account", "server or API token", "client"),
}
"""Kind of entry -> the columns of its table."""

FILTERS = {
    "tool": "tool_name",
    "server": "mcp_server_id",
    "token_id": "api_token_id",
    "who": "principal",
    "action": "action",
    "status": "status",
    "outcome": "outcome",
    "error": "error",
    "client": "client_name",
    "trace": "trace_id",
}
"""Field of Log -> query parameter of the API."""


LOG = declaration("log")


def _filter(parameter: str, **more: Any) -> Any:
    return option(f"only entries with this {parameter}", **more)


@dataclass(frozen=True, kw_only=True)
class Log(Remote):
    """The words of `log`."""

    follow: bool = flag("keep printing new entries until stopped; with --json, one per line", "-f")
    limit: int = option("the number of recent entries, 0 to 100 (default: 25)", "N", default=25, read=number(0, 100))
    kind: str = option(
        "tool calls (default), decisions of operators, or both",
        default="call",
        choices=tuple(COLUMNS),
        show_choices=True,
    )
    since: str | None = option("only entries after this time, or of the last 90s, 15m, 2h or 7d", "TIME")
    until: str | None = option("only entries before this time", "TIME")
    export: str | None = option("print every entry, newest first, as jsonl or csv", "FORMAT", choices=("jsonl", "csv"))
    account: str | None = option("only entries of this account", "ID", completer=completers.accounts)
    label: tuple[str, ...] = repeated(
        "only entries of servers with this label", "KEY[=VALUE]", completer=completers.labels
    )
    tool: str | None = _filter("tool_name", completer=completers.tools)
    server: str | None = _filter("mcp_server_id", completer=completers.servers)
    token_id: str | None = _filter("api_token_id", completer=completers.api_tokens)
    who: str | None = _filter("principal")
    action: str | None = _filter("action")
    status: str | None = _filter("status")
    outcome: str | None = _filter("outcome")
    error: str | None = _filter("error")
    client: str | None = _filter("client_name")
    trace: str | None = _filter("trace_id")


@LOG.alone(Log)
def _log(invocation: Invocation[Log]) -> None:
    options, terminal = invocation.options, invocation.terminal
    if options.export and options.follow:
        raise UsageError("--export prints what the log holds and ends; leave out --follow")
    given = {parameter: getattr(options, field) for field, parameter in FILTERS.items()}
    query: Asked = {parameter: value for parameter, value in given.items() if value}
    if options.label:
        query["label"] = list(options.label)
    query |= _range(options, invocation.clock())
    if options.kind != "call":
        query["kind"] = options.kind
    if options.account:
        query["integrated_account_id"] = options.account
    with open_api(invocation) as api:
        if options.export:
            _export(invocation, api, query, options.export)
            return
        recent = _newest(api, query, options.limit)
        if not options.follow:
            traced = any("trace_id" in entry for entry in recent)
            columns = (*COLUMNS[options.kind], "trace") if traced else COLUMNS[options.kind]
            rows = [_row(options.kind, entry) for entry in recent]
            if traced:
                rows = [[*row, entry.get("trace_id", "")] for row, entry in zip(rows, recent, strict=True)]
            text = Table(columns, rows)
            what = {"call": "calls", "decision": "decisions", "all": "entries"}[options.kind]
            terminal.result(recent, text if recent else f"no matching {what} in the log")
            return
        _follow(invocation, api, query, recent)


def _range(options: Log, now: datetime) -> dict[str, str]:
    """`--since` and `--until` as parameters of the API. Raises UsageError."""
    found = {}
    if options.since:
        try:
            since = read_time(options.since)
        except (ValueError, OverflowError):
            since = now - duration(options.since)
        found["created_at[gt]"] = write_time(since)
    if options.until:
        try:
            found["created_at[lt]"] = write_time(read_time(options.until))
        except (ValueError, OverflowError):
            raise UsageError(
                f'--until is "{options.until}"; write a time with its offset, e.g. 2026-12-31T23:59:59Z'
            ) from None
    return found


def _export(invocation: Invocation[Log], api: ManagementApi, query: Asked, form: str) -> None:
    """Every entry of the range, newest first."""
    asked = {**query, "format": form, "limit": "100"}
    first = True
    while True:
        text, headers = api.text("/log", asked)
        if form == "csv" and not first:
            text = text.partition("\n")[2]  # every page begins with the names of the columns
        if text:
            invocation.terminal.line(text.removesuffix("\n"))
        first = False
        if "next-cursor" not in headers:
            return
        asked["next_cursor"] = headers["next-cursor"]


def _newest(api: ManagementApi, query: Asked, limit: int) -> list[Json]:
    """The `limit` newest entries, oldest first."""
    found: list[Json] = []
    cursor: str | None = None
    while len(found) < limit:
        asked = {**query, "limit": str(limit - len(found)), **({"next_cursor": cursor} if cursor else {})}
        page = api.get("/log", asked)
        found += page["result"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return found[::-1]


def _follow(invocation: Invocation[Log], api: ManagementApi, query: Asked, recent: list[Json]) -> None:
    """Print entries as they arrive, until the process is stopped, like `tail -f`."""
    terminal, kind = invocation.terminal, invocation.options.kind
    pause = threading.Event()
    seen = {_key(entry): entry["time"] for entry in [*_since(api, query, invocation.clock() - OVERLAP), *recent]}
    if not terminal.as_json:
        terminal.line(_line(COLUMNS[kind]).upper())
    while True:
        for entry in recent:
            line = f"{_line(_row(kind, entry))}  {entry.get('trace_id', '')}".rstrip()
            terminal.line(json_text.spaced(entry) if terminal.as_json else line)
            seen[_key(entry)] = entry["time"]
        horizon = invocation.clock() - OVERLAP
        seen = {key: time for key, time in seen.items() if read_time(time) > horizon}
        pause.wait(POLL)
        recent = [entry for entry in _since(api, query, horizon) if _key(entry) not in seen]


def _key(entry: Json) -> tuple[str, str]:
    return entry["time"], entry["request_id"]


def _since(api: ManagementApi, query: Asked, since: datetime) -> list[Json]:
    """Entries later than `since`, oldest first."""
    found: list[Json] = []
    asked = {**query, "created_at[gt]": write_time(since), "limit": "100"}
    while True:
        page = api.get("/log", asked)
        found += page["result"]
        if page["next_cursor"] is None:
            return found[::-1]
        asked["next_cursor"] = page["next_cursor"]


def _row(kind: str, entry: Json) -> list[Json]:
    if kind != "call":
        return _row_of_either(kind, entry)
    return [
        entry["time"][:23].rstrip("Z") + "Z",
        entry["outcome"],
        entry["status"],
        entry["tool"],
        round(entry["duration_ms"]),
        round(entry["upstream_ms"]),
        f"{entry['client_name']} {entry['client_version']}".strip(),
        entry["server_id"] or entry["plane"],
    ]


def _row_of_either(kind: str, entry: Json) -> list[Json]:
    return [
        entry["time"][:23].rstrip("Z") + "Z",
        entry["outcome"],
        entry["status"],
        entry.get("action") or entry.get("tool"),
        entry.get("principal") or "unknown",
        entry["account_id"],
        entry.get("server_id") or entry.get("api_token_id", ""),
        " ".join(entry["changed"]) if kind == "decision" else entry["client_name"],
    ]


WIDTHS = (24, 7, 6, 40, 6, 11, 24, 0)
"""Column widths with --follow, when later rows are not known yet."""


def _line(values: Any) -> str:
    return "  ".join(cell(value).ljust(width) for value, width in zip(values, WIDTHS, strict=True)).rstrip()
