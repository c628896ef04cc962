"""Finished turns that wait in the state folder until the endpoint has accepted them.

A turn is kept without card numbers, keys and passwords, in a file that only its owner may read. A turn from an ignored
folder is not kept. What an endpoint that is down did not take is sent after a later turn.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from functions.cli.capture.agents import Turn
from functions.gateway import json_text
from functions.gateway.json_text import Json
from functions.memory_engine.work import secrets

MAX_TURN_CHARS = 100_000
"""Characters of one message of a turn; the beginning of a longer one is kept."""
MAX_WAITING = 1_000
"""Turns that wait; while so many do, new ones are dropped, so that a forgotten hook does not fill the disk."""


@dataclass(frozen=True)
class Settings:
    """What `postern install --capture` wrote for one agent. `ignored` are patterns of folders, e.g. ~/work/*."""

    user_id: str
    ignored: tuple[str, ...] = ()


class Outbox:
    """The folder `capture` of a state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "capture"
        self._settings = state / "capture.json"

    def settings(self, agent: str) -> Settings | None:
        """The agent's settings; None where its turns are not captured."""
        given = self._read().get(agent)
        return Settings(given["user_id"], tuple(given["ignored"])) if given else None

    def configure(self, agent: str, settings: Settings | None) -> None:
        """Keep the settings of an agent, or forget the agent with its waiting turns."""
        known = self._read()
        known.pop(agent, None)
        if settings is not None:
            known[agent] = {"user_id": settings.user_id, "ignored": list(settings.ignored)}
        else:
            for file in self._folder.glob(f"*.{agent}.json"):
                file.unlink(missing_ok=True)
        _write(self._settings, json_text.readable(known))

    def _read(self) -> dict[str, Json]:
        try:
            found: dict[str, Json] = json_text.decode(self._settings.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def note_prompt(self, agent: str, session: str, prompt: str) -> None:
        """Keep a prompt until the answer to it comes."""
        _write(self._prompt(agent, session), secrets.removed(prompt)[:MAX_TURN_CHARS])

    def prompt(self, agent: str, session: str) -> str:
        """The prompt of a session, which is forgotten; "" without one."""
        file = self._prompt(agent, session)
        try:
            return file.read_text("utf-8")
        except OSError:
            return ""
        finally:
            file.unlink(missing_ok=True)

    def _prompt(self, agent: str, session: str) -> Path:
        return self._folder / f"{hashlib.sha256(session.encode()).hexdigest()[:32]}.{agent}.prompt"

    def put(self, agent: str, turn: Turn, settings: Settings, now: int) -> bool:
        """Keep a turn for sending, unless its folder is ignored or too many wait. `now` is in Unix nanoseconds."""
        if is_ignored(turn.folder, settings.ignored) or len(self.waiting()) >= MAX_WAITING:
            return False
        said = [("user", turn.user), ("assistant", turn.assistant)]
        arguments = {
            "messages": [
                {"role": role, "content": secrets.removed(text)[:MAX_TURN_CHARS]} for role, text in said if text.strip()
            ],
            "user_id": settings.user_id,
            "run_id": f"{agent}-{turn.session}"[:255],
            "metadata": {"source": agent},
        }
        _write(self._folder / f"{now:020d}.{agent}.json", json_text.text(arguments))
        return True

    def waiting(self) -> list[Path]:
        """The kept turns, oldest first."""
        return sorted(self._folder.glob("*.json"))

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """True in one process at a time; the others need not send, because that one looks again."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            import fcntl
        except ImportError:  # Windows: an add that is sent twice is stored once
            yield True
            return
        with (self._folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def report(self, text: str) -> None:
        """Keep the reason of the last failure, for the person who looks."""
        _write(self._folder / "last-failure.txt", text)


def is_ignored(folder: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern matches the folder or one that it is in."""
    place = Path(folder)
    places = [str(place), *map(str, place.parents)] if folder else []
    return any(fnmatch.fnmatch(one, str(Path(pattern).expanduser())) for one in places for pattern in patterns)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    aside.replace(path)
