"""Rounds of 2026-07-28: what is asked, what an answer does, and states that must not count."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from functions.gateway.audit import Audit
from functions.gateway.grants import digest
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.mcp_endpoint.methods import Methods
from functions.stores import layout
from functions.stores.store import Put
from tests.mcp_endpoint.endpoint import Answer, Bench, legacy, modern, post
from tests.mcp_endpoint.test_confirmation import DELETE, DELETE_ALL, MEMORY, OTHER, Upstream
from tool_catalog.catalog import Catalog, Question
from tool_catalog.compiled_file import load

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
FORMS: Json = {CAPABILITIES: {"elicitation": {}}}
PAGES: Json = {CAPABILITIES: {"elicitation": {"url": {}}}}
YES: Json = {"confirmation": {"action": "accept", "content": {"confirm": True}}}
SEARCH = "mem_0_memories_search"


@pytest.fixture(name="upstream", autouse=True)
def _upstream(bench: Bench) -> Upstream:
    bench.sender = upstream = Upstream()
    return upstream


def sent(
    bench: Bench, token: str, tool: str, given: Json, *, meta: Json = FORMS, methods: Any = None, **more: Json
) -> Answer:
    params = {"name": tool, "arguments": given, **more}
    return post(bench.endpoint(methods), token, modern("tools/call", params, meta=meta))


def result(answer: Answer) -> dict[str, Json]:
    assert answer.status == 200, answer.body
    found: dict[str, Json] = answer.json["result"]
    return found


def asked(bench: Bench, token: str, tool: str = DELETE, given: Json = None, **more: Any) -> tuple[dict[str, Json], str]:
    """The questions and the state of a first round."""
    found = result(sent(bench, token, tool, given or {"id": MEMORY}, **more))
    assert found["resultType"] == "input_required", found
    assert "content" not in found
    return found["inputRequests"], found["requestState"]


# A confirmation.


def test_a_client_that_can_ask_is_asked_and_its_answer_carries_the_call_out(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint(confirm=("destructive",))
    questions, state = asked(bench, token)
    question = questions["confirmation"]
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] == (
        "Delete a memory (delete_a_mem_0_memory_by_id). The call would touch 1 memory. "
        f'Arguments: {{"id": "{MEMORY}"}}. Carry it out?'
    )
    assert question["params"]["requestedSchema"]["required"] == ["confirm"]
    assert upstream.carried_out() == 0
    done = result(sent(bench, token, DELETE, {"id": MEMORY}, inputResponses=YES, requestState=state))
    assert (done["resultType"], done["isError"]) == ("complete", False)
    assert upstream.carried_out() == 1


def test_a_state_that_is_sent_again_carries_nothing_out_again(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint(confirm=("destructive",))
    _, state = asked(bench, token)
    results = [
        result(sent(bench, token, DELETE, {"id": MEMORY}, inputResponses=YES, requestState=state))["resultType"]
        for _ in range(4)
    ]
    assert results == ["complete", *["input_required"] * 3]
    assert upstream.carried_out() == 1


@pytest.mark.parametrize(
    "response",
    [
        {"action": "decline"},
        {"action": "cancel"},
        {"action": "accept", "content": {"confirm": False}},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"confirm": "true"}},
        {"action": "accept"},
        {"action": "accept", "content": None},
        {"action": "accept", "content": "confirm"},
        {"action": "accept", "content": [{"confirm": True}]},
        {},
    ],
)
def test_anything_but_a_yes_is_a_no(bench: Bench, upstream: Upstream, response: Json) -> None:
    lines = io.StringIO()
    methods = Methods(bench.settings, upstream, Audit(bench.settings, None, lines), confirmations=bench.store)
    token = bench.mint(confirm=("destructive",))
    _, state = asked(bench, token, methods=methods)
    answer = {"confirmation": response}
    for _ in range(3):
        more = {"inputResponses": answer, "requestState": state}
        found = result(sent(bench, token, DELETE, {"id": MEMORY}, methods=methods, **more))
        envelope = json.loads(found["content"][0]["text"])
        assert (envelope["status_code"], found["isError"]) == (403, True)
        assert envelope["message"] == f"{DELETE}: the person who was asked declined this call; nothing was sent"
    assert upstream.carried_out() == 0
    errors = [json.loads(line)["error"] for line in lines.getvalue().splitlines()]
    assert errors == ["ConfirmationNeeded", *["Declined"] * 3]


def test_a_question_shows_each_character_of_the_arguments(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    given: Json = {"filters": {"user_id": "usr_1\u202e\u200b"}}
    found = result(sent(bench, token, DELETE_ALL, given))
    message = found["inputRequests"]["confirmation"]["params"]["message"]
    assert message.isprintable()
    assert "\\u202e\\u200b" in message


def test_a_yes_without_a_state_is_asked_again(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint(confirm=("destructive",))
    found = result(sent(bench, token, DELETE, {"id": MEMORY}, inputResponses=YES))
    assert found["resultType"] == "input_required"
    assert upstream.carried_out() == 0


def test_a_state_counts_for_its_call_alone(bench: Bench, upstream: Upstream) -> None:
    token, other = bench.mint(confirm=("destructive",)), bench.mint(confirm=("destructive",), id="srv_2")
    _, state = asked(bench, token)
    for where, tool, given in (
        (token, DELETE, {"id": OTHER}),
        (token, DELETE, {"id": MEMORY, "delete_linked": True}),
        (token, DELETE_ALL, {"filters": {"user_id": "usr_1"}}),
        (other, DELETE, {"id": MEMORY}),
    ):
        answer = sent(bench, where, tool, given, inputResponses=YES, requestState=state)
        assert (answer.status, answer.code) == (400, -32602)
        assert answer.json["error"]["message"].startswith("Invalid params: requestState is not one")
    assert upstream.carried_out() == 0


def test_a_state_is_dead_at_the_second_of_its_end(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint(confirm=("destructive",))
    _, state = asked(bench, token)
    bench.clock.move(minutes=10)
    answer = sent(bench, token, DELETE, {"id": MEMORY}, inputResponses=YES, requestState=state)
    assert answer.code == -32602
    assert upstream.carried_out() == 0


@pytest.mark.parametrize("forged", ["", "x", "A" * 120, "é", "A" * 20_000])
def test_a_forged_state_is_refused(bench: Bench, forged: str) -> None:
    token = bench.mint(confirm=("destructive",))
    assert sent(bench, token, DELETE, {"id": MEMORY}, inputResponses=YES, requestState=forged).code == -32602


def test_every_changed_part_of_a_state_is_noticed(bench: Bench, upstream: Upstream) -> None:
    token = bench.mint(confirm=("destructive",))
    _, state = asked(bench, token)
    for place in range(0, len(state) - 4, 7):
        changed = state[:place] + ("A" if state[place] != "A" else "B") + state[place + 1 :]
        answer = sent(bench, token, DELETE, {"id": MEMORY}, inputResponses=YES, requestState=changed)
        assert answer.code == -32602, place
    assert upstream.carried_out() == 0


@pytest.mark.parametrize(
    "more",
    [
        {"inputResponses": None},
        {"inputResponses": []},
        {"inputResponses": {"confirmation": 5}},
        {"requestState": 5},
        {"requestState": None},
    ],
)
def test_what_no_client_may_send_is_the_specification_s_error(bench: Bench, more: Mapping[str, Json]) -> None:
    answer = sent(bench, bench.mint(confirm=("destructive",)), DELETE, {"id": MEMORY}, **more)
    assert (answer.status, answer.code) == (400, -32602)


@pytest.mark.parametrize("able", [{}, {"sampling": {}}, {"elicitation": {"url": {}}}])
def test_a_client_that_cannot_ask_gets_the_code(bench: Bench, able: Json) -> None:
    token = bench.mint(confirm=("destructive",))
    found = result(sent(bench, token, DELETE, {"id": MEMORY}, meta={CAPABILITIES: able}))
    assert found["isError"] is True
    assert "confirmation_code" in found["content"][0]["text"]


def test_legacy_clients_get_the_code_whatever_they_send(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    params = {"name": DELETE, "arguments": {"id": MEMORY}, "inputResponses": YES, "requestState": "x"}
    found = post(bench.endpoint(), token, legacy("tools/call", params)).json["result"]
    assert "confirmation_code" in found["content"][0]["text"]


# A person's approval.


def test_a_client_that_opens_pages_is_sent_to_the_page_and_waits_there(bench: Bench, upstream: Upstream) -> None:
    bench.settings = Settings(management_url="https://admin.example")
    token = bench.mint(confirm=("destructive",), confirm_by="person")
    questions, state = asked(bench, token, meta=PAGES)
    params = questions["confirmation"]["params"]
    assert params["mode"] == "url"
    assert params["url"].startswith("https://admin.example/console#/approve/srv_1/")
    opened: Json = {"confirmation": {"action": "accept"}}
    more: dict[str, Json] = {"inputResponses": opened, "requestState": state}
    waiting = result(sent(bench, token, DELETE, {"id": MEMORY}, meta=PAGES, **more))
    assert waiting["resultType"] == "input_required"
    assert waiting["inputRequests"]["confirmation"]["params"]["url"] == params["url"]
    assert upstream.carried_out() == 0
    key = layout.confirmation("srv_1", digest(params["url"].rpartition("/")[2]))
    [item] = bench.store.get([key])
    assert item is not None
    bench.store.write([Put(key, {**item.body, "approved_by": "tok_1"}, item.expires_at, item.version)])
    more["requestState"] = waiting["requestState"]
    assert result(sent(bench, token, DELETE, {"id": MEMORY}, meta=PAGES, **more))["isError"] is False
    assert upstream.carried_out() == 1


def test_a_form_is_no_approval_of_a_person(bench: Bench) -> None:
    """A client can answer a form by itself, so such a server asks for none."""
    bench.settings = Settings(management_url="https://admin.example")
    token = bench.mint(confirm=("destructive",), confirm_by="person")
    found = result(sent(bench, token, DELETE, {"id": MEMORY}, meta=FORMS))
    assert found["isError"] is True
    assert "A person must approve the call" in found["content"][0]["text"]


# What a record asks.


def question(key: str, argument: str, take: str = "content.value", method: str = "elicitation/create") -> Question:
    return Question(key, method, {"message": f"{key}?", "requestedSchema": {"type": "object"}}, argument, take)


def asking(*rounds: tuple[Question, ...]) -> Catalog:
    loaded = load("mem0")
    return replace(loaded, tools={**loaded.tools, SEARCH: replace(loaded.tools[SEARCH], asks=rounds)})


def methods_of(bench: Bench, catalog: Catalog) -> Methods:
    return Methods(bench.settings, bench.sender, load_catalog=lambda _: catalog)


def accept(**content: Json) -> Json:
    return {"action": "accept", "content": content}


GIVEN: Json = {"query": "seats", "filters": {"user_id": "usr_1"}}


def test_rounds_follow_each_other_and_all_answers_reach_the_call(bench: Bench, upstream: Upstream) -> None:
    methods = methods_of(bench, asking((question("first", "top_k"),), (question("second", "threshold"),)))
    token = bench.mint()
    questions, one = asked(bench, token, SEARCH, GIVEN, methods=methods)
    assert set(questions) == {"first"}
    answers: Json = {"first": accept(value=3), "other": accept(value=9)}
    more: dict[str, Json] = {"inputResponses": answers, "requestState": one}
    second = result(sent(bench, token, SEARCH, GIVEN, methods=methods, **more))
    assert (second["resultType"], set(second["inputRequests"])) == ("input_required", {"second"})
    assert second["requestState"] != one
    more = {"inputResponses": {"second": accept(value=0.5)}, "requestState": second["requestState"]}
    assert result(sent(bench, token, SEARCH, GIVEN, methods=methods, **more))["isError"] is False
    body = json.loads(upstream.sent[-1].body or b"")
    assert (body["top_k"], body["threshold"], body["query"]) == (3, 0.5, "seats")


def test_what_the_caller_gives_is_not_asked_for(bench: Bench, upstream: Upstream) -> None:
    methods = methods_of(bench, asking((question("first", "top_k"),)))
    found = result(sent(bench, bench.mint(), SEARCH, {**GIVEN, "top_k": 5}, methods=methods))
    assert found["resultType"] == "complete"
    assert json.loads(upstream.sent[-1].body or b"")["top_k"] == 5


def test_an_answer_cannot_replace_what_the_caller_gave(bench: Bench, upstream: Upstream) -> None:
    methods = methods_of(bench, asking((question("first", "top_k"),)))
    given: Json = {**GIVEN, "top_k": 5}
    responses: Json = {"first": accept(value=900)}
    result(sent(bench, bench.mint(), SEARCH, given, methods=methods, inputResponses=responses))
    assert json.loads(upstream.sent[-1].body or b"")["top_k"] == 5


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_question_that_is_declined_is_not_asked_again(bench: Bench, upstream: Upstream, action: str) -> None:
    methods = methods_of(bench, asking((question("first", "top_k"),)))
    token = bench.mint()
    _, state = asked(bench, token, SEARCH, GIVEN, methods=methods)
    more: dict[str, Json] = {"inputResponses": {"first": {"action": action}}, "requestState": state}
    assert result(sent(bench, token, SEARCH, GIVEN, methods=methods, **more))["resultType"] == "complete"


def test_an_answer_in_which_nothing_can_be_looked_for_leaves_the_argument_out(bench: Bench, upstream: Upstream) -> None:
    methods = methods_of(bench, asking((question("first", "top_k", "length(content.value)"),)))
    token = bench.mint()
    for value, sent_on in (("abc", 3), (7, None), (None, None)):
        responses: Json = {"first": accept(value=value)}
        found = result(sent(bench, token, SEARCH, GIVEN, methods=methods, inputResponses=responses))
        assert (found["resultType"], found["isError"]) == ("complete", False)
        assert json.loads(upstream.sent[-1].body or b"").get("top_k") == sent_on


def test_an_answer_of_a_wrong_type_is_refused_like_any_argument(bench: Bench, upstream: Upstream) -> None:
    methods = methods_of(bench, asking((question("first", "top_k"),)))
    responses: Json = {"first": accept(value="many")}
    found = result(sent(bench, bench.mint(), SEARCH, GIVEN, methods=methods, inputResponses=responses))
    assert json.loads(found["content"][0]["text"])["status_code"] == 400
    assert upstream.sent == []


def test_a_client_is_asked_only_what_it_declared(bench: Bench) -> None:
    both = (question("first", "top_k"), question("second", "threshold", "roots", "roots/list"))
    methods = methods_of(bench, asking(both))
    cases: list[tuple[Json, set[str]]] = [
        ({"roots": {}}, {"second"}),
        ({"elicitation": {}, "roots": {}}, {"first", "second"}),
    ]
    for able, keys in cases:
        questions, _ = asked(bench, bench.mint(), SEARCH, GIVEN, methods=methods, meta={CAPABILITIES: able})
        assert set(questions) == keys
    found = result(sent(bench, bench.mint(), SEARCH, GIVEN, methods=methods, meta={CAPABILITIES: {}}))
    assert found["resultType"] == "complete"


def test_a_state_shows_nothing_of_the_answers(bench: Bench) -> None:
    methods = methods_of(bench, asking((question("first", "top_k"),), (question("second", "threshold"),)))
    token = bench.mint()
    responses: Json = {"first": accept(value="a-secret-answer")}
    found = result(sent(bench, token, SEARCH, GIVEN, methods=methods, inputResponses=responses))
    assert "secret" not in found["requestState"]
    assert "c2VjcmV0" not in found["requestState"]


# A prompt.


def prompted(bench: Bench, token: str, params: Json, meta: Json = FORMS) -> Answer:
    return post(bench.endpoint(), token, modern("prompts/get", params, meta=meta))


def test_a_prompt_that_lacks_an_argument_asks_the_person_who_started_it(bench: Bench) -> None:
    token = bench.mint()
    name = next(
        prompt.name for prompt in load("mem0").prompts.values() if any(a.default is None for a in prompt.arguments)
    )
    first = prompted(bench, token, {"name": name}).json["result"]
    assert first["resultType"] == "input_required"
    schema = first["inputRequests"]["arguments"]["params"]["requestedSchema"]
    content = dict.fromkeys(schema["required"], "usr_98765")
    answered: Json = {"arguments": {"action": "accept", "content": content}}
    second = prompted(bench, token, {"name": name, "inputResponses": answered}).json["result"]
    assert "usr_98765" in second["messages"][0]["content"]["text"]
    for wrong in ({"action": "decline"}, {"action": "accept", "content": {"x": 5}}):
        answer = prompted(bench, token, {"name": name, "inputResponses": {"arguments": wrong}})
        assert answer.code == -32602
    assert prompted(bench, token, {"name": name}, {CAPABILITIES: {}}).code == -32602
