"""Rows as aligned columns for people. Scripts use --json."""

from __future__ import annotations

from collections.abc import Sequence

from functions.cli.terminal import printable
from functions.gateway.json_text import Json

GAP = "  "


def table(columns: Sequence[str], rows: Sequence[Sequence[Json]]) -> str:
    """Headings and rows, each column as wide as its widest cell; no trailing blanks."""
    cells = [[heading.upper() for heading in columns], *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    return "\n".join(
        GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def count(number: int, noun: str) -> str:
    """`1 tool`, `2 tools`, `2 memories`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun.removesuffix('y')}ies" if noun.endswith("y") else f"{number} {noun}s"


def details(pairs: Sequence[tuple[str, Json]]) -> str:
    """Names and values, one per line."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)}{GAP}{cell(value)}".rstrip() for name, value in pairs)


def cell(value: Json) -> str:
    """One value on one line: a list with commas, an object as key=value, an empty value as `-`."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(cell(entry) for entry in value)
    if isinstance(value, dict):
        return " ".join(f"{printable(str(name))}={cell(entry)}" for name, entry in value.items())
    return printable(str(value))
