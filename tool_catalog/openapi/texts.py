"""The prose of a specification (Markdown, HTML, whole manuals) becomes the few plain sentences a model should read."""

from __future__ import annotations

import html
import re

_CODE_BLOCK = re.compile(r"(```|~~~).*?(\1|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,400}>")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]\[]+)\]\([^)\s]*(?:\s[^)]*)?\)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s.*$", re.MULTILINE)
_TABLE = re.compile(r"^\s*\|.*$", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*\*|__|`)")
_SLANTED = re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]{1,200}?)(?<=[^\s*_])\1(?![\w*])")
_BULLET = re.compile(r"^\s*[-*+]\s+", re.MULTILINE)
_ELSEWHERE = (
    r"(?:\bdocs?\b|\bdocumentation\b|\bguides?\b|\bmanual\b|\barticles?\b|\bhere\b|\bsection\b|\btable\b|\bpage\b|"
    r"\breference\b|\blearn more\b|\b(?:more|further|full) (?:details|information|info)\b|"
    r"\bfor (?:details|information)\b|\"How to|https?://)"
)
"""What a sentence names that points a reader elsewhere."""

_POINTER = re.compile(
    rf"(?=.*{_ELSEWHERE})(?:(?:for|to|if)\b[^.]*,\s*)?(?:please\s+)?(?:also\s+)?(?:"
    r"see\b|refer\b|consult\b|(?:read|visit|check|check out)\s+our\b|read the (?:docs|documentation)\b|click here\b).*"
    r"|(?:learn|read|find out|see) more\b.*"
    r"|(?:more|further|additional) (?:details?|information|info)\b.*\b(?:found|available|here|docs?|documentation)\b.*",
    re.IGNORECASE | re.DOTALL,
)
"""A sentence that only sends a reader elsewhere, where a model cannot go."""

_USEFUL = re.compile(r"(?:^|\s)/\w|\bendpoint\b|[{}]|\b(?:GET|POST|PUT|PATCH|DELETE)\b")
"""What a model can use of such a sentence: another operation."""

_ASIDE = re.compile(
    rf"\s*\((?:please\s+)?(?:see|refer to|more (?:info|details))\b(?=[^()]*{_ELSEWHERE})[^()]*\)", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")


def plain(text: object) -> str:
    """`text` in one line, without markup and without the sentences that only point to other pages."""
    kept = (one for one in sentences(unmarked(text)) if not _POINTER.fullmatch(one) or _USEFUL.search(one))
    return " ".join(kept)


def unmarked(text: object) -> str:
    """`text` in one line without markup. Anything but a string gives an empty text."""
    if not isinstance(text, str):
        return ""
    for pattern, replacement in (
        (_CODE_BLOCK, " "),
        (_IMAGE, " "),
        (_HEADING, " "),
        (_TABLE, " "),
        (_LINK, r"\1"),
        (_TAG, " "),
        (_EMPHASIS, ""),
        (_BULLET, ""),
        (_SLANTED, r"\2"),
        (_ASIDE, ""),
    ):
        text = pattern.sub(replacement, text)
    text = html.unescape(text)
    printable = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r" +([.,;:!?)](?:\s|$))", r"\1", " ".join(printable.split()))


def sentences(text: str) -> list[str]:
    """The sentences of a plain text."""
    return _SENTENCE.split(text) if text else []


def fitted(text: str, limit: int) -> str:
    """As many whole sentences of `text` as fit into `limit` characters. A longer first sentence is cut at a word."""
    if len(text) <= limit:
        return text
    kept = ""
    for sentence in sentences(text):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > limit:
            break
        kept = longer
    if kept:
        return kept
    return text[: limit - 3].rsplit(" ", 1)[0].rstrip(",;: ") + "..."


def ended(text: str) -> str:
    """`text` with a full stop, unless it already ends like a sentence."""
    return text if not text or text[-1] in ".!?:" else f"{text}."
