"""What the client's side is asked before a call: what the gate asks of a record's `asks`, and its compiled form."""

from __future__ import annotations

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import MethodRecord
from tool_catalog.schemas import Place

Schema = dict[str, Json]


def compile_questions(record: MethodRecord, input_schema: Schema, place: Place, gate: Gate) -> list[list[Schema]]:
    """The rounds that `catalog.Tool.asks` is read from."""
    rounds: list[list[Schema]] = []
    keys: set[str] = set()
    for index, asked in enumerate(record.asks):
        rounds.append([])
        for key, question in asked.items():
            where = place.at("asks", index, key)
            gate.jmespath(where.at("take"), question.take)
            if question.argument not in input_schema["properties"]:
                gate.report(where.at("argument"), f'"{question.argument}" is not an argument of the tool')
            elif question.argument in input_schema.get("required", ()):
                gate.report(
                    where.at("argument"), f'"{question.argument}" is required, so that clients never leave it out'
                )
            if key in keys or key == "confirmation":
                gate.report(where, f'"{key}" is asked already; each question has a key of its own')
            keys.add(key)
            rounds[-1].append({"key": key, **question.model_dump()})
    return rounds
