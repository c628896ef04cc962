"""The project that the API keys belong to: its settings, and its rows in a new file."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from functions.memory_engine.core import Core


def ensure_defaults(core: Core) -> None:
    """Create the key's own organization and project, with the owner as a member of both, where they are missing."""

    def change(connection: sqlite3.Connection) -> None:
        settings, now = core.settings, core.now()
        connection.execute(
            "INSERT OR IGNORE INTO organizations (org_id, name, created_at, updated_at) VALUES (?,?,?,?)",
            (settings.org_id, "Local organization", now, now),
        )
        connection.execute(
            "INSERT OR IGNORE INTO projects (project_id, org_id, name, created_at, updated_at) VALUES (?,?,?,?,?)",
            (settings.project_id, settings.org_id, "Local project", now, now),
        )
        for of in (settings.org_id, settings.project_id):
            connection.execute(
                "INSERT OR IGNORE INTO members (of, email, role) VALUES (?,?,'OWNER')", (of, settings.user_email)
            )

    core.database.write(change)


def options_of(core: Core) -> dict[str, Any]:
    """The settings of the key's own project."""
    with core.database.read() as connection:
        row = connection.execute(
            "SELECT options FROM projects WHERE project_id = ?", (core.settings.project_id,)
        ).fetchone()
    stored: dict[str, Any] = json.loads(row["options"]) if row else {}
    return stored


def custom_categories(holder: dict[str, Any]) -> dict[str, str] | None:
    """The categories of an add or of the project's settings, name to description. None means the default categories."""
    listed = holder.get("custom_categories")
    if not listed:
        return None
    return {name: str(description) for item in listed for name, description in item.items()}
