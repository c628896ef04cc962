"""`postern log`: recent calls and decisions, new ones as they happen with --follow, all of them with --export."""

from __future__ import annotations

import argparse
import threading
from datetime import datetime, timedelta
from typing import Any

from functions.cli.durations import duration
from functions.cli.invocation import Invocation, UsageError
from functions.cli.management_api import ManagementApi, open_api
from functions.cli.tables import cell, table
from functions.gateway import json_text
from functions.gateway.grants import read_time, write_time
from functions.gateway.json_text import Json

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
    "token-id": "api_token_id",
    "who": "principal",
    "action": "action",
    "status": "status",
    "outcome": "outcome",
    "error": "error",
    "client": "client_name",
}
"""Option -> query parameter of the API."""


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add the command."""
    one = commands.add_parser("log", parents=[remote], help="list recent calls and decisions, oldest first")
    one.add_argument(
        "--follow", "-f", action="store_true", help="keep printing new entries until stopped; with --json, one per line"
    )
    one.add_argument(
        "--limit", type=_count, default=25, metavar="N", help="the number of recent entries, 0 to 100 (default: 25)"
    )
    one.add_argument(
        "--kind", choices=COLUMNS, default="call", help="tool calls (default), decisions of operators, or both"
    )
    one.add_argument("--since", metavar="TIME", help="only entries after this time, or of the last 90s, 15m, 2h or 7d")
    one.add_argument("--until", metavar="TIME", help="only entries before this time")
    one.add_argument(
        "--export", choices=("jsonl", "csv"), metavar="FORMAT", help="print every entry, newest first, as jsonl or csv"
    )
    one.add_argument("--account", metavar="ID", help="only entries of this account")
    one.add_argument("--label", action="append", metavar="KEY[=VALUE]", help="only entries of servers with this label")
    for option, parameter in FILTERS.items():
        one.add_argument(f"--{option}", help=f"only entries with this {parameter}")
    one.set_defaults(run=_log)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 100")
    return int(text)


def _log(invocation: Invocation) -> None:
    options, terminal = invocation.options, invocation.terminal
    if options.export and options.follow:
        raise UsageError("--export prints what the log holds and ends; leave out --follow")
    given = {parameter: getattr(options, option.replace("-", "_")) for option, parameter in FILTERS.items()}
    query: dict[str, str | list[str]] = {parameter: value for parameter, value in given.items() if value}
    if options.label:
        query["label"] = options.label
    query |= _range(options, invocation.clock())
    if options.kind != "call":
        query["kind"] = options.kind
    if options.account:
        query["integrated_account_id"] = options.account
    with open_api(invocation) as api:
        if options.export:
            _export(invocation, api, query)
            return
        recent = _newest(api, query, options.limit)
        if not options.follow:
            text = table(COLUMNS[options.kind], [_row(options.kind, entry) for entry in recent])
            what = {"call": "calls", "decision": "decisions", "all": "entries"}[options.kind]
            terminal.result(recent, text if recent else f"no matching {what} in the log")
            return
        _follow(invocation, api, query, recent)


def _range(options: argparse.Namespace, now: datetime) -> dict[str, str]:
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


def _export(invocation: Invocation, api: ManagementApi, query: dict[str, str | list[str]]) -> None:
    """Every entry of the range, newest first."""
    asked = {**query, "format": invocation.options.export, "limit": "100"}
    first = True
    while True:
        text, headers = api.text("/log", asked)
        if invocation.options.export == "csv" and not first:
            text = text.partition("\n")[2]  # every page begins with the names of the columns
        if text:
            invocation.terminal.line(text.removesuffix("\n"))
        first = False
        if "next-cursor" not in headers:
            return
        asked["next_cursor"] = headers["next-cursor"]


def _newest(api: ManagementApi, query: dict[str, str | list[str]], limit: int) -> list[Json]:
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


def _follow(invocation: Invocation, api: ManagementApi, query: dict[str, str | list[str]], recent: list[Json]) -> None:
    """Print entries as they arrive, until the process is stopped, like `tail -f`."""
    terminal, kind = invocation.terminal, invocation.options.kind
    pause = threading.Event()
    seen = {_key(entry): entry["time"] for entry in [*_since(api, query, invocation.clock() - OVERLAP), *recent]}
    if not terminal.as_json:
        terminal.line(_line(COLUMNS[kind]).upper())
    while True:
        for entry in recent:
            terminal.line(json_text.spaced(entry) if terminal.as_json else _line(_row(kind, entry)))
            seen[_key(entry)] = entry["time"]
        horizon = invocation.clock() - OVERLAP
        seen = {key: time for key, time in seen.items() if read_time(time) > horizon}
        pause.wait(POLL)
        recent = [entry for entry in _since(api, query, horizon) if _key(entry) not in seen]


def _key(entry: Json) -> tuple[str, str]:
    return entry["time"], entry["request_id"]


def _since(api: ManagementApi, query: dict[str, str | list[str]], since: datetime) -> list[Json]:
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
