"""Organizations, projects and members: kept and answered as Mem0 does."""

from __future__ import annotations

import pytest

from tests.memory_engine.conftest import Bench

ORGS = "/api/v1/orgs/organizations/"
PROJECT = f"{ORGS}org_local/projects/proj_local/"
NO_ORGANIZATION = {"message": "Organization not found"}
NO_PROJECT = {"message": "Organization or project not found"}


def test_an_organization_is_made_read_and_deleted(memory: Bench) -> None:
    made = memory.call("POST", ORGS, {"name": "Acme"}, 201)
    assert made["message"] == "Organization created successfully."
    path = f"{ORGS}{made['org_id']}/"
    read = memory.call("GET", path)
    assert set(read) == {
        *("org_id", "name", "created_at", "updated_at", "members", "is_default", "byok_enabled", "invitations"),
        *("owner_pricing_plan", "is_owner", "user_role"),
    }
    assert (read["name"], read["is_default"], read["members"][0]["role"]) == ("Acme", False, "OWNER")
    assert [org["name"] for org in memory.call("GET", ORGS)] == ["Local organization", "Acme"]
    assert memory.call("DELETE", path) == {"message": "Organization deleted successfully!"}
    assert memory.call("GET", path, status=404) == NO_ORGANIZATION
    assert memory.call("DELETE", path, status=404) == NO_ORGANIZATION
    assert memory.call("POST", ORGS, {}, 400) == {"errors": {"name": ["This field is required."]}}
    assert memory.call("DELETE", f"{ORGS}org_local/", status=403) == {"message": "Unauthorized"}


def test_members_of_an_organization_come_and_go(memory: Bench) -> None:
    path = f"{ORGS}org_local/members/"
    one = {"email": "one@example.com", "role": "READER"}
    assert memory.call("POST", path, one, 201) == {"message": "User added to the organization."}
    assert memory.call("PUT", path, {**one, "role": "OWNER"}) == {"message": "User role updated successfully"}
    roles = {member["user_id"]: member["role"] for member in memory.call("GET", path)["members"]}
    assert roles == {"owner@localhost": "OWNER", "one@example.com": "OWNER"}
    assert memory.call("DELETE", path, {"email": "one@example.com"}) == {"message": "User removed from organization."}
    assert memory.call("DELETE", path, {"email": "one@example.com"}, 404) == {"message": "User not found"}
    assert memory.call("POST", path, {"email": "x", "role": "KING"}, 400) == {
        "errors": {
            "role": ['"KING" is not a valid choice; use READER or OWNER.'],
            "email": ["Enter a valid email address."],
        }
    }
    assert memory.call("GET", f"{ORGS}nowhere/members/", status=404) == NO_ORGANIZATION


def test_a_project_is_made_changed_and_deleted(memory: Bench) -> None:
    made = memory.call("POST", f"{ORGS}org_local/projects/", {"name": "Second", "description": "d"})
    assert made["message"] == "Project created successfully."
    path = f"{ORGS}org_local/projects/{made['project_id']}/"
    change = {"custom_instructions": ["a", "b"], "decay": True, "name": "Renamed"}
    assert memory.call("PATCH", path, change) == {"message": "Project updated successfully"}
    read = memory.call("GET", path)
    assert set(read) >= {
        *("project_id", "name", "description", "created_at", "updated_at", "members", "usecase", "memory_depth"),
        *("inclusion_prompt", "exclusion_prompt", "custom_categories", "custom_instructions"),
        *("update_custom_instructions", "summary_custom_instructions", "summary_batch_size", "summary_max_tokens"),
        *("expiration_date", "enable_graph", "multilingual", "version", "is_default", "active_prompt_profile"),
        *("decay", "user_role"),
    }
    assert (read["name"], read["custom_instructions"], read["decay"]) == ("Renamed", "a\nb", True)
    listed = memory.call("GET", f"{ORGS}org_local/projects/")
    assert [project["name"] for project in listed] == ["Local project", "Renamed"]
    assert memory.call("DELETE", path) == {"message": "Project and related data deleted successfully."}
    assert memory.call("GET", path, status=404) == NO_PROJECT
    assert memory.call("POST", f"{ORGS}org_local/projects/", {}, 400) == {"message": "Project could not be created."}
    assert memory.call("PATCH", PROJECT, {"decay": "yes", "name": 7}, 400) == {
        "errors": {"decay": ["Must be a boolean."], "name": ["Must be a string."]}
    }


def test_deleting_the_keys_own_project_empties_it_and_the_key_goes_on(memory: Bench) -> None:
    memory.remember("Likes tea")
    memory.call("PATCH", PROJECT, {"custom_instructions": "x"})
    memory.call("DELETE", PROJECT)
    assert memory.texts() == []
    assert memory.search("tea") == []
    assert memory.call("GET", "/v1/entities/")["count"] == 0
    assert memory.call("GET", PROJECT)["custom_instructions"] == ""
    memory.remember("Likes coffee")
    assert [hit["memory"] for hit in memory.search("coffee")] == ["Likes coffee"]


def test_members_of_a_project_come_and_go(memory: Bench) -> None:
    path = f"{PROJECT}members/"
    one = {"email": "one@example.com", "role": "READER"}
    assert memory.call("POST", path, one) == {"message": "User added to the project successfully."}
    assert memory.call("PUT", path, {**one, "role": "OWNER"}) == {"message": "User role updated successfully."}
    assert {"username": "one@example.com", "email": "one@example.com", "role": "OWNER"} in memory.call("GET", path)[
        "members"
    ]
    assert memory.call("DELETE", f"{path}?email=one%40example.com") == {"message": "Member removed from the project"}
    assert memory.call("DELETE", path, status=400) == {"errors": {"email": ["This field is required."]}}


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_unknown_project_is_404(memory: Bench, method: str) -> None:
    body = {"decay": True} if method == "PATCH" else None
    assert memory.call(method, f"{ORGS}org_local/projects/nope/", body, 404) == NO_PROJECT
    assert memory.call(method, f"{ORGS}nope/projects/proj_local/", body, 404) == NO_PROJECT
