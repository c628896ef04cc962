"""Gemini in Google Takeout: My Activity as JSON, one entry per prompt with the answer as HTML, newest first.

The entries name no conversation. Prompts less than half an hour apart are taken as one.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from functions.cli.chat_exports import Found, Message
from functions.cli.chat_exports.claude import seconds
from functions.gateway.json_text import Json

SERVICE = "gemini"
PAUSE_SECONDS = 1_800
"""Time without a prompt after which another conversation begins."""
_PROMPT = re.compile(r"^(?:Prompted(?: with)?|Asked(?: Gemini)?|Said|Branched|Answered):?\s+")


def fits(entry: Json) -> bool:
    named = isinstance(entry, dict) and isinstance(entry.get("title"), str) and isinstance(entry.get("header"), str)
    return named and bool(re.search("gemini|bard", entry["header"], re.IGNORECASE))


def read(entries: list[Json], found: Found) -> None:
    """Add the conversations."""
    prompts: list[tuple[int, list[Message]]] = []
    for entry in entries:
        at, answer = seconds(entry.get("time")), _answer(entry)
        if at is None or not (answer or _PROMPT.match(entry["title"])):
            found.left_out["entries of My Activity without a prompt"] += 1
            continue
        prompts.append((at, [Message("user", _PROMPT.sub("", entry["title"])), Message("assistant", answer)]))
    prompts.sort(key=lambda prompt: prompt[0])
    begin = 0
    for place in range(1, len(prompts) + 1):
        if place == len(prompts) or prompts[place][0] - prompts[place - 1][0] > PAUSE_SECONDS:
            at, first = prompts[begin]
            messages = [message for _, told in prompts[begin:place] for message in told]
            found.talk(str(at), first[0].text.strip()[:60], at, messages)
            begin = place


def _answer(entry: dict[str, Json]) -> str:
    given = entry.get("safeHtmlItem") or []
    parts = [part.get("html") for part in (given if isinstance(given, list) else [given]) if isinstance(part, dict)]
    return "\n".join(_text(part) for part in parts if isinstance(part, str)).strip()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - its base calls it
        if tag in ("p", "br", "li", "h1", "h2", "h3", "h4", "tr", "pre", "div"):
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def _text(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "\n".join(line for line in "".join(parser.found).splitlines() if line.strip())
