"""Tool names follow one pattern, the same words in the same order for every integration."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_catalog import naming


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mem0", "mem_0"),
        ("auth0", "auth_0"),
        ("s3", "s_3"),
        ("hubspot", "hubspot"),
        ("HubSpot", "hub_spot"),
        ("mem0_oss", "mem_0_oss"),
        ("HTTPServer", "http_server"),
        ("getURL2Path", "get_url_2_path"),
        ("project-members", "project_members"),
        ("  a..b  ", "a_b"),
        ("2fa", "2_fa"),
        ("", ""),
    ],
)
def test_snake_case_cuts_where_lodash_cuts(text: str, expected: str) -> None:
    assert naming.snake_case(text) == expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("memories", "memory"),
        ("memory_history", "memory_history"),
        ("project_members", "project_member"),
        ("entities", "entity"),
        ("webhooks", "webhook"),
        ("addresses", "address"),
        ("boxes", "box"),
        ("searches", "search"),
        ("statuses", "status"),
        ("people", "person"),
        ("movies", "movie"),
        ("analyses", "analysis"),
        ("settings", "settings"),
        ("access", "access"),
        ("houses", "house"),
        ("databases", "database"),
        ("caches", "cache"),
        ("leaves", "leaf"),
        ("ties", "tie"),
    ],
)
def test_the_last_word_of_a_resource_becomes_singular(resource: str, expected: str) -> None:
    assert naming.singular(resource) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("list", "list_all_mem_0_project_members"),
        ("get", "get_single_mem_0_project_member_by_id"),
        ("create", "create_a_mem_0_project_member"),
        ("update", "update_a_mem_0_project_member_by_id"),
        ("delete", "delete_a_mem_0_project_member_by_id"),
        ("bulk_delete_by_filter", "mem_0_project_members_bulk_delete_by_filter"),
    ],
)
def test_each_method_has_its_pattern(method: str, expected: str) -> None:
    assert naming.tool_name("mem0", "project_members", method) == expected


def test_a_record_may_state_its_own_singular() -> None:
    assert naming.tool_name("library", "oeuvres", "get", "opus") == "get_single_library_opus_by_id"


@given(st.from_regex(r"[a-z][a-z0-9_]{0,150}", fullmatch=True))
def test_a_shortened_name_fits_and_is_always_the_same(name: str) -> None:
    short = naming.shorten(name)
    assert len(short) <= naming.MAX_NAME
    assert short == naming.shorten(name)
    assert (short == name) == (len(name) <= naming.MAX_NAME)
    assert re.fullmatch(r"[a-z0-9_]+", short)


def test_names_that_differ_only_at_the_end_stay_different_when_shortened() -> None:
    first, second = (naming.shorten("a" * 80 + end) for end in "xy")
    assert first != second
