"""Values, suggestions and problems in messages: bounded, and the same everywhere."""

from __future__ import annotations

import pytest

from functions.gateway import wording
from functions.gateway.json_text import Json
from functions.gateway.wording import MAX_PROBLEMS, MAX_VALID, SHOWN_CHARS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", '"é"'),
        ("a\n\x1b", '"a\\n\\u001b"'),
        (None, "null"),
        ({"a": [1, 2]}, '{"a": [1, 2]}'),
        ("x" * 81, f'"{"x" * 80}..."'),
        (["x" * 200], f'["{"x" * 78}...'),
    ],
    ids=["text", "control characters", "null", "object", "long text", "long list"],
)
def test_a_value_is_shown_as_json_of_bounded_length(value: Json, text: str) -> None:
    assert wording.shown(value) == text


@pytest.mark.parametrize("value", ["x" * 1_000_000, {"a" * 1_000_000: 1}, list(range(100_000)), 10**4_000], ids=type)
def test_no_value_makes_a_message_long(value: Json) -> None:
    assert len(wording.shown(value)) <= SHOWN_CHARS + len('"..."')


def test_a_suggestion_names_the_closest_word_and_the_valid_ones() -> None:
    assert wording.did_you_mean("usr_id", ["user_id", "run_id"]) == '; did you mean "user_id"? valid: user_id, run_id'
    assert wording.did_you_mean("zzz", ["user_id", "run_id"]) == "; valid: user_id, run_id"
    assert wording.did_you_mean("zzz", []) == "; valid: none"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("widget_id", "agent_id"),
        ("widgetId", "agentId"),
        ("widgetid", "agent_id"),
        ("widget_ids", "agent_id"),
        ("widget-id", "gadget-id"),
        ("user_id", "memory_id"),
        ("project_name", "product_name"),
        ("consumer.id", "customer.id"),
    ],
)
def test_a_name_that_shares_only_its_ending_is_not_suggested(name: str, known: str) -> None:
    assert wording.did_you_mean(name, [known]) == f"; valid: {known}"
    assert wording.did_you_mean(known, [name]) == f"; valid: {name}"
    assert wording.closest(name, [known]) is None
    assert wording.closest(name.upper(), [known]) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *[(f"{slip}_id", "agent_id") for slip in ("aget", "agnet", "agentt", "agenta", "bgent")],
        *[("usrid", "user_id"), ("usr_id", "userid"), ("UserId", "user_id"), ("user_ids", "user_id")],
        *[("repo_name", "repository_name"), ("organizzzation_id", "organization_id"), ("user_id", "owner_user_id")],
        *[("start_date", "start_time"), ("created_after", "created_at"), ("valid", "invalid"), ("stats", "status")],
    ],
)
def test_a_name_with_a_slip_before_its_ending_is_suggested(name: str, known: str) -> None:
    assert wording.did_you_mean(name, [known]) == f'; did you mean "{known}"? valid: {known}'


def test_words_too_many_to_list_are_suggested_or_pointed_at() -> None:
    tools = [f"mem_{number:03}" for number in range(500)]
    assert wording.did_you_mean("list_memry", ["list_memory", "list", "x"], instead="call tools/list") == (
        '; did you mean "list_memory"?'
    )
    close = wording.did_you_mean("mem_00", tools, instead="call tools/list")
    assert close.count('"mem_') == 3
    assert close.endswith("?")
    assert wording.did_you_mean("zzz", tools, instead="call tools/list") == "; call tools/list"
    assert wording.did_you_mean("zzz", tools).endswith(f"mem_{MAX_VALID - 1:03} and {500 - MAX_VALID} more")


def test_a_word_of_any_length_is_compared_by_its_beginning() -> None:
    assert wording.did_you_mean("user_id" * 100_000, ["user_id"]) == "; valid: user_id"


def test_problems_are_listed_up_to_a_number() -> None:
    problems = [f"problem {number}" for number in range(MAX_PROBLEMS + 1)]
    assert wording.listed(problems[:MAX_PROBLEMS]) == problems[:MAX_PROBLEMS]
    assert wording.listed(problems)[-1] == "and 1 more problem"
    assert wording.listed([*problems, "another"])[-1] == "and 2 more problems"
    assert len(wording.listed(problems * 1_000)) == MAX_PROBLEMS + 1
