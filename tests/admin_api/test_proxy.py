"""The proxy: every tool as plain HTTP, with the upstream's own status and rate limit on the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from functions.admin_api.tools.addresses import Address, address, find
from functions.admin_api.tools.arguments import read_arguments
from functions.gateway.errors import Invalid
from functions.gateway.settings import Settings
from functions.stores.store import MAX_BODY_BYTES, Change, StoreConflict
from tests.admin_api.conftest import API_KEY, Plane, ScriptedUpstream
from tests.patience import until
from tool_catalog import compiled_file

MEMORY = "7d3a1d2e-0000-4000-8000-000000000001"
LIMITS = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "17"}


def proxy(plane: Plane, account: str, verb: str, path: str, body: Any = None, **more: Any) -> Any:
    params = {"integrated_account_id": account, **more.pop("params", {})}
    return plane.call(verb, f"/proxy/{path}", body, params=params, **more)


def arguments(tool: str, query: list[tuple[str, str]], body: Any = None, tail: str = "") -> dict[str, Any]:
    content = b"" if body is None else json.dumps(body).encode()
    called = compiled_file.load("mem0").tools[tool]
    served = address(called) if tail else Address("POST", called.resource, method=called.method)
    return read_arguments(called, served, tail, query, content)


# Against the memory engine.


def until_stored(plane: Plane, account: str, event_id: str) -> None:
    def status() -> str:
        read: str = proxy(plane, account, "GET", f"events/{event_id}").json()["status"]
        return read if read in ("SUCCEEDED", "FAILED") else ""

    assert until(status, f"event {event_id} ends") == "SUCCEEDED"


def test_an_agent_adds_finds_changes_and_deletes_a_memory(plane: Plane, engine_account: str) -> None:
    user = f"usr_{engine_account}"
    added = proxy(
        plane, engine_account, "POST", "memories",
        {"messages": [{"role": "user", "content": "I am allergic to peanuts."}], "user_id": user, "infer": False},
    )  # fmt: skip
    assert added.status_code in (200, 202), added.text
    until_stored(plane, engine_account, added.json()["event_id"])

    search = {"query": "peanuts", "filters": {"user_id": user}}
    found = proxy(plane, engine_account, "POST", "memories/search", search).json()
    [memory] = found["results"] if "results" in found else found["result"]
    assert "peanuts" in memory["memory"]

    for listed in (
        proxy(plane, engine_account, "GET", "memories", params={"filters[user_id]": user}),
        proxy(plane, engine_account, "GET", "memories", params={"filters": json.dumps({"user_id": user})}),
        proxy(plane, engine_account, "POST", "memories/list", {"filters": {"user_id": user}}),
    ):
        assert listed.status_code == 200, listed.text
        assert [entry["id"] for entry in listed.json()["result"]] == [memory["id"]]

    changed = proxy(
        plane, engine_account, "PATCH", f"memories/{memory['id']}", {"text": "Allergic to peanuts and soy."}
    )
    assert changed.status_code == 200, changed.text
    assert "soy" in proxy(plane, engine_account, "GET", f"memories/{memory['id']}").json()["memory"]

    assert proxy(plane, engine_account, "DELETE", f"memories/{memory['id']}").status_code == 200
    gone = proxy(plane, engine_account, "GET", f"memories/{memory['id']}")
    assert gone.status_code == 404
    assert gone.json()["is_remote_error"] is True


# Against a scripted upstream.


def test_the_upstreams_rate_limit_and_status_are_on_the_answer(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (200, LIMITS, b'{"id": "x", "memory": "m"}')
    answer = proxy(plane, account, "GET", f"memories/{MEMORY}")
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")} == {
        "ratelimit-limit": "60",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "17",
    }
    assert answer.headers["x-upstream-status"] == "200"
    assert upstream.received[-1].headers["authorization"] == f"Token {API_KEY}"


def test_a_429_is_a_429_with_the_time_to_wait_and_is_not_retried(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (429, {**LIMITS, "Retry-After": "17"}, b'{"detail": "slow"}')
    before = len(upstream.received)
    answer = proxy(plane, account, "GET", f"memories/{MEMORY}")
    assert answer.status_code == 429
    assert (answer.headers["retry-after"], answer.headers["ratelimit-reset"]) == ("17", "17")
    assert answer.json() == {
        "statusCode": 429,
        "error": "Too Many Requests",
        "message": "get_single_mem_0_memory_by_id: Mem0 is limiting the rate of calls (429), and raw_response holds "
        "what it said. Nothing was done; wait 17 s, then repeat the call",
        "is_remote_error": True,
        "raw_response": {"detail": "slow"},
        "rate_limit": {"limit": 60, "remaining": 0, "reset_seconds": 17, "retry_after_seconds": 17},
    }
    assert len(upstream.received) == before + 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 503])
def test_an_upstream_error_keeps_its_status(
    plane: Plane, upstream: ScriptedUpstream, account: str, status: int
) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (status, {}, b'{"detail": "no"}')
    answer = proxy(plane, account, "GET", f"memories/{MEMORY}")
    assert answer.status_code == answer.json()["statusCode"] == status
    assert answer.json()["is_remote_error"] is True
    assert "www-authenticate" not in answer.headers


def test_an_upstream_that_answers_with_a_web_page_is_a_bad_gateway(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (200, {"Content-Type": "text/html"}, b"<html>")
    assert proxy(plane, account, "GET", f"memories/{MEMORY}").status_code == 502


@pytest.mark.parametrize(
    ("verb", "path", "message"),
    [
        ("GET", "memorys", 'there is no resource "memorys"; did you mean "memories"?'),
        (
            "DELETE",
            "memories",
            "DELETE /proxy/memories is not served; valid: POST /proxy/memories/remember, GET /proxy/memories",
        ),
        ("POST", "memories/serch", "POST /proxy/memories/serch is not served; valid:"),
        ("PATCH", f"events/{MEMORY}", f"PATCH /proxy/events/{MEMORY} is not served; valid:"),
    ],
)
def test_a_call_that_is_none_hears_which_there_are(
    plane: Plane, account: str, verb: str, path: str, message: str
) -> None:
    answer = proxy(plane, account, verb, path)
    assert answer.status_code == 404
    assert answer.json()["message"].startswith(message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "query: integrated_account_id is missing; it is required: the account whose tool is run"),
        (
            "?integrated_account_id=a&integrated_account_id=b",
            "query: integrated_account_id is given 2 times; give it once",
        ),
    ],
)
def test_without_one_account_nothing_is_called(plane: Plane, query: str, message: str) -> None:
    assert plane.refused("GET", f"/proxy/memories{query}", status=400)["message"] == message


def test_wrong_arguments_are_all_told_and_not_sent(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    before = len(upstream.received)
    answer = proxy(plane, account, "POST", "memories/search", {"query": "x", "user_id": "u", "top_k": "many"})
    assert answer.status_code == 400
    problems = answer.json()["details"]["problems"]
    assert '"user_id" is not a top-level argument; nest it: {"filters": {"user_id": "u"}}' in problems
    assert any(problem.startswith('"top_k"') for problem in problems)
    assert len(upstream.received) == before


# Arguments from a query.


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([("filters[user_id]", "u")], {"filters": {"user_id": "u"}}),
        ([("filters[created_at][gte]", "2026-01-01")], {"filters": {"created_at": {"gte": "2026-01-01"}}}),
        ([("filters", '{"user_id": "u"}')], {"filters": {"user_id": "u"}}),
        ([("filters", "{broken")], {"filters": "{broken"}),
        (
            [("filters[user_id][in][]", "u"), ("filters[user_id][in][]", "v")],
            {"filters": {"user_id": {"in": ["u", "v"]}}},
        ),
        ([("limit", "5"), ("show_expired", "true")], {"limit": 5, "show_expired": True}),
        ([("limit", "five")], {"limit": "five"}),
        ([("categories", "a,b")], {"categories": ["a", "b"]}),
        ([("categories[]", "a")], {"categories": ["a"]}),
        ([("categories", "a"), ("categories", "b")], {"categories": ["a", "b"]}),
        ([("categories", '["a,b"]')], {"categories": ["a,b"]}),
        ([("start_date", "2026-01-01")], {"start_date": "2026-01-01"}),
        ([("unknown", "x")], {"unknown": "x"}),
    ],
)
def test_a_query_becomes_typed_arguments(query: list[tuple[str, str]], expected: dict[str, Any]) -> None:
    assert arguments("list_all_mem_0_memories", query) == expected


@pytest.mark.parametrize(
    ("query", "body", "message"),
    [
        ([("filters[user_id", "u")], None, "cannot be read; write nested values like filters[user_id]=u1"),
        ([("[x]", "u")], None, "cannot be read"),
        ([("a" + "[b]" * 9, "u")], None, "cannot be read"),
        ([("filters", "x"), ("filters[user_id]", "u")], None, "does not fit the other parameters"),
        ([("filters[user_id]", "u"), ("filters", "x")], None, "does not fit the other parameters"),
        ([("filters[][x]", "u")], None, "does not fit the other parameters"),
        ([("limit", "5")], {"limit": 5}, '"limit" is in the query and in the body; send it once'),
        ([], [1], "the request body must be a JSON object that holds the arguments"),
    ],
)
def test_a_query_or_body_that_cannot_be_read_is_told_how(query: Any, body: Any, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        arguments("list_all_mem_0_memories", query, body)
    assert message in caught.value.message


def test_the_id_in_the_path_and_another_one_in_the_body_do_not_go_together() -> None:
    with pytest.raises(Invalid) as caught:
        arguments("get_single_mem_0_memory_by_id", [], {"id": "other"}, tail=MEMORY)
    assert caught.value.message == f'"id" is "other", and "{MEMORY}" in the path; send it once'
    assert arguments("get_single_mem_0_memory_by_id", [], {"id": MEMORY}, tail=MEMORY) == {"id": MEMORY}


def test_an_id_that_is_also_the_name_of_a_method_is_an_id() -> None:
    tool, by_id = find(compiled_file.load("mem0"), "GET", "memories", "get")
    assert tool.name == "get_single_mem_0_memory_by_id"
    assert read_arguments(tool, by_id, "get", [], b"") == {"id": "get"}
    same, by_method = find(compiled_file.load("mem0"), "POST", "memories", "get")
    assert same is tool
    assert read_arguments(tool, by_method, "get", [], b'{"id": "x"}') == {"id": "x"}


# Idempotency keys.


@pytest.fixture
def writes(upstream: ScriptedUpstream) -> list[bytes]:
    """The upstream takes deletions; the list is filled by each one."""
    done: list[bytes] = []
    upstream.answers["DELETE", f"/v1/memories/{MEMORY}/"] = (200, {}, b'{"message": "deleted"}')

    def note() -> None:
        if upstream.received[-1].verb == "DELETE":
            done.append(upstream.received[-1].path.encode())

    upstream.before_answer = note
    return done


def delete(plane: Plane, account: str, key: str, record: str = MEMORY) -> Any:
    return proxy(plane, account, "DELETE", f"memories/{record}", headers={"idempotency-key": key})


def test_a_write_repeated_with_its_key_is_answered_again_and_not_done_again(
    plane: Plane, account: str, writes: list[bytes]
) -> None:
    first = delete(plane, account, "k1")
    assert first.status_code == 200
    assert "idempotency-replayed" not in first.headers
    plane.clock.advance(hours=23)
    second = delete(plane, account, "k1")
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["idempotency-replayed"] == "true"
    assert len(writes) == 1
    delete(plane, account, "k2")
    assert len(writes) == 2


def test_a_kept_answer_is_forgotten_after_a_day(plane: Plane, account: str, writes: list[bytes]) -> None:
    delete(plane, account, "k1")
    plane.clock.advance(hours=24)
    assert "idempotency-replayed" not in delete(plane, account, "k1").headers
    assert len(writes) == 2


def test_a_key_is_for_one_call_only(plane: Plane, account: str, writes: list[bytes]) -> None:
    delete(plane, account, "k1")
    other = delete(plane, account, "k1", MEMORY.replace("1", "2"))
    assert other.status_code == 409
    assert other.json()["message"] == (
        "this Idempotency-Key was used for another call (its tool or arguments differ); use a new key for a new call, "
        "and repeat a key only with the call it was used for"
    )
    assert len(writes) == 1


def test_keys_of_two_accounts_are_apart(
    plane: Plane, upstream: ScriptedUpstream, account: str, writes: list[bytes]
) -> None:
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    other = plane.ok("POST", "/integrated-account", body)["id"]
    delete(plane, account, "k1")
    assert "idempotency-replayed" not in delete(plane, other, "k1").headers
    assert len(writes) == 2


@pytest.mark.parametrize("status", [400, 404, 429])
def test_a_write_that_was_surely_not_done_gives_its_key_back(
    plane: Plane, upstream: ScriptedUpstream, account: str, writes: list[bytes], status: int
) -> None:
    done = upstream.answers["DELETE", f"/v1/memories/{MEMORY}/"]
    upstream.answers["DELETE", f"/v1/memories/{MEMORY}/"] = (status, {}, b'{"detail": "no"}')
    assert delete(plane, account, "k1").status_code == status
    upstream.answers["DELETE", f"/v1/memories/{MEMORY}/"] = done
    assert delete(plane, account, "k1").status_code == 200
    assert len(writes) == 2


def test_a_write_that_may_have_been_done_is_not_done_again(
    plane: Plane, upstream: ScriptedUpstream, account: str, writes: list[bytes]
) -> None:
    upstream.answers["DELETE", f"/v1/memories/{MEMORY}/"] = (500, {}, b'{"detail": "oops"}')
    first = delete(plane, account, "k1")
    second = delete(plane, account, "k1")
    assert (first.status_code, second.status_code) == (500, 500)
    assert second.json() == first.json()
    assert len(writes) == 1


def test_a_write_to_an_upstream_that_is_down_gives_its_key_back(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.close()
    first, second = delete(plane, account, "k1"), delete(plane, account, "k1")
    assert (first.status_code, second.status_code) == (502, 502)
    assert "idempotency-replayed" not in second.headers


def test_a_key_in_use_is_a_conflict_and_one_whose_outcome_was_lost_says_so(
    plane: Plane, upstream: ScriptedUpstream, account: str, writes: list[bytes]
) -> None:
    """The first call still runs when the second one comes; then its process dies without an answer."""
    during: list[Any] = []
    count = upstream.before_answer

    def call_again() -> None:
        count()
        if not during:
            [item] = [
                item
                for [partition] in plane.store._writer.execute(
                    "SELECT partition FROM items WHERE partition LIKE 'IDEMPOTENCY#%'"
                ).fetchall()
                for item in plane.store.query(partition)
            ]
            during.append(item)

    upstream.before_answer = call_again
    delete(plane, account, "k1")
    [claimed] = during
    assert claimed.body["state"] == "running"
    plane.store._writer.execute("UPDATE items SET body = ? WHERE partition = ?", (
        json.dumps(claimed.body), claimed.key.partition,
    ))  # fmt: skip
    running = delete(plane, account, "k1")
    assert running.status_code == 409
    assert running.headers["retry-after"] == "1"
    assert running.json()["message"] == (
        "a call with this Idempotency-Key is still running; repeat the request in a moment"
    )
    plane.clock.advance(minutes=1)
    lost = delete(plane, account, "k1")
    assert lost.status_code == 409
    assert lost.json()["message"] == (
        "the outcome of the call with this Idempotency-Key was lost: it may or may not have been carried out. "
        "Check first; if it was not, repeat it with a new key"
    )
    assert len(writes) == 1


LOST = (
    "the outcome of the call with this Idempotency-Key was lost: it may or may not have been carried out. "
    "Check first; if it was not, repeat it with a new key"
)


def test_a_call_that_ends_in_a_fault_of_ours_loses_its_outcome_and_says_so(
    plane: Plane, account: str, writes: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise LookupError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr("functions.admin_api.tools.proxy.run", broken)
        assert delete(plane, account, "k1").status_code == 500
    for _ in range(3):
        lost = delete(plane, account, "k1")
        assert (lost.status_code, lost.json()["message"]) == (409, LOST)
    assert writes == []


class TestAnswersThatAreTooLargeToKeep:
    """A deployment may raise the bound of a result above what an item of the store holds."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        large = 2 * MAX_BODY_BYTES
        return Settings(state_dir=str(tmp_path), private_upstreams=True, max_result_bytes=large, max_string_chars=large)

    def test_the_fact_is_kept(
        self, plane: Plane, upstream: ScriptedUpstream, account: str, writes: list[bytes]
    ) -> None:
        document = {"message": "x" * MAX_BODY_BYTES}
        upstream.answers["DELETE", f"/v1/memories/{MEMORY}/"] = (200, {}, json.dumps(document).encode())
        assert delete(plane, account, "k1").json() == document
        for _ in range(3):
            again = delete(plane, account, "k1")
            assert (again.status_code, again.json()["message"]) == (
                409,
                "the call with this Idempotency-Key was carried out, but its answer was too large to keep; read the "
                "result with another call",
            )
        assert len(writes) == 1


def test_of_two_calls_that_claim_a_key_at_the_same_moment_one_is_made(
    plane: Plane, account: str, writes: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raced(changes: Sequence[Change]) -> None:
        raise StoreConflict("the other request was first")

    with monkeypatch.context() as patched:
        patched.setattr(plane.store, "write", raced)
        refused = delete(plane, account, "k1")
    assert (refused.status_code, refused.headers["retry-after"], writes) == (409, "1", [])
    assert "is still running" in refused.json()["message"]
    assert delete(plane, account, "k1").status_code == 200


def test_a_kept_answer_is_sealed(plane: Plane, upstream: ScriptedUpstream, account: str, writes: list[bytes]) -> None:
    upstream.answers["DELETE", f"/v1/memories/{MEMORY}/"] = (200, {}, b'{"message": "a very private sentence"}')
    assert delete(plane, account, "k1").json() == {"message": "a very private sentence"}
    rows = plane.store._writer.execute("SELECT body FROM items").fetchall()
    assert any('"state":"done"' in body for [body] in rows)
    assert not any("private" in body for [body] in rows)


def test_a_read_needs_no_key_and_keeps_none(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (200, {}, b'{"id": "x"}')
    for _ in range(2):
        answer = proxy(plane, account, "GET", f"memories/{MEMORY}", headers={"idempotency-key": "k"})
        assert "idempotency-replayed" not in answer.headers


def test_a_key_that_is_too_long_is_refused(plane: Plane, account: str, writes: list[bytes]) -> None:
    answer = delete(plane, account, "k" * 256)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Idempotency-Key must be 1 to 255 printable ASCII characters"
    assert writes == []


def test_the_log_says_how_an_upstream_was_not_reached(
    plane: Plane, upstream: ScriptedUpstream, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.close()
    answer = proxy(plane, account, "GET", f"memories/{MEMORY}")
    assert answer.status_code == 502
    connecting = plane.call(
        "POST",
        "/integrated-account",
        {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url},
    )
    assert connecting.status_code == 502
    told = [record.getMessage() for record in caplog.records if "UpstreamUnreachable: " in record.getMessage()]
    assert len(told) == 2
    assert all("ConnectionRefusedError" in line and line.startswith("request ") for line in told)
    assert "ConnectError" not in answer.text + connecting.text
