"""What an unknown tool name was meant to be: an alias of a record, or the tools whose verb and words it shares.

A tool that destroys is suggested only to a name with that tool's own verb, so that nobody who wants to read is led to a
deletion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from functions.gateway import tool_words, wording
from functions.gateway.wording import SHOWN_CHARS, shown
from tool_catalog.catalog import Catalog, Tool

MAX_SUGGESTIONS = 3
"""Tools that one message suggests: more would be a list to choose from."""

ALIKE = 0.8
"""How alike two names must be, from 0 to 1, where they share no word: one or two typos."""

CLOSE = 1.0
"""How far behind the best suggestion another may be: the weight of half a verb."""

READING = frozenset({"list", "get", "search"})
"""Verbs that may stand for each other."""


def hint(name: str, tools: Sequence[Tool], catalog: Catalog) -> str:
    """The end of a message about an unknown tool: what it is called here, or what may be meant."""
    name = name[:SHOWN_CHARS]
    for tool in tools:
        if _plain(name) in map(_plain, tool.aliases):
            return f"; here it is called {shown(tool.name)}"
    found = _meant(name, tools, catalog)
    return (
        f"; did you mean {' or '.join(map(shown, found))}?"
        if found
        else "; call tools/list for the tools of this server"
    )


def _meant(name: str, tools: Sequence[Tool], catalog: Catalog) -> list[str]:
    own = {*tool_words.words(catalog.integration), *tool_words.words(catalog.label), "mcp", "api"}
    known = {
        tool_words.singular(word)
        for tool in tools
        for word in (*tool_words.words(tool.resource), *tool_words.words(tool.method))
    }
    asked = [word for word in tool_words.words(name) if word not in own or tool_words.singular(word) in known]
    verb = _verb(asked, tools)
    about = _about(asked)
    scored = []
    for tool in tools:
        words = _about([*tool_words.words(tool.resource), *tool_words.words(tool.method)])
        # A custom method without a verb, e.g. "comment", is meant by its own word in the name of a write.
        own_word = tool.custom and not _verbs(tool) and bool(about & _about(tool_words.words(tool.method)))
        same = verb is not None and (verb in _verbs(tool) or (own_word and verb not in READING))
        if tool.destructive and not same:
            continue
        reads = verb in READING and bool(_verbs(tool) & READING)
        shared = about & words
        alike = wording.alike(name, tool.name)
        # A name of a verb alone, e.g. "search", means any tool that does this.
        alone = same and not about and not tool.destructive
        if (shared and (same or reads or verb is None)) or alone or alike >= ALIKE:
            fit = 4.0 * len(shared) / max(1, len(about)) - 0.5 * len(words - about)
            # A resource of another verb, e.g. search_orders, is about something else.
            fit -= any(tool_words.VERB.get(word, verb) != verb for word in tool_words.words(tool.resource))
            scored.append((max(3.0 * same, 1.5 * reads) + own_word + fit + alike, tool.name))
    best = max(scored, default=(0.0, ""))[0]
    close = sorted((-score, found) for score, found in scored if score >= best - CLOSE)
    return [found for _, found in close[:MAX_SUGGESTIONS]]


def _verb(asked: Sequence[str], tools: Iterable[Tool]) -> str | None:
    """The verb of a name. To get several things is to list them."""
    verb = next((tool_words.VERB[word] for word in asked if word in tool_words.VERB), None)
    several = {word for tool in tools for word in tool_words.words(tool.resource) if word != tool_words.singular(word)}
    return "list" if verb == "get" and ("all" in asked or several & set(asked)) else verb


def _verbs(tool: Tool) -> set[str]:
    return {tool_words.VERB[word] for word in tool_words.words(tool.method) if word in tool_words.VERB}


def _about(words: Iterable[str]) -> set[str]:
    """The words that say what a name is about, in the singular."""
    return {
        tool_words.singular(word) for word in words if word not in tool_words.VERB and word not in tool_words.FILLING
    }


def _plain(name: str) -> str:
    return "".join(tool_words.words(name))
