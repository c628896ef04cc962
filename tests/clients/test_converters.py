"""Every tool, compiled or imported, passes through what hosts and SDKs make of it before a model sees it.

converters.py runs in environments of their own, which `tests/clients/install` makes.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from functions.admin_api.tools.listing import FORMATS
from tests.clients.converters import CONVERTERS
from tests.clients.host_rules import RULES, broken
from tests.documents.packages import DOCUMENTS
from tests.tool_catalog.openapi.self_test import filled_in
from tool_catalog import compiled_file
from tool_catalog.catalog import Catalog

Json = Any

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
LEAST_IMPORTED = 400
"""Imported tools that the converters see: more kinds of schema than one API has."""

SECONDS = 300
"""Longest run of one converter over some 700 tools; a usual one takes 10 seconds, most of them for its imports."""


def _entries(loaded: Catalog) -> list[dict[str, Json]]:
    """What converters.py reads."""
    return [
        {"definition": dict(tool.listed), "formats": {name: made(tool) for name, made in FORMATS.items()}}
        for tool in loaded.tools.values()
    ]


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Json]]:
    """All compiled tools, and those of the public documents in small packages."""
    compiled = [entry for name in compiled_file.available() for entry in _entries(compiled_file.load(name))]
    imported: list[dict[str, Json]] = []
    for document in DOCUMENTS:
        if document.light:
            imported += _entries(filled_in(document.file, tmp_path_factory.mktemp("records")))
    assert len(imported) >= LEAST_IMPORTED
    return [*compiled, *imported]


@pytest.mark.clients
@pytest.mark.parametrize("converter", CONVERTERS)
def test_no_tool_is_refused_and_none_loses_an_argument(converter: str, entries: list[dict[str, Json]]) -> None:
    python = CACHE / ("clients" if converter == "langchain" else "converters") / "bin" / "python"
    done = subprocess.run(
        [python, Path(__file__).parent / "converters.py", converter],
        input=json.dumps(entries),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={"PATH": os.environ["PATH"]},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)[converter] == []


@pytest.mark.clients
def test_no_imported_tool_breaks_a_rule_of_a_host(entries: list[dict[str, Json]]) -> None:
    found = {entry["definition"]["name"]: broken(entry["definition"]["inputSchema"]) for entry in entries}
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize("integration", compiled_file.available())
def test_no_compiled_tool_breaks_a_rule_of_a_host(integration: str) -> None:
    for tool in compiled_file.load(integration).tools.values():
        assert broken(tool.listed["inputSchema"]) == [], tool.name


@pytest.mark.parametrize(
    ("schema", "rules"),
    [
        ({"type": "array"}, ["VS Code: an array has items", "OpenAI: an array says what it holds"]),
        ({"type": ["string", "number"]}, ["VS Code: a type is one name"]),
        ({"type": "string", "enum": [""]}, ["Gemini: listed values are texts, none of them empty"]),
        ({"type": "string", "enum": [1]}, ["Gemini: listed values are texts, none of them empty"]),
        (
            {"type": "object", "additionalProperties": True},
            ["Gemini: whether further members are allowed is a schema, or is not said"],
        ),
        ({"description": "Anything."}, ["Anthropic: a schema has a type or a choice"]),
        ({"type": "string", "description": "x" * 1025}, ["VS Code: a description has at most 1,024 characters"]),
    ],
)
def test_a_schema_that_breaks_a_rule_is_found(schema: Json, rules: list[str]) -> None:
    assert broken({"type": "object", "properties": {"a": schema}}) == [f"{rule} (.a)" for rule in rules]


@pytest.mark.parametrize(
    "root",
    [
        {"type": "object"},
        {"type": "object", "properties": {"x" * 65: {"type": "string"}}},
        {"type": "object", "properties": {}, "anyOf": [{"type": "object", "properties": {}}]},
        {"type": "object", "properties": {}, "minProperties": -1},
        {"type": "object", "properties": {}, "required": ["a"]},
    ],
)
def test_a_root_that_breaks_a_rule_is_found(root: Json) -> None:
    assert len(broken(root)) == 1


def test_each_rule_says_whose_it_is_and_where_it_was_read() -> None:
    for rule in RULES:
        assert {"host", "rule", "source", "outcome", "of"} == set(rule) - {"breaks", "valid_by"}
