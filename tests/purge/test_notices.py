"""What the webhook hears: once for each event, signed, tried again within bounds, withdrawn when it no longer holds."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from functions.gateway.grants import write_time
from functions.gateway.settings import Settings, SettingsError
from functions.gateway.upstream import Sender
from functions.purge.notices import ATTEMPTS, MAX_SENT, Notice, round_of
from functions.purge.webhook import Webhook, key_of
from functions.stores import layout
from functions.stores.store import Delete, Put
from tests.admin_api.conftest import API_KEY, Plane, ScriptedUpstream

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
LEAD = timedelta(hours=24)


class Receiver:
    """Takes notices, or refuses the first few."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.asked: list[Notice] = []

    async def send(self, notice: Notice) -> bool:
        self.asked.append(notice)
        self.refuses -= 1
        return self.refuses < 0


def sent(plane: Plane, receiver: Receiver) -> list[tuple[str, Any]]:
    """The type and the name of what one round sends."""
    before = len(receiver.asked)
    asyncio.run(round_of(plane.store, receiver.send, plane.clock.now, LEAD))
    return [(notice.type, notice.data["name"]) for notice in receiver.asked[before:]]


def mint(plane: Plane, account: str, name: str, **lives: float) -> Any:
    ends = write_time(plane.clock.now + timedelta(**lives))
    return plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": name, "expires_at": ends})


def test_a_server_is_told_of_before_its_end_and_at_its_end_and_once_each(plane: Plane, account: str) -> None:
    mint(plane, account, "a", days=3)
    receiver = Receiver()
    assert sent(plane, receiver) == []
    plane.clock.advance(days=1, hours=23)
    assert sent(plane, receiver) == []
    plane.clock.advance(hours=1)
    assert sent(plane, receiver) == [("server.expires_soon", "a")]
    for _ in range(3):
        plane.clock.advance(hours=1)
        assert sent(plane, receiver) == []
    plane.clock.advance(hours=21)
    assert sent(plane, receiver) == [("server.expired", "a")]
    for _ in range(3):
        plane.clock.advance(minutes=5)
        assert sent(plane, receiver) == []
    soon, expired = receiver.asked
    assert soon.id != expired.id
    assert soon.data == expired.data
    assert set(soon.data) == {"mcp_server_id", "name", "integrated_account_id", "labels", "expires_at"}


def test_a_server_that_was_purged_is_told_of_all_the_same(plane: Plane, account: str) -> None:
    made = mint(plane, account, "a", hours=1)
    receiver = Receiver()
    assert sent(plane, receiver) == [], "a life shorter than the lead needs no warning"
    plane.clock.advance(hours=1)
    plane.store.write([Delete(layout.server(account, made["id"]))])
    assert sent(plane, receiver) == [("server.expired", "a")]


def test_a_notice_of_a_revoked_or_moved_server_is_withdrawn(plane: Plane, account: str) -> None:
    mint(plane, account, "revoked", hours=1)
    mint(plane, account, "moved", hours=1)
    receiver = Receiver()
    assert sent(plane, receiver) == []
    plane.ok("DELETE", f"/integrated-account/{account}/mcp/revoked")
    later = {"expires_at": write_time(plane.clock.now + timedelta(hours=2))}
    plane.ok("PATCH", f"/integrated-account/{account}/mcp/moved", later)
    assert sent(plane, receiver) == []
    plane.clock.advance(hours=1)
    assert sent(plane, receiver) == []
    plane.clock.advance(hours=1)
    assert sent(plane, receiver) == [("server.expired", "moved")]


def test_an_account_whose_credential_was_refused_is_told_of_once_until_it_changes(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    receiver = Receiver()
    name = plane.ok("GET", f"/integrated-account/{account}")["name"]
    for _ in range(3):
        plane.clock.advance(minutes=1)
        state = {"status": "needs_reauth", "at": write_time(plane.clock.now)}
        plane.store.write([Put(layout.account_state(account), state)])
        sent(plane, receiver)
    assert [(notice.type, notice.data["name"]) for notice in receiver.asked] == [("account.needs_new_credential", name)]
    plane.clock.advance(minutes=1)
    plane.ok("PATCH", f"/integrated-account/{account}", {"credentials": {"api_key": API_KEY}})
    assert sent(plane, receiver) == []
    plane.clock.advance(minutes=1)
    state = {"status": "needs_reauth", "at": write_time(plane.clock.now)}
    plane.store.write([Put(layout.account_state(account), state)])
    assert sent(plane, receiver) == [("account.needs_new_credential", name)]


def test_what_is_not_taken_is_tried_again_later_and_later_and_given_up(plane: Plane, account: str) -> None:
    mint(plane, account, "a", seconds=1)
    plane.clock.advance(seconds=1)
    receiver = Receiver(refuses=1_000)
    tries = []
    for _ in range(24 * 60):
        if sent(plane, receiver):
            tries.append(plane.clock.now)
        plane.clock.advance(minutes=1)
    waits = [(later - sooner).total_seconds() / 60 for sooner, later in pairwise(tries)]
    assert waits == [2**n for n in range(1, ATTEMPTS)]
    assert len({notice.id for notice in receiver.asked}) == 1, "every attempt is one message"


def test_a_round_sends_so_many_and_the_next_one_the_rest(plane: Plane, account: str) -> None:
    body = {"name": "agent", "count": MAX_SENT + 5, "expires_at": write_time(plane.clock.now + timedelta(minutes=1))}
    plane.ok("POST", f"/integrated-account/{account}/mcp/bulk-create", body)
    plane.clock.advance(minutes=1)
    receiver = Receiver()
    assert len(sent(plane, receiver)) == MAX_SENT
    assert len(sent(plane, receiver)) == 5
    assert sent(plane, receiver) == []


def test_two_processes_send_a_notice_once(plane: Plane, account: str) -> None:
    mint(plane, account, "a", seconds=1)
    plane.clock.advance(seconds=1)
    receiver = Receiver()

    async def both() -> None:
        rounds = [round_of(plane.store, receiver.send, plane.clock.now, LEAD) for _ in range(2)]
        await asyncio.gather(*rounds)

    asyncio.run(both())
    assert len(receiver.asked) == 1


# Over HTTP.


@pytest.fixture
def inbox() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    server.answers["POST", "/hook"] = (204, {}, b"")
    yield server
    server.close()


def deliver(plane: Plane, url: str, notice: Notice, **more: Any) -> bool:
    settings = Settings(webhook_url=url, private_upstreams=True, **more)

    async def once() -> bool:
        sender = Sender(settings)
        try:
            return await Webhook.of(settings, SECRET, sender, plane.clock).send(notice)
        finally:
            await sender.close()

    return asyncio.run(once())


def a_notice(plane: Plane) -> Notice:
    now = plane.clock.now
    return Notice("server.expired", "srv_1", now, {"name": "a", "expires_at": write_time(now)}, now)


def test_a_notice_arrives_signed_as_the_specification_says(plane: Plane, inbox: ScriptedUpstream) -> None:
    for _ in range(3):
        assert deliver(plane, f"{inbox.url}/hook", a_notice(plane))
    [first, *others] = inbox.received
    assert all(other.body == first.body for other in others)
    assert json.loads(first.body) == {
        "type": "server.expired",
        "timestamp": write_time(plane.clock.now),
        "data": {"name": "a", "expires_at": write_time(plane.clock.now)},
    }
    headers = first.headers
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"].startswith("msg_")
    assert headers["webhook-timestamp"] == str(int(plane.clock.now.timestamp()))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + first.body
    expected = base64.b64encode(hmac.new(bytes(range(32)), content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize("status", [302, 400, 410, 500])
def test_any_other_answer_means_that_it_was_not_taken(plane: Plane, inbox: ScriptedUpstream, status: int) -> None:
    inbox.answers["POST", "/hook"] = (status, {"Location": f"{inbox.url}/elsewhere"}, b"no")
    assert not deliver(plane, f"{inbox.url}/hook", a_notice(plane))
    assert [request.path for request in inbox.received] == ["/hook"]


def test_a_receiver_that_is_out_of_reach_fails_nothing(plane: Plane, inbox: ScriptedUpstream) -> None:
    inbox.close()
    assert not deliver(plane, f"{inbox.url}/hook", a_notice(plane))


@pytest.mark.parametrize(
    "url",
    ["http://example.com/hook", "https://127.0.0.1/hook", "https://169.254.169.254/", "https://hook.internal/",
     "https://user:word@example.com/", "https://example.com:22/"],
)  # fmt: skip
def test_an_address_that_no_upstream_may_have_is_refused(plane: Plane, url: str) -> None:
    settings = Settings(webhook_url=url)
    with pytest.raises(SettingsError, match="POSTERN_WEBHOOK_URL") as refused:
        Webhook.of(settings, SECRET, Sender(settings), plane.clock)
    assert "base_url" not in str(refused.value)


def test_a_name_that_resolves_into_the_network_around_us_gets_nothing(plane: Plane, inbox: ScriptedUpstream) -> None:
    settings = Settings(webhook_url="https://example.com/hook")
    webhook = Webhook(f"http://localhost:{inbox.url.rpartition(':')[2]}/hook", bytes(32), Sender(settings), plane.clock)
    assert not asyncio.run(webhook.send(a_notice(plane)))
    assert inbox.received == []


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 but long enough to be one"])
def test_a_secret_that_signs_nothing_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SettingsError) as refused:
        key_of(secret)
    assert secret.removeprefix("whsec_") not in str(refused.value) or secret in ("", "whsec_")


def test_the_secret_stays_out_of_every_repr(plane: Plane) -> None:
    settings = Settings(webhook_url="https://example.com/hook", webhook_secret=SECRET)
    webhook = Webhook.of(settings, SECRET, Sender(settings), plane.clock)
    assert SECRET not in repr(settings)
    assert repr(key_of(SECRET)) not in repr(webhook)
