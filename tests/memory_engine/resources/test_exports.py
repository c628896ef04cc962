"""Exports: what a request must say, and how one ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory_engine.conftest import Bench
from tests.patience import until

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"home": {"type": "string"}}}
ALICE = {"AND": [{"user_id": "alice"}]}
NEEDS_SCHEMA = "Schema is required and must be a valid object"
NEEDS_ENTITY = "One of the filters: app_id, user_id, agent_id, run_id, memory_export_id is required!"


@pytest.mark.parametrize("schema", [None, "", "{", "[]", "7", [], {}, 7])
def test_a_schema_is_an_object_or_the_text_of_one(memory: Bench, schema: Any) -> None:
    assert memory.call("POST", "/v1/exports/", {"schema": schema, "filters": ALICE}, 400) == {"message": NEEDS_SCHEMA}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "no such type"}, 'not a valid JSON Schema at "type": '),
        ({"properties": {"a": {"minimum": "x"}}}, 'not a valid JSON Schema at "properties/a/minimum": '),
        ({"$schema": "https://example.com/schema", "type": "object"}, "$schema must be one of "),
        ({"$schema": 7, "type": "object"}, "$schema must be one of "),
    ],
)
def test_a_schema_that_is_none_is_refused_with_the_place(memory: Bench, schema: Any, reason: str) -> None:
    answer = memory.call("POST", "/v1/exports/", {"schema": schema, "filters": ALICE}, 400)
    assert answer["message"] == NEEDS_SCHEMA
    assert answer["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("filters", "answer"),
    [
        (None, {"error": NEEDS_ENTITY}),
        ([], {"error": NEEDS_ENTITY}),
        ({"user_id": "alice"}, {"error": NEEDS_ENTITY}),
        ({"AND": [{"categories": {"in": ["food"]}}]}, {"error": NEEDS_ENTITY}),
    ],
)
def test_an_export_is_of_an_entity(memory: Bench, filters: Any, answer: Any) -> None:
    assert memory.call("POST", "/v1/exports/", {"schema": SCHEMA, "filters": filters}, 400) == answer


def test_a_filter_that_cannot_be_read_is_refused_with_the_reason(memory: Bench) -> None:
    filters = {"AND": [{"user_id": {"no_such_operator": 1}}]}
    answer = memory.call("POST", "/v1/exports/", {"schema": SCHEMA, "filters": filters}, 400)
    assert "no_such_operator" in answer["filters"][0]


def test_instructions_are_a_text(memory: Bench) -> None:
    request = {"schema": SCHEMA, "filters": ALICE, "export_instructions": ["short"]}
    assert memory.call("POST", "/v1/exports/", request, 400) == {"export_instructions": ["Not a valid string."]}


@pytest.mark.parametrize("filters", [None, {}, [], "alice"])
def test_an_export_is_read_by_its_id_or_its_filters(memory: Bench, filters: Any) -> None:
    assert memory.call("POST", "/v1/exports/get/", {"filters": filters}, 400) == {
        "message": "One of the filters: app_id, user_id, agent_id, run_id is required!"
    }


def test_an_export_of_a_text_schema_is_made_and_an_empty_one_is_empty(memory: Bench) -> None:
    memory.remember("I live in Oslo.")
    for filters, home in ((ALICE, None), ({"OR": [{"user_id": "nobody"}]}, None)):
        request = {"schema": '{"properties": {"unknown": {"type": "integer"}}}', "filters": filters}
        made = memory.call("POST", "/v1/exports/", request, 201)

        def ready(export_id: str = made["id"]) -> Any:
            answer = memory.client.post("/v1/exports/get/", json={"memory_export_id": export_id})
            assert answer.status_code in (200, 202)
            return answer.json() if answer.status_code == 200 else None

        assert until(ready, "the export is made") == {"unknown": home}
