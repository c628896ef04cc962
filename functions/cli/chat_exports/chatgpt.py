"""ChatGPT's data export: `conversations.json`, or several numbered ones, each a list of trees of messages."""

from __future__ import annotations

from functions.cli.chat_exports import Found, Message
from functions.gateway.json_text import Json

SERVICE = "chatgpt"
TEXT_KINDS = ("text", "multimodal_text")
"""Kinds of content with what was said; the others hold code that was run, what tools returned, and thoughts."""


def fits(entry: Json) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("mapping"), dict)


def read(entries: list[Json], found: Found) -> None:
    """Add the conversations; of a tree, the branch that was shown last."""
    for entry in entries:
        key = str(entry.get("conversation_id") or entry.get("id") or "")
        at = entry.get("create_time")
        messages = [message for node in _branch(entry) if (message := _message(node, found))]
        found.talk(key, str(entry.get("title") or ""), int(at) if isinstance(at, int | float) else None, messages)


def _branch(entry: dict[str, Json]) -> list[Json]:
    """The nodes from the root to the current one. Without a current one, all of them in the order of their times."""
    nodes, place = entry["mapping"], entry.get("current_node")
    if place not in nodes:
        return sorted((node for node in nodes.values() if isinstance(node, dict)), key=_time)
    branch: list[Json] = []
    seen = set()
    while isinstance(place, str) and place in nodes and place not in seen:
        seen.add(place)
        branch.append(nodes[place])
        place = nodes[place].get("parent")
    return branch[::-1]


def _time(node: dict[str, Json]) -> float:
    at = (node.get("message") or {}).get("create_time")
    return float(at) if isinstance(at, int | float) else 0.0


def _message(node: Json, found: Found) -> Message | None:
    message = node.get("message") if isinstance(node, dict) else None
    if not isinstance(message, dict):
        return None
    role = (message.get("author") or {}).get("role")
    content, metadata = message.get("content") or {}, message.get("metadata") or {}
    if role not in ("user", "assistant") or metadata.get("is_visually_hidden_from_conversation"):
        return None
    if content.get("content_type") not in TEXT_KINDS or message.get("recipient") not in (None, "all"):
        found.left_out["messages of tools"] += 1
        return None
    parts = content.get("parts") or []
    texts = [part if isinstance(part, str) else part.get("text") for part in parts if isinstance(part, str | dict)]
    found.left_out["pictures, sounds and files"] += sum(not isinstance(text, str) for text in texts)
    return Message(role, "\n".join(text for text in texts if isinstance(text, str)))
