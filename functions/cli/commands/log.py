"""`postern log`: recent tool calls and, with --follow, new ones as they happen."""

from __future__ import annotations

import argparse
import threading
from datetime import datetime, timedelta
from typing import Any

from functions.cli.invocation import Invocation
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

COLUMNS = ("time", "outcome", "status", "tool", "ms", "upstream ms", "client", "server")

FILTERS = {
    "tool": "tool_name",
    "server": "mcp_server_id",
    "status": "status",
    "outcome": "outcome",
    "client": "client_name",
}
"""Option -> query parameter of the API."""


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add the command."""
    one = commands.add_parser("log", parents=[remote], help="list recent tool calls, oldest first")
    one.add_argument(
        "--follow", "-f", action="store_true", help="keep printing new calls until stopped; with --json, one per line"
    )
    one.add_argument(
        "--limit", type=_count, default=25, metavar="N", help="the number of recent calls, 0 to 100 (default: 25)"
    )
    one.add_argument("--account", metavar="ID", help="only calls on this account")
    for option, parameter in FILTERS.items():
        one.add_argument(f"--{option}", help=f"only calls with this {parameter}")
    one.set_defaults(run=_log)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 100")
    return int(text)


def _log(invocation: Invocation) -> None:
    options, terminal = invocation.options, invocation.terminal
    query = {parameter: value for option, parameter in FILTERS.items() if (value := getattr(options, option))}
    if options.account:
        query["integrated_account_id"] = options.account
    with open_api(invocation) as api:
        recent = _newest(api, query, options.limit)
        if not options.follow:
            text = table(COLUMNS, [_row(entry) for entry in recent])
            terminal.result(recent, text if recent else "no matching calls in the log")
            return
        _follow(invocation, api, query, recent)


def _newest(api: ManagementApi, query: dict[str, str], limit: int) -> list[Json]:
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


def _follow(invocation: Invocation, api: ManagementApi, query: dict[str, str], recent: list[Json]) -> None:
    """Print entries as they arrive, until the process is stopped, like `tail -f`."""
    terminal = invocation.terminal
    pause = threading.Event()
    seen = {_key(entry): entry["time"] for entry in [*_since(api, query, invocation.clock() - OVERLAP), *recent]}
    if not terminal.as_json:
        terminal.line(_line(COLUMNS).upper())
    while True:
        for entry in recent:
            terminal.line(json_text.spaced(entry) if terminal.as_json else _line(_row(entry)))
            seen[_key(entry)] = entry["time"]
        horizon = invocation.clock() - OVERLAP
        seen = {key: time for key, time in seen.items() if read_time(time) > horizon}
        pause.wait(POLL)
        recent = [entry for entry in _since(api, query, horizon) if _key(entry) not in seen]


def _key(entry: Json) -> tuple[str, str]:
    return entry["time"], entry["request_id"]


def _since(api: ManagementApi, query: dict[str, str], since: datetime) -> list[Json]:
    """Entries later than `since`, oldest first."""
    found: list[Json] = []
    asked = {**query, "created_at[gt]": write_time(since), "limit": "100"}
    while True:
        page = api.get("/log", asked)
        found += page["result"]
        if page["next_cursor"] is None:
            return found[::-1]
        asked["next_cursor"] = page["next_cursor"]


def _row(entry: Json) -> list[Json]:
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


WIDTHS = (24, 7, 6, 40, 6, 11, 24, 0)
"""Column widths with --follow, when later rows are not known yet."""


def _line(values: Any) -> str:
    return "  ".join(cell(value).ljust(width) for value, width in zip(values, WIDTHS, strict=True)).rstrip()
