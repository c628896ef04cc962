"""How each agent is told to run `postern capture`, and how the finished turn is read from what the agent passes.

The formats are those of the agents' public documentation in November 2026. Unknown members are ignored, and a payload
without a turn gives None: a hook must never disturb its agent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from functions.gateway import json_text
from functions.gateway.json_text import Json

TAIL_BYTES = 2_000_000
"""Bytes of a transcript that are read, from its end: the last turn of an agent that wrote very much."""
HOOK_SECONDS = 10
"""Seconds that an agent waits for the command; it takes a fraction of one, because another process sends."""
MARK = "# postern capture"
"""The comment behind our line in a TOML file."""


@dataclass(frozen=True)
class Turn:
    """What the user said and what the agent answered, in one session. `folder` is where the agent works."""

    session: str
    folder: str
    user: str
    assistant: str


@dataclass(frozen=True)
class Agent:
    """`file` is under the home folder, or under the folder that the variable `home` names.

    `add` and `remove` change the text of that file, and raise ValueError with the reason where they cannot. `turn`
    reads a payload; `noted` reads the session and the prompt that some agents pass before the turn. `answer` is what
    the agent expects on standard output.
    """

    file: str
    home: str
    add: Callable[[str, Sequence[str]], str]
    remove: Callable[[str], str]
    turn: Callable[[Mapping[str, Json], str], Turn | None]
    noted: Callable[[Mapping[str, Json]], tuple[str, str] | None] | None = None
    answer: str = ""

    def config(self, environment: Mapping[str, str]) -> Path:
        """The agent's configuration file of this user."""
        named = environment.get(self.home, "") if self.home else ""
        if named:
            return Path(named) / self.file.split("/", 1)[1]
        return Path(environment.get("HOME") or Path.home()) / self.file


# Configurations


def _hooks(*events: str, nested: bool, **more: Json) -> tuple[Callable[..., str], Callable[[str], str]]:
    """Adding to and removing from a JSON file that lists commands under "hooks", by event.

    `nested`: an entry of the list holds a list of commands itself.
    """

    def add(text: str, command: Sequence[str]) -> str:
        document = _object(_without(text))
        hooks = document.setdefault("hooks", {})
        if not isinstance(hooks, dict):
            raise ValueError('its "hooks" is not an object')
        for event in events:
            listed = hooks.setdefault(event, [])
            if not isinstance(listed, list):
                raise ValueError(f'its "hooks.{event}" is not a list')
            one: dict[str, Json] = {**more, "command": " ".join(map(_quoted, command))}
            listed.append({"hooks": [one]} if nested else one)
        if not nested:
            document.setdefault("version", 1)
        return f"{json_text.readable(document)}\n"

    def _without(text: str) -> str:
        document = _object(text)
        hooks = document.get("hooks")
        if not isinstance(hooks, dict):
            return f"{json_text.readable(document)}\n"
        for event in events:
            listed = hooks.get(event)
            kept = (
                [entry for entry in listed if not _is_ours(json_text.text(entry))] if isinstance(listed, list) else []
            )
            if kept:
                hooks[event] = kept
            elif isinstance(listed, list) and listed:
                del hooks[event]
        if not hooks:
            del document["hooks"]
        return f"{json_text.readable(document)}\n"

    return add, _without


def _object(text: str) -> dict[str, Json]:
    document = json_text.decode_lenient(text) if text.strip() else {}
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    return document


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w./:=@-]+", word) else '"' + word.replace('"', '\\"') + '"'


def _is_ours(entry: str) -> bool:
    return " capture " in entry and " --state " in entry


def _add_notify(text: str, command: Sequence[str]) -> str:
    """Codex runs one command after a turn, which the top-level key `notify` names."""
    import tomllib

    text = _remove_notify(text)
    if "notify" in tomllib.loads(text):
        raise ValueError("it already names a command under notify, and Codex runs only one")
    return f"notify = {json_text.text(list(command))}  {MARK}\n{text}"


def _remove_notify(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.rstrip().endswith(MARK))


# Turns


def _claude_code(payload: Mapping[str, Json], _prompt: str) -> Turn | None:
    """`Stop`: the turn is at the end of the transcript, a file of JSON lines."""
    if payload.get("stop_hook_active") or payload.get("hook_event_name") != "Stop":
        return None
    user, answers = "", list[str]()
    for line in _tail(Path(_text(payload.get("transcript_path")))):
        try:
            entry = json_text.decode_lenient(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or entry.get("isMeta") or entry.get("isSidechain"):
            continue
        message = entry.get("message")
        said = _blocks(message.get("content")) if isinstance(message, dict) else ""
        if entry.get("type") == "user" and said and not said.startswith("<"):
            user, answers = said, []
        elif entry.get("type") == "assistant" and said:
            answers.append(said)
    return _turn(payload.get("session_id"), payload.get("cwd"), user, "\n".join(answers))


def _codex(payload: Mapping[str, Json], _prompt: str) -> Turn | None:
    """`notify` with the event agent-turn-complete."""
    if payload.get("type") != "agent-turn-complete":
        return None
    asked = payload.get("input-messages")
    user = "\n".join(part for part in asked if isinstance(part, str)) if isinstance(asked, list) else ""
    session = payload.get("thread-id") or payload.get("turn-id")
    return _turn(session, payload.get("cwd"), user, _text(payload.get("last-assistant-message")))


def _cursor(payload: Mapping[str, Json], prompt: str) -> Turn | None:
    """`afterAgentResponse`, which has the answer only; the prompt came with `beforeSubmitPrompt`."""
    if payload.get("hook_event_name") != "afterAgentResponse":
        return None
    roots = payload.get("workspace_roots")
    folder = roots[0] if isinstance(roots, list) and roots else ""
    return _turn(payload.get("conversation_id"), folder, prompt, _text(payload.get("text")))


def _cursor_prompt(payload: Mapping[str, Json]) -> tuple[str, str] | None:
    if payload.get("hook_event_name") != "beforeSubmitPrompt":
        return None
    return _text(payload.get("conversation_id")), _text(payload.get("prompt"))


def _gemini_cli(payload: Mapping[str, Json], _prompt: str) -> Turn | None:
    """`AfterAgent`."""
    if payload.get("stop_hook_active") or payload.get("hook_event_name") != "AfterAgent":
        return None
    user, answer = _text(payload.get("prompt")), _text(payload.get("prompt_response"))
    return _turn(payload.get("session_id"), payload.get("cwd"), user, answer)


def _turn(session: Json, folder: Json, user: str, assistant: str) -> Turn | None:
    return Turn(_text(session) or "unknown", _text(folder), user, assistant) if user.strip() else None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _blocks(content: Json) -> str:
    """The text of a message: itself, or its blocks of text. Results of tools are none."""
    if isinstance(content, str):
        return content
    blocks = [block for block in content or [] if isinstance(block, dict)] if isinstance(content, list) else []
    return "\n".join(
        block["text"] for block in blocks if isinstance(block.get("text"), str) and block.get("type") == "text"
    )


def _tail(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            return file.read().splitlines()
    except OSError:
        return []


_CLAUDE = _hooks("Stop", nested=True, type="command", timeout=HOOK_SECONDS)
_GEMINI = _hooks("AfterAgent", nested=True, name="postern", type="command", timeout=HOOK_SECONDS * 1_000)
_CURSOR = _hooks("beforeSubmitPrompt", "afterAgentResponse", nested=False)

AGENTS: dict[str, Agent] = {
    "claude-code": Agent(".claude/settings.json", "CLAUDE_CONFIG_DIR", *_CLAUDE, _claude_code),
    "codex": Agent(".codex/config.toml", "CODEX_HOME", _add_notify, _remove_notify, _codex),
    "cursor": Agent(".cursor/hooks.json", "", *_CURSOR, _cursor, _cursor_prompt, '{"continue": true}'),
    "gemini-cli": Agent(".gemini/settings.json", "", *_GEMINI, _gemini_cli, answer="{}"),
}
