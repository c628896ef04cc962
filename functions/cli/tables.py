"""Rows as columns for people: drawn on a terminal, aligned text elsewhere. Scripts use --json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.cli.terminal import printable
from functions.gateway.json_text import Json

if TYPE_CHECKING:
    from rich.table import Table as RichTable

GAP = "  "


@dataclass(frozen=True)
class Table:
    """Headings and rows. As text, each column is as wide as its widest cell, without trailing blanks."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Json]]

    def __str__(self) -> str:
        cells = [[heading.upper() for heading in self.columns], *([cell(value) for value in row] for row in self.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(self.columns))]
        return "\n".join(
            GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
        )

    def drawn(self, width: int) -> RichTable | None:
        """The table for a terminal of this width, with texts of several words on several lines.

        None where it is too narrow: an id or a URL is never broken, so that it can be copied.
        """
        from rich.cells import cell_len
        from rich.table import Table as RichTable
        from rich.text import Text

        columns = [
            [heading.upper(), *(cell(row[place]) for row in self.rows)] for place, heading in enumerate(self.columns)
        ]
        least = [max(cell_len(word) for value in values for word in value.split() or [""]) for values in columns]
        left = width - sum(least) - len(GAP) * (len(columns) - 1)
        if left < 0:
            return None
        drawn = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, len(GAP), 0, 0))
        for values, needed in zip(columns, least, strict=True):
            more = min(max(map(cell_len, values)) - needed, left)
            left -= more
            drawn.add_column(values[0], width=needed + more)
        for row in zip(*(values[1:] for values in columns), strict=True):
            drawn.add_row(*(Text(value) for value in row))
        return drawn


@dataclass(frozen=True)
class Details:
    """Names and values, one per line."""

    pairs: Sequence[tuple[str, Json]]

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.pairs)
        return "\n".join(f"{name.ljust(width)}{GAP}{cell(value)}".rstrip() for name, value in self.pairs)


def count(number: int, noun: str) -> str:
    """`1 tool`, `2 tools`, `2 memories`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun.removesuffix('y')}ies" if noun.endswith("y") else f"{number} {noun}s"


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
