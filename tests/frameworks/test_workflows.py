"""Two workflows through two real agent frameworks, on the embedded memory with a rate limit, a scripted model deciding.

The frameworks live in an environment of their own (`make clients`); each agent is a process that this one talks to.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.local import Ready, start
from tests.patience import STUCK_SECONDS

ROOT = Path(__file__).parents[2]
PYTHONS = {
    "langgraph": ROOT / ".cache" / "clients" / "bin" / "python",
    "openai-agents": ROOT / ".cache" / "clients_modern" / "bin" / "python",
}
"""The environments that `make clients` makes, by framework: each has the SDK that its framework takes."""

AGENTS = {"langgraph": "langgraph_agent", "openai-agents": "openai_agent"}
PER_MINUTE = 3
"""The memory's rate limit: less than either workflow needs."""

pytestmark = pytest.mark.clients


@dataclass
class Clock:
    """The present, moved by hand."""

    now: datetime = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Endpoint:
    """A local endpoint whose clock stands still, and its memory's own API."""

    ready: Ready
    clock: Clock
    memory: httpx.Client
    sent: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, verb: str, path: str, body: Json = None) -> Json:
        """One request to the memory itself, never refused for its rate."""
        self.clock.advance(60)
        response = self.memory.request(verb, path, json=body)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def remember(self, text: str, **more: Json) -> None:
        messages = [{"role": "user", "content": text}]
        self.ask("POST", "/v3/memories/add/", {"messages": messages, "infer": False, **more})

    def memories(self, **filters: str) -> list[Json]:
        found: list[Json] = self.ask("POST", "/v3/memories/", {"filters": filters})["results"]
        return found


@pytest.fixture(name="endpoint")
def _endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    clock = Clock()
    environment = {"POSTERN_MEMORY_RATE_LIMIT_PER_MINUTE": str(PER_MINUTE)}
    with start(Settings(state_dir=str(tmp_path)), environment, clock=clock) as ready:
        headers = {"authorization": f"Token {ready.memory_api_key}"}
        with closing(httpx.Client(base_url=ready.memory_url, headers=headers, timeout=STUCK_SECONDS)) as memory:
            yield Endpoint(ready, clock, memory)


@dataclass
class Run:
    """What an agent did. `calls`: (tool, whether it failed); `refused`: places in it that were followed by a pause."""

    final: str = ""
    bound: list[str] = field(default_factory=list)
    calls: list[tuple[str, bool]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    pauses: list[int] = field(default_factory=list)

    @property
    def succeeded(self) -> list[str]:
        """Tools that answered, in order."""
        return [name for name, failed in self.calls if not failed]


def _run(endpoint: Endpoint, framework: str, policy: str) -> Run:
    """Run an agent to its end; each time it wants to wait, move the clock as far as it says."""
    assert PYTHONS[framework].exists(), "the third-party clients are not installed; run `make clients`"
    command = [str(PYTHONS[framework]), "-m", f"tests.frameworks.{AGENTS[framework]}", endpoint.ready.mcp_url, policy]
    pipe = subprocess.PIPE
    run = Run()
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=errors, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        stuck = threading.Timer(STUCK_SECONDS, process.kill)
        stuck.start()
        try:
            for line in process.stdout:
                said = json.loads(line)
                run.final = said.get("final", run.final)
                run.bound = said.get("bound", run.bound)
                if "call" in said:
                    run.calls.append((said["call"], said["error"]))
                if "pause" in said:
                    run.refused.append(len(run.calls) - 1)
                    run.pauses.append(said["pause"])
                    endpoint.clock.advance(said["pause"])
                    process.stdin.write("go\n")
                    process.stdin.flush()
        finally:
            stuck.cancel()
        status = process.wait(STUCK_SECONDS)
        errors.seek(0)
        assert status == 0, errors.read()
    return run


@pytest.mark.parametrize("framework", AGENTS)
def test_an_agent_forgets_a_person_and_waits_out_the_rate_limit(endpoint: Endpoint, framework: str) -> None:
    projects = "/api/v1/orgs/organizations/org_local/projects/"
    email = "david.miller@example.com"
    crm = endpoint.ask("POST", projects, {"name": "CRM"})["project_id"]
    for project in ("proj_local", crm):
        endpoint.ask("POST", f"{projects}{project}/members/", {"email": email, "role": "READER"})
    endpoint.ask("POST", projects, {"name": "Elsewhere"})
    endpoint.remember("Lives in Lisbon.", user_id="8472")
    endpoint.remember("Has two cats.", user_id="8472")
    endpoint.remember("Lives in Oslo.", user_id="9000")
    endpoint.clock.advance(60)

    run = _run(endpoint, framework, "right_to_be_forgotten")

    assert run.final == f"{email} left Local project, CRM; every memory of 8472 is deleted."
    assert run.succeeded == [
        "list_all_mem_0_projects",
        "list_all_mem_0_project_members",
        "delete_a_mem_0_project_member_by_id",
        "list_all_mem_0_project_members",
        "delete_a_mem_0_project_member_by_id",
        "list_all_mem_0_project_members",
        "mem_0_memories_bulk_delete_by_filter",
    ]
    _check_pauses(run)
    for project in ("proj_local", crm):
        members = endpoint.ask("GET", f"{projects}{project}/members/")["members"]
        assert email not in [member["email"] for member in members]
    assert endpoint.memories(user_id="8472") == []
    assert [memory["memory"] for memory in endpoint.memories(user_id="9000")] == ["Lives in Oslo."]


@pytest.mark.parametrize("framework", AGENTS)
def test_an_agent_tags_an_account_with_a_history_of_complaints_as_at_risk(endpoint: Endpoint, framework: str) -> None:
    endpoint.remember("Complained about latency of the dashboard.", app_id="acme_corp")
    endpoint.remember("Complained about downtime on Monday.", app_id="acme_corp")
    endpoint.remember("Complained about latency of exports.", app_id="acme_corp")
    account = {"kind": "account", "plan": "enterprise"}
    endpoint.remember("Account profile of Acme Corporation.", app_id="acme_corp", metadata=account)
    endpoint.clock.advance(60)

    run = _run(endpoint, framework, "support_history")

    assert run.final == (
        "acme_corp complained 3 times about latency or downtime this month. The account is tagged churn_risk."
    )
    assert run.calls[0] == ("mem_0_memories_search", True), "the wrong filter is refused, not ignored"
    distinct = list(dict.fromkeys(run.succeeded))
    assert distinct == [
        "mem_0_memories_search",
        "create_a_mem_0_memory",
        "get_single_mem_0_event_by_id",
        "list_all_mem_0_memories",
        "update_a_mem_0_memory_by_id",
    ]
    _check_pauses(run)
    by_text = {memory["memory"]: memory for memory in endpoint.memories(app_id="acme_corp")}
    assert by_text["Account profile of Acme Corporation."]["metadata"] == {**account, "tags": ["churn_risk"]}
    assert any("complained 3 times" in text for text in by_text), "the insight is a memory of its own"


def _check_pauses(run: Run) -> None:
    """Every refusal for the rate was followed by a pause of the seconds it told, and by the same call again."""
    assert "mem_0_memories_search" in run.bound
    assert run.refused, "the limit was never met"
    assert run.pauses == [60] * len(run.refused), "the clock stands still: a whole minute is left each time"
    for place in run.refused:
        name, _ = run.calls[place]
        assert run.calls[place : place + 2] == [(name, True), (name, False)]
