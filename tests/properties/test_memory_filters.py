"""The filter grammar, compiled to SQL, against an evaluator of the same rules in plain Python that shares no code."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.memory_engine.search import filters
from functions.memory_engine.storage.database import Database

IDS = ["ann", "bob", "Ann", "*x", "o'neil"]
WORDS = ["tea", "Tea", "straße", "STRASSE", "a%b", "a_b", "été"]
DAYS = ["2026-01-01", "2026-01-02", "2026-02-01"]
MOMENTS = [*DAYS, "2026-01-01T12:00:00Z", "2026-01-01T12:00:00", "2026-01-01T13:00:00+01:00"]
SCALARS = [0, 1, 1.0, 2.5, True, False, None, "1", "tea", "Tea", 2**70]
KEYS = ["k", "K", 'a"b', "$.k"]
ENTITIES = ("user_id", "agent_id", "app_id", "run_id")


def _stored_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# Memories


memories = st.fixed_dictionaries(
    {
        **{name: st.none() | st.sampled_from(IDS) for name in ENTITIES},
        "memory": st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join),
        "categories": st.lists(st.sampled_from(["food", "Food", "travel", "über"]), unique=True, max_size=2),
        "metadata": st.none()
        | st.dictionaries(
            st.sampled_from(KEYS), st.sampled_from(SCALARS) | st.lists(st.sampled_from(SCALARS), max_size=2), max_size=2
        ),
        "expiration_date": st.none() | st.sampled_from(DAYS),
        "created_at": st.sampled_from(MOMENTS),
        "updated_at": st.sampled_from(MOMENTS),
    }
)

# Filters


def _one_of(operators: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(sorted(operators)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: operators[name] for name in names})
    )


ids = st.sampled_from(IDS)
entity = (
    ids | st.just("*") | st.none() | _one_of({"eq": ids, "ne": ids | st.just("*"), "in": st.lists(ids, max_size=3)})
)
moments = st.sampled_from(MOMENTS)
date = (
    moments
    | st.just("*")
    | _one_of({**dict.fromkeys(("gt", "gte", "lt", "lte", "ne"), moments), "in": st.lists(moments, max_size=3)})
)
scalars = st.sampled_from(SCALARS)
metadata_value = (
    scalars
    | st.just("*")
    | _one_of({"eq": scalars, "ne": scalars, "contains": st.sampled_from(["te", "1", "tea", 1, 2.5, 0])})
)
fragments = st.sampled_from(["tea", "TE", "ß", "ss", "%", "_", "é", "E"])
conditions = st.one_of(
    st.sampled_from(ENTITIES).flatmap(lambda name: st.fixed_dictionaries({name: entity})),
    st.sampled_from(["created_at", "updated_at", "timestamp", "expiration_date"]).flatmap(
        lambda name: st.fixed_dictionaries({name: date})
    ),
    st.fixed_dictionaries({"metadata": st.dictionaries(st.sampled_from(KEYS), metadata_value, min_size=1, max_size=2)}),
    st.fixed_dictionaries(
        {
            "categories": st.just("*")
            | _one_of({"in": st.lists(st.sampled_from(["food", "travel"]), max_size=2), "contains": fragments})
        }
    ),
    st.fixed_dictionaries({"keywords": _one_of({"contains": fragments, "icontains": fragments})}),
    st.fixed_dictionaries({"memory_ids": st.lists(st.sampled_from(["0", "1", "9"]), max_size=2)}),
)
# Two drawn objects become one with siblings, so that the implicit AND and the dropped OR are met.
trees = st.recursive(
    st.tuples(conditions, conditions | st.just({})).map(lambda pair: {**pair[1], **pair[0]}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"AND": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"OR": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"NOT": inner | st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries(
            {"AND": st.lists(inner, min_size=1, max_size=2), "OR": st.lists(inner, min_size=1, max_size=2)}
        ),
        st.tuples(conditions, st.fixed_dictionaries({"NOT": inner})).map(lambda pair: {**pair[0], **pair[1]}),
        st.tuples(conditions, st.fixed_dictionaries({"OR": st.lists(inner, min_size=1, max_size=2)})).map(
            lambda pair: {**pair[0], **pair[1]}
        ),
    ),
    max_leaves=8,
)


# The evaluator


def holds(tree: Any, memory: dict[str, Any]) -> bool:
    verdicts = []
    for key, value in tree.items():
        if key == "AND":
            verdicts.append(all(holds(item, memory) for item in value))
        elif key == "OR":
            if "AND" not in tree:
                verdicts.append(any(holds(item, memory) for item in value))
        elif key == "NOT":
            refused = value if isinstance(value, list) else [value]
            verdicts.append(not any(holds(item, memory) for item in refused))
        elif key == "metadata":
            held = memory["metadata"] or {}
            verdicts += [_metadata(held.get(name), wanted) for name, wanted in value.items()]
        else:
            verdicts.append(_field(key, value, memory))
    return all(verdicts)


def _field(name: str, value: Any, memory: dict[str, Any]) -> bool:
    if name in ENTITIES:
        return _each(value, lambda operator, wanted: _entity(memory[name], operator, wanted))
    if name == "expiration_date":
        held = memory[name]
        return _each(
            value,
            lambda op, wanted: _ordered(
                held, op, wanted, lambda text: _stored_moment(text).astimezone(UTC).date().isoformat()
            ),
        )
    if name in ("created_at", "updated_at", "timestamp"):
        held = _stored_moment(memory["created_at" if name == "timestamp" else name])
        return _each(value, lambda op, wanted: _ordered(held, op, wanted, _stored_moment))
    if name == "categories":
        return _each(value, lambda op, wanted: _categories(memory[name], op, wanted))
    if name == "keywords":
        return _each(
            value,
            lambda op, wanted: (
                wanted in memory["memory"] if op == "contains" else wanted.casefold() in memory["memory"].casefold()
            ),
        )
    assert name == "memory_ids"
    return memory["id"] in value


def _each(value: Any, test: Any) -> bool:
    return all(test(*pair) for pair in value.items()) if isinstance(value, dict) else bool(test("bare", value))


def _entity(held: str | None, operator: str, wanted: Any) -> bool:
    if operator == "in":
        return held in wanted
    equal = held is not None if wanted == "*" else held == wanted
    return not equal if operator == "ne" else equal


def _ordered(held: Any, operator: str, wanted: Any, read: Any) -> bool:
    if operator == "bare":
        return held is not None if wanted == "*" else held == read(wanted)
    if operator == "ne":
        return bool(held != read(wanted))
    if operator == "in":
        return held in [read(item) for item in wanted]
    if held is None:
        return False
    other = read(wanted)
    answers: dict[str, bool] = {"gt": held > other, "gte": held >= other, "lt": held < other, "lte": held <= other}
    return answers[operator]


def _categories(held: list[str], operator: str, wanted: Any) -> bool:
    if operator == "bare":
        return bool(held)
    if operator == "in":
        return bool(set(held) & set(wanted))
    return any(wanted.casefold() in item.casefold() for item in held)


def _metadata(held: Any, wanted: Any) -> bool:
    def test(operator: str, value: Any) -> bool:
        if operator == "contains":
            if isinstance(held, str):
                return isinstance(value, str) and value in held
            return isinstance(held, list) and any(_same(item, value) for item in held)
        if value == "*":
            return held is not None
        equal = _same(held, value)
        return not equal if operator == "ne" else equal

    return _each(wanted, test)


def _same(held: Any, wanted: Any) -> bool:
    """JSON equality: true is not 1, 1 is 1.0, and a missing key is null."""
    if isinstance(held, list):
        return False
    if isinstance(held, bool) or isinstance(wanted, bool):
        return held is wanted
    return bool(held == wanted)


# Both on the same memories


@pytest.fixture(scope="module", name="database")
def _database() -> Iterator[Database]:
    database = Database(":memory:")
    yield database
    database.close()


def _select(database: Database, stored: list[dict[str, Any]], condition: filters.Sql) -> set[str]:
    def change(connection: sqlite3.Connection) -> set[str]:
        connection.execute("DELETE FROM memories")
        for memory in stored:
            connection.execute(
                "INSERT INTO memories (id, memory, hash, user_id, agent_id, app_id, run_id, metadata, categories,"
                " expiration_date, created_at, updated_at) VALUES (?,?,x'',?,?,?,?,?,?,?,?,?)",
                (
                    *(memory["id"], memory["memory"], *(memory[name] for name in ENTITIES)),
                    None if memory["metadata"] is None else json.dumps(memory["metadata"]),
                    *(json.dumps(memory["categories"], ensure_ascii=False), memory["expiration_date"]),
                    *(
                        int(_stored_moment(memory[name]).timestamp() * 1_000_000)
                        for name in ("created_at", "updated_at")
                    ),
                ),
            )
        where, values = condition
        return {row[0] for row in connection.execute(f"SELECT m.id FROM memories m WHERE {where}", values)}

    return database.write(change)


@settings(max_examples=400, deadline=None)
@given(tree=trees, drawn=st.lists(memories, min_size=1, max_size=6))
def test_the_compiled_filter_selects_what_plain_python_selects(
    database: Database, tree: Any, drawn: list[dict[str, Any]]
) -> None:
    stored = [{**memory, "id": str(number)} for number, memory in enumerate(drawn)]
    expected = {memory["id"] for memory in stored if holds(tree, memory)}
    assert _select(database, stored, filters.to_sql(filters.parse(tree))) == expected


@settings(max_examples=200, deadline=None)
@given(tree=trees, drawn=st.lists(memories, min_size=1, max_size=6))
def test_every_match_belongs_to_an_entity_that_the_filter_requires(
    database: Database, tree: Any, drawn: list[dict[str, Any]]
) -> None:
    stored = [{**memory, "id": str(number)} for number, memory in enumerate(drawn)]
    parsed = filters.parse(tree)
    selected = _select(database, stored, filters.to_sql(parsed))
    for memory in stored:
        if memory["id"] in selected:
            for group in filters.required_entities(parsed):
                assert any(memory[name] == wanted for name, wanted in group)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*filters.ALLOWED_KEYS, "in", "gt", "x", ""]), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=400, deadline=None)
@given(tree=json_values)
def test_any_json_is_either_a_filter_that_runs_or_a_reason(database: Database, tree: Any) -> None:
    try:
        parsed = filters.parse(tree)
    except filters.FilterError:
        return
    where, values = filters.to_sql(parsed)
    with database.read() as connection:
        connection.execute(f"SELECT 1 FROM memories m WHERE {where}", values).fetchall()
