"""Fills in the words that a draft lacks, and nothing else: what a person would write before the records compile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tool_catalog.folders import INTEGRATION_FILE
from tool_catalog.inputs import DESCRIPTION_LENGTH as ARGUMENT_LENGTH
from tool_catalog.inputs import LOCATIONS
from tool_catalog.integration import INSTRUCTIONS_LENGTH
from tool_catalog.openapi.yaml_text import document
from tool_catalog.tools import DESCRIPTION_LENGTH, TITLE_LENGTH
from tool_catalog.yaml_source import read

Json = Any


def fill_in(folder: Path) -> None:
    """Give every text of the records in `folder` its least length. Keys, types and values stay as they are."""
    for path in sorted(folder.glob("*.yaml")):
        source, problems = read(path.name, path.read_text())
        assert problems == []
        data = source.data
        if path.name == INTEGRATION_FILE:
            data["instructions"] = _padded(data["instructions"], INSTRUCTIONS_LENGTH[0])
            data["base_url"] = (
                data["base_url"] if data["base_url"].startswith("https://") else "https://api.example.com"
            )
        for method in data.get("methods", {}).values():
            method["title"] = _padded(method["title"], TITLE_LENGTH[0])
            method["description"] = _padded(method["description"], DESCRIPTION_LENGTH[0])
            for location in LOCATIONS:
                schema = method.get(f"{location}_schema")
                for argument in _arguments(location, schema) if schema else ():
                    argument["description"] = _padded(argument.get("description", ""), ARGUMENT_LENGTH[0])
        path.write_text(document(data, {}))


def _arguments(location: str, schema: Json) -> list[Json]:
    flat = schema.get("type") == "object" and ("properties" in schema or not schema.get("additionalProperties", False))
    return [schema] if location == "body" and not flat else list(schema.get("properties", {}).values())


def _padded(text: str, least: int) -> str:
    return text if len(" ".join(text.split())) >= least else f"{text} {'words ' * (least // 6 + 1)}".strip()
