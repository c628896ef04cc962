"""What a scripted model does in the place of a paid one: it sees only what its framework shows it, and decides by that.

A policy is a generator: it yields the next tool call, is sent that call's result, and returns its last words.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from functions.gateway.json_text import Json


@dataclass(frozen=True)
class Call:
    """One tool call of the model."""

    name: str
    arguments: dict[str, Json]


Policy = Generator[Call, Json, str]


def right_to_be_forgotten() -> Policy:
    """Take a person out of every project, then delete every memory of the user."""
    email, user_id = "david.miller@example.com", "8472"
    projects = (yield Call("list_all_mem_0_projects", {}))["result"]
    left = []
    for project in projects:
        where = {"project_id": project["project_id"]}
        members = (yield Call("list_all_mem_0_project_members", where))["result"]
        if any(member["email"] == email for member in members):
            yield Call("delete_a_mem_0_project_member_by_id", {**where, "email": email})
            left.append(project["name"])
    yield Call("mem_0_memories_bulk_delete_by_filter", {"filters": {"user_id": user_id}})
    return f"{email} left {', '.join(left)}; every memory of {user_id} is deleted."


def support_history() -> Policy:
    """Find complaints, keep an insight about them, and tag the account's own memory as at risk."""
    asked = {"query": "latency OR downtime", "filters": {"org_id": "acme_corp"}, "fields": "{id: id, memory: memory}"}
    found = yield Call("mem_0_memories_search", asked)
    if "results" not in found:  # there is no such filter, and the refusal names it
        assert "org_id" in found["message"], found
        found = yield Call("mem_0_memories_search", {**asked, "filters": {"app_id": "acme_corp"}})
    complaints = [hit["memory"] for hit in found["results"]]
    if not complaints:
        return "acme_corp has no such history."
    insight = f"acme_corp complained {len(complaints)} times about latency or downtime this month."
    added = yield Call(
        "create_a_mem_0_memory", {"messages": [{"role": "user", "content": insight}], "app_id": "acme_corp"}
    )
    event = {"status": added["status"]}
    while event["status"] not in ("SUCCEEDED", "FAILED"):
        event = yield Call("get_single_mem_0_event_by_id", {"id": added["event_id"]})
    account_filter = {"AND": [{"app_id": "acme_corp"}, {"metadata": {"kind": "account"}}]}
    [account] = (yield Call("list_all_mem_0_memories", {"filters": account_filter}))["result"]
    tagged = {**account["metadata"], "tags": ["churn_risk"]}
    yield Call("update_a_mem_0_memory_by_id", {"id": account["id"], "metadata": tagged})
    return f"{insight} The account is tagged churn_risk."


POLICIES: dict[str, Callable[[], Policy]] = {
    "right_to_be_forgotten": right_to_be_forgotten,
    "support_history": support_history,
}


class ScriptedModel:
    """One run of a policy. `decide(results)` takes every tool result of the conversation so far."""

    def __init__(self, policy: str) -> None:
        self._policy = POLICIES[policy]()
        self._seen = 0
        self._turn: Call | str = next(self._policy)

    def decide(self, results: list[Json]) -> Call | str:
        """The next call, or the last words."""
        for result in results[self._seen :]:
            try:
                self._turn = self._policy.send(result)
            except StopIteration as end:
                self._turn = end.value
        self._seen = len(results)
        return self._turn
