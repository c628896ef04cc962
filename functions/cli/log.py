"""`postern log`: recent tool calls, and those to come."""

from __future__ import annotations

import argparse
import json
import threading
from datetime import datetime, timedelta
from typing import Any

from functions.cli.invocation import Invocation
from functions.cli.management_api import ManagementApi, open_api
from functions.cli.tables import cell, table
from functions.gateway.grants import read_time, write_time
from functions.gateway.json_text import Json

POLL = 1.0
"""Seconds between two looks at the log while following it."""

OVERLAP = timedelta(seconds=60)
"""How far back each look reaches: a record is kept when its call ends, with the time at which it began, and a call may
take as long as its upstream is waited for (25 s by default)."""

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
    one = commands.add_parser("log", parents=[remote], help="recent tool calls, the oldest first")
    one.add_argument(
        "--follow", "-f", action="store_true", help="go on with new ones until stopped; --json: one a line"
    )
    one.add_argument("--limit", type=_count, default=25, metavar="N", help="at most this many recent ones, 0 to 100")
    one.add_argument("--account", metavar="ID", help="only of this account")
    for option, parameter in FILTERS.items():
        one.add_argument(f"--{option}", help=f"only where {parameter} is this")
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
            text = table(COLUMNS, [_row(record) for record in recent])
            terminal.result(recent, text if recent else "no calls in the log that fit")
            return
        _follow(invocation, api, query, recent)


def _newest(api: ManagementApi, query: dict[str, str], limit: int) -> list[Json]:
    """The `limit` newest records, the oldest first."""
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
    """Print records as they come; the process is stopped from outside, as `tail -f` is."""
    terminal = invocation.terminal
    pause = threading.Event()
    told = {_key(record): record["time"] for record in [*_since(api, query, invocation.clock() - OVERLAP), *recent]}
    if not terminal.as_json:
        terminal.line(_line(COLUMNS).upper())
    while True:
        for record in recent:
            terminal.line(json.dumps(record, ensure_ascii=False) if terminal.as_json else _line(_row(record)))
            told[_key(record)] = record["time"]
        horizon = invocation.clock() - OVERLAP
        told = {key: time for key, time in told.items() if read_time(time) > horizon}
        pause.wait(POLL)
        recent = [record for record in _since(api, query, horizon) if _key(record) not in told]


def _key(record: Json) -> tuple[str, str]:
    return record["time"], record["request_id"]


def _since(api: ManagementApi, query: dict[str, str], since: datetime) -> list[Json]:
    """Records later than `since`, the oldest first."""
    found: list[Json] = []
    asked = {**query, "created_at[gt]": write_time(since), "limit": "100"}
    while True:
        page = api.get("/log", asked)
        found += page["result"]
        if page["next_cursor"] is None:
            return found[::-1]
        asked["next_cursor"] = page["next_cursor"]


def _row(record: Json) -> list[Json]:
    return [
        record["time"][:23].rstrip("Z") + "Z",
        record["outcome"],
        record["status"],
        record["tool"],
        round(record["duration_ms"]),
        round(record["upstream_ms"]),
        f"{record['client_name']} {record['client_version']}".strip(),
        record["server_id"] or record["plane"],
    ]


WIDTHS = (24, 7, 6, 40, 6, 11, 24, 0)
"""Columns while following, where later rows are not known yet."""


def _line(values: Any) -> str:
    return "  ".join(cell(value).ljust(width) for value, width in zip(values, WIDTHS, strict=True)).rstrip()
