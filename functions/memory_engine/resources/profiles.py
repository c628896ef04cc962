"""User profiles: their settings, reading a profile, and the jobs that make profiles in the background."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine import texts, times
from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.resources.calls import Answer, Call, Refusal
from functions.memory_engine.resources.schemas import schema_problem
from functions.memory_engine.work import events, profiles

SAMPLE_DEFAULT, SAMPLE_MAX = 5, 10
IDEMPOTENCY_KEY_LENGTH = (8, 128)


# Settings


def read_settings(core: Core, _call: Call) -> Answer:
    with core.database.read() as connection:
        return Answer(profiles.settings_of(connection))


def update_settings(core: Core, call: Call) -> Answer:
    body = call.fields()
    unknown = sorted(set(body) - {"enabled", "entities"})
    if unknown:
        raise Refusal(
            400,
            {
                "error": f"Unsupported settings: {', '.join(unknown)[:200]}. Send "
                '{"enabled": true, "entities": {"user": {"schema": {...}, "custom_instructions": "..."}}}'
            },
        )
    if "enabled" in body and not isinstance(body["enabled"], bool):
        raise Refusal(400, {"enabled": ["Must be a valid boolean."]})
    entities_given = body.get("entities", {})
    user = entities_given.get("user", {}) if isinstance(entities_given, dict) else None
    if not isinstance(user, dict) or set(entities_given) - {"user"} or set(user) - {"schema", "custom_instructions"}:
        raise Refusal(400, {"entities": ['Only {"user": {"schema", "custom_instructions"}} is supported.']})
    _check_user_settings(user)

    def change(connection: sqlite3.Connection) -> dict[str, Any]:
        given = {**({"enabled": body["enabled"]} if "enabled" in body else {}), **user}
        for name, value in given.items():
            connection.execute("INSERT OR REPLACE INTO profile_settings VALUES (?, ?)", (name, encode(value)))
        return profiles.settings_of(connection)

    return Answer(core.database.write(change))


def _check_user_settings(user: dict[str, Any]) -> None:
    schema, instructions = user.get("schema"), user.get("custom_instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise Refusal(400, {"custom_instructions": ["Not a valid string."]})
    if schema is None:
        return
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not properties:
        raise Refusal(400, {"schema": ["A JSON Schema object with properties is expected."]})
    bare = [
        name
        for name, part in properties.items()
        if not isinstance(part, dict)
        or not isinstance(part.get("description"), str)
        or texts.is_blank(part["description"])
    ]
    problem = schema_problem(schema)
    if problem:
        raise Refusal(400, {"schema": [problem]})
    if bare:
        raise Refusal(400, {"schema": [f"Every property needs a description; missing for: {', '.join(bare)[:200]}."]})


# Profiles


def read(core: Core, call: Call) -> Answer:
    kind, entity_id = call.path["entity_type"], call.path["entity_id"]
    if kind != "user":
        raise Refusal(400, {"message": "Invalid entity type"})
    with core.database.read() as connection:
        if not _is_user(connection, entity_id):
            raise Refusal(404, {"error": "Entity not found"})
        row = connection.execute("SELECT * FROM profiles WHERE entity_id = ?", (entity_id,)).fetchone()
        enabled = profiles.settings_of(connection)["enabled"]
        enough = _count(connection, entity_id) >= profiles.MIN_MEMORIES
        queued = _is_queued(connection, entity_id)
    if not enabled:
        status = "not_enabled"
    elif queued:
        status = "pending"
    elif row is not None:
        status = row["status"]
    else:
        status = "pending" if enough else "insufficient_data"
    ready = row is not None and status == "succeeded"
    return Answer(
        {
            "profile": json.loads(row["profile"]) if ready else {},
            "status": status,
            "entity_type": "user",
            "entity_id": entity_id,
            "updated_at": times.iso(row["updated_at"]) if row is not None else None,
            "generation_count": row["generation_count"] if row is not None else 0,
        }
    )


def _is_user(connection: sqlite3.Connection, entity_id: str) -> bool:
    sql = "SELECT 1 FROM entities WHERE type = 'user' AND entity_id = ?"
    return connection.execute(sql, (entity_id,)).fetchone() is not None


def _count(connection: sqlite3.Connection, entity_id: str) -> int:
    sql = "SELECT count(*) FROM memories WHERE user_id = ?"
    return int(connection.execute(sql, (entity_id,)).fetchone()[0])


def _is_queued(connection: sqlite3.Connection, entity_id: str) -> bool:
    sql = (
        "SELECT 1 FROM events e, json_each(e.payload, '$.entity_ids') i WHERE e.event_type = 'PROFILE'"
        " AND e.status IN ('PENDING', 'RUNNING') AND i.value = ?"
    )
    return connection.execute(sql, (entity_id,)).fetchone() is not None


# Jobs


def create_job(core: Core, call: Call) -> Answer:
    """202. A repeated Idempotency-Key returns the first job again if the body is equal, otherwise 409."""
    key = call.headers.get("idempotency-key", "")
    low, high = IDEMPOTENCY_KEY_LENGTH
    if not low <= len(key) <= high:
        raise Refusal(400, {"error": f"The Idempotency-Key header is required: {low} to {high} characters"})
    body = call.fields()
    operation = body.get("operation")
    if operation not in ("trigger", "sample"):
        raise Refusal(400, {"operation": ['Must be "trigger" (one user) or "sample" (some users).']})
    if body.get("entity_type") != "user":
        raise Refusal(400, {"entity_type": ['Must be "user".']})
    limit = body.get("limit", SAMPLE_DEFAULT)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= SAMPLE_MAX:
        raise Refusal(400, {"limit": [f"Must be a whole number from 1 to {SAMPLE_MAX}."]})
    if operation == "trigger" and (not isinstance(body.get("entity_id"), str) or not body["entity_id"]):
        raise Refusal(400, {"entity_id": ["This field is required."]})
    request = encode(body)

    def change(connection: sqlite3.Connection) -> dict[str, Any]:
        before = connection.execute("SELECT * FROM profile_jobs WHERE idempotency_key = ?", (key,)).fetchone()
        if before is not None:
            if before["request"] != request:
                raise Refusal(409, {"error": "This Idempotency-Key was used with another request; use a new one"})
            return {**json.loads(before["answer"]), "replayed": True}
        if not profiles.settings_of(connection)["enabled"]:
            raise Refusal(
                400, {"error": "Profiles are not enabled; POST /v2/profiles/settings/ with enabled=true first"}
            )
        if operation == "trigger":
            if not _is_user(connection, body["entity_id"]):
                raise Refusal(404, {"error": "Entity not found"})
            chosen = [body["entity_id"]]
        else:
            rows = connection.execute(
                "SELECT entity_id FROM entities WHERE type = 'user' ORDER BY updated_at DESC, seq DESC LIMIT ?",
                (limit,),
            )
            chosen = [row[0] for row in rows]
        return _open_job(core, connection, key=key, request=request, operation=operation, chosen=chosen)

    return Answer(core.database.write(change), 202)


def _open_job(
    core: Core, connection: sqlite3.Connection, *, key: str, request: str, operation: str, chosen: list[str]
) -> dict[str, Any]:
    job_id = core.new_id()
    event_id = events.create(core, connection, "PROFILE", {"job_id": job_id, "entity_ids": chosen})
    answer: dict[str, Any] = {
        "job_id": job_id,
        "status": "pending",
        "status_url": f"/v2/profiles/jobs/{job_id}/",
        "operation": operation,
        "entity_type": "user",
        "entity_count_reserved": len(chosen),
        "event_id": event_id,
        "replayed": False,
    }
    if operation == "sample":
        answer.update(sampled=len(chosen), entity_ids=chosen)
    job = {
        **{"job_id": job_id, "status": "pending", "total": len(chosen), "completed": 0, "succeeded": 0, "failed": 0},
        **{"skipped": 0, "enumeration_complete": True},
    }
    connection.execute(
        "INSERT INTO profile_jobs VALUES (?,?,?,?,?,?)",
        (job_id, key, request, encode(answer), encode(job), core.now()),
    )
    return answer


def read_job(core: Core, call: Call) -> Answer:
    with core.database.read() as connection:
        row = connection.execute("SELECT job FROM profile_jobs WHERE job_id = ?", (call.path["job_id"],)).fetchone()
    if row is None:
        raise Refusal(404, {"error": "Job not found"})
    return Answer({"job": json.loads(row["job"])})
