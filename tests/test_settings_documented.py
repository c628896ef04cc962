"""docs/settings.md names every variable that exists and no other. UPDATE_GOLDEN=1 rewrites its generated table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from functions.gateway.settings import Settings
from functions.memory_engine.settings import EngineSettings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "settings.md"
BEGIN, END = re.compile(r"(<!-- settings: .* -->\n)"), "<!-- /settings -->"
VARIABLE = re.compile(r"POSTERN_[A-Z0-9]+(?:_[A-Z0-9]+)*(?![A-Z0-9_*])")

READ_IN = ("functions", "infra", "tests", "tool_catalog")
ALSO_READ_IN = ("template.yaml", "Makefile", ".ci/run")
SUFFIXES = (".py", ".yaml", ".yml", ".toml", ".sh", ".mjs", "")


def table() -> str:
    """The settings of both planes as rows: variable, meaning and unit, default, what is valid."""
    rows = ["| variable | what it is | default | valid |", "|---|---|---|---|"]
    for setting in fields(Settings):
        variable = f"`POSTERN_{setting.name.upper()}`"
        rows.append(f"| {variable} | {setting.metadata['help']} | {_default(setting.default)} | {_valid(setting)} |")
    return "\n".join(rows) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(f"`{entry}`" for entry in value) or "empty"
    return f"{value:,}" if isinstance(value, int) else f"`{value}`" if value else "empty"


def _valid(setting: Any) -> str:
    if isinstance(setting.default, bool):
        return "true, false"
    if isinstance(setting.default, int):
        return f"{setting.metadata['least']:,} to {setting.metadata['most']:,}"
    if setting.metadata["valid"]:
        return ", ".join(setting.metadata["valid"])
    return "a list" if isinstance(setting.default, tuple) else "text"


def test_the_table_of_settings_is_that_of_the_code() -> None:
    page = PAGE.read_text("utf-8")
    before, marker, rest = BEGIN.split(page)
    shown, after = rest.split(END)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(before + marker + table() + END + after, "utf-8")
        shown = table()
    assert shown == table(), "docs/settings.md is stale: UPDATE_GOLDEN=1 pytest tests/test_settings_documented.py"


def documented() -> set[str]:
    return set(VARIABLE.findall(PAGE.read_text("utf-8")))


class Noted(Mapping[str, str]):
    """An environment that notes what is asked of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_ = dict(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def of_the_memory_engine() -> set[str]:
    endpoint = {"BASE_URL": "http://127.0.0.1:9", "MODEL": "m"}
    noted = Noted(
        {f"POSTERN_MEMORY_{kind}_{name}": value for kind in ("LLM", "EMBEDDER") for name, value in endpoint.items()}
    )
    EngineSettings.from_environment(noted)
    # Both kinds of model are read alike; only vectors have a length.
    return noted.asked - {"POSTERN_MEMORY_LLM_DIMENSIONS"}


def named_in_files() -> dict[str, set[str]]:
    """Variable -> the files that name it."""
    files = [ROOT / name for name in ALSO_READ_IN]
    for folder in READ_IN:
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    found: dict[str, set[str]] = {}
    for path in files:
        if not path.is_file() or path == Path(__file__) or {"node_modules", "__pycache__"} & set(path.parts):
            continue
        for variable in VARIABLE.findall(path.read_text("utf-8", errors="ignore")):
            found.setdefault(variable, set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_variable_that_is_read_is_documented() -> None:
    settings = {f"POSTERN_{setting.name.upper()}" for setting in fields(Settings)}
    named = {variable: files for variable, files in named_in_files().items() if variable not in documented()}
    assert not settings - documented()
    assert not of_the_memory_engine() - documented()
    assert not named, f"not in docs/settings.md: {named}"


def test_every_variable_that_is_documented_is_read() -> None:
    settings = {f"POSTERN_{setting.name.upper()}" for setting in fields(Settings)}
    assert not documented() - settings - of_the_memory_engine() - named_in_files().keys()
