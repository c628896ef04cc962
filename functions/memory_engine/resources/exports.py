"""Requesting and reading exports, which are shaped by a JSON Schema and filled in the background."""

from __future__ import annotations

import json
import sqlite3

from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.resources.calls import Answer, Call, Refusal
from functions.memory_engine.resources.schemas import schema_problem
from functions.memory_engine.search import filters
from functions.memory_engine.storage.word_index import ENTITY_FIELDS


def create(core: Core, call: Call) -> Answer:
    body = call.fields()
    schema = body.get("schema")
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError:
            schema = None
    if not isinstance(schema, dict) or not schema:
        raise Refusal(400, {"message": "Schema is required and must be a valid object"})
    problem = schema_problem(schema)
    if problem:
        raise Refusal(400, {"message": "Schema is required and must be a valid object", "reason": problem})
    wanted = body.get("filters")
    if not isinstance(wanted, dict) or not set(wanted) & {"AND", "OR"}:
        raise Refusal(
            400, {"error": "One of the filters: app_id, user_id, agent_id, run_id, memory_export_id is required!"}
        )
    try:
        tree = filters.parse(wanted)
    except filters.FilterError as problem:
        raise Refusal(400, {"filters": [str(problem)]}) from None
    if not any(condition.field in ENTITY_FIELDS for condition, _ in filters.walk(tree)):
        raise Refusal(
            400, {"error": "One of the filters: app_id, user_id, agent_id, run_id, memory_export_id is required!"}
        )
    instructions = body.get("export_instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise Refusal(400, {"export_instructions": ["Not a valid string."]})

    def change(connection: sqlite3.Connection) -> str:
        export_id = core.new_id()
        connection.execute(
            "INSERT INTO exports (id, schema, filters, instructions, status, created_at) VALUES (?,?,?,?,'PENDING',?)",
            (export_id, encode(schema), encode(wanted), instructions, core.now()),
        )
        core.database.after_commit(core.work.give)
        return export_id

    export_id = core.database.write(change)
    message = "Memory export request received. The export will be ready in a few seconds."
    return Answer({"message": message, "id": export_id}, 201)


def read(core: Core, call: Call) -> Answer:
    """The export with the given id, otherwise the newest one with equal filters. 202 until it is filled."""
    body = call.fields()
    export_id, wanted = body.get("memory_export_id"), body.get("filters")
    if not export_id and not (isinstance(wanted, dict) and wanted):
        raise Refusal(400, {"message": "One of the filters: app_id, user_id, agent_id, run_id is required!"})
    with core.database.read() as connection:
        if export_id:
            row = connection.execute("SELECT * FROM exports WHERE id = ?", (str(export_id),)).fetchone()
        else:
            row = connection.execute(
                "SELECT * FROM exports WHERE filters = ? ORDER BY seq DESC LIMIT 1", (encode(wanted),)
            ).fetchone()
    if row is None:
        raise Refusal(404, {"error": "No memory export request found"})
    if row["status"] == "PENDING":
        message = "The memory export is not ready yet. Ask again in a few seconds."
        return Answer({"message": message, "status": "PENDING", "id": row["id"]}, 202)
    if row["status"] == "FAILED":
        raise Refusal(500, {"error": f"The memory export failed: {row['error']}"})
    return Answer(json.loads(row["result"]))
