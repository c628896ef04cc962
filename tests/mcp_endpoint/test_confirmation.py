"""A server that asks for confirmations: the refusal with a code, its repeat, and every code that must not count."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from functions.gateway.grants import digest
from functions.gateway.json_text import Json
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.upstream import UpstreamResponse
from functions.mcp_endpoint.methods import Methods
from functions.stores import layout
from functions.stores.store import Change, Item, Key, Put, StoreUnavailable
from tests.mcp_endpoint.endpoint import Bench, CannedSender, legacy, modern, post

DELETE = "delete_a_mem_0_memory_by_id"
DELETE_ALL = "mem_0_memories_bulk_delete_by_filter"
BULK_DELETE = "mem_0_memories_bulk_delete"
UPDATE = "update_a_mem_0_memory_by_id"
SEARCH = "mem_0_memories_search"
MEMORY = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"
OTHER = "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a11"

CALLS: Mapping[str, Any] = {"2026-07-28": modern, "2025-11-25": legacy}


class Upstream(CannedSender):
    """Answers a count, a memory and a deletion, each by its verb."""

    async def send(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        self.body = {
            "POST": {"results": [], "next": None, "count": 12},
            "GET": {"id": MEMORY, "memory": "Prefers window seats."},
            "DELETE": {"message": "Memory deleted successfully!"},
        }[request.verb]
        return await super().send(request, deadline)

    def carried_out(self) -> int:
        return sum(request.verb == "DELETE" for request in self.sent)


@pytest.fixture(autouse=True)
def _upstream(bench: Bench) -> None:
    bench.sender = Upstream()


def sent(bench: Bench) -> Upstream:
    assert isinstance(bench.sender, Upstream)
    return bench.sender


def call(bench: Bench, token: str, tool: str, request: Any = modern, /, **arguments: Json) -> dict[str, Json]:
    answer = post(bench.endpoint(), token, request("tools/call", {"name": tool, "arguments": arguments}))
    assert answer.status == 200, answer.body
    result: dict[str, Json] = answer.json["result"]
    return result


def refusal(result: Mapping[str, Json]) -> dict[str, Json]:
    assert result["isError"] is True
    assert "structuredContent" not in result
    envelope: dict[str, Json] = json.loads(result["content"][0]["text"])
    assert envelope["status_code"] == 428, envelope
    assert envelope["error"] == "Precondition Required"
    return envelope


def code_of(result: Mapping[str, Json]) -> str:
    line = next(line for line in refusal(result)["message"].splitlines() if '"confirmation_code"' in line)
    return str(line.split('"confirmation_code": "')[1].split('"')[0])


@pytest.mark.parametrize("revision", CALLS)
def test_a_call_is_refused_with_a_code_and_its_repeat_is_made_once(bench: Bench, revision: str) -> None:
    token = bench.mint(confirm=("destructive",))
    asked = call(bench, token, DELETE, CALLS[revision], id=MEMORY)
    assert sent(bench).carried_out() == 0
    code = code_of(asked)
    done = call(bench, token, DELETE, CALLS[revision], id=MEMORY, confirmation_code=code)
    assert (done["isError"], done["structuredContent"]) == (False, {"message": "Memory deleted successfully!"})
    assert sent(bench).carried_out() == 1
    assert "confirmation_code" not in repr(sent(bench).sent[-1])
    for _ in range(3):
        again = call(bench, token, DELETE, CALLS[revision], id=MEMORY, confirmation_code=code)
        assert "the code was used" in refusal(again)["message"]
    assert sent(bench).carried_out() == 1


def test_the_refusal_says_what_would_be_touched(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    one = refusal(call(bench, token, DELETE, id=MEMORY))
    assert "The call would touch 1 memory." in one["message"]
    assert one["raw_response"] == {"memory": "Prefers window seats."}
    many = refusal(call(bench, token, DELETE_ALL, filters={"user_id": "usr_1"}))
    assert "The call would touch 12 memories." in many["message"]
    asked = json.loads(sent(bench).sent[-1].body or b"")
    assert (asked["filters"], asked["show_expired"]) == ({"user_id": "usr_1"}, True)
    assert "page_size=1" in sent(bench).sent[-1].query
    listed = refusal(call(bench, token, BULK_DELETE, memories=[{"memory_id": MEMORY}, {"memory_id": OTHER}]))
    assert "The call would touch 2 memories." in listed["message"]
    unknown = refusal(call(bench, token, DELETE_ALL, filters={"user_id": "usr_1", "run_id": "run_1"}))
    assert "would touch" not in unknown["message"]


def test_a_count_that_fails_leaves_the_number_unknown(bench: Bench) -> None:
    bench.sender = CannedSender(500, {"detail": "down"})
    asked = refusal(call(bench, bench.mint(confirm=("destructive",)), DELETE_ALL, filters={"user_id": "usr_1"}))
    assert "would touch" not in asked["message"]
    assert asked["raw_response"] is None
    assert "nothing was sent" in asked["message"]


def test_only_the_tools_of_the_config_are_asked_about(bench: Bench) -> None:
    by_name = bench.mint(confirm=(DELETE,))
    refusal(call(bench, by_name, DELETE, id=MEMORY))
    assert call(bench, by_name, BULK_DELETE, memories=[{"memory_id": MEMORY}])["isError"] is False
    every = bench.mint(confirm=("destructive",), id="srv_2")
    refusal(call(bench, every, UPDATE, id=MEMORY, text="Prefers aisle seats."))
    assert call(bench, every, SEARCH, query="seats", filters={"user_id": "usr_1"})["isError"] is False
    assert call(bench, bench.mint(id="srv_3"), DELETE, id=MEMORY)["isError"] is False


def test_a_code_counts_for_its_server_its_tool_and_its_arguments_only(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    code = code_of(call(bench, token, DELETE, id=MEMORY))
    elsewhere = bench.mint(confirm=("destructive",), id="srv_2")
    reason = "codes are for one server, one tool and the exact arguments"
    for where, tool, arguments in (
        (elsewhere, DELETE, {"id": MEMORY}),
        (token, UPDATE, {"id": MEMORY, "text": "x"}),
        (token, DELETE, {"id": OTHER}),
        (token, DELETE, {"id": MEMORY, "delete_linked": True}),
    ):
        assert reason in refusal(call(bench, where, tool, **arguments, confirmation_code=code))["message"]
    assert sent(bench).carried_out() == 0
    assert call(bench, token, DELETE, id=MEMORY, confirmation_code=code)["isError"] is False


def test_a_server_of_the_same_id_in_another_account_does_not_take_the_code(bench: Bench) -> None:
    """The key that signs is made of the account's data key, which the bench draws for each token."""
    code = code_of(call(bench, bench.mint(confirm=("destructive",)), DELETE, id=MEMORY))
    other = bench.mint(confirm=("destructive",))
    said = refusal(call(bench, other, DELETE, id=MEMORY, confirmation_code=code))["message"]
    assert "codes are for one server" in said


def test_a_code_in_another_spelling_is_no_second_code(bench: Bench) -> None:
    """base64 has two alphabets, and a lenient reader takes both."""
    token = bench.mint(confirm=("destructive",))
    code = next(code for _ in range(1_000) if {"-", "_"} & set(code := code_of(call(bench, token, DELETE, id=MEMORY))))
    spelled = {code.replace("-", "+"), code.replace("_", "/"), code.replace("-", "+").replace("_", "/")} - {code}
    others = (f" {code}", f"{code}\n", f"{code}=", code.encode().hex())
    for other in (*spelled, *others):
        answer = call(bench, token, DELETE, id=MEMORY, confirmation_code=other)
        assert "the code is not one for this call" in refusal(answer)["message"]
    assert sent(bench).carried_out() == 0
    assert call(bench, token, DELETE, id=MEMORY, confirmation_code=code)["isError"] is False
    for other in (code, *spelled, *others):
        refusal(call(bench, token, DELETE, id=MEMORY, confirmation_code=other))
    assert sent(bench).carried_out() == 1


@pytest.mark.parametrize("forged", ["", "x", "A" * 24, "A" * 5_000, "ü", "AAAA=", 12, None, ["a"], {"a": 1}, True])
def test_a_forged_code_is_refused_whatever_it_is(bench: Bench, forged: Json) -> None:
    token = bench.mint(confirm=("destructive",))
    result = call(bench, token, DELETE, id=MEMORY, confirmation_code=forged)
    assert result["isError"] is True
    assert sent(bench).carried_out() == 0


def test_every_changed_bit_of_a_code_is_noticed(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    code = code_of(call(bench, token, DELETE, id=MEMORY))
    for place, letter in enumerate(code):
        other = "A" if letter != "A" else "B"
        changed = code[:place] + other + code[place + 1 :]
        assert "codes are for" in refusal(call(bench, token, DELETE, id=MEMORY, confirmation_code=changed))["message"]
    assert sent(bench).carried_out() == 0


def test_the_order_of_arguments_does_not_matter(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    first = {"user_id": "usr_1", "metadata": {"a": 1, "b": [1, 2]}}
    turned = {"metadata": {"b": [1, 2], "a": 1}, "user_id": "usr_1"}
    code = code_of(call(bench, token, DELETE_ALL, filters=first))
    assert call(bench, token, DELETE_ALL, confirmation_code=code, filters=turned)["isError"] is False
    code = code_of(call(bench, token, DELETE_ALL, filters=first))
    swapped = {**first, "metadata": {"a": 1, "b": [2, 1]}}
    refusal(call(bench, token, DELETE_ALL, filters=swapped, confirmation_code=code))


def test_a_code_is_dead_at_the_second_of_its_end(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    code = code_of(call(bench, token, DELETE, id=MEMORY))
    bench.clock.move(minutes=10)
    assert "the code has expired" in refusal(call(bench, token, DELETE, id=MEMORY, confirmation_code=code))["message"]
    bench.clock.move(seconds=-1)
    assert call(bench, token, DELETE, id=MEMORY, confirmation_code=code)["isError"] is False


def test_of_many_repeats_at_once_one_is_made(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    code = code_of(call(bench, token, DELETE, id=MEMORY))
    endpoints = [bench.endpoint() for _ in range(8)]  # processes that share the store alone
    request = modern("tools/call", {"name": DELETE, "arguments": {"id": MEMORY, "confirmation_code": code}})
    start, results = threading.Barrier(len(endpoints)), []

    def repeat(endpoint: Any) -> None:
        start.wait()
        results.append(post(endpoint, token, request).json["result"]["isError"])

    threads = [threading.Thread(target=repeat, args=(endpoint,)) for endpoint in endpoints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, *[True] * 7]
    assert sent(bench).carried_out() == 1


class Down:
    """A store that does not answer."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        raise StoreUnavailable("no answer")

    def write(self, changes: Sequence[Change]) -> None:
        raise StoreUnavailable("no answer")


@pytest.mark.parametrize("store", [Down(), None])
@pytest.mark.parametrize("by", ["code", "person"])
def test_without_a_store_nothing_is_carried_out(bench: Bench, store: Any, by: str) -> None:
    token = bench.mint(confirm=("destructive",), confirm_by=by)
    code = code_of(call(bench, token, DELETE, id=MEMORY))
    endpoint = bench.endpoint(Methods(bench.settings, bench.sender, confirmations=store))
    for _ in range(3):
        request = modern("tools/call", {"name": DELETE, "arguments": {"id": MEMORY, "confirmation_code": code}})
        envelope = json.loads(post(endpoint, token, request).json["result"]["content"][0]["text"])
        assert envelope["status_code"] == 503
        assert "asks for a confirmation" in envelope["message"]
    assert sent(bench).carried_out() == 0


def test_arguments_that_are_wrong_are_told_before_a_code_is_given(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    envelope = json.loads(call(bench, token, DELETE, id="x")["content"][0]["text"])
    assert envelope["status_code"] == 400
    with_code = json.loads(call(bench, token, DELETE, confirmation_code="x")["content"][0]["text"])
    assert with_code["status_code"] == 400


def test_a_code_alone_is_no_argument_of_a_pinned_deletion(bench: Bench) -> None:
    """Under a pin the deletion needs no id, and then it needs `all`: a code must not stand for that."""
    token = bench.mint(confirm=("destructive",), pins={"user_id": "usr_1"})
    envelope = json.loads(call(bench, token, DELETE_ALL, confirmation_code="x")["content"][0]["text"])
    assert envelope["status_code"] == 400
    code = code_of(call(bench, token, DELETE_ALL, all=True))
    assert call(bench, token, DELETE_ALL, all=True, confirmation_code=code)["isError"] is False


def test_the_listing_changes_only_where_a_confirmation_is_asked_for(bench: Bench) -> None:
    plain = post(bench.endpoint(), bench.mint(id="srv_2"), modern("tools/list")).json["result"]["tools"]
    asking = post(bench.endpoint(), bench.mint(confirm=("destructive",)), modern("tools/list")).json["result"]["tools"]
    assert len(plain) == len(asking)
    for before, after in zip(plain, asking, strict=True):
        if before["annotations"]["destructiveHint"]:
            code = after["inputSchema"]["properties"].pop("confirmation_code")
            assert code == {"type": "string", "description": "The code with which this same call was refused."}
        assert before == after


def test_through_discovery_the_call_is_confirmed_too(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",), profile="discovery")
    code = code_of(call(bench, token, "call_tool", name=DELETE, arguments={"id": MEMORY}))
    inner = {"id": MEMORY, "confirmation_code": code}
    assert call(bench, token, "call_tool", name=DELETE, arguments=inner)["isError"] is False


# A person's approval.


def approve(bench: Bench, code: str, server: str = "srv_1") -> None:
    """What the management API does to the item."""
    key = layout.confirmation(server, digest(code))
    [item] = bench.store.get([key])
    assert item is not None
    bench.store.write([Put(key, {**item.body, "approved_by": "tok_1"}, item.expires_at, item.version)])


def test_without_the_approval_of_a_person_the_code_does_nothing(bench: Bench) -> None:
    bench.settings = Settings(management_url="https://admin.example/")
    token = bench.mint(confirm=("destructive",), confirm_by="person")
    asked = call(bench, token, DELETE, id=MEMORY)
    code = code_of(asked)
    assert f"https://admin.example/console#/approve/srv_1/{code}" in refusal(asked)["message"]
    for _ in range(3):
        waiting = call(bench, token, DELETE, id=MEMORY, confirmation_code=code)
        assert "no person has approved it yet" in refusal(waiting)["message"]
        assert code_of(waiting) == code, "the person may be looking at it"
    approve(bench, code)
    assert call(bench, token, DELETE, id=MEMORY, confirmation_code=code)["isError"] is False
    assert "the code was used" in refusal(call(bench, token, DELETE, id=MEMORY, confirmation_code=code))["message"]
    assert sent(bench).carried_out() == 1


def test_an_approval_counts_for_the_arguments_that_were_shown(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",), confirm_by="person")
    code = code_of(call(bench, token, DELETE, id=MEMORY))
    approve(bench, code)
    refusal(call(bench, token, DELETE, id=OTHER, confirmation_code=code))
    assert sent(bench).carried_out() == 0


def test_a_table_shows_nothing_of_a_call_that_waits(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",), confirm_by="person")
    code = code_of(call(bench, token, DELETE_ALL, filters={"user_id": "anna-weber"}))
    [item] = bench.store.get([layout.confirmation("srv_1", digest(code))])
    assert item is not None
    written = json.dumps(item.body) + item.key.partition
    for secret in ("anna-weber", code, DELETE_ALL, "12 memories"):
        assert secret not in written
    assert item.expires_at is not None
    assert item.expires_at == int((bench.clock.now + timedelta(minutes=11)).timestamp())


def test_two_codes_of_one_second_differ(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    codes = {code_of(call(bench, token, DELETE, id=MEMORY)) for _ in range(5)}
    assert len(codes) == 5


def test_codes_come_from_the_randomness_that_is_given(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    draws = itertools.count()
    methods = Methods(
        bench.settings, bench.sender, confirmations=bench.store, random=lambda n: next(draws).to_bytes(n, "big")
    )
    request = modern("tools/call", {"name": DELETE, "arguments": {"id": MEMORY}})
    first, second = (post(bench.endpoint(methods), token, request).json["result"] for _ in range(2))
    assert code_of(first)[:12] != code_of(second)[:12]


def test_a_page_is_told_how_the_call_is_repeated_without_reading_the_message(bench: Bench) -> None:
    token = bench.mint(confirm=("destructive",))
    asked: Any = call(bench, token, DELETE, id=MEMORY)
    told = asked["_meta"]["postern/confirmation"]
    assert told == {
        "argument": "confirmation_code",
        "code": code_of(asked),
        "subject": "The call would touch 1 memory.",
    }
    done: Any = call(bench, token, DELETE, id=MEMORY, **{told["argument"]: told["code"]})
    assert done["isError"] is False
    assert "postern/confirmation" not in done["_meta"]
    of_a_person: Any = call(bench, bench.mint(confirm=("destructive",), confirm_by="person"), DELETE, id=MEMORY)
    assert "link" in of_a_person["_meta"]["postern/confirmation"]
