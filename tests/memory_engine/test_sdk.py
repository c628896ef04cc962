"""Mem0's own client, sync and async, over its whole surface: it cannot tell the engine from Mem0."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from functions.memory_engine.app import create_app
from functions.memory_engine.settings import EngineSettings
from tests.memory_engine.conftest import KEY, served
from tests.patience import until


def _mem0(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


class Sync:
    """Calls of the async client, awaited, so that one test drives both."""

    def __init__(self, target: Any, run: Callable[[Any], Any]) -> None:
        self._target = target
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name == "project":
            return Sync(found, self._run)
        if not inspect.iscoroutinefunction(found):
            return found
        return lambda *args, **options: self._run(found(*args, **options))


@pytest.fixture(scope="module", name="url")
def _url() -> Iterator[str]:
    with served(create_app(EngineSettings(api_keys=(KEY,)))) as url:
        yield url


@pytest.fixture(params=["MemoryClient", "AsyncMemoryClient"], name="sdk")
def _sdk(request: pytest.FixtureRequest, url: str) -> Iterator[Any]:
    mem0 = _mem0("mem0")
    if request.param == "MemoryClient":
        client = mem0.MemoryClient(api_key=KEY, host=url)
        yield client
        client.client.close()
        return
    loop = asyncio.new_event_loop()
    client = mem0.AsyncMemoryClient(api_key=KEY, host=url)
    yield Sync(client, loop.run_until_complete)
    loop.run_until_complete(client.async_client.aclose())
    loop.close()


@pytest.fixture(name="who")
def _who(request: pytest.FixtureRequest) -> str:
    """A user of this test alone."""
    return f"user of {request.node.name}"


def _exceptions() -> Any:
    return _mem0("mem0.exceptions")


def _remember(sdk: Any, who: str, *texts: str, **options: Any) -> list[str]:
    messages = [{"role": "user", "content": text} for text in texts]
    return [item["id"] for item in sdk.add(messages, user_id=who, infer=False, **options)["results"]]


def test_the_client_accepts_the_ping_and_knows_its_project(sdk: Any) -> None:
    assert (sdk.org_id, sdk.project_id, sdk.user_email) == ("org_local", "proj_local", "owner@localhost")


def test_the_client_refuses_a_wrong_key_with_mem0s_text(url: str) -> None:
    refused = pytest.raises(ValueError, match=r"^Error: Invalid API key\. You can find your API key on")
    with httpx.Client() as client, refused:
        _mem0("mem0").MemoryClient(api_key="wrong", host=url, client=client)


def test_an_inferred_add_is_pending_first_and_found_later(sdk: Any, who: str) -> None:
    answer = sdk.add("I moved to Lisbon in March. How are you?", user_id=who)
    assert set(answer) == {"event_id", "status"}
    assert answer["status"] == "PENDING"
    listed = until(lambda: sdk.get_all(filters={"user_id": who})["results"], "the memory appears")
    assert [item["memory"] for item in listed] == ["I moved to Lisbon in March."]


def test_add_options_with_ids_in_filters_are_understood(sdk: Any, who: str) -> None:
    options = _mem0("mem0.client.types").AddMemoryOptions(filters={"user_id": who}, infer=False, metadata={"k": 1})
    assert sdk.add("Verbatim.", options)["status"] == "SUCCEEDED"
    assert sdk.get_all(filters={"user_id": who})["results"][0]["metadata"] == {"k": 1}


def test_search_and_list_give_scores_and_pages(sdk: Any, who: str) -> None:
    _remember(sdk, who, "Plays the cello.", "Owns a sailing boat.", "Collects stamps.")
    best = sdk.search("sailing boats", filters={"user_id": who}, top_k=5, threshold=0.1, rerank=True)["results"]
    assert [item["memory"] for item in best] == ["Owns a sailing boat."]
    assert 0 < best[0]["score"] <= 1
    page = sdk.get_all(filters={"user_id": who}, page=2, page_size=2)
    assert (page["count"], len(page["results"]), page["next"]) == (3, 1, None)
    assert "page=1&page_size=2" in page["previous"]


def test_one_memory_is_read_updated_and_deleted_with_its_history(sdk: Any, who: str) -> None:
    (memory_id,) = _remember(sdk, who, "Drives a van.")
    updated = sdk.update(memory_id, text="Drives a lorry.", metadata={"v": 2}, expiration_date="2030-01-01")
    assert (updated["memory"], updated["metadata"], updated["expiration_date"]) == (
        *("Drives a lorry.", {"v": 2}, "2030-01-01"),
    )
    assert sdk.update(memory_id, expiration_date=None)["expiration_date"] is None
    assert sdk.get(memory_id)["memory"] == "Drives a lorry."
    assert sdk.feedback(memory_id, "positive", "right") == {
        "id": memory_id,
        "feedback": "POSITIVE",
        "feedback_reason": "right",
    }
    assert sdk.delete(memory_id, delete_linked=True) == {
        "message": "Memory deleted successfully!",
        "cascade_count": 0,
    }
    entries = sdk.history(memory_id)
    assert [entry["event"] for entry in entries] == ["ADD", "UPDATE", "UPDATE", "DELETE"]
    assert (entries[1]["old_memory"], entries[1]["new_memory"]) == ("Drives a van.", "Drives a lorry.")
    with pytest.raises(_exceptions().MemoryNotFoundError):
        sdk.get(memory_id)
    with pytest.raises(_exceptions().ValidationError):
        sdk.get("no-uuid")


def test_batches_change_and_delete_many(sdk: Any, who: str) -> None:
    ids = _remember(sdk, who, "One.", "Two.")
    assert sdk.batch_update([{"memory_id": one, "text": f"New {one}"} for one in ids]) == {
        "message": "Successfully updated 2 memories"
    }
    assert {item["memory"] for item in sdk.get_all(filters={"user_id": who})["results"]} == {f"New {i}" for i in ids}
    assert sdk.batch_delete([{"memory_id": one} for one in ids]) == {"message": "Successfully deleted 2 memories"}
    assert sdk.get_all(filters={"user_id": who})["count"] == 0


def test_delete_all_and_delete_users_work_in_the_background(sdk: Any, who: str) -> None:
    _remember(sdk, who, "One.", "Two.")
    answer = sdk.delete_all(user_id=who)
    assert answer["message"] == "Delete in progress. This may take some time."
    until(lambda: sdk.get_all(filters={"user_id": who})["count"] == 0, "the memories go")
    assert who in {entity["name"] for entity in sdk.users()["results"]}
    slashed = f"{who}/with a slash?"
    _remember(sdk, slashed, "Here.")
    assert sdk.delete_users(user_id=slashed) == {"message": "Entity deleted successfully."}
    until(lambda: slashed not in {e["name"] for e in sdk.users()["results"]}, "the user goes")


def test_the_clients_delete_all_bug_is_refused_and_deletes_nothing(sdk: Any, who: str) -> None:
    _remember(sdk, who, "Kept.")
    options = _mem0("mem0.client.types").DeleteAllMemoryOptions(filters={"user_id": who})
    with pytest.raises(_exceptions().ValidationError):
        sdk.delete_all(options)
    assert sdk.get_all(filters={"user_id": who})["count"] == 1


def test_exports_and_summaries_are_made(sdk: Any, who: str) -> None:
    _remember(sdk, who, "Grows tomatoes.")
    schema = {"type": "object", "properties": {"memories": {"type": "array", "items": {"type": "string"}}}}
    made = sdk.create_memory_export(schema=schema, filters={"AND": [{"user_id": who}]}, export_instructions="all")
    ready = until(
        lambda: (got := sdk.get_memory_export(memory_export_id=made["id"])).get("status") != "PENDING" and got,
        "the export is made",
    )
    assert ready == {"memories": ["Grows tomatoes."]}
    assert sdk.get_summary(filters={"user_id": who})[0]["summary"] == "Grows tomatoes."


def test_webhooks_are_kept(sdk: Any) -> None:
    project = sdk.project_id
    made = sdk.create_webhook("https://example.com/hook", "hook", project, ["memory_add"])
    assert made["webhook_id"] in {hook["webhook_id"] for hook in sdk.get_webhooks(project)}
    assert sdk.update_webhook(made["webhook_id"], name="renamed") == {"message": "Webhook updated successfully"}
    assert sdk.delete_webhook(made["webhook_id"]) == {"message": "Webhook deleted successfully"}
    assert made["webhook_id"] not in {hook["webhook_id"] for hook in sdk.get_webhooks(project)}


def test_the_project_and_its_members_are_managed(sdk: Any) -> None:
    assert sdk.project.update(custom_instructions="Only facts.", custom_categories=[{"a": "b"}]) == {
        "message": "Project updated successfully"
    }
    project = sdk.project.get(fields=["custom_instructions"])
    assert (project["custom_instructions"], project["custom_categories"]) == ("Only facts.", [{"a": "b"}])
    assert sdk.project.add_member("reader@example.com", "READER") == {
        "message": "User added to the project successfully."
    }
    assert sdk.project.update_member("reader@example.com", "OWNER") == {"message": "User role updated successfully."}
    roles = {member["username"]: member["role"] for member in sdk.project.get_members()["members"]}
    assert roles["reader@example.com"] == "OWNER"
    assert sdk.project.remove_member("reader@example.com") == {"message": "Member removed from the project"}
    assert sdk.project.create("Second", "another")["message"] == "Project created successfully."


def test_profiles_are_made_when_they_are_enabled(sdk: Any, who: str) -> None:
    _remember(sdk, who, "I like chess.", "I live in Oslo.", "My sister is Ann.")
    sdk.update_profile_settings(enabled=False)
    assert sdk.get_profile(who)["status"] == "not_enabled"
    schema = {"type": "object", "properties": {"home": {"type": "string", "description": "where they live"}}}
    settings = sdk.update_profile_settings(enabled=True, schema=schema)
    assert settings == sdk.get_profile_settings()
    job = sdk.generate_profile(who)
    done = until(
        lambda: (got := sdk.get_profile_job(job["status_url"])["job"])["status"] == "succeeded" and got, "the job ends"
    )
    assert (done["completed"], done["succeeded"]) == (1, 1)
    profile = sdk.get_profile(who)
    assert (profile["status"], profile["profile"]) == ("succeeded", {"home": "I live in Oslo."})
    assert sdk.sample_profiles(1)["sampled"] == 1


def test_reset_leaves_nothing(sdk: Any, who: str) -> None:
    _remember(sdk, who, "One.")
    sdk.reset()
    until(lambda: sdk.users()["count"] == 0, "every entity goes")


def test_a_refused_filter_reaches_the_caller_with_mem0s_words(sdk: Any) -> None:
    with pytest.raises(_exceptions().ValidationError) as refused:
        sdk.search("q", filters={"user_id": "*"})
    assert "must include at least one positively-scoped entity ID" in str(refused.value)
