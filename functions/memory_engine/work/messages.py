"""The text of messages. Content may be a string, one part, or a list of strings and parts; only text is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MEDIA = ("image_url", "pdf_url", "txt_url", "mdx_url")
"""The types of parts that are accepted without text."""


@dataclass(frozen=True)
class Message:
    """One message: its texts in one string, one line each, and the types of its other parts."""

    role: str
    text: str
    media: tuple[str, ...] = ()


def read(messages: list[dict[str, Any]]) -> list[Message]:
    """The messages of an add that `resources.memory_writes` accepted."""
    return [_message(message["role"], message["content"]) for message in messages]


def _message(role: str, content: Any) -> Message:
    texts, media = [], []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif part["type"] == "text":
            texts.append(part["text"])
        else:
            media.append(part["type"])
    return Message(role, "\n".join(texts), tuple(media))
