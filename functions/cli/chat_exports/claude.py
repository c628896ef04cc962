"""Claude's data export: `conversations.json`, a list of conversations with `chat_messages`."""

from __future__ import annotations

from datetime import datetime

from functions.cli.chat_exports import Found, Message
from functions.gateway.json_text import Json

SERVICE = "claude"
ROLES = {"human": "user", "assistant": "assistant"}


def fits(entry: Json) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("chat_messages"), list)


def read(entries: list[Json], found: Found) -> None:
    """Add the conversations."""
    for entry in entries:
        messages = [message for given in entry["chat_messages"] if (message := _message(given, found))]
        found.talk(
            str(entry.get("uuid") or ""), str(entry.get("name") or ""), seconds(entry.get("created_at")), messages
        )


def seconds(moment: Json) -> int | None:
    """An ISO 8601 moment in Unix seconds; None for anything else."""
    try:
        return int(datetime.fromisoformat(str(moment)).timestamp())
    except ValueError:
        return None


def _message(given: Json, found: Found) -> Message | None:
    if not isinstance(given, dict) or given.get("sender") not in ROLES:
        return None
    blocks = [block for block in given.get("content") or [] if isinstance(block, dict)]
    said = [block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)]
    found.left_out["messages of tools"] += sum(block.get("type") in ("tool_use", "tool_result") for block in blocks)
    found.left_out["pictures, sounds and files"] += len(given.get("attachments") or []) + len(given.get("files") or [])
    return Message(ROLES[given["sender"]], "\n".join(said) if said else str(given.get("text") or ""))
