"""Which service a downloaded file is from, and what it holds. A zip is read as it was downloaded."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from functions.cli.chat_exports import Found, chatgpt, claude, facts, gemini
from functions.cli.invocation import Failed
from functions.gateway import json_text
from functions.gateway.json_text import Json

MAX_BYTES = 1_000_000_000
"""Bytes of one file, unpacked. It is held in memory with what is made of it, some four times as much."""

_SERVICES = ((chatgpt.SERVICE, chatgpt), (claude.SERVICE, claude), (gemini.SERVICE, gemini), ("mem0", facts))
_LISTS = ("results", "result", "memories", "conversations", "data")
"""Members that hold the list where the document is an object, e.g. of a saved answer of Mem0's API."""


def read(path: Path) -> Found:
    """Raises Failed, with what can be read, for a file of no known form."""
    if zipfile.is_zipfile(path):
        return _of_archive(path)
    if path.stat().st_size > MAX_BYTES:
        raise Failed(f"{path} is over {MAX_BYTES:,} bytes; import the parts of it one by one")
    return _of_file(path.name, path.read_bytes()) or _unknown(path)


def _of_archive(path: Path) -> Found:
    pages = False
    found: Found | None = None
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.infolist(), key=lambda one: one.filename):
                name = member.filename.rsplit("/", 1)[-1]
                pages |= name.lower().endswith("activity.html")
                if not name.lower().endswith(".json") or member.file_size > MAX_BYTES:
                    continue
                one = _of_file(name, archive.read(member))
                if one is None or not (one.conversations or one.facts):
                    continue
                if found is not None and found.service == one.service:
                    found.conversations += one.conversations
                    found.facts += one.facts
                    found.left_out += one.left_out
                else:
                    found = found or one
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Failed(f"{path} is damaged or encrypted: {error}; download it again") from None
    if found is None and pages:
        raise Failed(f"{path} holds My Activity as HTML; ask Google Takeout for it again, with JSON as its format")
    return found or _unknown(path)


def _of_file(name: str, content: bytes) -> Found | None:
    text = content.decode("utf-8-sig", errors="replace")
    found: Found | None
    if name.lower().endswith((".md", ".markdown", ".txt")):
        found = Found("markdown")
        facts.read_markdown(text, found)
        return found
    try:
        document = json_text.decode_lenient(content)
    except ValueError:
        return _lines(name, text)
    for service, reader in _SERVICES:
        entries = [entry for entry in _entries(document) if reader.fits(entry)]
        if entries:
            found = Found(service)
            reader.read(entries, found)
            return found
    return _lines(name, text)


def _lines(name: str, text: str) -> Found | None:
    if not name.lower().endswith((".jsonl", ".ndjson")):
        return None
    found = Found("jsonl")
    facts.read_lines(text, found)
    return found


def _entries(document: Json) -> Iterator[Json]:
    if isinstance(document, list):
        yield from document
    elif isinstance(document, dict):
        yield document
        for name in _LISTS:
            if isinstance(document.get(name), list):
                yield from document[name]


def _unknown(path: Path) -> Found:
    raise Failed(
        f"{path} is of no known form; importable are: the zip or JSON that ChatGPT, Claude or Google Takeout (Gemini, "
        "as JSON) gives, memories of Mem0 as JSON, Markdown (.md), JSON Lines (.jsonl), and a copy by `memory export`"
    )
