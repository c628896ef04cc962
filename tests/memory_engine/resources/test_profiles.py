"""Profiles: what the settings and a job must say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory_engine.conftest import Bench

SETTINGS, JOBS = "/v2/profiles/settings/", "/v2/profiles/jobs/"
KEY = {"Idempotency-Key": "key-00000001"}
ONE_USER = {"operation": "trigger", "entity_type": "user", "entity_id": "alice"}
ONLY_USERS = {"entities": ['Only {"user": {"schema", "custom_instructions"}} is supported.']}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"enabled": "yes"}, {"enabled": ["Must be a valid boolean."]}),
        ({"entities": []}, ONLY_USERS),
        ({"entities": {"agent": {}}}, ONLY_USERS),
        ({"entities": {"user": {}, "agent": {}}}, ONLY_USERS),
        ({"entities": {"user": {"name": "x"}}}, ONLY_USERS),
        ({"entities": {"user": []}}, ONLY_USERS),
        ({"entities": {"user": {"custom_instructions": 7}}}, {"custom_instructions": ["Not a valid string."]}),
        (
            {"entities": {"user": {"schema": {"type": "object"}}}},
            {"schema": ["A JSON Schema object with properties is expected."]},
        ),
        (
            {"entities": {"user": {"schema": {"properties": {}}}}},
            {"schema": ["A JSON Schema object with properties is expected."]},
        ),
        (
            {"entities": {"user": {"schema": []}}},
            {"schema": ["A JSON Schema object with properties is expected."]},
        ),
        (
            {
                "entities": {
                    "user": {
                        "schema": {
                            "properties": {
                                "a": {"type": "string"},
                                "b": {"type": "string", "description": " "},
                                "c": {"description": 7},
                                "d": {"description": "where they live"},
                                "e": True,
                            }
                        }
                    }
                }
            },
            None,
        ),
        (
            {"entities": {"user": {"schema": {"properties": {"a": {"description": "x"}, "b": {"type": "string"}}}}}},
            {"schema": ["Every property needs a description; missing for: b."]},
        ),
    ],
)
def test_settings_that_cannot_be_kept_change_nothing(memory: Bench, body: Any, answer: Any) -> None:
    before = memory.call("GET", SETTINGS)
    refused = memory.call("POST", SETTINGS, body, 400)
    assert refused == answer or (answer is None and refused["schema"])
    assert memory.call("GET", SETTINGS) == before


def test_only_users_have_profiles(memory: Bench) -> None:
    memory.remember("I live in Oslo.")
    for kind in ("agent", "app", "run", "users"):
        answer = memory.call("GET", f"/v2/entities/{kind}/alice/profile/", status=400)
        assert answer == {"message": "Invalid entity type"}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, {"operation": ['Must be "trigger" (one user) or "sample" (some users).']}),
        ({**ONE_USER, "operation": "all"}, {"operation": ['Must be "trigger" (one user) or "sample" (some users).']}),
        ({**ONE_USER, "entity_type": "agent"}, {"entity_type": ['Must be "user".']}),
        ({**ONE_USER, "limit": True}, {"limit": ["Must be a whole number from 1 to 10."]}),
        ({**ONE_USER, "limit": 0}, {"limit": ["Must be a whole number from 1 to 10."]}),
        ({**ONE_USER, "limit": "5"}, {"limit": ["Must be a whole number from 1 to 10."]}),
        ({**ONE_USER, "entity_id": ""}, {"entity_id": ["This field is required."]}),
        ({**ONE_USER, "entity_id": 7}, {"entity_id": ["This field is required."]}),
    ],
)
def test_a_job_says_whose_profiles_are_made(memory: Bench, body: Any, answer: Any) -> None:
    memory.call("POST", SETTINGS, {"enabled": True})
    assert memory.call("POST", JOBS, body, 400, headers=KEY) == answer


def test_a_job_of_an_unknown_user_and_an_unknown_job_are_not_found(memory: Bench) -> None:
    memory.call("POST", SETTINGS, {"enabled": True})
    assert memory.call("POST", JOBS, ONE_USER, 404, headers=KEY) == {"error": "Entity not found"}
    assert memory.call("GET", f"{JOBS}no-such-job/", status=404) == {"error": "Job not found"}


def test_a_sample_takes_the_users_that_changed_last(memory: Bench) -> None:
    memory.call("POST", SETTINGS, {"enabled": True})
    for user in ("ann", "ben", "cat"):
        memory.remember(f"I am {user}.", user_id=user)
        memory.clock.forward(seconds=1)
    job = {"operation": "sample", "entity_type": "user", "limit": 2}
    started = memory.call("POST", JOBS, job, 202, headers=KEY)
    assert (started["sampled"], started["entity_ids"]) == (2, ["cat", "ben"])
