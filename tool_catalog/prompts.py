"""The prompts of an integration: what the gate asks of them, and their compiled form."""

from __future__ import annotations

import re
from collections.abc import Collection

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import PromptRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]

TITLE_LENGTH = (3, 60)
"""Characters of a title, which hosts show to people as the name of a command."""

DESCRIPTION_LENGTH = (20, 200)
"""Characters of a description of a prompt, which hosts show to people beside the command."""

ARGUMENT_LENGTH = (8, 200)
"""Characters of the description of an argument, which hosts show to people in a form."""

TEXT_LENGTH = (100, 4_000)
"""Characters of the text: about 1,000 tokens at most."""

_TOOL = re.compile(r"`([^`]*)`")
_FIELD = re.compile(r"\{([a-z0-9_]+)\}")


def compile_prompts(records: dict[str, PromptRecord], tools: Collection[str], place: Place, gate: Gate) -> list[Schema]:
    """The compiled prompts. What a text has in backticks must be a tool, and what it has in braces an argument."""
    return [_prompt(name, record, tools, place.at(name), gate) for name, record in records.items()]


def _prompt(name: str, record: PromptRecord, tools: Collection[str], place: Place, gate: Gate) -> Schema:
    gate.length(place.at("title"), record.title, TITLE_LENGTH)
    gate.length(place.at("description"), record.description, DESCRIPTION_LENGTH)
    gate.length(place.at("text"), record.text, TEXT_LENGTH)
    used = list(dict.fromkeys(_TOOL.findall(record.text)))
    for tool in used:
        if tool not in tools:
            gate.report(place.at("text"), f'"{tool}" is not a tool of this integration; write only tools in backticks')
    if not used:
        gate.report(place.at("text"), "names no tool; write each tool in backticks where it is to be called")
    fields = set(_FIELD.findall(record.text))
    for field in sorted(fields - record.arguments.keys()):
        gate.report(place.at("text"), f'"{{{field}}}" is not described under "arguments"')
    for argument, described in record.arguments.items():
        where = place.at("arguments", argument)
        gate.length(where.at("description"), described.description, ARGUMENT_LENGTH)
        if argument not in fields:
            gate.report(where, f'stands nowhere in the text; write "{{{argument}}}" where it belongs')
        if described.values and described.default is not None and described.default not in described.values:
            gate.report(where.at("default"), f'"{described.default}" is not one of the values')
    return {
        "name": name,
        "title": record.title,
        "description": " ".join(record.description.split()),
        "arguments": [
            {"name": argument, **described.model_dump(exclude_defaults=True)}
            for argument, described in record.arguments.items()
        ],
        "text": record.text,
        "tools": used,
    }
