"""The Mem0 records: which tools there are, and which arguments are refused before Mem0 would misread them."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from tests.tool_catalog.conftest import GOLDEN
from tool_catalog import compiled_file

MEM0 = compiled_file.load("mem0")
ID = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"


def refusals(tool_name: str, arguments: dict[str, Any]) -> list[str]:
    """What schema and checks say; empty when the arguments may be sent."""
    tool = MEM0.tools[tool_name]
    validator = jsonschema_rs.Draft202012Validator(dict(tool.definition["inputSchema"]), validate_formats=True)
    told = [error.message for error in validator.iter_errors(arguments)]
    return told + [
        check.message
        for check in tool.checks
        if jsonschema_rs.Draft202012Validator(dict(check.schema)).is_valid(arguments)
    ]


def test_every_current_operation_of_the_platform_has_a_tool() -> None:
    served = {f"{tool.request.verb} {tool.request.path}" for tool in MEM0.tools.values()}
    assert served == set((GOLDEN / "mem0_operations.txt").read_text().splitlines())


def test_the_first_512_characters_of_the_instructions_hold_what_goes_wrong_most() -> None:
    head = MEM0.instructions[:512]
    for word in (
        "queued",
        "get_single_mem_0_event_by_id",
        "inside filters",
        "at the top level",
        "429",
        "retry_after_seconds.",
    ):
        assert word in head


@pytest.mark.parametrize(
    "name",
    [
        "list_all_mem_0_memories",
        "mem_0_memories_search",
        "create_a_mem_0_memory",
        "get_single_mem_0_memory_by_id",
        "update_a_mem_0_memory_by_id",
        "delete_a_mem_0_memory_by_id",
        "mem_0_memories_bulk_update",
        "mem_0_memories_bulk_delete_by_filter",
        "mem_0_memories_get_context",
        "mem_0_memories_get_conversation",
        "list_all_mem_0_memory_history",
        "list_all_mem_0_events",
        "get_single_mem_0_event_by_id",
        "create_a_mem_0_export",
        "get_single_mem_0_export_by_id",
        "list_all_mem_0_projects",
        "list_all_mem_0_project_members",
        "delete_a_mem_0_project_member_by_id",
        "create_a_mem_0_webhook",
        "search",
        "fetch",
    ],
)
def test_a_promised_name_is_there(name: str) -> None:
    assert name in MEM0.tools


GOOD_FILTERS = [
    {"user_id": "usr_98765"},
    {"user_id": {"in": ["usr_1", "usr_2"]}},
    {"run_id": {"eq": "run_7"}, "agent_id": "*"},
    {"user_id": "usr_98765", "categories": {"in": ["travel"]}, "created_at": {"gte": "2026-01-01", "lt": "2026-07-01"}},
    {
        "AND": [
            {"user_id": "usr_98765"},
            {"OR": [{"categories": {"contains": "travel"}}, {"metadata": {"tier": "gold"}}]},
        ]
    },
    {"OR": [{"user_id": "usr_98765"}, {"agent_id": "support-agent"}]},
    {"user_id": "usr_98765", "NOT": [{"categories": {"in": ["finance"]}}]},
    {"AND": [{"OR": [{"AND": [{"user_id": "usr_98765"}, {"updated_at": {"gt": "2026-01-01"}}]}]}]},
    {"user_id": "usr_98765", "metadata": {"tier": {"ne": "gold"}}, "memory_ids": [ID]},
]

BAD_FILTERS = [
    ({"AND": [{"user_id": "u"}], "OR": [{"run_id": "r"}]}, "silently drops the OR"),
    ({"AND": [{"user_id": "u"}, {"AND": [{"run_id": "r"}], "OR": [{"run_id": "s"}]}]}, "silently drops the OR"),
    ({"user_id": "*"}, "name no entity"),
    ({"NOT": [{"user_id": "u"}]}, "name no entity"),
    ({"user_id": {"ne": "u"}}, "name no entity"),
    ({"user_id": {"in": ["*"]}}, "name no entity"),
    ({"categories": {"in": ["travel"]}}, "name no entity"),
    ({"AND": [{"user_id": "u"}, {"created_at": {"eq": "2026-01-01"}}]}, "operator"),
    ({"AND": [{"user_id": "u"}, {"categories": {"eq": "travel"}}]}, "operator"),
    ({"user_id": "u", "metadata": {"tier": {"in": ["gold"]}}}, "operator"),
    ({"AND": [{"user_id": {"nin": ["u"]}}, {"user_id": "u"}]}, "operator"),
    ({"user_id": {"nin": ["u"]}}, "nin"),
    ({}, "name no entity"),
    ({"user": "u"}, "'user' was unexpected"),
]


@pytest.mark.parametrize("tool", ["list_all_mem_0_memories", "mem_0_memories_search"])
@pytest.mark.parametrize("filters", GOOD_FILTERS, ids=str)
def test_filters_that_mem0_understands_pass(tool: str, filters: dict[str, Any]) -> None:
    query = {"query": "seats"} if tool == "mem_0_memories_search" else {}
    assert refusals(tool, {**query, "filters": filters}) == []


@pytest.mark.parametrize("tool", ["list_all_mem_0_memories", "mem_0_memories_search"])
@pytest.mark.parametrize(("filters", "reason"), BAD_FILTERS, ids=str)
def test_filters_that_mem0_would_misread_are_refused(tool: str, filters: dict[str, Any], reason: str) -> None:
    query = {"query": "seats"} if tool == "mem_0_memories_search" else {}
    told = refusals(tool, {**query, "filters": filters})
    assert any(reason in message for message in told), told


@pytest.mark.parametrize(
    "filters",
    [
        {"user_id": "u", "keywords": {"contains": "seat"}},
        {"AND": [{"user_id": "u"}, {"keywords": {"icontains": "seat"}}]},
        {"user_id": "u", "NOT": {"keywords": {"icontains": "seat"}}},
    ],
    ids=str,
)
def test_keywords_are_for_listing_and_refused_in_search_with_the_form_that_works(filters: dict[str, Any]) -> None:
    told = refusals("mem_0_memories_search", {"query": "seats", "filters": filters})
    assert any('Put the words into "query"' in message for message in told)
    if not isinstance(filters.get("NOT"), dict):
        assert refusals("list_all_mem_0_memories", {"filters": filters}) == []


def test_every_refusal_of_a_check_shows_a_form_that_works() -> None:
    for tool in MEM0.tools.values():
        for check in tool.checks:
            assert '{"' in check.message, (tool.name, check.message)


@pytest.mark.parametrize(
    "filters", [{}, {"user_id": "*"}, {"user_id": "u", "run_id": "*"}, {"AND": [{"user_id": "u"}]}]
)
def test_a_bulk_delete_without_a_named_entity_is_refused(filters: dict[str, Any]) -> None:
    assert refusals("mem_0_memories_bulk_delete_by_filter", {"filters": filters})


def test_a_bulk_delete_of_one_user_passes() -> None:
    assert refusals("mem_0_memories_bulk_delete_by_filter", {"filters": {"user_id": "usr_98765"}}) == []
    assert refusals("mem_0_memories_bulk_delete_by_filter", {}) != []


def test_an_export_takes_the_structured_form_only() -> None:
    schema = {"schema": {"type": "object"}}
    assert refusals("create_a_mem_0_export", {**schema, "filters": {"AND": [{"user_id": "u"}]}}) == []
    assert refusals("create_a_mem_0_export", {**schema, "filters": {"user_id": "u"}}) != []


def test_an_add_without_an_owner_and_an_update_without_a_change_are_refused() -> None:
    messages = [{"role": "user", "content": "I prefer window seats."}]
    assert "needs an owner" in refusals("create_a_mem_0_memory", {"messages": messages})[0]
    assert refusals("create_a_mem_0_memory", {"messages": messages, "run_id": "r"}) == []
    assert "nothing to update" in refusals("update_a_mem_0_memory_by_id", {"id": ID})[0]
    assert refusals("update_a_mem_0_memory_by_id", {"id": ID, "expiration_date": None}) == []


def test_search_and_fetch_have_the_shapes_of_deep_research_and_need_a_pin() -> None:
    search, fetch = MEM0.tools["search"], MEM0.tools["fetch"]
    assert list(search.definition["inputSchema"]["properties"]) == ["query"]
    assert list(fetch.definition["inputSchema"]["properties"]) == ["id"]
    result = search.definition["outputSchema"]["properties"]["results"]["items"]["properties"]
    assert list(result) == ["id", "title", "url"]
    assert list(fetch.definition["outputSchema"]["properties"]) == ["id", "title", "text", "url", "metadata"]
    for tool in (search, fetch):
        assert tool.needs_pin
        assert tool.access == "read"
        assert tool.tags == ("deep_research",)


def test_embeddings_never_reach_a_caller_and_a_run_is_always_called_run_id() -> None:
    for tool in MEM0.tools.values():
        text = str(tool.definition["outputSchema"])
        assert "embedding" not in text
        assert "session_id" not in text
