"""What people download from other services, as conversations and facts to remember: one file per service.

Nothing here knows where they are stored. What a file holds and is not read is counted with its reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from functions.gateway.json_text import Json

MAX_MESSAGE_CHARS = 100_000
"""Characters of one message; longer ones are pasted files, and no service extracts facts from them."""

TOO_LONG = f"messages over {MAX_MESSAGE_CHARS:,} characters"


@dataclass(frozen=True)
class Message:
    """`role` is user or assistant."""

    role: str
    text: str


@dataclass(frozen=True)
class Conversation:
    """`key` names it for good, so that a later export of the service names it alike. `at` is in Unix seconds."""

    key: str
    title: str
    at: int | None
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Fact:
    """A sentence that is stored word for word. `owner` holds ids of the export, e.g. user_id."""

    text: str
    at: int | None = None
    owner: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, Json], ...] = ()


@dataclass
class Found:
    """What a file holds. `service` is chatgpt, claude, gemini, mem0, markdown or jsonl."""

    service: str
    conversations: list[Conversation] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def talk(self, key: str, title: str, at: int | None, messages: list[Message]) -> None:
        """Add a conversation. Messages without text and over the limit are left out, and so is one without the user."""
        told = [message for message in messages if message.text.strip()]
        kept = tuple(message for message in told if len(message.text) <= MAX_MESSAGE_CHARS)
        self.left_out[TOO_LONG] += len(told) - len(kept)
        if any(message.role == "user" for message in kept):
            self.conversations.append(Conversation(key, title, at, kept))
        else:
            self.left_out["conversations without a message of the user"] += 1
