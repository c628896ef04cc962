"""Which argument a name stands for that a tool, or an object in its arguments, does not have.

Used where a correction is suggested; what a call may be settled to is decided in settle.py, by stricter rules.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from functions.gateway.json_text import Json, kind, kinds
from functions.gateway.settle import plain
from functions.gateway.tool_words import words
from functions.gateway.wording import closest, shares_only_its_ending

SYNONYMS = (
    frozenset({"q", "query", "search", "term", "keyword", "keywords", "question", "jql"}),
    frozenset({"body", "content", "text", "message", "comment", "description", "note", "data", "value"}),
    frozenset({"sort", "sort by", "order by", "order", "sort order", "ordering"}),
    frozenset({"order", "direction", "sort order", "sort direction", "dir"}),
    frozenset({"name", "title", "label", "summary", "subject"}),
    frozenset({"id", "identifier", "uuid", "key", "number", "slug"}),
    frozenset({"since", "start", "start date", "start time", "from", "after", "created after"}),
    frozenset({"until", "end", "end date", "end time", "to", "before", "created before"}),
    frozenset({"type", "kind", "category"}),
    frozenset({"state", "status"}),
    frozenset({"tags", "labels", "categories"}),
    frozenset({"person", "user", "account", "owner", "username", "login"}),
    frozenset({"session id", "conversation id", "thread id", "run id", "chat id"}),
    frozenset({"count", "limit", "top k", "number", "max results"}),
)
"""Words that APIs and models use for one another."""

CONTENT = "content"
"""The word in SYNONYMS for what a thing says."""

OPERATORS = {
    "gt": ("gt", "greaterthan", "morethan", "above", "over", ">"),
    "gte": ("gte", "ge", "greaterthanorequal", "from", "since", "start", "min", "minimum", "least", ">=", "begin"),
    "lt": ("lt", "lessthan", "below", "under", "<"),
    "lte": ("lte", "le", "lessthanorequal", "to", "until", "end", "max", "maximum", "most", "<="),
    "eq": ("eq", "equals", "equal", "is", "value", "=", "=="),
    "ne": ("ne", "neq", "not", "notequal", "notequals", "isnot", "!="),
    "in": ("in", "anyof", "oneof", "any", "includes"),
    "contains": ("contains", "like", "has", "match"),
    "icontains": ("icontains", "ilike"),
}
"""Operator -> what it is called elsewhere; a bound that may be inclusive or not is taken to be inclusive."""

ALIKE = 0.5
"""The share of their words that two names must have in common."""

_GENERAL = frozenset({"id", "ids", "key", "name", "number", "type", "by", "of", "or", "the", "to", "is"})


def argument(
    name: str,
    value: Json,
    free: Mapping[str, Json],
    missing: Collection[str] = (),
    *,
    thing: str = "",
    alone: bool = False,
) -> str | None:
    """The one name of `free`, each with its schema, that is meant by `name`; None where none or several are.

    `missing`  those of them that must be given.
    `thing`    what the tool is about, in the singular: an argument of that name is its content.
    `alone`    no other name is wrong, so that the one missing name is meant if the value fits it, and the two names are
               not those of different things.
    """
    if (operator := _operator(name, free)) is not None:
        return operator
    fitting = [known for known in free if fits(value, free[known])]
    needed = [known for known in fitting if known in missing]
    for pool in (needed, fitting):
        for chosen in (
            _spelt(name, pool),
            _sharing(name, [known for known in pool if not shares_only_its_ending(name, known)]),
            _synonyms(CONTENT if name == thing else name, pool),
        ):
            if chosen is not None:
                return chosen
    options = [known for known in fitting if isinstance(value, str) and value in free[known].get("enum", ())]
    if len(options) == 1:
        return options[0]
    if alone and len(needed) == 1 == len(missing) and not shares_only_its_ending(name, needed[0]):
        return needed[0]
    return closest(name, fitting)


def fits(value: Json, schema: Json) -> bool:
    """Whether the value is of a type that the schema asks for, or can be brought into it."""
    asked, found = kinds(schema), kind(value)
    if not asked or found in asked:
        return True
    if found == "string":
        number = bool(asked & {"integer", "number"}) and re.fullmatch(r"\s*-?[0-9.]+\s*", str(value)) is not None
        return number or bool(asked & {"array", "object", "boolean"})
    if found in ("integer", "number"):
        return bool(asked & {"string", "number", "array"})
    return found == "object" and "array" in asked


def _operator(name: str, free: Mapping[str, Json]) -> str | None:
    """The operator that is meant, in an object whose every member is one."""
    if not free or not free.keys() <= OPERATORS.keys():
        return None
    written = name.lstrip("$").lower().replace("_", "").replace(" ", "")
    return next((known for known in free if written in OPERATORS[known]), None)


def _spelt(name: str, pool: Collection[str]) -> str | None:
    return _only([known for known in pool if plain(known) == plain(name)])


def _sharing(name: str, pool: Collection[str]) -> str | None:
    """The name that has most words in common with `name`; words that any name could have count only where a name
    consists of nothing else."""
    asked, best = words(name), 0.0
    found: list[str] = []
    for known in pool:
        own = words(known)
        shared = [word for word in own if any(_same(word, other) for other in asked)]
        telling = [word for word in shared if word not in _GENERAL] or (shared if set(own) <= _GENERAL else [])
        share = len(shared) / len({*own, *asked} - {word for word in asked if word not in own and _in(word, own)})
        if telling and share >= max(best, ALIKE):
            found = [*found, known] if share == best else [known]
            best = share
    return _only(found)


def _in(word: str, others: Collection[str]) -> bool:
    return any(_same(word, other) for other in others)


def _same(one: str, other: str) -> bool:
    """True for equal words, a plural, and an abbreviation of at least three letters."""
    short, long = sorted((one, other), key=len)
    return one == other or (len(short) > 2 and long.startswith(short))


def _synonyms(name: str, pool: Collection[str]) -> str | None:
    asked = " ".join(words(name))
    groups = [group for group in SYNONYMS if asked in group]
    found = [known for known in pool if any(" ".join(words(known)) in group for group in groups)]
    return _only(found)


def _only(found: Collection[str]) -> str | None:
    return next(iter(found)) if len(found) == 1 else None
