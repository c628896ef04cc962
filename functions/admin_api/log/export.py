"""Log entries as text: JSON Lines for programs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from functions.gateway.json_text import Json, text

COLUMNS = (
    *("time", "kind", "principal", "action", "outcome", "status", "error", "account_id", "server_id", "api_token_id"),
    *("changed", "plane", "integration", "tool", "method", "access", "upstream_status", "upstream_requests"),
    *("duration_ms", "upstream_ms", "own_ms", "result_bytes", "client_name", "client_version", "request_id"),
    *("argument_hash", "detail", "repeated", "labels", "trust_id", "trace_id"),
)
"""Columns of the CSV form. Calls and decisions share them; a member that an entry does not have is empty."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a text that a spreadsheet takes for a formula; clients choose some of these texts."""


def json_lines(entries: Sequence[Mapping[str, Json]]) -> str:
    """One entry per line."""
    return "".join(f"{text(dict(entry))}\n" for entry in entries)


def comma_separated(entries: Sequence[Mapping[str, Json]]) -> str:
    """A header and one entry per line (RFC 4180). A text that looks like a formula gets an apostrophe."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows([_cell(entry.get(column)) for column in COLUMNS] for entry in entries)
    return written.getvalue()


def _cell(value: Json) -> str:
    if isinstance(value, dict):
        return _cell(" ".join(f"{name}={one}" for name, one in value.items()))
    if isinstance(value, list):
        return _cell(" ".join(map(str, value)))
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return "" if value is None else str(value)


FORMATS: Mapping[str, tuple[str, Callable[[Sequence[Mapping[str, Json]]], str]]] = {
    "jsonl": ("application/jsonl", json_lines),
    "csv": ("text/csv", comma_separated),
}
"""Value of `format` -> its media type and how entries become text."""
