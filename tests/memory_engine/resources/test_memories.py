"""One memory and many: reading, changing, expiring, deleting, remembering what was."""

from __future__ import annotations

import re
import sqlite3
import uuid
from functools import partial
from typing import Any

import pytest

from tests.memory_engine.conftest import Bench
from tests.patience import until

UNKNOWN = "00000000-0000-4000-8000-000000000000"
NOT_FOUND = {"error": "Memory not found!"}
NO_UUID = {"error": "memory_id should be a valid UUID"}


def test_a_memory_is_read_with_exactly_the_documented_fields(memory: Bench) -> None:
    (memory_id,) = memory.remember("Likes tea", run_id="r1", user_id="alice")
    read = memory.call("GET", f"/v1/memories/{memory_id}/")
    listed = {
        *("id", "memory", "user_id", "agent_id", "app_id", "session_id", "metadata", "categories"),
        *("structured_attributes", "replaced_by", "synthesized", "expiration_date", "created_at", "updated_at"),
        "immutable",
    }
    assert set(read) == {*listed, "lifecycle_state"}
    assert (read["session_id"], read["created_at"]) == ("r1", "2026-11-20T12:00:00.000000Z")
    (item,) = memory.call("POST", "/v3/memories/", {"filters": {"run_id": "r1"}})["results"]
    assert set(item) == listed


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"text": "x"}), ("DELETE", None)])
def test_a_bad_or_unknown_id_is_refused_as_at_mem0(memory: Bench, method: str, body: Any) -> None:
    assert memory.call(method, "/v1/memories/nonsense/", body, 400) == NO_UUID
    assert memory.call(method, f"/v1/memories/{UNKNOWN}/", body, 404) == NOT_FOUND


def test_history_of_a_bad_or_unknown_id_is_refused(memory: Bench) -> None:
    assert memory.call("GET", "/v1/memories/nonsense/history/", status=400) == NO_UUID
    assert memory.call("GET", f"/v1/memories/{UNKNOWN}/history/", status=404) == NOT_FOUND


def test_an_update_changes_what_it_names_and_nothing_else(memory: Bench) -> None:
    (memory_id,) = memory.remember("Likes tea", metadata={"a": 1, "b": 2}, expiration_date="2030-01-01")
    memory.clock.forward(hours=1)
    path = f"/v1/memories/{memory_id}/"
    changed = memory.call("PUT", path, {"metadata": {"b": 3}})
    assert (changed["memory"], changed["metadata"], changed["expiration_date"]) == ("Likes tea", {"b": 3}, "2030-01-01")
    assert changed["created_at"] == "2026-11-20T12:00:00.000000Z"
    assert changed["updated_at"] == "2026-11-20T13:00:00.000000Z"
    assert memory.call("PUT", path, {"expiration_date": None})["expiration_date"] is None
    assert memory.call("PUT", path, {"timestamp": 0})["created_at"] == "1970-01-01T00:00:00.000000Z"
    assert memory.call("PUT", path, {}, 400) == {
        "error": "Nothing to update: give text, metadata, expiration_date, timestamp or replaced_by"
    }
    assert memory.call("PUT", path, {"text": " "}, 400) == {"error": "text must be a non-empty string"}
    assert memory.call("PUT", path, {"expiration_date": "01.02.2030"}, 400) == {
        "error": "expiration_date must be a valid date in YYYY-MM-DD format."
    }


def test_an_immutable_memory_can_only_be_deleted(memory: Bench) -> None:
    (memory_id,) = memory.remember("Born in 1990", immutable=True)
    refusal = {"error": f"Memory {memory_id} is immutable and cannot be updated; it can be deleted"}
    assert memory.call("PUT", f"/v1/memories/{memory_id}/", {"text": "Born in 1991"}, 400) == refusal
    assert memory.call("PUT", "/v1/batch/", {"memories": [{"memory_id": memory_id, "text": "x"}]}, 400) == refusal
    memory.call("DELETE", f"/v1/memories/{memory_id}/")


def test_history_tells_old_and_new_and_outlives_the_memory(memory: Bench) -> None:
    (memory_id,) = memory.remember("Likes tea", metadata={"k": 1})
    memory.call("PUT", f"/v1/memories/{memory_id}/", {"text": "Likes coffee"})
    memory.call("DELETE", f"/v1/memories/{memory_id}/")
    entries = memory.call("GET", f"/v1/memories/{memory_id}/history/")
    assert [(e["event"], e["old_memory"], e["new_memory"]) for e in entries] == [
        ("ADD", None, "Likes tea"),
        ("UPDATE", "Likes tea", "Likes coffee"),
        ("DELETE", "Likes coffee", "Likes coffee"),
    ]
    assert set(entries[0]) == {
        *("id", "memory_id", "input", "old_memory", "new_memory", "user_id", "agent_id", "app_id", "session_id"),
        *("categories", "event", "metadata", "created_at", "updated_at"),
        *("previous_embedding_qwen", "embedding_qwen"),
    }
    assert entries[0]["input"] == [{"role": "user", "content": "Likes tea"}]
    assert entries[0]["metadata"] == {"k": 1}
    everything = memory.call("GET", "/v1/memories/events/?limit=2")
    assert [entry["event"] for entry in everything["results"]] == ["DELETE", "UPDATE"]
    assert everything["count"] == 3
    assert memory.call("GET", "/v1/memories/events/?page=7", status=404) == {"detail": "Invalid page."}


def test_a_memory_is_hidden_after_the_day_it_expires_and_read_by_id_for_ever(memory: Bench) -> None:
    (memory_id,) = memory.remember("Parks in lot nine", expiration_date="2026-11-20")
    assert memory.texts() == ["Parks in lot nine"]
    memory.clock.forward(hours=11, minutes=59)
    assert memory.texts() == ["Parks in lot nine"]
    memory.clock.forward(minutes=1)
    assert memory.texts() == []
    assert memory.texts(show_expired=True) == ["Parks in lot nine"]
    assert memory.call("GET", f"/v1/memories/{memory_id}/")["expiration_date"] == "2026-11-20"


def test_deleting_linked_ones_follows_what_was_superseded(memory: Bench) -> None:
    newest, middle, oldest, other = memory.remember("Lives in Rome", "Lives in Oslo", "Lives in Bonn", "Likes tea")
    for old, new in ((middle, newest), (oldest, middle)):
        memory.engine.core.database.write(partial(_supersede, old, new))
    assert memory.texts(latest_only=True) == ["Likes tea", "Lives in Rome"]
    read = memory.call("GET", f"/v1/memories/{oldest}/")
    assert (read["replaced_by"], read["lifecycle_state"]) == (middle, "superseded")
    answer = memory.call("DELETE", f"/v1/memories/{newest}/?delete_linked=true")
    assert answer == {"message": "Memory deleted successfully!", "cascade_count": 2}
    assert memory.texts() == ["Likes tea"]
    assert memory.call("DELETE", f"/v1/memories/{other}/") == {"message": "Memory deleted successfully!"}


def _supersede(old: str, new: str, connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE memories SET replaced_by = ? WHERE id = ?", (new, old))


def test_lists_are_paged_newest_first_and_the_query_wins_over_the_body(memory: Bench) -> None:
    memory.remember(*[f"Memory {n}" for n in range(5)])
    body = {"filters": {"user_id": "alice"}, "page": 1, "page_size": 200}
    page = memory.call("POST", "/v3/memories/?page=2&page_size=2", body)
    assert [item["memory"] for item in page["results"]] == ["Memory 2", "Memory 1"]
    assert page["count"] == 5
    last = memory.call("POST", "/v3/memories/?page=4&page_size=1", body)["results"][0]
    assert last["memory"] == "Memory 1"
    assert re.fullmatch(r"http://testserver/v3/memories/\?page=3&page_size=2&after=[0-9]+\.2", page["next"])
    assert page["previous"] == "http://testserver/v3/memories/?page=1&page_size=2"
    assert memory.call("POST", "/v3/memories/?page=4&page_size=2", body, 404) == {"detail": "Invalid page."}
    empty = memory.call("POST", "/v3/memories/", {"filters": {"user_id": "nobody"}})
    assert empty == {"count": 0, "next": None, "previous": None, "results": []}
    for bad in ("page=0", "page=x", "page_size=201", "page_size=-1", "page=99999999999"):
        name = bad.split("=")[0]
        answer = memory.call("POST", f"/v3/memories/?{bad}", body, 400)
        assert answer[name][0].startswith(f"{name} must be a whole number from 1 to ")


@pytest.mark.parametrize("moment", ["same", "different"])
def test_pages_by_their_links_neither_skip_nor_repeat_while_memories_come_and_go(memory: Bench, moment: str) -> None:
    for number in range(40):
        memory.remember(f"Memory {number}")
        memory.clock.forward(seconds=0 if moment == "same" else 1)
    first = [f"Memory {number}" for number in range(40)]
    seen, path = [], "/v3/memories/?page_size=10"
    while path:
        page = memory.call("POST", path, {"filters": {"user_id": "alice"}})
        for item in page["results"]:
            seen.append(item["memory"])
            memory.call("DELETE", f"/v1/memories/{item['id']}/")
            memory.remember(f"New {item['memory']}")
        path = page["next"]
    assert seen == first[::-1]
    assert memory.call("POST", "/v3/memories/?after=x", {"filters": {"user_id": "alice"}}, 400) == {
        "after": ["after must come from the link of the page before, not 'x'."]
    }


@pytest.mark.parametrize(
    "path",
    ["/v1/memories/events/?limit=3", "/v1/events/?page_size=3", "/v1/entities/?page_size=3", "/v1/memories/user/u0/"],
)
def test_every_list_is_read_whole_by_its_links(memory: Bench, path: str) -> None:
    for number in range(7):
        memory.remember(f"Memory {number}", user_id="u0", run_id=f"r{number}")
    seen, link = [], path
    while link:
        page = memory.call("GET", link)
        seen += [item["id"] for item in page["results"]]
        link = page["next"]
    assert len(seen) == len(set(seen)) == page["count"]


def test_lists_narrow_by_dates_categories_keywords_and_fields(memory: Bench) -> None:
    memory.remember("Pizza on Monday", timestamp=1_700_000_000)
    memory.remember("A flight to Rome")
    assert memory.texts(start_date="2023-11-14", end_date="2023-11-14") == ["Pizza on Monday"]
    assert memory.texts(start_date="2023-11-15") == ["A flight to Rome"]
    assert memory.texts(categories=["travel", "music"]) == ["A flight to Rome"]
    assert memory.texts(keywords="PIZZA") == ["Pizza on Monday"]
    (item,) = memory.call(
        "POST", "/v3/memories/", {"filters": {"user_id": "alice"}, "fields": ["memory"], "page_size": 1}
    )["results"]
    assert set(item) == {"id", "memory"}
    assert memory.call("POST", "/v3/memories/", {"filters": {"user_id": "alice"}, "fields": [{}]}, 400) == {
        "fields": ["Expected a list of strings."]
    }
    assert memory.call("POST", "/v3/memories/", {"filters": {"user_id": "alice"}, "start_date": "soon"}, 400) == {
        "error": "start_date and end_date must be valid dates in YYYY-MM-DD format."
    }


def test_the_older_lists_and_adds_answer_in_their_own_shapes(memory: Bench) -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "I like tea."}], "user_id": "alice"}
    (queued,) = memory.call("POST", "/v1/memories/", body)
    assert (queued["status"], queued["message"]) == (
        *("PENDING", "Memory processing has been queued for background execution"),
    )
    memory.event(queued["event_id"])
    wrapped = memory.call("POST", "/v1/memories/", {**body, "infer": False, "version": "v2", "output_format": "v1.1"})
    known = memory.call("GET", "/v1/memories/?user_id=alice")[0]
    reason = f"memory {known['id']} has this text"
    assert wrapped == {"results": [], "relations": [], "not_stored": [{"text": "I like tea.", "reason": reason}]}
    assert memory.call("POST", "/v1/memories/", {**body, "infer": False}) == [
        {"id": None, "data": {"memory": "I like tea."}, "event": "NONE", "reason": reason}
    ]
    (v1,) = memory.call("GET", "/v1/memories/?user_id=alice")
    (v2,) = memory.call("POST", "/v2/memories/", {"filters": {"user_id": "alice"}})
    assert v1["memory"] == v2["memory"] == "I like tea."
    assert memory.call("GET", "/v1/memories/?user_id=alice&page=1")["count"] == 1
    assert memory.call("GET", "/v1/memories/?user_id=alice&metadata[k]=v") == []
    assert memory.call("GET", "/v1/memories/", status=400) == [
        "One of the filters: app_id, user_id, agent_id, run_id is required!"
    ]
    assert memory.call("GET", "/v1/memories/?user_id=alice&limit=201", status=400) == {"error": "limit must be <= 200"}
    assert memory.call("POST", "/v2/memories/", {}, 400) == {
        "message": "One of the filters: app_id, user_id, agent_id, run_id is required!"
    }


def test_a_memory_can_be_marked_as_replaced_by_a_newer_one(memory: Bench) -> None:
    oldest, old, new = memory.remember("Lives in Berlin", "Lives in Porto", "Lives in Faro")
    path = "/v1/memories/{}/"
    assert memory.call("PUT", path.format(oldest), {"replaced_by": old})["replaced_by"] == old
    assert memory.call("PUT", path.format(old), {"replaced_by": new})["lifecycle_state"] == "superseded"
    assert memory.texts(latest_only=True) == ["Lives in Faro"]
    for memory_id, newer, error in (
        (new, new, f"Memory {new} cannot be replaced by itself or by a memory it replaced"),
        (new, oldest, f"Memory {new} cannot be replaced by itself or by a memory it replaced"),
        (new, str(uuid.UUID(int=7)), f"replaced_by: no memory has the id {uuid.UUID(int=7)}"),
        (new, "newest", "replaced_by should be a valid UUID, or null"),
    ):
        assert memory.call("PUT", path.format(memory_id), {"replaced_by": newer}, 400) == {"error": error}
    assert memory.call("PUT", path.format(oldest), {"replaced_by": None})["lifecycle_state"] == "active"


def test_the_memories_of_an_entity_carry_their_input(memory: Bench) -> None:
    (memory_id,) = memory.remember("Likes tea", agent_id="history", user_id="a/b ü")
    memory.call("PUT", f"/v1/memories/{memory_id}/", {"text": "Likes coffee"})
    for path in ("/v1/memories/agent/history/", "/v1/memories/user/a%2Fb%20%C3%BC/"):
        (item,) = memory.call("GET", path)["results"]
        assert (item["memory"], item["is_updated"]) == ("Likes coffee", True)
        assert item["input"] == [{"role": "user", "content": "Likes tea"}]
    assert memory.call("GET", "/v1/memories/team/x/", status=400) == {"error": "Invalid entity type"}


def test_delete_all_needs_a_filter_and_deletes_what_it_names(memory: Bench) -> None:
    memory.remember("One", user_id="alice", metadata={"k": 1})
    memory.remember("Two", user_id="alice", run_id="r")
    memory.remember("Three", user_id="bob")
    refused = memory.call("DELETE", "/v1/memories/", status=400)
    assert refused["error"].startswith("At least one of the filters: user_id, agent_id, app_id, run_id, metadata is")
    started = memory.call("DELETE", '/v1/memories/?user_id=alice&metadata={"k":1}')
    assert started["message"] == "Delete in progress. This may take some time."
    assert memory.event(started["event_id"])["event_type"] == "DELETE_ALL"
    assert memory.texts() == ["Two"]
    memory.event(memory.call("DELETE", "/v1/memories/?run_id=*")["event_id"])
    assert memory.texts({"user_id": {"in": ["alice", "bob"]}}) == ["Three"]
    memory.remember("Four", agent_id="bot")
    everything = "/v1/memories/?user_id=*&agent_id=*&app_id=*&run_id=*"
    memory.event(memory.call("DELETE", everything)["event_id"])
    assert memory.call("GET", "/v1/stats/")["total_memories"] == 0


def test_what_is_added_after_a_delete_all_was_asked_for_stays(memory: Bench) -> None:
    memory.remember("Before")
    memory.engine.stop()
    started = memory.call("DELETE", "/v1/memories/?user_id=alice")
    memory.remember("After")
    memory.engine.start()
    memory.event(started["event_id"])
    assert memory.texts() == ["After"]


def test_a_large_delete_all_goes_in_pieces_and_ends(memory: Bench) -> None:
    for start in range(0, 1200, 400):
        memory.remember(*[f"Memory {start + n}" for n in range(400)])
    memory.event(memory.call("DELETE", "/v1/memories/?user_id=alice")["event_id"])
    assert memory.texts() == []
    assert memory.search("memory") == []


def test_a_batch_is_all_or_nothing(memory: Bench) -> None:
    one, two = memory.remember("One", "Two")
    body = {"memories": [{"memory_id": one, "text": "New"}, {"memory_id": UNKNOWN, "text": "New"}]}
    assert memory.call("PUT", "/v1/batch/", body, 404) == {
        "error": f"Memory not found! No memory has the id {UNKNOWN}; nothing was changed"
    }
    memory.call("DELETE", "/v1/batch/", body, 404)
    assert set(memory.texts()) == {"One", "Two"}
    memory.call("DELETE", "/v1/batch/", {"memories": [{"memory_id": one}, {"memory_id": two.upper()}]})
    assert memory.texts() == []


@pytest.mark.parametrize(("method", "done"), [("PUT", "updated"), ("DELETE", "deleted")])
def test_a_batch_is_bounded_and_checked(memory: Bench, method: str, done: str) -> None:
    many = [{"memory_id": str(uuid.UUID(int=n)), "text": "x"} for n in range(1001)]
    assert memory.call(method, "/v1/batch/", {"memories": many}, 400) == {
        "error": f"Maximum of 1000 memories can be {done} in a single request"
    }
    assert memory.call(method, "/v1/batch/", {"memories": [{"memory_id": "x"}]}, 400) == NO_UUID
    assert memory.call(method, "/v1/batch/", {}, 400) == {
        "error": 'memories is required: a non-empty list such as [{"memory_id": "<uuid>"}]'
    }
    assert memory.call(method, "/v1/batch/", {"memories": [many[0], many[0]]}, 400) == {
        "error": f"Memory {many[0]['memory_id']} is named twice; name each memory once"
    }


def test_feedback_is_kept_cleared_and_refused_as_at_mem0(memory: Bench) -> None:
    (memory_id,) = memory.remember("Likes tea")
    given = {"memory_id": memory_id, "feedback": "VERY_NEGATIVE", "feedback_reason": "wrong"}
    assert memory.call("POST", "/v1/feedback/", given) == {
        "id": memory_id,
        "feedback": "VERY_NEGATIVE",
        "feedback_reason": "wrong",
    }
    cleared = memory.call("POST", "/v1/feedback/", {"memory_id": memory_id, "feedback": None})
    assert cleared == {"id": memory_id, "feedback": None, "feedback_reason": None}
    assert memory.call("POST", "/v1/feedback/", {"memory_id": "x"}, 400) == {"error": "Invalid memory_id"}
    assert memory.call("POST", "/v1/feedback/", {"memory_id": memory_id, "feedback": "MEH"}, 400) == {
        "feedback": ['"MEH" is not a valid choice.']
    }
    assert memory.call("POST", "/v1/feedback/", {"memory_id": UNKNOWN}, 500) == {
        "error": f"No memory has the id {UNKNOWN}"
    }


def test_entities_come_with_their_memories_and_go_with_them(memory: Bench) -> None:
    memory.remember("One", user_id="alice", app_id="app")
    memory.call("POST", "/v1/agents/", {"agent_id": "bot", "name": "The bot", "metadata": {"v": 1}}, 201)
    listed = memory.call("GET", "/v1/entities/")
    assert (listed["count"], listed["total_users"], listed["total_agents"], listed["total_apps"]) == (3, 1, 1, 1)
    assert {(e["type"], e["name"], e["total_memories"]) for e in listed["results"]} == {
        ("user", "alice", 1),
        ("app", "app", 1),
        ("agent", "bot", 0),
    }
    (bot,) = memory.call("GET", "/v2/entities/agent/bot/")
    assert (bot["metadata"], bot["display_name"], bot["owner"]) == ({"v": 1}, "The bot", "owner@localhost")
    assert memory.call("GET", "/v2/entities/agent/nobody/") == []
    event_id = memory.call("DELETE", "/v2/entities/user/alice/")["event_id"]
    assert memory.event(event_id)["event_type"] == "DELETE_USER"
    assert memory.call("GET", "/v2/entities/user/alice/") == []
    assert memory.texts({"app_id": "app"}) == []
    assert memory.call("DELETE", "/v2/entities/team/x/", status=400) == {"message": "Invalid entity type"}
    numbered = memory.call("DELETE", f"/v1/entities/agent/{bot['id']}/")["event_id"]
    memory.event(numbered)
    assert memory.call("GET", "/v2/entities/agent/bot/") == []
    assert memory.call("DELETE", "/v1/entities/agent/bot/", status=400) == {
        "error": "Invalid entity ID. Must be an integer."
    }


@pytest.mark.parametrize("kind", ["user", "agent", "app", "run"])
def test_entities_are_made_by_hand(memory: Bench, kind: str) -> None:
    body = {f"{kind}_id": "x", **({} if kind == "user" else {"name": "The x"}), "metadata": {"v": 1}}
    made = memory.call("POST", f"/v1/{kind}s/", body, 201)
    assert made[f"{kind}_id"] == "x"
    assert set(made) >= {"id", "metadata", "created_at", "updated_at", "graph_entities", "is_deleted", "project"}
    problems = memory.call("POST", f"/v1/{kind}s/", {f"{kind}_id": ""}, 400)
    assert problems[f"{kind}_id"] == ["This field may not be blank."]
    if kind != "user":
        assert problems["name"] == ["This field is required."]
    assert memory.call("POST", f"/v1/{kind}s/", {**body, "metadata": [1]}, 400) == {"metadata": ["Must be an object."]}


def test_filter_options_name_what_is_there(memory: Bench) -> None:
    memory.remember("Pizza for dinner")
    options = memory.call("GET", "/v1/entities/filters/")
    assert options["users"] == ["alice"]
    assert options["categories"] == ["food"]
    assert options["event_type"] == ["ADD", "UPDATE", "DELETE", "SEARCH", "GET_ALL", "GET", "DELETE_ALL", "DELETE_USER"]
    assert [parameter["name"] for parameter in options["parameters"]] == ["user_id", "agent_id", "app_id", "run_id"]


def test_a_summary_is_an_array(memory: Bench) -> None:
    memory.remember("Likes tea", "Plays chess.")
    assert memory.call("POST", "/v1/summary/", {"filters": {"user_id": "alice"}}) == [
        {"summary": "Plays chess. Likes tea.", "memory_count": 2, "summarized": 2}
    ]
    assert memory.call("POST", "/v1/summary/", {"filters": {"user_id": "nobody"}}) == []


def test_an_export_is_shaped_by_its_schema(memory: Bench) -> None:
    memory.remember("I live in Oslo.", "My dog Rex is 7 years old.", "I like pizza.")
    schema = {
        "type": "object",
        "properties": {
            "home": {"type": ["string", "null"], "description": "where they live"},
            "dog": {"$ref": "#/$defs/dog"},
            "foods": {"type": "array", "items": {"type": "string"}, "description": "pizza and other food they like"},
            "car": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "memories": {
                "type": "array",
                "items": {"type": "object", "properties": {"content": {"type": "string"}, "created_at": {}}},
            },
        },
        "$defs": {"dog": {"type": "object", "properties": {"dog_years": {"type": "integer", "title": "dog age"}}}},
    }
    filters = {"AND": [{"user_id": "alice"}]}
    made = memory.call("POST", "/v1/exports/", {"schema": schema, "filters": filters}, 201)
    assert made["message"] == "Memory export request received. The export will be ready in a few seconds."
    request = {"memory_export_id": made["id"]}

    def ready() -> Any:
        answer = memory.client.post("/v1/exports/get/", json=request)
        assert answer.status_code in (200, 202)
        return answer.json() if answer.status_code == 200 else None

    export = until(ready, "the export is made")
    assert export["home"] == "I live in Oslo."
    assert export["dog"] == {"dog_years": 7}
    assert export["foods"] == ["I like pizza."]
    assert export["car"] is None
    assert [item["content"] for item in export["memories"]] == [
        "I like pizza.",
        "My dog Rex is 7 years old.",
        "I live in Oslo.",
    ]
    assert memory.call("POST", "/v1/exports/get/", {"filters": filters}) == export


def test_an_export_that_cannot_be_made_or_found_is_refused_as_at_mem0(memory: Bench) -> None:
    required = "One of the filters: app_id, user_id, agent_id, run_id, memory_export_id is required!"
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    path = "/v1/exports/"
    assert memory.call("POST", path, {"filters": {}}, 400) == {
        "message": "Schema is required and must be a valid object"
    }
    assert memory.call("POST", path, {"schema": schema, "filters": {"user_id": "a"}}, 400) == {"error": required}
    assert memory.call("POST", path, {"schema": schema}, 400) == {"error": required}
    assert memory.call("POST", "/v1/exports/get/", {}, 400) == {
        "message": "One of the filters: app_id, user_id, agent_id, run_id is required!"
    }
    assert memory.call("POST", "/v1/exports/get/", {"memory_export_id": UNKNOWN}, 404) == {
        "error": "No memory export request found"
    }


def test_profiles_depend_on_the_switch_the_schema_and_enough_memories(memory: Bench) -> None:
    memory.remember("I live in Oslo.", "I like chess.")
    path = "/v2/entities/user/alice/profile/"
    profile = memory.call("GET", path)
    assert profile == {
        "profile": {},
        "status": "not_enabled",
        "entity_type": "user",
        "entity_id": "alice",
        "updated_at": None,
        "generation_count": 0,
    }
    job: Any = {"operation": "trigger", "entity_type": "user", "entity_id": "alice"}
    key = {"Idempotency-Key": "key-00000001"}
    assert "not enabled" in memory.call("POST", "/v2/profiles/jobs/", job, 400, headers=key)["error"]
    memory.call("POST", "/v2/profiles/settings/", {"enabled": True})
    assert memory.call("GET", path)["status"] == "insufficient_data"
    assert memory.call("GET", "/v2/entities/user/nobody/profile/", status=404) == {"error": "Entity not found"}
    memory.remember("My cat is called Miso.")
    started = memory.call("POST", "/v2/profiles/jobs/", job, 202, headers=key)
    assert (started["replayed"], started["entity_count_reserved"]) == (False, 1)
    memory.event(started["event_id"])
    again = memory.call("POST", "/v2/profiles/jobs/", job, 202, headers=key)
    assert again == {**started, "replayed": True}
    memory.call("POST", "/v2/profiles/jobs/", {**job, "entity_id": "bob"}, 409, headers=key)
    done = memory.call("GET", started["status_url"])["job"]
    assert (done["status"], done["total"], done["succeeded"], done["enumeration_complete"]) == ("succeeded", 1, 1, True)
    profile = memory.call("GET", path)
    assert (profile["status"], profile["generation_count"]) == ("succeeded", 1)
    assert profile["profile"]["user_preferences"] == ["I like chess."]
    short = {"Idempotency-Key": "short"}
    assert memory.call("POST", "/v2/profiles/jobs/", job, 400, headers=short) == {
        "error": "The Idempotency-Key header is required: 8 to 128 characters"
    }


def test_flat_profile_settings_are_unsupported(memory: Bench) -> None:
    answer = memory.call("POST", "/v2/profiles/settings/", {"schema": {}}, 400)
    assert answer["error"].startswith("Unsupported settings: schema. ")
    bare: Any = {"type": "object", "properties": {"a": {"type": "string"}}}
    answer = memory.call("POST", "/v2/profiles/settings/", {"entities": {"user": {"schema": bare}}}, 400)
    assert answer == {"schema": ["Every property needs a description; missing for: a."]}
    told = {"enabled": True, "entities": {"user": {"custom_instructions": "Be kind."}}}
    memory.call("POST", "/v2/profiles/settings/", told)
    cleared = memory.call("POST", "/v2/profiles/settings/", {"entities": {"user": {"custom_instructions": None}}})
    assert (cleared["enabled"], cleared["entities"]["user"]["custom_instructions"]) == (True, None)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "nonsense"}, 'not a valid JSON Schema at "type": "nonsense" is not valid under any of'),
        ({"properties": {"a": {"type": 3}}}, 'not a valid JSON Schema at "properties/a/type": 3 is not valid under'),
        ({"$schema": "http://127.0.0.1:9/mine"}, "$schema must be one of https://json-schema.org/draft/2020-12/schema"),
        ({"$schema": 7}, "$schema must be one of https://json-schema.org/draft/2020-12/schema"),
    ],
)
def test_a_schema_that_is_not_valid_is_refused_before_it_is_stored(memory: Bench, schema: Any, reason: str) -> None:
    body = {"schema": schema, "filters": {"AND": [{"user_id": "alice"}]}}
    answer = memory.call("POST", "/v1/exports/", body, 400)
    assert answer["message"] == "Schema is required and must be a valid object"
    assert answer["reason"].startswith(reason)
    user = {
        "schema": {**schema, "properties": {"a": {"description": "x", **schema.get("properties", {}).get("a", {})}}}
    }
    assert "schema" in memory.call("POST", "/v2/profiles/settings/", {"entities": {"user": user}}, 400)


def test_an_export_that_nothing_matches_is_null(memory: Bench) -> None:
    body = {"schema": {"type": "string", "title": "shoe size"}, "filters": {"AND": [{"user_id": "alice"}]}}
    request = {"memory_export_id": memory.call("POST", "/v1/exports/", body, 201)["id"]}

    def ready() -> bool:
        return memory.client.post("/v1/exports/get/", json=request).status_code == 200

    until(ready, "the export is filled")
    assert memory.call("POST", "/v1/exports/get/", request) is None
