"""Tool names: one pattern per method, the same for every integration.

list    list_all_{integration}_{resource}             get     get_single_{integration}_{singular}_by_id
create  create_a_{integration}_{singular}             update  update_a_{integration}_{singular}_by_id
custom  {integration}_{resource}_{method}             delete  delete_a_{integration}_{singular}_by_id
"""

from __future__ import annotations

import hashlib
import re

from functions.gateway.tool_words import words

MAX_NAME = 64
"""Longest tool name in characters: the tightest limit among MCP hosts (function names of the large model APIs)."""

ROOMY_NAME = 50
"""Characters of a tool name that leave room for the prefix with which a host tells servers apart."""

VALID_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every host accepts as a tool name; dots are legal in MCP and refused by model APIs."""

_PATTERNS = {
    "list": "list_all_{integration}_{resource}",
    "get": "get_single_{integration}_{singular}_by_id",
    "create": "create_a_{integration}_{singular}",
    "update": "update_a_{integration}_{singular}_by_id",
    "delete": "delete_a_{integration}_{singular}_by_id",
}

_IRREGULAR = {
    **{"people": "person", "children": "child", "men": "man", "women": "woman", "feet": "foot", "mice": "mouse"},
    **{"indices": "index", "vertices": "vertex", "matrices": "matrix", "axes": "axis", "criteria": "criterion"},
    **{"analyses": "analysis", "leaves": "leaf", "shelves": "shelf", "lives": "life", "halves": "half"},
    **{"statuses": "status", "buses": "bus", "viruses": "virus", "bonuses": "bonus", "campuses": "campus"},
    **{"movies": "movie", "cookies": "cookie", "caches": "cache", "quizzes": "quiz"},
}
"""Plurals that the rules below would get wrong."""

_UNCOUNTED = {
    *("series", "species", "news", "data", "metadata", "media", "settings", "stats", "analytics", "details"),
    *("credentials", "sms", "dns", "aws", "https"),
}
"""Words that are their own singular."""


def snake_case(text: str) -> str:
    """`mem0` -> `mem_0`, `HubSpot` -> `hub_spot`: words in lower case, joined by underscores."""
    return "_".join(words(text))


def singular(resource: str) -> str:
    """The singular of the last word: `project_members` -> `project_member`. English; a record may state its own."""
    head, separator, word = resource.rpartition("_")
    return head + separator + _singular_word(word)


def _singular_word(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _UNCOUNTED or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1]


def tool_name(integration: str, resource: str, method: str, singular_resource: str | None = None) -> str:
    """The tool's name in full; it may be longer than MAX_NAME, see `shorten`."""
    return _PATTERNS.get(method, "{integration}_{resource}_{method}").format(
        integration=snake_case(integration),
        resource=snake_case(resource),
        singular=snake_case(singular_resource or singular(resource)),
        method=snake_case(method),
    )


def shorten(name: str, limit: int = MAX_NAME) -> str:
    """`name`, or its first characters and eight hex digits of its SHA-256: same in, same out, still distinct."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('_')}_{digest}"
