"""The approve page's two operations: what a person sees of a call that waits, and what an approval lets happen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.gateway.settings import Settings
from functions.mcp_endpoint.methods import Methods
from tests.admin_api.conftest import Plane, ScriptedUpstream
from tests.mcp_endpoint.endpoint import Bench, CannedSender, modern, post

DELETE_ALL = "mem_0_memories_bulk_delete_by_filter"
FILTERS = {"user_id": "usr_1"}
CONFIG = {"confirm": ["destructive"], "confirm_by": "person"}


class Agent:
    """The data plane over the store of the management API, and one server there."""

    def __init__(self, plane: Plane, minted: dict[str, Any]) -> None:
        self.sender = CannedSender(body={"results": [], "next": None, "count": 3})
        self.settings = Settings(management_url="https://postern.example")
        self.plane = plane
        self.id = minted["id"]
        self.token = minted["token"]
        self.account = minted["integrated_account_id"]

    def call(self, **arguments: Any) -> dict[str, Any]:
        bench = Bench(self.plane.store, sender=self.sender, settings=self.settings)
        bench.clock.now = self.plane.clock()
        endpoint = bench.endpoint(Methods(self.settings, self.sender, confirmations=self.plane.store))
        request = modern("tools/call", {"name": DELETE_ALL, "arguments": {"filters": FILTERS, **arguments}})
        result: dict[str, Any] = post(endpoint, self.token, request).json["result"]
        return result

    def code(self) -> str:
        message: str = json.loads(self.call()["content"][0]["text"])["message"]
        return message.split('"confirmation_code": "')[1].split('"')[0]

    def path(self, *more: str, account: str = "", server: str = "") -> str:
        where = f"/integrated-account/{account or self.account}/mcp/{server or self.id}/approval"
        return "/".join([where, *more])


@pytest.fixture
def agent(plane: Plane, account: str) -> Agent:
    return Agent(plane, plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "desk", "config": CONFIG}))


def test_a_person_sees_the_call_and_approves_it_once(plane: Plane, agent: Agent) -> None:
    code = agent.code()
    seen = plane.ok("POST", agent.path(), {"code": code})
    assert seen == {
        "server": "desk",
        "tool": DELETE_ALL,
        "title": "Delete all memories of an entity",
        "arguments": '{"filters": {"user_id": "usr_1"}}',
        "arguments_chars": 33,
        "touches": "3 memories",
        "shown": None,
        "expires_at": "2026-11-21T12:10:00Z",
        "approved_by": None,
    }
    assert agent.call(confirmation_code=code)["isError"] is True
    for _ in range(3):  # a person may click twice
        approved = plane.ok("POST", agent.path("approve"), {"code": code})
        assert approved["approved_by"].startswith("tok_")
    agent.sender.body = {"message": "Memories deleted."}
    assert agent.call(confirmation_code=code)["isError"] is False
    assert agent.call(confirmation_code=code)["isError"] is True
    plane.refused("POST", agent.path("approve"), {"code": code}, status=404)


def test_a_person_sees_each_character_of_the_call(plane: Plane, agent: Agent) -> None:
    """A model could otherwise write arguments that look like others: right to left, or with what is not visible."""
    filters = {"user_id": "usr_1\u202e\u2066 tset\u200b\u00ad\u2028\U000e0041"}
    message: str = json.loads(agent.call(filters=filters)["content"][0]["text"])["message"]
    code = message.split('"confirmation_code": "')[1].split('"')[0]
    seen = plane.ok("POST", agent.path(), {"code": code})["arguments"]
    assert seen.isprintable()
    assert "\\u202e\\u2066 tset\\u200b\\u00ad\\u2028\\udb40\\udc41" in seen
    assert json.loads(seen) == {"filters": filters}
    plain = {"user_id": "usr_Ünï 東京 😀"}
    code = json.loads(agent.call(filters=plain)["content"][0]["text"])["message"].split('"confirmation_code": "')[1]
    assert plain["user_id"] in plane.ok("POST", agent.path(), {"code": code.split('"')[0]})["arguments"]


def test_the_link_of_the_refusal_leads_to_the_page_of_the_code(agent: Agent) -> None:
    message = json.loads(agent.call()["content"][0]["text"])["message"]
    assert f"https://postern.example/console#/approve/{agent.id}/" in message


def test_the_account_need_not_be_named(plane: Plane, agent: Agent) -> None:
    code = agent.code()
    assert plane.ok("POST", agent.path(account="-"), {"code": code})["tool"] == DELETE_ALL
    assert plane.ok("POST", agent.path(account="-", server="desk"), {"code": code})["tool"] == DELETE_ALL
    assert plane.ok("POST", agent.path("approve", account="-"), {"code": code})["approved_by"]


def test_an_approval_needs_an_api_token_that_may_run_the_tool(plane: Plane, agent: Agent) -> None:
    code = agent.code()
    plane.refused("POST", agent.path("approve"), {"code": code}, status=401, token="")
    for scope in ("read", "connect"):
        weak = plane.ok("POST", "/api-token", {"name": scope, "scopes": [scope]})["token"]
        plane.refused("POST", agent.path("approve"), {"code": code}, status=403, token=weak)
    caller = plane.ok("POST", "/api-token", {"name": "call", "scopes": ["call"]})
    plane.ok("POST", agent.path("approve"), {"code": code}, token=caller["token"])
    assert plane.ok("POST", agent.path(), {"code": code})["approved_by"] == caller["id"]


def test_the_url_s_own_token_approves_nothing(plane: Plane, agent: Agent) -> None:
    plane.refused("POST", agent.path("approve"), {"code": agent.code()}, status=401, token=agent.token)


def test_a_token_of_another_account_sees_no_call(plane: Plane, agent: Agent, upstream: ScriptedUpstream) -> None:
    body = {"integration": "mem0", "credentials": {"api_key": "m0-other-key"}, "base_url": upstream.url}
    upstream.valid_keys.add("m0-other-key")
    other = plane.ok("POST", "/integrated-account", body)["id"]
    limited = plane.ok("POST", "/api-token", {"name": "o", "scopes": ["call"], "account_ids": [other]})["token"]
    code = agent.code()
    plane.refused("POST", agent.path("approve"), {"code": code}, status=403, token=limited)
    for account in ("-", other):
        plane.refused("POST", agent.path("approve", account=account), {"code": code}, status=404, token=limited)
    assert agent.call(confirmation_code=code)["isError"] is True


def test_unknown_expired_and_foreign_codes_are_not_found(plane: Plane, agent: Agent, account: str) -> None:
    code = agent.code()
    second = plane.ok("POST", f"/integrated-account/{account}/mcp", {"config": CONFIG})
    for path, given in ((agent.path(), "x"), (agent.path(server=second["id"]), code)):
        refused = plane.refused("POST", path, {"code": given}, status=404)
        assert refused["message"].startswith("no call waits for an approval under this code")
    plane.clock.advance(minutes=10)
    plane.refused("POST", agent.path("approve"), {"code": code}, status=404)


def test_a_rotated_server_takes_the_code_of_before(plane: Plane, agent: Agent) -> None:
    code = agent.code()
    rotated = plane.ok("POST", f"/integrated-account/{agent.account}/mcp/{agent.id}/rotate")
    agent.token = rotated["token"]
    plane.ok("POST", agent.path("approve"), {"code": code})
    agent.sender.body = {"message": "Memories deleted."}
    assert agent.call(confirmation_code=code)["isError"] is False


def test_the_log_names_who_approved_and_never_the_code(plane: Plane, agent: Agent) -> None:
    code = agent.code()
    plane.ok("POST", agent.path("approve"), {"code": code})
    lines = [json.loads(line) for line in plane.decision_lines.getvalue().splitlines()]
    [line] = [line for line in lines if line.get("action") == "approveCall"]
    assert (line["server_id"], line["account_id"], line["outcome"]) == (agent.id, agent.account, "ok")
    assert line["principal"].startswith("tok_")
    assert code not in plane.decision_lines.getvalue()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"confirm": ["destructiv"]}, 'config.confirm: "destructiv" is unknown; did you mean "destructive"?'),
        ({"confirm": ["mem_0_memories_search"]}, "only reads; name tools that write"),
        ({"confirm_by": "person"}, "config.confirm_by has no effect without config.confirm"),
    ],
)
def test_a_config_that_confirms_nothing_is_refused(plane: Plane, account: str, config: Any, said: str) -> None:
    refused = plane.refused("POST", f"/integrated-account/{account}/mcp", {"config": config}, status=400)
    assert said in refused["message"]
