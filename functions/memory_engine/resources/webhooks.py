"""The webhooks of a project. They use https addresses, or http on loopback addresses."""

from __future__ import annotations

import ipaddress
import json
import sqlite3
from typing import Any
from urllib.parse import urlsplit

import httpx

from functions.memory_engine import texts, times
from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.resources.calls import Answer, Call, Refusal

EVENT_TYPES = (
    *("memory_add", "memory_update", "memory_delete", "memory_categorize"),
    *("ingest_job_completed", "ingest_job_partially_completed", "ingest_job_failed", "ingest_job_cancelled"),
)


def list_all(core: Core, call: Call) -> Answer:
    _own_project(core, call)
    with core.database.read() as connection:
        rows = connection.execute(
            "SELECT * FROM webhooks WHERE project_id = ? ORDER BY seq", (call.path["project_id"],)
        ).fetchall()
    return Answer([_shape(core, row) for row in rows])


def create(core: Core, call: Call) -> Answer:
    _own_project(core, call)
    body = call.fields()
    problems: dict[str, list[str]] = {
        name: ["This field is required."] for name in ("url", "name", "event_types") if name not in body
    }
    problems.update(_problems(body))
    if problems:
        raise Refusal(400, problems)

    def change(connection: sqlite3.Connection) -> sqlite3.Row:
        now, webhook_id = core.now(), f"wh_{core.new_id()}"
        connection.execute(
            "INSERT INTO webhooks (webhook_id, project_id, name, url, event_types, is_active, created_at, updated_at)"
            " VALUES (?,?,?,?,?,?,?,?)",
            (
                *(webhook_id, call.path["project_id"], body["name"], body["url"], encode(body["event_types"])),
                *(int(body.get("is_active", True)), now, now),
            ),
        )
        row: sqlite3.Row = connection.execute("SELECT * FROM webhooks WHERE webhook_id = ?", (webhook_id,)).fetchone()
        return row

    return Answer(_shape(core, core.database.write(change)), 201)


def update(core: Core, call: Call) -> Answer:
    body = call.fields()
    problems = _problems(body)
    if problems:
        raise Refusal(400, problems)

    def change(connection: sqlite3.Connection) -> None:
        row = _existing(connection, call)
        connection.execute(
            "UPDATE webhooks SET name = ?, url = ?, event_types = ?, is_active = ?, updated_at = ? WHERE seq = ?",
            (
                *(body.get("name", row["name"]), body.get("url", row["url"])),
                encode(body["event_types"]) if "event_types" in body else row["event_types"],
                *(int(body.get("is_active", row["is_active"])), core.now(), row["seq"]),
            ),
        )

    core.database.write(change)
    return Answer({"message": "Webhook updated successfully"})


def delete(core: Core, call: Call) -> Answer:
    def change(connection: sqlite3.Connection) -> None:
        row = _existing(connection, call)
        connection.execute("DELETE FROM webhooks WHERE seq = ?", (row["seq"],))
        connection.execute("DELETE FROM deliveries WHERE webhook_id = ?", (row["webhook_id"],))

    core.database.write(change)
    return Answer({"message": "Webhook deleted successfully"})


def _existing(connection: sqlite3.Connection, call: Call) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM webhooks WHERE webhook_id = ?", (call.path["webhook_id"],)
    ).fetchone()
    if row is None:
        raise Refusal(404, {"error": "Webhook not found"})
    return row


def _own_project(core: Core, call: Call) -> None:
    with core.database.read() as connection:
        found = connection.execute("SELECT 1 FROM projects WHERE project_id = ?", (call.path["project_id"],)).fetchone()
    if found is None:
        raise Refusal(403, {"error": "You don't have access to this project"})


def _problems(body: dict[str, Any]) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = {}
    for name in ("name", "url"):
        if name in body and not isinstance(body[name], str):
            problems[name] = ["Not a valid string."]
        elif name in body and texts.is_blank(body[name]):
            problems[name] = ["This field may not be blank."]
    if "url" in body and "url" not in problems and not deliverable(body["url"]):
        problems["url"] = ["Enter a valid URL: https, or http on a loopback address, e.g. http://127.0.0.1:9000/."]
    if "event_types" in body:
        wanted = body["event_types"]
        if not isinstance(wanted, list) or not wanted:
            problems["event_types"] = ["Expected a non-empty list of event types."]
        else:
            unknown = [name for name in wanted if name not in EVENT_TYPES]
            if unknown:
                problems["event_types"] = [
                    f'"{str(name)[:60]}" is not a valid choice; use {", ".join(EVENT_TYPES)}.' for name in unknown[:10]
                ]
    if "is_active" in body and not isinstance(body["is_active"], bool):
        problems["is_active"] = ["Must be a valid boolean."]
    return problems


def deliverable(url: str) -> bool:
    """Whether a webhook may use this address: https anywhere, http on this machine only."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return False
    if not host or parts.username or parts.password:
        return False
    if parts.scheme == "https":
        return True
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shape(core: Core, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "webhook_id": row["webhook_id"],
        "name": row["name"],
        "url": row["url"],
        "event_types": json.loads(row["event_types"]),
        "owner": core.settings.user_email,
        "is_active": bool(row["is_active"]),
        "project": row["project_id"],
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
    }
