"""The words of names and texts in the form in which they are compared: one verb for its synonyms, the singular."""

from __future__ import annotations

import re

VERBS = {
    "list": ("list", "all", "browse", "index", "enumerate"),
    "get": ("get", "fetch", "read", "retrieve", "show", "single", "view"),
    "create": ("create", "add", "insert", "make", "new", "post", "remember", "save", "store", "write"),
    "update": ("update", "change", "edit", "modify", "patch", "put", "set"),
    "delete": ("delete", "cancel", "clear", "destroy", "drop", "erase", "forget", "purge", "remove", "reset", "wipe"),
    "search": ("search", "find", "lookup", "query", "recall"),
}
"""Verb -> the words that mean it."""

VERB = {word: verb for verb, words in VERBS.items() for word in words}
"""The same the other way round."""

FILLING = frozenset({"a", "an", "by", "for", "from", "id", "in", "my", "of", "the", "to", "tool", "with"})
"""Words that say nothing about what a tool does."""

_STOP = FILLING | frozenset(
    {
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "can",
        "do",
        "does",
        "each",
        "has",
        "have",
        "how",
        "if",
        "into",
        "is",
    }
    | {"it", "its", "no", "not", "on", "one", "only", "or", "other", "please", "so", "that", "their", "there", "these"}
    | {"this", "use", "via", "want", "was", "what", "when", "where", "which", "who", "will", "you", "your"}
)
"""Words that stand in any text."""

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
"""A word of a name: cut at what is no letter or digit, at lower-to-upper case and between letters and digits."""


def words(name: str) -> list[str]:
    """The words of a name or a text, in lower case; "listAllOrders" has three."""
    return [word.lower() for word in _WORD.findall(name)]


def singular(word: str) -> str:
    """The singular of an English noun, by rule."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def terms(source: str) -> list[str]:
    """The words of a text that a search compares."""
    found = (singular(word) for word in words(source) if word not in _STOP)
    return [VERB.get(word, word) for word in found if len(word) > 1]
