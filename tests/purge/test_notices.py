"""What the webhook hears: once for each event, signed, tried again within bounds, withdrawn when it no longer holds."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from functions.gateway.grants import write_time
from functions.gateway.log_entry import KeptCalls
from functions.gateway.notice import Notice
from functions.gateway.settings import Settings, SettingsError
from functions.gateway.upstream import Sender
from functions.purge.notices import AT_MOST, ATTEMPTS, round_of, rounds_of
from functions.purge.webhook import Webhook, key_of
from functions.stores import layout
from functions.stores.store import Delete, Put
from tests.admin_api.conftest import API_KEY, Plane, ScriptedUpstream
from tests.gateway.test_audit import CALL
from tests.purge.conftest import SECRET

HOUR = timedelta(hours=1)


class Died(Exception):
    """A process that ends in the middle of a round."""


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
    """The type and the name of what one round sends, sorted: it sends several at the same time."""
    before = len(receiver.asked)
    asyncio.run(round_of(plane.store, receiver.send, plane.clock.now))
    return sorted((notice.type, notice.data["name"]) for notice in receiver.asked[before:])


def waiting(plane: Plane) -> list[Notice]:
    """Every notice in the store."""
    found = [item for partition in layout.NOTICE_PARTITIONS for item in plane.store.query(partition)]
    return [Notice.from_item(item) for item in found]


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


def refuse(plane: Plane, account: str) -> None:
    """The upstream refuses the credential of the account, a minute later."""
    plane.clock.advance(minutes=1)
    entry = replace(CALL, time=plane.clock.now, request_id=f"r{plane.clock.now}", account_id=account)
    KeptCalls(plane.store, 30).keep(replace(entry, upstream_status=401).to_json())


def test_an_account_whose_credential_was_refused_is_told_of_once_until_it_changes(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    receiver = Receiver()
    name = plane.ok("GET", f"/integrated-account/{account}")["name"]
    refuse(plane, account)
    since = write_time(plane.clock.now)
    assert sent(plane, receiver) == [("account.needs_new_credential", name)]
    assert receiver.asked[0].data == {"integrated_account_id": account, "name": name, "since": since}
    for _ in range(30):
        refuse(plane, account)
        assert sent(plane, receiver) == []
    plane.clock.advance(minutes=1)
    plane.ok("PATCH", f"/integrated-account/{account}", {"credentials": {"api_key": API_KEY}})
    assert sent(plane, receiver) == []
    told = []
    for _ in range(15):
        refuse(plane, account)
        told += sent(plane, receiver)
    assert told == [("account.needs_new_credential", name)]
    plane.clock.advance(days=7)
    refuse(plane, account)
    assert sent(plane, receiver) == [("account.needs_new_credential", name)], "again after a week"


def test_a_refusal_from_before_the_present_credential_is_not_told(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    receiver = Receiver()
    refuse(plane, account)
    plane.clock.advance(minutes=1)
    plane.ok("PATCH", f"/integrated-account/{account}", {"credentials": {"api_key": API_KEY}})
    assert sent(plane, receiver) == []
    refuse(plane, account)
    plane.ok("DELETE", f"/integrated-account/{account}")
    assert sent(plane, receiver) == []
    assert waiting(plane) == []


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


def test_a_round_sends_so_many_says_how_far_it_came_and_the_next_one_sends_the_rest(plane: Plane, account: str) -> None:
    first = mint(plane, account, "a", seconds=1)
    path, ends = f"/integrated-account/{account}/mcp/bulk-create", write_time(plane.clock.now + timedelta(minutes=1))
    for name, count in (("many", AT_MOST), ("more", 5)):
        plane.ok("POST", path, {"name": name, "count": count, "expires_at": ends})
    plane.clock.advance(minutes=1)
    receiver, now = Receiver(), plane.clock.now
    came = [asyncio.run(round_of(plane.store, receiver.send, now)) for _ in range(3)]
    assert [(one.sent, one.remain) for one in came] == [(AT_MOST, True), (6, False), (0, False)]
    assert [one.reached for one in came] == [now, now, now]
    assert first["id"] in {notice.subject for notice in receiver.asked[:AT_MOST]}, "the first round has the oldest"
    assert len({notice.id for notice in receiver.asked}) == len(receiver.asked) == AT_MOST + 6


def test_rounds_end_with_what_is_due_or_with_the_time_and_say_how_far_they_came(plane: Plane, account: str) -> None:
    for number in range(2):
        body = {"name": f"agents {number}", "count": AT_MOST, "expires_at": write_time(plane.clock.now + HOUR)}
        plane.ok("POST", f"/integrated-account/{account}/mcp/bulk-create", body)
        plane.clock.advance(seconds=1)
    mint(plane, account, "last", hours=1)
    plane.clock.advance(hours=1)
    receiver, now = Receiver(), plane.clock.now
    none_left = asyncio.run(rounds_of(plane.store, receiver.send, now, lambda: False))
    assert (none_left.sent, none_left.remain, none_left.reached) == (AT_MOST, True, now - timedelta(seconds=2))
    rest = asyncio.run(rounds_of(plane.store, receiver.send, now, lambda: True))
    assert (rest.sent, rest.remain, rest.reached) == (AT_MOST + 1, False, now)


@pytest.mark.parametrize("type", ["server.expires_soon", "server.expired"])
def test_a_round_that_dies_before_it_marks_what_it_sent_sends_the_same_message_again(
    plane: Plane, account: str, type: str
) -> None:
    mint(plane, account, "a", hours=25)
    plane.clock.advance(hours=1)
    receiver = Receiver()
    if type == "server.expired":
        assert sent(plane, receiver) == [("server.expires_soon", "a")]
        plane.clock.advance(hours=24)

    async def dies(notice: Notice) -> bool:
        await receiver.send(notice)
        raise Died

    with pytest.raises(Died):
        asyncio.run(round_of(plane.store, dies, plane.clock.now))
    assert sent(plane, receiver) == [], "it waits as if it had not been taken"
    plane.clock.advance(minutes=2)
    assert sent(plane, receiver) == [(type, "a")]
    first, again = receiver.asked[-2:]
    assert (first.id, first.data) == (again.id, again.data)
    plane.clock.advance(days=1)
    rest = [one for _ in range(3) for one in sent(plane, receiver)]
    assert rest == ([("server.expired", "a")] if type == "server.expires_soon" else [])
    assert waiting(plane) == []


def test_a_warning_that_comes_late_gives_way_to_the_end(plane: Plane, account: str) -> None:
    mint(plane, account, "a", days=2)
    plane.clock.advance(days=2, hours=1)
    receiver = Receiver()
    assert sent(plane, receiver) == []
    assert sent(plane, receiver) == [("server.expired", "a")]


def test_what_ended_more_than_a_day_before_there_was_a_webhook_is_not_told(plane: Plane, account: str) -> None:
    mint(plane, account, "long ago", hours=1)
    mint(plane, account, "yesterday", hours=2)
    plane.clock.advance(hours=25)
    receiver = Receiver()
    assert sent(plane, receiver) == [("server.expired", "yesterday")]
    assert waiting(plane) == []


def test_the_end_is_told_with_the_name_and_the_labels_that_the_server_has_by_then(plane: Plane, account: str) -> None:
    receiver = Receiver()
    mint(plane, account, "long", hours=26)
    mint(plane, account, "short", hours=26, minutes=1)
    plane.ok("PATCH", f"/integrated-account/{account}/mcp/long", {"name": "renamed before"})
    plane.clock.advance(hours=3)
    assert sent(plane, receiver) == [("server.expires_soon", "long"), ("server.expires_soon", "short")]
    path = f"/integrated-account/{account}/mcp"
    plane.ok("PATCH", f"{path}/short", {"name": "renamed after", "labels": {"team": "b"}})
    plane.clock.advance(hours=24)
    assert sent(plane, receiver) == [("server.expired", "renamed after"), ("server.expired", "renamed before")]
    labels = {str(notice.data["name"]): notice.data["labels"] for notice in receiver.asked}
    assert labels["renamed after"] == {"team": "b"}


def test_the_notices_of_a_revoked_server_and_of_a_removed_account_are_gone_with_them(
    plane: Plane, account: str
) -> None:
    for name, hours in (("a", 1), ("b", 100), ("c", 1), ("d", 100)):
        mint(plane, account, name, hours=hours)
    plane.clock.advance(minutes=30)
    for name in ("a", "b"):
        plane.ok("DELETE", f"/integrated-account/{account}/mcp/{name}")
    assert len(waiting(plane)) == 2
    plane.ok("DELETE", f"/integrated-account/{account}")
    assert waiting(plane) == []


def test_a_server_that_expired_is_told_of_when_its_account_is_removed_before_the_round(
    plane: Plane, account: str
) -> None:
    mint(plane, account, "a", hours=1)
    plane.clock.advance(hours=1)
    plane.ok("DELETE", f"/integrated-account/{account}")
    assert sent(plane, Receiver()) == [("server.expired", "a")]


def test_an_item_that_cannot_be_read_holds_up_no_other(
    plane: Plane, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of another version, or written by a hand: the notice itself, and the server that one is about."""
    caplog.set_level(logging.WARNING, logger="functions.purge.notices")
    receiver = Receiver()
    minted = {name: mint(plane, account, name, days=3) for name in ("broken", "whole")}
    server = layout.server(account, minted["broken"]["id"])
    plane.store.write([Put(server, {"id": minted["broken"]["id"]})])
    due = Notice("server.expired", "srv_odd", plane.clock.now, {}, plane.clock.now)
    for number in range(AT_MOST + 1):
        key = replace(due, subject=f"srv_odd{number}").key
        plane.store.write([Put(key, {"type": "server.expired"})])
    plane.clock.advance(days=2, hours=1)
    asyncio.run(rounds_of(plane.store, receiver.send, plane.clock.now, lambda: True))
    assert [(notice.type, notice.data["name"]) for notice in receiver.asked] == [("server.expires_soon", "whole")]
    assert sum(record.name == "functions.purge.notices" for record in caplog.records) == AT_MOST + 2
    assert {notice.subject for notice in waiting(plane)} == {minted["whole"]["id"]}


def test_two_processes_send_a_notice_once(plane: Plane, account: str) -> None:
    mint(plane, account, "a", seconds=1)
    plane.clock.advance(seconds=1)
    receiver = Receiver()

    async def both() -> None:
        rounds = [round_of(plane.store, receiver.send, plane.clock.now) for _ in range(2)]
        await asyncio.gather(*rounds)

    asyncio.run(both())
    assert len(receiver.asked) == 1


# Over HTTP.


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
