"""The filter grammar of Mem0's v2 and v3 bodies: parsed once, refused with a reason, compiled to bound SQL.

Every condition is true or false. A condition on a null is false, so `NOT` of it is true, and `ne` matches nulls.
`"*"` matches any value that is not null. Siblings are an implicit AND. As at Mem0, an `OR` is dropped if its level
holds an `AND` too. `NOT` of an array matches when none of its filters does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from functions.memory_engine import times
from functions.memory_engine.storage.word_index import ENTITY_FIELDS

DATE_FIELDS = ("created_at", "updated_at", "timestamp", "expiration_date")
LOGICAL = ("AND", "OR", "NOT")
ALLOWED_KEYS = (
    *LOGICAL,
    *ENTITY_FIELDS,
    *DATE_FIELDS,
    *("text", "categories", "metadata", "keywords_search", "memory_ids", "keywords"),
)

OPERATORS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(ENTITY_FIELDS, ("eq", "ne", "in")),
    **dict.fromkeys(DATE_FIELDS, ("gt", "gte", "lt", "lte", "ne", "in")),
    "categories": ("in", "contains"),
    "metadata": ("eq", "ne", "contains"),
    "keywords": ("contains", "icontains"),
    "memory_ids": ("in",),
    "text": ("eq", "ne", "contains", "icontains"),
    "keywords_search": ("contains",),
}
"""The operators of each field, as in `{"field": {"operator": value}}`."""

MAX_DEPTH = 32
"""Nested levels of AND, OR and NOT: more than anyone needs, well inside SQLite's expression depth of 1,000."""
MAX_CONDITIONS = 1_000
MAX_LISTED = 10_000
"""Conditions in one filter, and values in all its `in` lists. Both keep a statement well inside SQLite's limits."""

FILTERS_REQUIRED = (
    "Filters are required and cannot be empty. Please refer to "
    "https://docs.mem0.ai/api-reference/memory/search-memories"
)
SCOPE_REQUIRED = (
    "filters must include at least one positively-scoped entity ID (user_id, agent_id, app_id, or run_id). "
    "Wildcards and NOT-only entity references do not count as scoped."
)


class FilterError(ValueError):
    """The filter is not valid. The caller reads the text."""


@dataclass(frozen=True)
class Condition:
    """`operator` is one of OPERATORS, or "any" for `"*"`. `key` is the metadata key, else empty."""

    field: str
    operator: str
    value: Any = None
    key: str = ""


@dataclass(frozen=True)
class AllOf:
    items: tuple[Filter, ...]


@dataclass(frozen=True)
class AnyOf:
    items: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    item: Filter


Filter = Condition | AllOf | AnyOf | Not


# Parsing


def parse(filters: Any) -> Filter:
    """A JSON filter as a tree. Raises FilterError."""
    if not filters:
        raise FilterError(FILTERS_REQUIRED)
    parsed = _level(filters, 0)
    conditions = [condition for condition, _ in walk(parsed)]
    if len(conditions) > MAX_CONDITIONS:
        raise FilterError(f"Filters hold more than {MAX_CONDITIONS} conditions; narrow them or use 'in'")
    if sum(len(condition.value) for condition in conditions if condition.operator == "in") > MAX_LISTED:
        raise FilterError(f"The 'in' lists of the filters hold more than {MAX_LISTED} values; narrow them")
    return parsed


def _level(filters: Any, depth: int) -> Filter:
    if not isinstance(filters, dict) or not filters:
        raise FilterError(f"Each filter must be a non-empty object, e.g. {{'user_id': 'alice'}}, not {_show(filters)}")
    if depth > MAX_DEPTH:
        raise FilterError(f"Filters are nested deeper than {MAX_DEPTH} levels; flatten them")
    unknown = [key for key in filters if key not in ALLOWED_KEYS]
    if unknown:
        raise FilterError(f"Top-level key must be a logical operator or an allowed field: {list(ALLOWED_KEYS)}")
    items: list[Filter] = []
    for key, value in filters.items():
        if key == "OR" and "AND" in filters:
            continue
        if key in ("AND", "OR"):
            if not isinstance(value, list) or not value:
                raise FilterError(f"{key} must be a non-empty list of filter objects, not {_show(value)}")
            parts = tuple(_level(item, depth + 1) for item in value)
            items.append(AllOf(parts) if key == "AND" else AnyOf(parts))
        elif key == "NOT":
            if isinstance(value, list) and not value:
                raise FilterError("NOT must be a filter object or a non-empty list of them, not []")
            refused = value if isinstance(value, list) else [value]
            items.append(Not(AnyOf(tuple(_level(item, depth + 1) for item in refused))))
        else:
            items.extend(_field(key, value))
    return items[0] if len(items) == 1 else AllOf(tuple(items))


def _field(field: str, value: Any) -> list[Condition]:
    if field == "metadata":
        if not isinstance(value, dict) or not value:
            raise FilterError(f"metadata must be a non-empty object, e.g. {{'topic': 'food'}}, not {_show(value)}")
        return [item for key, wanted in value.items() for item in _operators("metadata", wanted, key)]
    return _operators(field, value, "")


def _operators(field: str, value: Any, key: str) -> list[Condition]:
    if not isinstance(value, dict):
        return [_bare(field, value, key)]
    if not value:
        raise FilterError(f"{_name(field, key)} has no operator. Supported operators: {', '.join(OPERATORS[field])}")
    conditions = []
    for operator, operand in value.items():
        if operator not in OPERATORS[field]:
            raise FilterError(
                f"Unsupported operator '{operator}' for {_name(field, key)}. "
                f"Supported operators: {', '.join(OPERATORS[field])}" + _hint(field, operator)
            )
        conditions.append(_condition(field, operator, operand, key))
    return conditions


def _bare(field: str, value: Any, key: str) -> Condition:
    if value == "*" and field not in ("keywords", "keywords_search", "memory_ids", "text"):
        return Condition(field, "any", None, key)
    if field == "categories":
        raise FilterError("categories takes an operator: {'in': ['food']} or {'contains': 'food'}")
    if field == "keywords":
        raise FilterError("keywords takes an operator: {'contains': 'Word'} or {'icontains': 'word'}")
    if field == "memory_ids":
        return _condition(field, "in", value, key)
    if field == "keywords_search":
        return _condition(field, "contains", value, key)
    if field in DATE_FIELDS and value is not None:
        return Condition(field, "eq", _moment(field, value))
    return _condition(field, "eq", value, key)


def _condition(field: str, operator: str, operand: Any, key: str) -> Condition:
    name = _name(field, key)
    if operator == "in":
        if not isinstance(operand, list):
            raise FilterError(f"'in' for {name} takes a list, not {_show(operand)}")
        return Condition(field, "in", tuple(_scalar(field, item, key) for item in operand), key)
    if operand == "*" and operator in ("eq", "ne") and field not in ("text", *DATE_FIELDS):
        wildcard = Condition(field, "any", None, key)
        return wildcard if operator == "eq" else Condition(field, "eq", None, key)
    if operator in ("contains", "icontains"):
        if field == "metadata" and isinstance(operand, (int, float)):
            return Condition(field, operator, _number(operand), key)
        if not isinstance(operand, str) or not operand:
            raise FilterError(f"'{operator}' for {name} takes a non-empty string, not {_show(operand)}")
        return Condition(field, operator, operand, key)
    if operand is None and operator in ("eq", "ne"):
        return Condition(field, operator, None, key)
    return Condition(field, operator, _scalar(field, operand, key), key)


def _scalar(field: str, value: Any, key: str) -> Any:
    if field in DATE_FIELDS:
        return _moment(field, value)
    if field == "metadata":
        if isinstance(value, (dict, list)):
            raise FilterError(
                f"{_name(field, key)} takes a string, number, true, false or null, not {_show(value)}; "
                "for several values use an OR of equality clauses"
            )
        return _number(value)
    if not isinstance(value, str):
        raise FilterError(f"{_name(field, key)} takes a string, not {_show(value)}")
    return value


def _moment(field: str, value: Any) -> Any:
    try:
        if field == "timestamp" and isinstance(value, (int, float)) and not isinstance(value, bool):
            return times.parse_epoch(value)
        if not isinstance(value, str):
            raise ValueError
        stored = times.parse_moment(value)
    except (ValueError, OverflowError):
        raise FilterError(
            f"{field} takes an ISO 8601 date, e.g. '2026-01-31' or '2026-01-31T12:00:00Z', not {_show(value)}"
        ) from None
    return (times.EPOCH + timedelta(microseconds=stored)).date().isoformat() if field == "expiration_date" else stored


def _number(value: Any) -> Any:
    """SQLite's integers have 64 bits. Larger JSON numbers are compared as floats, as SQLite's own JSON does."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            raise FilterError(f"{_show(value)} is too large a number for a filter") from None
    return value


def _name(field: str, key: str) -> str:
    return f"metadata key '{key[:60]}'" if key else f"field '{field}'"


def _hint(field: str, operator: str) -> str:
    if operator == "nin":
        return f". For 'not in' use {{'NOT': {{'{field}': {{'in': [...]}}}}}}"
    if operator == "eq" and field in DATE_FIELDS:
        return f". For equality give the bare value: {{'{field}': '2026-01-31'}}"
    if field == "metadata":
        return ". For several values use an OR of equality clauses"
    return ""


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# Questions about a filter


def walk(filter_: Filter, negated: bool = False) -> list[tuple[Condition, bool]]:
    """Every condition, and whether it is under a NOT."""
    if isinstance(filter_, Condition):
        return [(filter_, negated)]
    if isinstance(filter_, Not):
        return walk(filter_.item, True)
    return [pair for item in filter_.items for pair in walk(item, negated)]


def require_scope(filter_: Filter) -> None:
    """The rule of v3 search and list. Raises FilterError unless the filter names an entity id outside NOT."""
    for condition, negated in walk(filter_):
        if negated or condition.field not in ENTITY_FIELDS:
            continue
        if (condition.operator == "eq" and condition.value is not None) or (
            condition.operator == "in" and condition.value
        ):
            return
    raise FilterError(SCOPE_REQUIRED)


def uses(filter_: Filter, field: str) -> bool:
    """Whether the filter names a field anywhere."""
    return any(condition.field == field for condition, _ in walk(filter_))


def required_entities(filter_: Filter) -> list[list[tuple[str, str]]]:
    """The entity conditions that every match meets. Each is a list of (field, id) pairs, of which one must hold."""
    if isinstance(filter_, AllOf):
        return [group for item in filter_.items for group in required_entities(item)]
    if isinstance(filter_, Condition) and filter_.field in ENTITY_FIELDS:
        if filter_.operator == "eq" and filter_.value is not None:
            return [[(filter_.field, filter_.value)]]
        if filter_.operator == "in" and filter_.value:
            return [[(filter_.field, value) for value in filter_.value]]
    return []


# Compiling

Sql = tuple[str, list[Any]]

_COLUMN = {
    **{field: f"m.{field}" for field in (*ENTITY_FIELDS, "created_at", "updated_at", "expiration_date")},
    "timestamp": "m.created_at",
    "memory_ids": "m.id",
    "text": "m.memory",
    "keywords": "m.memory",
    "keywords_search": "m.memory",
}
_COMPARISON = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def to_sql(filter_: Filter) -> Sql:
    """The filter as a SQL condition on the table `m`, with every value bound. Needs the SQL function `casefold`.

    In SQL a comparison with a null is NULL, which counts as false. AND and OR keep that; NOT uses `coalesce` for it.
    """
    if isinstance(filter_, Not):
        sql, values = to_sql(filter_.item)
        return f"NOT coalesce({sql}, 0)", values
    if isinstance(filter_, Condition):
        return _COMPILE.get(filter_.field, _column)(filter_)
    parts = [to_sql(item) for item in filter_.items]
    sql = _balanced([sql for sql, _ in parts], " AND " if isinstance(filter_, AllOf) else " OR ")
    return sql, [value for _, values in parts for value in values]


def _balanced(parts: list[str], joiner: str) -> str:
    """Joined as a tree, because SQLite counts a plain chain of a thousand ANDs as a thousand levels."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_balanced(parts[:middle], joiner)}{joiner}{_balanced(parts[middle:], joiner)})"


def _column(condition: Condition) -> Sql:
    column, operator, value = _COLUMN[condition.field], condition.operator, condition.value
    if operator == "any":
        return f"{column} IS NOT NULL", []
    if operator == "eq":
        return (f"{column} IS NULL", []) if value is None else (f"{column} = ?", [value])
    if operator == "ne":
        return f"{column} IS NOT ?", [value]
    if operator == "in":
        return f"{column} IN ({_marks(value)})", list(value)
    return f"{column} {_COMPARISON[operator]} ?", [value]


def _words(condition: Condition) -> Sql:
    """`contains` of keywords is exact. `icontains` and every operator of `text` ignore case."""
    if condition.operator in ("eq", "ne"):
        return _column(condition)
    if condition.field == "keywords" and condition.operator == "contains":
        return "instr(m.memory, ?) > 0", [condition.value]
    if condition.field == "keywords_search":
        words = condition.value.split()
        each = ["instr(casefold(m.memory), ?) > 0"] * len(words)
        return "(" + (" AND ".join(each) or "1") + ")", [word.casefold() for word in words]
    return "instr(casefold(m.memory), ?) > 0", [condition.value.casefold()]


def _categories(condition: Condition) -> Sql:
    if condition.operator == "any":
        return "json_array_length(m.categories) > 0", []
    if condition.operator == "in":
        test, values = f"c.value IN ({_marks(condition.value)})", list(condition.value)
    else:
        test, values = "instr(casefold(c.value), ?) > 0", [condition.value.casefold()]
    return f"EXISTS (SELECT 1 FROM json_each(m.categories) AS c WHERE {test})", values  # noqa: S608


def _metadata(condition: Condition) -> Sql:
    found, missing = "EXISTS", "NOT EXISTS"
    wanted = condition.value
    if condition.operator == "any" or wanted is None:
        test, values = "e.type <> 'null'", []
        if condition.operator == "eq":
            found = missing
    elif condition.operator == "contains":
        element, element_values = _json_equals("x", wanted)
        test = f"(e.type = 'array' AND EXISTS (SELECT 1 FROM json_each(e.value) AS x WHERE {element}))"  # noqa: S608
        values = element_values
        if isinstance(wanted, str):
            test = f"({test} OR (e.type = 'text' AND instr(e.value, ?) > 0))"
            values = [*element_values, wanted]
    else:
        test, values = _json_equals("e", wanted)
        if condition.operator == "ne":
            found = missing
    body = f"(SELECT 1 FROM json_each(coalesce(m.metadata, '{{}}')) AS e WHERE e.key = ? AND {test})"  # noqa: S608
    return f"{found} {body}", [condition.key, *values]


def _json_equals(table: str, wanted: Any) -> Sql:
    if isinstance(wanted, bool):
        return f"{table}.type = ?", ["true" if wanted else "false"]
    if isinstance(wanted, str):
        return f"({table}.type = 'text' AND {table}.value = ?)", [wanted]
    return f"({table}.type IN ('integer', 'real') AND {table}.value = ?)", [wanted]


def _marks(values: tuple[Any, ...]) -> str:
    return ", ".join("?" * len(values))


_COMPILE: dict[str, Callable[[Condition], Sql]] = {
    "categories": _categories,
    "metadata": _metadata,
    "text": _words,
    "keywords": _words,
    "keywords_search": _words,
}
