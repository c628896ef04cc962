"""One HTTP call as an operation receives it, the answers an operation can give, pages, and query parameters."""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from functions.memory_engine import texts


@dataclass(frozen=True)
class Call:
    """path: the decoded variables of the route. query: all pairs, in order. body: decoded JSON, None without a body.
    url: the absolute URL without its query."""

    method: str
    path: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    body: Any
    url: str
    headers: Mapping[str, str]

    def first(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def fields(self) -> dict[str, Any]:
        """The body as an object. Refusal 400 for anything else."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise Refusal(400, {"error": f"The body must be a JSON object, not {_kind(self.body)}"})
        return self.body


@dataclass(frozen=True)
class Answer:
    body: Any
    status: int = 200


class Refusal(Exception):
    """An error answer, with Mem0's status and body."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Page:
    """`page` starts at 1. `after` is the position of the last object of the page before, where the caller sent it.

    A page number alone counts objects, so objects that come or go between two pages are skipped or repeated. The links
    of an envelope therefore carry `after`, and the next page begins behind that object.
    """

    page: int
    size: int
    after: tuple[int, ...] | None = None

    @property
    def offset(self) -> int:
        """Objects before this page, for a page without `after`."""
        return 0 if self.after else (self.page - 1) * self.size


MAX_PAGE = 1_000_000_000
"""Keeps page x size inside SQLite's 64-bit integers."""


def page_of(call: Call, default: int = 100, maximum: int = 200, size_name: str = "page_size") -> Page:
    """The requested page; the query wins over the body. Refusal 400 outside 1..maximum."""
    body = call.body if isinstance(call.body, dict) else {}

    def number(name: str, otherwise: int, limit: int) -> int:
        raw = call.first(name)
        raw = body.get(name) if raw is None else raw
        if raw is None:
            return otherwise
        if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,10}", str(raw), re.ASCII) or not 1 <= int(raw) <= limit:
            raise Refusal(400, {name: [f"{name} must be a whole number from 1 to {limit}, not {str(raw)[:40]!r}."]})
        return int(raw)

    return Page(number("page", 1, MAX_PAGE), number(size_name, default, maximum), _after(call))


def _after(call: Call) -> tuple[int, ...] | None:
    raw = call.first("after")
    if raw is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", raw, re.ASCII):
        raise Refusal(400, {"after": [f"after must come from the link of the page before, not {raw[:40]!r}."]})
    return tuple(int(part) for part in raw.split("."))


def envelope(
    call: Call, page: Page, count: int, results: list[Any], last: tuple[int, ...] | None, **more: Any
) -> dict[str, Any]:
    """A page in Django REST's shape. Refusal 404 for a page past the end, as Django REST does.

    `last` is the position of the last result if more results follow, otherwise None.
    """
    if page.page > 1 and not results and page.after is None:
        raise Refusal(404, {"detail": "Invalid page."})

    def link(number: int, after: tuple[int, ...] | None = None) -> str:
        others = [(key, value) for key, value in call.query if key not in ("page", "page_size", "after")]
        place = [] if after is None else [("after", ".".join(map(str, after)))]
        return f"{call.url}?{urlencode([*others, ('page', number), ('page_size', page.size), *place])}"

    return {
        "count": count,
        "next": None if last is None else link(page.page + 1, last),
        "previous": link(page.page - 1) if page.page > 1 else None,
        "results": results,
        **more,
    }


def behind(page: Page, *columns: str, newest_first: bool = True) -> tuple[str, list[int]]:
    """The SQL condition on rows that come after the page before, in the order of these columns."""
    if page.after is None:
        return "1", []
    if len(page.after) != len(columns):
        raise Refusal(400, {"after": ["after must come from the link of the page before."]})
    marks = ", ".join("?" * len(columns))
    return f"({', '.join(columns)}) {'<' if newest_first else '>'} ({marks})", list(page.after)


def cut(rows: list[sqlite3.Row], page: Page, *columns: str) -> tuple[list[sqlite3.Row], tuple[int, ...] | None]:
    """Drops the one row too many that a page is read with. Returns the last row's position if it was there."""
    shown = rows[: page.size]
    return shown, tuple(shown[-1][name] for name in columns) if len(rows) > page.size else None


def query_pairs(raw: bytes) -> tuple[tuple[str, str], ...]:
    """The pairs of a query string."""
    return tuple(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))


def query_options(call: Call) -> dict[str, Any]:
    """Query parameters as a body: `metadata` as JSON or `metadata[key]=value`, lists by repetition or commas.

    Refusal 400 for `metadata` that is not a JSON object.
    """
    options: dict[str, Any] = {}
    for name, value in call.query:
        nested = re.fullmatch(r"metadata\[(.+)\]", name)
        if nested:
            options.setdefault("metadata", {})[nested[1]] = value
        elif name in ("categories", "fields"):
            options.setdefault(name, []).extend(part for part in value.split(",") if part)
        elif name == "metadata" and value:
            options["metadata"] = _metadata_parameter(value)
        elif value:
            options.setdefault(name, value)
    return options


def memory_id_of(call: Call) -> str:
    """The id of the memory in the path. Refusal 400 if it is not a UUID."""
    memory_id = as_uuid(call.path["memory_id"])
    if memory_id is None:
        raise Refusal(400, {"error": "memory_id should be a valid UUID"})
    return memory_id


def as_uuid(value: Any) -> str | None:
    """A UUID in its stored spelling; None for anything else."""
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


MAX_ENTITY_ID = 512
"""Characters of an entity id."""


def entity_id_problem(value: Any) -> str | None:
    """Why a value cannot be the id of a new entity, or None. Clients remove "." and ".." from paths."""
    if not isinstance(value, str) or texts.is_blank(value) or len(value) > MAX_ENTITY_ID:
        return f"must be a string of 1 to {MAX_ENTITY_ID} characters"
    if value == "*":
        return "must not be '*', which means any in filters"
    if value in (".", ".."):
        return f"must not be '{value}', which no path can name"
    return None


def flag(value: Any) -> bool:
    """A boolean as JSON or as query text."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "1"))


def _metadata_parameter(value: str) -> dict[str, Any]:
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise Refusal(
            400, {"metadata": ['Give a JSON object, e.g. metadata={"topic":"food"}, or metadata[topic]=food.']}
        )
    return decoded


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
