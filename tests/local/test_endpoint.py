"""The laptop's endpoint: one process, one folder, nothing but loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from mcp import Client

from functions import local
from functions.gateway.settings import Settings
from functions.local import LocalError, Ready
from functions.local.endpoint import repeated
from functions.local.web_server import listen
from functions.stores.store import StoreError
from tests.gateway.calling import AdvancingLoop
from tests.patience import until


def call(url: str, tool: str, arguments: dict[str, Any]) -> Any:
    """The structured content of one call through the official client."""

    async def once() -> Any:
        async with Client(url) as client:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            return result.structured_content

    return asyncio.run(once())


def remember(ready: Ready, text: str, user_id: str) -> None:
    message = {"role": "user", "content": text}
    answer = call(ready.mcp_url, "create_a_mem_0_memory", {"messages": [message], "user_id": user_id})
    event = {"id": answer["event_id"]}
    until(
        lambda: call(ready.mcp_url, "get_single_mem_0_event_by_id", event)["status"] == "SUCCEEDED",
        "the memory is there",
    )


def recall(ready: Ready, user_id: str) -> list[str]:
    found = call(ready.mcp_url, "list_all_mem_0_memories", {"filters": {"user_id": user_id}})
    return [memory["memory"] for memory in found["result"]]


def test_the_same_url_and_the_same_memories_are_there_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    with local.start(settings, {}) as first:
        remember(first, "I am allergic to peanuts.", "usr_1")
        port = int(first.base_url.rsplit(":", 1)[1])
    with local.start(settings, {}, port) as second:
        assert second == first
        assert recall(second, "usr_1") == ["I am allergic to peanuts."]


def test_remembered_facts_are_found_at_once_and_a_known_one_is_named(tmp_path: Path) -> None:
    facts = ["Anna Weber prefers window seats.", "Anna Weber lives in Porto."]
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        first = call(ready.mcp_url, "mem_0_memories_remember", {"facts": facts, "user_id": "usr_1"})
        again = call(
            ready.mcp_url, "mem_0_memories_remember", {"facts": [facts[1], "Anna has a cat."], "user_id": "usr_1"}
        )
        asked = {"query": "Where does Anna live?", "filters": {"user_id": "usr_1"}, "top_k": 1}
        found = call(ready.mcp_url, "mem_0_memories_search", asked)
    assert [stored["data"]["memory"] for stored in first["results"]] == facts
    assert [stored["data"]["memory"] for stored in again["results"]] == ["Anna has a cat."]
    assert again["not_stored"] == [{"text": facts[1], "reason": f"memory {first['results'][1]['id']} has this text"}]
    assert [memory["memory"] for memory in found["results"]] == [facts[1]]


def test_an_empty_context_says_which_kind_of_search_found_nothing(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        call(ready.mcp_url, "mem_0_memories_remember", {"facts": ["Anna lives in Porto."], "user_id": "usr_1"})
        for query in ("zebra quartz", "Anna"):
            asked = {"query": query, "filters": {"user_id": "usr_1"}}
            context = call(ready.mcp_url, "mem_0_memories_get_context", asked)
            assert context["searched_by"] == "words"
            found = [memory["memory"] for memory in context["memories"]]
            assert found == (["Anna lives in Porto."] if query == "Anna" else [])
            assert ("only words are compared" in context.get("_postern", {}).get("next", "")) is not bool(found)


def test_no_memory_is_skipped_or_repeated_while_others_come_and_go(tmp_path: Path) -> None:
    facts = [f"Fact number {number}." for number in range(23)]
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        call(ready.mcp_url, "mem_0_memories_remember", {"facts": facts, "user_id": "usr_1"})
        seen: list[str] = []
        cursor: dict[str, Any] = {}
        while True:
            asked = {"filters": {"user_id": "usr_1"}, "limit": 5, **cursor}
            page = call(ready.mcp_url, "list_all_mem_0_memories", asked)
            seen += [memory["memory"] for memory in page["result"]]
            if page["next_cursor"] is None:
                break
            cursor = {"next_cursor": page["next_cursor"]}
            for memory in page["result"][:2]:
                call(ready.mcp_url, "delete_a_mem_0_memory_by_id", {"id": memory["id"]})
            more = {"facts": [f"Came after {len(seen)}.", f"And after {len(seen)}."], "user_id": "usr_1"}
            call(ready.mcp_url, "mem_0_memories_remember", more)
    assert sorted(seen) == sorted(facts)


def test_a_start_on_another_port_keeps_the_server_and_moves_the_url(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    with local.start(settings, {}) as first:
        remember(first, "I drink green tea.", "usr_1")
    with local.start(settings, {}) as second:
        assert second.server_id == first.server_id
        assert second.mcp_url.rsplit("/", 1)[1] == first.mcp_url.rsplit("/", 1)[1]
        assert recall(second, "usr_1") == ["I drink green tea."]


def test_a_revoked_first_server_is_replaced_at_the_next_start(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    with local.start(settings, {}) as first:
        path = f"/integrated-account/{first.account_id}/mcp/{first.server_id}"
        revoked = httpx.delete(
            first.base_url + path, headers={"Authorization": f"Bearer {first.api_token}"}, verify=False
        )
        assert revoked.status_code == 200
    with local.start(settings, {}) as second:
        assert second.server_id != first.server_id
        assert second.account_id == first.account_id
        assert recall(second, "usr_1") == []


def test_files_with_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path / "state")), {}):
        for name in ("local.json", "account-keys.key"):
            assert stat.S_IMODE((tmp_path / "state" / name).stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_server_is_dead_from_the_second_of_its_expiry_on(tmp_path: Path) -> None:
    now = [datetime(2030, 1, 1, tzinfo=UTC)]
    with local.start(Settings(state_dir=str(tmp_path)), {}, clock=lambda: now[0]) as ready:
        minted = httpx.post(
            f"{ready.base_url}/integrated-account/{ready.account_id}/mcp",
            headers={"Authorization": f"Bearer {ready.api_token}"},
            json={"name": "CI", "expires_at": "2030-01-01T00:15:00Z"},
            verify=False,
        ).json()
        request = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
        now[0] += timedelta(minutes=15, microseconds=-1)
        assert httpx.post(minted["url"], json=request, verify=False).status_code == 200
        now[0] += timedelta(microseconds=1)
        dead = httpx.post(minted["url"], json=request, verify=False)
        assert dead.status_code == 200
        assert dead.json()["error"]["code"] == 40401
        assert dead.json()["id"] == 7


def test_a_foreign_host_name_is_refused_so_that_no_web_page_can_rebind_one(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        request = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert (
            httpx.post(ready.mcp_url, json=request, headers={"Host": "evil.example"}, verify=False).status_code == 421
        )


def test_the_embedded_memory_wants_its_own_key(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        ping = f"{ready.memory_url}/v1/ping/"
        assert httpx.get(ping, headers={"Authorization": "Token guessed"}, verify=False).status_code == 401
        assert (
            httpx.get(ping, headers={"Authorization": f"Token {ready.memory_api_key}"}, verify=False).status_code == 200
        )


def test_with_a_mem0_key_the_account_is_that_mem0(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path / "other")), {}) as other:
        environment = {"MEM0_API_KEY": other.memory_api_key, "MEM0_BASE_URL": other.memory_url}
        with local.start(Settings(state_dir=str(tmp_path / "mine")), environment) as mine:
            assert mine.connected_to == f"Mem0 at {other.memory_url}"
            remember(mine, "I live in Lisbon.", "usr_1")
            assert recall(other, "usr_1") == ["I live in Lisbon."]


def test_a_mem0_key_that_is_refused_stops_the_start_and_is_not_shown(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path / "other")), {}) as other:
        environment = {"MEM0_API_KEY": "m0-wrong-key", "MEM0_BASE_URL": other.memory_url}
        with (
            pytest.raises(LocalError, match="could not connect the account") as refused,
            local.start(Settings(state_dir=str(tmp_path / "mine")), environment),
        ):
            pass
        assert "m0-wrong-key" not in str(refused.value)


def test_a_taken_port_is_told_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((local.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalError) as refused, local.start(Settings(state_dir=str(tmp_path)), {}, port):
            pass
    assert str(refused.value).startswith(f"port {port} of 127.0.0.1 is taken (")
    assert str(refused.value).endswith(f"or choose another port: --port {port + 1}")


def test_a_broken_state_file_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "local.json").write_text("{", encoding="utf-8")
    with pytest.raises(LocalError) as refused, local.start(Settings(state_dir=str(tmp_path)), {}):
        pass
    expected = (
        f"{tmp_path / 'local.json'} is not valid JSON (Expecting property name enclosed in double quotes at line 1, "
        "column 2); move the file away to start with new secrets"
    )
    assert str(refused.value) == expected
    assert (tmp_path / "local.json").read_text(encoding="utf-8") == "{"


def test_every_call_leaves_one_line_without_values(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        remember(ready, "My locker code is 4711.", "usr_1")
    lines = (tmp_path / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["tool"] == "create_a_mem_0_memory"
    assert "4711" not in "".join(lines)
    assert ready.mcp_url.rsplit("/", 1)[1] not in "".join(lines)
    assert stat.S_IMODE((tmp_path / "calls.jsonl").stat().st_mode) == 0o600


def test_answers_are_sent_at_once_and_not_held_for_an_acknowledgement() -> None:
    with listen(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_memory_that_is_longer_than_a_result_is_read_by_part(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        long_text = "".join(f"{number:06} " for number in range(15_437))[:108_057].strip()
        call(ready.mcp_url, "mem_0_memories_remember", {"facts": [long_text], "user_id": "usr_1"})
        [found] = call(
            ready.mcp_url, "list_all_mem_0_memories", {"filters": {"user_id": "usr_1"}, "fields": "{id: id}"}
        )["result"]
        read, place = "", 0
        while True:
            part = call(ready.mcp_url, "get_single_mem_0_memory_by_id", {"id": found["id"], "from_character": place})
            if "_postern" not in part:
                break
            kept = part["memory"].rindex("…[cut: ")
            read, place = read + part["memory"][:kept], place + kept
        assert read + part["memory"] == long_text


@pytest.mark.parametrize(
    ("public_url", "base_path", "below"),
    [
        ("https://tunnel.example/tools", "", "https://tunnel.example/tools"),
        ("https://tunnel.example/tools/", "", "https://tunnel.example/tools"),
        ("https://tunnel.example", "tools", "https://tunnel.example"),
        ("", "/tools", "/tools"),
    ],
)
def test_a_laptop_behind_a_proxy_is_served_below_a_base_path(
    tmp_path: Path, public_url: str, base_path: str, below: str
) -> None:
    """A proxy takes the base path off, or leaves it; both are served, and minted URLs have it."""
    settings = Settings(state_dir=str(tmp_path), public_url=public_url, base_path=base_path)
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    with local.start(settings, {}) as ready:
        public = below if public_url else ready.base_url + below
        assert ready.mcp_url.startswith(f"{public}/mcp/")
        token = ready.mcp_url.rpartition("/")[2]
        bearer = {"Authorization": f"Bearer {ready.api_token}"}
        for base in ("", "/tools"):
            url = f"{ready.base_url}{base}"
            assert "result" in httpx.post(f"{url}/mcp/{token}", json=listing, verify=False).json()
            accounts = httpx.get(f"{url}/integrated-account", headers=bearer, verify=False).json()["result"]
            assert [account["id"] for account in accounts] == [ready.account_id]
            key = {"Authorization": f"Token {ready.memory_api_key}"}
            assert httpx.get(f"{url}/memory/v1/ping/", headers=key, verify=False).status_code == 200
            assert httpx.get(f"{url}/console", verify=False).status_code == 200
        minted = httpx.post(
            f"{ready.base_url}/tools/integrated-account/{ready.account_id}/mcp",
            json={"name": "x"},
            headers=bearer,
            verify=False,
        )
        assert minted.json()["url"].startswith(f"{public}/mcp/")
        assert httpx.get(f"{ready.base_url}/toolsmith/health", verify=False).status_code == 404


def test_work_that_fails_is_done_again_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """A webhook is told and expired items are removed for as long as the endpoint serves, whatever fails in between."""
    failures: list[Exception] = [ValueError("a-secret"), StoreError("the disk is full"), OSError(5, "a-path")]
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        if len(done) <= len(failures):
            raise failures[len(done) - 1]

    async def go() -> None:
        loop = cast(AdvancingLoop, asyncio.get_running_loop())
        task = asyncio.create_task(repeated(work, 30, "expired items could not be removed"))
        while len(done) < 5:
            await asyncio.sleep(0)
            loop.advance(30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        runner.run(go())
    said = [record.message for record in caplog.records if record.name == "functions.local.endpoint"]
    assert [message.rpartition(": ")[2] for message in said] == ["ValueError", "the disk is full", "OSError"]
