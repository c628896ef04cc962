"""The adds that an import makes: what each sends, its key, and where the keys of accepted ones are kept.

An import that is repeated, or continued after a stop, sends only the adds that no earlier one had accepted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from functions.cli.chat_exports import Found
from functions.gateway import json_text
from functions.gateway.json_text import Json

MESSAGES_TOGETHER = 20
"""Messages of a conversation in one add: enough for an answer to stand with its question, and small for a model."""
CHARS_TOGETHER = 200_000
"""Characters of one add, well below the 2.5 MB of a request body in any script."""
FACTS_TOGETHER = 50


@dataclass(frozen=True)
class Add:
    """The arguments of one add, and how many messages or facts they hold."""

    arguments: dict[str, Json]
    size: int

    def key(self, where: str) -> str:
        """Equal for equal adds to the same place."""
        return hashlib.sha256(f"{where} {json_text.text(self.arguments)}".encode()).hexdigest()


def of(found: Found, user_id: str, *, verbatim: bool) -> Iterator[Add]:
    """The adds in the order of the file. A conversation's run_id is the service's name and its own key."""
    for talk in found.conversations:
        run_id = f"{found.service}-{talk.key}"[:255]
        shared: dict[str, Json] = {"user_id": user_id, "run_id": run_id}
        shared["metadata"] = {"source": found.service, **({"title": talk.title} if talk.title else {})}
        if talk.at is not None:
            shared["timestamp"] = talk.at
        if verbatim:
            shared["infer"] = False
        part: list[Json] = []
        for message in talk.messages:
            if part and (len(part) == MESSAGES_TOGETHER or _chars(part) + len(message.text) > CHARS_TOGETHER):
                yield Add({"messages": part, **shared}, len(part))
                part = []
            part.append({"role": message.role, "content": message.text})
        yield Add({"messages": part, **shared}, len(part))
    for (owner, metadata, at), together in groupby(
        found.facts, lambda fact: (fact.owner, json_text.text(dict(fact.metadata)), fact.at)
    ):
        listed = list(together)
        for start in range(0, len(listed), FACTS_TOGETHER):
            facts = listed[start : start + FACTS_TOGETHER]
            arguments: dict[str, Json] = {
                "messages": [{"role": "user", "content": fact.text} for fact in facts],
                **(dict(owner) or {"user_id": user_id}),
                "metadata": {"source": found.service, **json_text.decode(metadata)},
                "infer": False,
            }
            if at is not None:
                arguments["timestamp"] = at
            yield Add(arguments, len(facts))


def _chars(messages: list[Json]) -> int:
    return sum(len(message["content"]) for message in messages)


class Accepted:
    """The keys of accepted adds, one a line, in a file that only its owner may read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = set(file.read_text("ascii").split()) if file.exists() else set()

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def note(self, key: str) -> None:
        """Remember a key. It is on disk when this returns."""
        self._known.add(key)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="ascii") as out:
            out.write(f"{key}\n")
            out.flush()
            os.fsync(out.fileno())
