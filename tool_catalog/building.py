"""One integration from its folder of records to the document of its compiled file."""

from __future__ import annotations

from pathlib import Path

from tool_catalog.catalog import Json
from tool_catalog.compiler import compile_catalog
from tool_catalog.record_folder import read_folder
from tool_catalog.yaml_source import Problem


def build(folder: Path, *, drafts: bool = False) -> tuple[dict[str, Json] | None, list[Problem]]:
    """Compile the folder of one integration. Returns the document, or None and all problems."""
    records, problems = read_folder(folder)
    if records is None:
        return None, sorted(problems)
    document, found = compile_catalog(records, drafts=drafts)
    return (None if problems else document), sorted({*problems, *found})
