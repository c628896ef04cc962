"""What an unknown tool name was meant to be; a name that reads never leads to a tool that destroys."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.gateway import tool_names, tool_words
from functions.gateway.errors import UnknownTool
from functions.gateway.grants import ServerConfig
from functions.gateway.selection import find, visible
from tests.gateway.calling import MEM0
from tool_catalog import catalog, compiled_file

OSS = compiled_file.load("mem0_oss")
SHOWN = {"mem0": visible(MEM0, ServerConfig()), "mem0_oss": visible(OSS, ServerConfig())}


def suggested(name: str, loaded: catalog.Catalog = MEM0) -> list[str]:
    return re.findall(r'"([^"]+)"', tool_names.hint(name, SHOWN[loaded.integration], loaded))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("memory_search", "mem_0_memories_search"),
        ("find_memories", "mem_0_memories_search"),
        ("createMemory", "create_a_mem_0_memory"),
        ("insert-memory", "create_a_mem_0_memory"),
        ("get_all_memories", "list_all_mem_0_memories"),
        ("fetch_memories", "list_all_mem_0_memories"),
        ("edit_memory", "update_a_mem_0_memory_by_id"),
        ("remove_memory", "delete_a_mem_0_memory_by_id"),
        ("get_memory_history", "list_all_mem_0_memory_history"),
        ("delete_webhook", "delete_a_mem_0_webhook_by_id"),
        ("projects_list", "list_all_mem_0_projects"),
        ("get_entity", "get_single_mem_0_entity_by_id"),
        ("create_a_mem_0_memry", "create_a_mem_0_memory"),
    ],
)
def test_the_tool_with_the_same_verb_and_words_comes_first(name: str, meant: str) -> None:
    assert suggested(name)[0] == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("add_memory", "create_a_mem_0_memory"),
        ("addMemory", "create_a_mem_0_memory"),
        ("search_memories", "mem_0_memories_search"),
        ("get_memories", "list_all_mem_0_memories"),
        ("delete_all_memories", "mem_0_memories_bulk_delete_by_filter"),
        ("get_event_status", "get_single_mem_0_event_by_id"),
    ],
)
def test_an_alias_of_the_record_is_answered_with_the_tools_name(name: str, meant: str) -> None:
    with pytest.raises(UnknownTool) as unknown:
        find(MEM0, ServerConfig(), name)
    assert unknown.value.message == f'no tool "{name}" on this server; here it is called "{meant}"'


def test_an_alias_of_a_hidden_tool_tells_nothing_of_it() -> None:
    with pytest.raises(UnknownTool) as unknown:
        find(MEM0, ServerConfig(methods=("read",)), "add_memory")
    assert "create_a_mem_0_memory" not in unknown.value.message


def test_the_search_of_another_server_does_not_lead_to_a_reset() -> None:
    assert suggested("mem_0_memories_search", OSS) == ["mem_0_oss_memories_search"]


@pytest.mark.parametrize("name", ["reset", "wipe", "xyzzy", "", "x" * 1_000_000, "\ud800", "🙂"])
def test_a_name_that_says_nothing_leads_to_the_list(name: str) -> None:
    assert tool_names.hint(name, SHOWN["mem0"], MEM0) == "; call tools/list for the tools of this server"


READ = st.sampled_from([word for verb in ("list", "get", "search", "create") for word in tool_words.VERBS[verb]])
NOUNS = st.sampled_from(sorted({word for tool in MEM0.tools.values() for word in tool.resource.split("_")}))


@pytest.mark.slow
@given(READ, st.lists(NOUNS, min_size=1, max_size=2), st.sampled_from(["mem0", "mem0_oss"]))
@settings(max_examples=200, deadline=None)
def test_a_name_that_reads_or_adds_never_leads_to_a_tool_that_destroys(verb: str, nouns: list[str], name: str) -> None:
    loaded = compiled_file.load(name)
    for found in suggested("_".join([verb, *nouns]), loaded):
        assert not loaded.tools[found].destructive
