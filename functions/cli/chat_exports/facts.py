"""Files of facts: memories of Mem0 as its API lists them, Markdown, and JSON Lines."""

from __future__ import annotations

import re

from functions.cli.chat_exports import Fact, Found, Message
from functions.cli.chat_exports.claude import seconds
from functions.gateway import json_text
from functions.gateway.json_text import Json

_OWNERS = ("user_id", "agent_id", "app_id", "run_id")
_TEXTS = ("memory", "text", "fact", "content")
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?")


def fits(entry: Json) -> bool:
    """Whether it is a memory as Mem0's API returns it."""
    return isinstance(entry, dict) and isinstance(entry.get("memory"), str)


def read(entries: list[Json], found: Found) -> None:
    """Add each memory with its ids, metadata and time."""
    for entry in entries:
        _add(entry, entry.get("memory"), found)


def read_lines(text: str, found: Found) -> None:
    """JSON Lines: a line is a fact (memory, text, fact, content), a conversation (messages) or one of its messages."""
    talk: list[Message] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json_text.decode_lenient(line)
        except ValueError:
            found.left_out["lines that are not JSON"] += 1
            continue
        if isinstance(entry, str):
            entry = {"text": entry}
        if not isinstance(entry, dict):
            found.left_out["lines that hold no object"] += 1
        elif isinstance(entry.get("messages"), list):
            told = [message for given in entry["messages"] if (message := _message(given))]
            key = str(entry.get("run_id") or entry.get("id") or f"line-{number}")
            found.talk(key, str(entry.get("title") or ""), seconds(entry.get("created_at")), told)
        elif message := _message(entry):
            talk.append(message)
        else:
            _add(entry, next((entry[name] for name in _TEXTS if isinstance(entry.get(name), str)), None), found)
    if talk:
        found.talk("lines", "", None, talk)


def read_markdown(text: str, found: Found) -> None:
    """Each list item and each paragraph is a fact; the heading above it is its metadata. Code is left out."""
    section, paragraph, fenced = "", list[str](), False

    def end() -> None:
        told = " ".join(" ".join(paragraph).split())
        paragraph.clear()
        if told:
            found.facts.append(Fact(told, metadata=(("section", section),) if section else ()))

    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            end()
            fenced = not fenced
            found.left_out["blocks of code"] += fenced
        elif fenced:
            continue
        elif heading := re.match(r"#{1,6}\s+(.*?)\s*#*$", line):
            end()
            section = heading[1]
        elif not line.strip() or re.fullmatch(r"\s*(?:[-*_]\s*){3,}", line):
            end()
        else:
            if _BULLET.match(line):
                end()
            paragraph.append(_BULLET.sub("", line))
    end()


def _add(entry: dict[str, Json], text: Json, found: Found) -> None:
    if not isinstance(text, str) or not text.strip():
        found.left_out["entries without a text"] += 1
        return
    named = {**entry, "run_id": entry.get("run_id") or entry.get("session_id")}
    owner = tuple((name, named[name]) for name in _OWNERS if isinstance(named.get(name), str) and named[name])
    metadata = entry.get("metadata")
    at = seconds(entry.get("created_at"))
    found.facts.append(Fact(text.strip(), at, owner, tuple(metadata.items()) if isinstance(metadata, dict) else ()))


def _message(entry: Json) -> Message | None:
    if not isinstance(entry, dict) or entry.get("role") not in ("user", "assistant"):
        return None
    return Message(entry["role"], entry["content"]) if isinstance(entry.get("content"), str) else None
