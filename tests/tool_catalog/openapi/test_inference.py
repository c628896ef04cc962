"""Paths, verbs and answers -> resources and methods."""

from __future__ import annotations

import pytest

from tool_catalog.openapi.document import Operation
from tool_catalog.openapi.inference import Seen, placements

LISTS = "[]"
"""After a path: its GET answers a list."""


def inferred(*lines: str, known: dict[str, tuple[str, str]] | None = None) -> dict[str, str]:
    """What "GET /a []" and the like become; "?" marks an answer in pages, "=x" an operationId."""
    seen = []
    for line in lines:
        verb, path, *marks = line.split(" ")
        identifier = next((mark[1:] for mark in marks if mark.startswith("=")), None)
        data = {"operationId": identifier} if identifier else {}
        searched = "?" in marks
        seen.append(Seen(Operation(verb, path, data, ()), LISTS in marks or searched, searched))
    return {key: f"{place.resource}.{place.method}" for key, place in placements(seen, known or {}).items()}


@pytest.mark.parametrize(
    "table",
    [
        {  # the five standard methods, behind version segments
            "GET /api/v2/contacts []": "contacts.list",
            "POST /api/v2/contacts": "contacts.create",
            "GET /api/v2/contacts/{id}": "contacts.get",
            "PATCH /api/v2/contacts/{id}": "contacts.update",
            "PUT /api/v2/contacts/{id}": "contacts.replace",
            "DELETE /api/v2/contacts/{id}": "contacts.delete",
        },
        {  # PUT alone is the update; POST on a record is, where nothing else is (Stripe, Twilio)
            "PUT /a/{id}": "a.update",
            "GET /charges/{charge}": "charges.get",
            "POST /charges/{charge}": "charges.update",
        },
        {  # actions on one record, on the collection, and below a word that is no thing of its own
            "GET /charges []": "charges.list",
            "GET /charges/{id}": "charges.get",
            "POST /charges/{id}/capture": "charges.capture",
            "GET /charges/search []": "charges.search",
            "POST /charges/search": "charges.search_post",
            "GET /charges/{id}/receipt": "charges.receipt",
            "POST /charges/{id}/lifecycle/suspend": "charges.lifecycle_suspend",
            "POST /charges/{id}/addTags": "charges.add_tags",
            "DELETE /charges/{id}/hold": "charges.delete_hold",
        },
        {  # what belongs to a record is a resource of its own where it is many things or has several verbs
            "GET /memories/{id}/history []": "memory_history.list",
            "GET /memories/{id}": "memories.get",
            "POST /projects/{id}/members": "members.create",
            "GET /projects/{id}": "projects.get",
            "GET /projects/{id}/settings": "projects.settings",
            "GET /projects/{id}/plan": "project_plan.get",
            "PUT /projects/{id}/plan": "project_plan.update",
        },
        {  # the shortest name that no other has
            "GET /issues/{n}/comments []": "issue_comments.list",
            "GET /gists/{id}/comments []": "gist_comments.list",
            "GET /dcim/interfaces []": "dcim_interfaces.list",
            "GET /dcim/interfaces/{id}": "dcim_interfaces.get",
            "GET /virtualization/interfaces []": "virtualization_interfaces.list",
            "GET /virtualization/interfaces/{id}": "virtualization_interfaces.get",
        },
        {  # bulk
            "GET /devices []": "devices.list",
            "POST /devices": "devices.create",
            "PUT /devices": "devices.bulk_replace",
            "PATCH /devices": "devices.bulk_update",
            "DELETE /devices": "devices.bulk_delete",
            "GET /devices/{id}": "devices.get",
        },
        {  # single things
            "GET /account": "account.get",
            "PUT /account": "account.update",
            "DELETE /account": "account.delete",
            "POST /login": "login.create",
            "POST /auth/login": "auth.login",
        },
        {  # a list under two parameters, one under an id, a search by POST, a file suffix, an action after a colon
            "GET /memories/{type}/{id} []": "memories.list_by_id",
            "GET /events/{event_id}": "events.get",
            "POST /memories ?": "memories.query",
            "POST /2010-04-01/Accounts/{AccountSid}/Calls.json": "calls.create",
            "GET /2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json": "calls.get",
            "POST /operations/{name}:cancel": "operations.cancel",
            "GET /operations/{name}": "operations.get",
        },
        {  # words that a method or a name cannot be
            "POST /exports/get": "exports.post_get",
            "GET /exports []": "exports.list",
            "GET /2fa/{id}": "x_2_fa.get",
            "GET /{id}": "root.get",
        },
    ],
    ids=lambda table: next(iter(table)),
)
def test_operations_become_the_methods_a_person_would_call_them(table: dict[str, str]) -> None:
    expected = {" ".join(key.split(" ")[:2]): place for key, place in table.items()}
    assert inferred(*table) == expected


def test_two_operations_of_one_name_are_told_apart_by_their_ids_or_numbers() -> None:
    assert inferred(
        "GET /v1/users/{id}", "GET /v2/users/{id} =getUserModern", "GET /v3/users/{id}", "GET /v4/users/{id}"
    ) == {
        "GET /v1/users/{id}": "users.get",
        "GET /v2/users/{id}": "users.get_modern",
        "GET /v3/users/{id}": "users.get_2",
        "GET /v4/users/{id}": "users.get_3",
    }


def test_the_order_in_the_file_changes_no_name() -> None:
    lines = [
        "GET /a/{id}/items []",
        "GET /b/{id}/items []",
        "GET /a []",
        "POST /a/{id}/run",
        "PUT /a/{id}",
        "PATCH /a/{id}",
    ]
    assert inferred(*lines) == inferred(*reversed(lines))


def test_operations_that_were_imported_before_keep_their_names() -> None:
    known = {"GET /a/{id}/items": ("items", "list"), "GET /gone": ("gone", "list")}
    assert inferred("GET /a/{id}/items []", "GET /b/{id}/items []", "POST /a/{id}/items", known=known) == {
        "GET /a/{id}/items": "items.list",
        "GET /b/{id}/items": "b_items.list",
        "POST /a/{id}/items": "items.create",
    }
