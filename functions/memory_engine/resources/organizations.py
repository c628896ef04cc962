"""Organizations, projects and their members. API keys reach one project; other projects are stored and stay empty."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine import texts, times
from functions.memory_engine.core import Core
from functions.memory_engine.json_text import encode
from functions.memory_engine.resources.calls import Answer, Call, Refusal
from functions.memory_engine.work import categories, project

ROLES = ("READER", "OWNER")
"""Mem0 documents these two for projects. Here, organizations have the same roles."""

PROJECT_DEFAULTS: dict[str, Any] = {
    "usecase": None,
    "memory_depth": "",
    "inclusion_prompt": None,
    "exclusion_prompt": None,
    "custom_categories": [],
    "custom_instructions": "",
    "agent_custom_instructions": None,
    "update_custom_instructions": None,
    "summary_custom_instructions": None,
    "summary_batch_size": 10,
    "summary_max_tokens": None,
    "expiration_date": None,
    "enable_graph": False,
    "multilingual": False,
    "version": "v3",
    "active_prompt_profile": None,
    "decay": False,
}
_PATCHABLE: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "description": (str,),
    "custom_instructions": (str, list),
    "agent_custom_instructions": (str,),
    "custom_categories": (list,),
    "multilingual": (bool,),
    "memory_depth": (str,),
    "decay": (bool,),
    "enable_graph": (bool,),
    "version": (str,),
    "usecase_setting": (str, dict, list),
}
_TYPE_NAMES = {str: "a string", list: "a list", bool: "a boolean", dict: "an object"}

_NO_ORGANIZATION = {"message": "Organization not found"}
_NO_PROJECT = {"message": "Organization or project not found"}


# Organizations


def list_organizations(core: Core, _call: Call) -> Answer:
    with core.database.read() as connection:
        rows = connection.execute("SELECT * FROM organizations ORDER BY seq").fetchall()
        return Answer([_organization(core, connection, row) for row in rows])


def create_organization(core: Core, call: Call) -> Answer:
    name = _required(call, "name")["name"]

    def change(connection: sqlite3.Connection) -> str:
        org_id, now = core.new_id(), core.now()
        connection.execute(
            "INSERT INTO organizations (org_id, name, created_at, updated_at) VALUES (?,?,?,?)",
            (org_id, name, now, now),
        )
        connection.execute(
            "INSERT INTO members (of, email, role) VALUES (?,?,'OWNER')", (org_id, core.settings.user_email)
        )
        return org_id

    return Answer({"message": "Organization created successfully.", "org_id": core.database.write(change)}, 201)


def read_organization(core: Core, call: Call) -> Answer:
    with core.database.read() as connection:
        return Answer(_organization(core, connection, _org(connection, call)))


def delete_organization(core: Core, call: Call) -> Answer:
    """403 for the key's own organization, because a ping could not name it afterwards."""

    def change(connection: sqlite3.Connection) -> None:
        row = _org(connection, call)
        if row["org_id"] == core.settings.org_id:
            raise Refusal(403, {"message": "Unauthorized"})
        of_projects = "SELECT project_id FROM projects WHERE org_id = ?"
        connection.execute(f"DELETE FROM members WHERE of = ? OR of IN ({of_projects})", (row["org_id"],) * 2)  # noqa: S608
        connection.execute(f"DELETE FROM webhooks WHERE project_id IN ({of_projects})", (row["org_id"],))  # noqa: S608
        connection.execute("DELETE FROM projects WHERE org_id = ?", (row["org_id"],))
        connection.execute("DELETE FROM organizations WHERE org_id = ?", (row["org_id"],))

    core.database.write(change)
    return Answer({"message": "Organization deleted successfully!"})


# Projects


def list_projects(core: Core, call: Call) -> Answer:
    with core.database.read() as connection:
        org_id = _org(connection, call)["org_id"]
        rows = connection.execute("SELECT * FROM projects WHERE org_id = ? ORDER BY seq", (org_id,)).fetchall()
        return Answer([_project(core, connection, row) for row in rows])


def create_project(core: Core, call: Call) -> Answer:
    body = call.fields()
    name, description = body.get("name"), body.get("description")
    if not isinstance(name, str) or texts.is_blank(name) or not isinstance(description, (str, type(None))):
        raise Refusal(400, {"message": "Project could not be created."})

    def change(connection: sqlite3.Connection) -> str:
        org_id = _org(connection, call)["org_id"]
        project_id, now = core.new_id(), core.now()
        connection.execute(
            "INSERT INTO projects (project_id, org_id, name, description, created_at, updated_at) VALUES (?,?,?,?,?,?)",
            (project_id, org_id, name, description, now, now),
        )
        connection.execute(
            "INSERT INTO members (of, email, role) VALUES (?,?,'OWNER')", (project_id, core.settings.user_email)
        )
        return project_id

    return Answer({"message": "Project created successfully.", "project_id": core.database.write(change)})


def read_project(core: Core, call: Call) -> Answer:
    with core.database.read() as connection:
        return Answer(_project(core, connection, _proj(connection, call)))


def update_project(core: Core, call: Call) -> Answer:
    body = call.fields()
    given = {name: value for name, value in body.items() if name in _PATCHABLE}
    problems = {
        name: [f"Must be {' or '.join(_TYPE_NAMES[kind] for kind in _PATCHABLE[name])}."]
        for name, value in given.items()
        if value is not None and not isinstance(value, _PATCHABLE[name])
    }
    wrong = categories.wrong_entries(given.get("custom_categories"))
    if wrong:
        raise Refusal(400, {"errors": {"custom_categories": wrong}})
    if isinstance(given.get("name"), str) and texts.is_blank(given["name"]):
        problems["name"] = ["This field may not be blank."]
    if problems:
        raise Refusal(400, {"errors": problems})

    def change(connection: sqlite3.Connection) -> None:
        row = _proj(connection, call)
        stored = json.loads(row["options"])
        stored.update({name: value for name, value in given.items() if name not in ("name", "description")})
        if isinstance(stored.get("custom_instructions"), list):
            stored["custom_instructions"] = "\n".join(str(line) for line in stored["custom_instructions"])
        connection.execute(
            "UPDATE projects SET name = ?, description = ?, options = ?, updated_at = ? WHERE seq = ?",
            (
                *(given.get("name") or row["name"], given.get("description", row["description"])),
                *(encode(stored), core.now(), row["seq"]),
            ),
        )

    core.database.write(change)
    return Answer({"message": "Project updated successfully"})


def delete_project(core: Core, call: Call) -> Answer:
    """Deletes the project with its data. The key's own project is emptied instead, because the key belongs to it."""

    def change(connection: sqlite3.Connection) -> bool:
        row = _proj(connection, call)
        own: bool = row["project_id"] == core.settings.project_id
        connection.execute("DELETE FROM webhooks WHERE project_id = ?", (row["project_id"],))
        connection.execute("DELETE FROM members WHERE of = ?", (row["project_id"],))
        connection.execute("DELETE FROM projects WHERE seq = ?", (row["seq"],))
        if own:
            for table in _PROJECT_DATA:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of a fixed list
        return own

    if core.database.write(change):
        project.ensure_defaults(core)
    return Answer({"message": "Project and related data deleted successfully."})


_PROJECT_DATA = (
    *("vector_codes", "vectors", "memory_index", "memories", "words", "word_variants", "history", "entities", "events"),
    *("counters", "exports", "deliveries", "profile_settings", "profiles", "profile_jobs"),
)


# Members. As at Mem0, an organization's come in the body, and a project's in the body or the query.


def list_members(core: Core, call: Call) -> Answer:
    with core.database.read() as connection:
        of, is_project = _holder(connection, call)
        rows = connection.execute("SELECT email, role FROM members WHERE of = ? ORDER BY seq", (of,)).fetchall()
    name = "username" if is_project else "user_id"
    return Answer({"members": [{name: row["email"], "email": row["email"], "role": row["role"]} for row in rows]})


def add_member(core: Core, call: Call) -> Answer:
    body = _required(call, "email", "role")

    def change(connection: sqlite3.Connection) -> bool:
        of, is_project = _holder(connection, call)
        connection.execute(
            "INSERT INTO members (of, email, role) VALUES (?,?,?)"
            " ON CONFLICT (of, email) DO UPDATE SET role = excluded.role",
            (of, body["email"], body["role"]),
        )
        return is_project

    if core.database.write(change):
        return Answer({"message": "User added to the project successfully."})
    return Answer({"message": "User added to the organization."}, 201)


def update_member(core: Core, call: Call) -> Answer:
    body = _required(call, "email", "role")

    def change(connection: sqlite3.Connection) -> bool:
        of, is_project = _holder(connection, call)
        changed = connection.execute(
            "UPDATE members SET role = ? WHERE of = ? AND email = ?", (body["role"], of, body["email"])
        ).rowcount
        if not changed:
            raise Refusal(404, {"message": "User not found"})
        return is_project

    is_project = core.database.write(change)
    return Answer({"message": "User role updated successfully." if is_project else "User role updated successfully"})


def remove_member(core: Core, call: Call) -> Answer:
    in_project = "project_id" in call.path
    email = call.first("email") if in_project else call.fields().get("email")
    if not isinstance(email, str) or not email:
        raise Refusal(400, {"errors": {"email": ["This field is required."]}})

    def change(connection: sqlite3.Connection) -> None:
        of, _ = _holder(connection, call)
        if not connection.execute("DELETE FROM members WHERE of = ? AND email = ?", (of, email)).rowcount:
            raise Refusal(404, {"message": "User not found"})

    core.database.write(change)
    return Answer({"message": "Member removed from the project" if in_project else "User removed from organization."})


# Shared by the above


def _holder(connection: sqlite3.Connection, call: Call) -> tuple[str, bool]:
    if "project_id" in call.path:
        return _proj(connection, call)["project_id"], True
    return _org(connection, call)["org_id"], False


def _org(connection: sqlite3.Connection, call: Call) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM organizations WHERE org_id = ?", (call.path["org_id"],)
    ).fetchone()
    if row is None:
        raise Refusal(404, _NO_ORGANIZATION)
    return row


def _proj(connection: sqlite3.Connection, call: Call) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM projects WHERE org_id = ? AND project_id = ?", (call.path["org_id"], call.path["project_id"])
    ).fetchone()
    if row is None:
        raise Refusal(404, _NO_PROJECT)
    return row


def _required(call: Call, *names: str) -> dict[str, Any]:
    body = call.fields()
    problems: dict[str, list[str]] = {}
    for name in names:
        if name not in body:
            problems[name] = ["This field is required."]
        elif not isinstance(body[name], str) or texts.is_blank(body[name]):
            problems[name] = ["This field may not be blank." if body[name] == "" else "Not a valid string."]
    if "role" in names and "role" not in problems and body["role"] not in ROLES:
        problems["role"] = [f'"{body["role"][:40]}" is not a valid choice; use {" or ".join(ROLES)}.']
    if "email" in names and "email" not in problems and "@" not in body["email"]:
        problems["email"] = ["Enter a valid email address."]
    if problems:
        raise Refusal(400, {"errors": problems})
    return body


def _people(connection: sqlite3.Connection, of: str) -> list[dict[str, str]]:
    rows = connection.execute("SELECT email, role FROM members WHERE of = ? ORDER BY seq", (of,))
    return [{"username": row["email"], "role": row["role"], "email": row["email"]} for row in rows]


def _organization(core: Core, connection: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "org_id": row["org_id"],
        "name": row["name"],
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
        "members": _people(connection, row["org_id"]),
        "is_default": row["org_id"] == core.settings.org_id,
        "byok_enabled": False,
        "invitations": [],
        "owner_pricing_plan": "LOCAL",
        "is_owner": True,
        "user_role": "OWNER",
    }


def _project(core: Core, connection: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "project_id": row["project_id"],
        "name": row["name"],
        "description": row["description"] or "",
        "created_at": times.iso(row["created_at"]),
        "updated_at": times.iso(row["updated_at"]),
        "members": _people(connection, row["project_id"]),
        **PROJECT_DEFAULTS,
        **{name: value for name, value in json.loads(row["options"]).items() if value is not None},
        "is_default": row["project_id"] == core.settings.project_id,
        "user_role": "OWNER",
    }
