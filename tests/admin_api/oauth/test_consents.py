"""An operator sees who signed in to a server and with which client, and ends one of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from functions.gateway.grants import write_time
from functions.gateway.json_text import Json
from functions.stores import layout
from tests.admin_api.oauth.conftest import SignIns

OTHER = "A" * 22


def of_server(sign_ins: SignIns, url: str) -> str:
    """The path of the consents of the server that has this URL."""
    servers = sign_ins.plane.ok("GET", f"/integrated-account/{sign_ins.account}/mcp")["result"]
    grant = sign_ins.plane.behind(url.rsplit("/", 1)[1])
    assert grant is not None
    assert grant.id in [server["id"] for server in servers]
    return f"/integrated-account/{sign_ins.account}/mcp/{grant.id}/consent"


def ids(sign_ins: SignIns, path: str) -> set[str]:
    page = sign_ins.plane.ok("GET", path)
    assert page["next_cursor"] is None
    return {consent["id"] for consent in page["result"]}


def test_who_signed_in_with_which_client_and_since_when_is_listed_for_each_server(sign_ins: SignIns) -> None:
    url, other = sign_ins.mint(), sign_ins.mint()
    path = of_server(sign_ins, url)
    assert ids(sign_ins, path) == set()
    since, person = write_time(sign_ins.plane.clock.now), sign_ins.issue()
    client_id, tokens = sign_ins.sign_in(url, person["token"])
    sign_ins.sign_in(other, person["token"])
    [listed] = sign_ins.plane.ok("GET", path)["result"]
    assert listed == {
        "id": tokens["access_token"].split(".")[1],
        "principal": person["id"],
        "person": person["name"],
        "client_id": client_id,
        "client_name": "Some client",
        "created_at": since,
        "expires_at": write_time(sign_ins.plane.clock.now + timedelta(days=30)),
    }
    secrets = [tokens[name].rpartition(".")[2] for name in ("access_token", "refresh_token")]
    assert not any(secret in str(listed) for secret in secrets)


def test_one_consent_ends_at_once_and_the_others_stay(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue()
    path = of_server(sign_ins, url)
    clients = [sign_ins.sign_in(url, person["token"]) for _ in range(3)]
    for client_id, tokens in clients[:2]:
        assert sign_ins.call(url, tokens["access_token"]).status == 200
        consent = tokens["access_token"].split(".")[1]
        ended = sign_ins.plane.ok("DELETE", f"{path}/{consent}")
        assert (ended["id"], ended["person"]) == (consent, person["name"])
        assert sign_ins.call(url, tokens["access_token"]).status == 401
        assert sign_ins.refresh(tokens["refresh_token"], client_id, 400)["error"] == "invalid_grant"
        assert sign_ins.plane.call("DELETE", f"{path}/{consent}").status_code == 404
    client_id, tokens = clients[2]
    assert sign_ins.call(url, tokens["access_token"]).status == 200
    assert sign_ins.refresh(tokens["refresh_token"], client_id)
    assert ids(sign_ins, path) == {tokens["access_token"].split(".")[1]}


def test_a_consent_is_listed_as_long_as_it_opens_something(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    path = of_server(sign_ins, url)
    people = [sign_ins.issue() for _ in range(3)]
    kept, revoked, _ = [sign_ins.sign_in(url, person["token"]) for person in people]
    assert len(ids(sign_ins, path)) == 3
    sign_ins.plane.ok("DELETE", f"/api-token/{people[1]['id']}")
    assert revoked[1]["access_token"].split(".")[1] not in ids(sign_ins, path)
    sign_ins.plane.clock.advance(days=29)
    refreshed = sign_ins.refresh(kept[1]["refresh_token"], kept[0])
    sign_ins.plane.clock.advance(days=2)
    assert ids(sign_ins, path) == {refreshed["access_token"].split(".")[1]}
    later = sign_ins.plane.clock.now
    entries = sign_ins.plane.store.query(layout.consents(path.split("/")[-2]))
    assert sum((entry.expires_at or 0) > later.timestamp() for entry in entries) == 1, "the entry lives as its consent"


def test_a_client_that_revokes_its_tokens_takes_its_entry_along(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    _, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    sign_ins.plane.client.post("/oauth/revoke", data={"token": tokens["refresh_token"]})
    assert sign_ins.plane.store.query(layout.consents(of_server(sign_ins, url).split("/")[-2])) == []


def test_a_list_is_bounded_and_continues(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue()
    path = of_server(sign_ins, url)
    made = {sign_ins.sign_in(url, person["token"])[1]["access_token"].split(".")[1] for _ in range(5)}
    found, cursor = [], None
    for size in (2, 2, 1):
        more: dict[str, str] = {"next_cursor": cursor} if cursor else {}
        page = sign_ins.plane.ok("GET", path, params={"limit": "2", **more})
        assert len(page["result"]) == size
        found += [consent["id"] for consent in page["result"]]
        cursor = page["next_cursor"]
    assert (cursor, set(found), len(found)) == (None, made, 5)


def test_the_end_of_a_consent_is_a_decision_in_the_log(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    path = of_server(sign_ins, url)
    _, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    sign_ins.plane.ok("DELETE", f"{path}/{tokens['access_token'].split('.')[1]}")
    [entry] = sign_ins.plane.ok("GET", "/log", params={"kind": "decision", "action": "endConsent"})["result"]
    assert (entry["outcome"], entry["server_id"]) == ("ok", path.split("/")[-2])


@pytest.mark.parametrize("consent", [OTHER, "no-such", "x" * 500])
def test_a_consent_that_the_server_does_not_have_is_not_found(sign_ins: SignIns, consent: str) -> None:
    url, other = sign_ins.mint(), sign_ins.mint()
    _, tokens = sign_ins.sign_in(other, sign_ins.issue()["token"])
    path = of_server(sign_ins, url)
    for unknown in (consent, tokens["access_token"].split(".")[1]):
        assert sign_ins.plane.call("DELETE", f"{path}/{unknown}").status_code == 404
    assert sign_ins.call(other, tokens["access_token"]).status == 200


def test_who_may_only_read_ends_nothing(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    path = of_server(sign_ins, url)
    _, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    reader: Json = sign_ins.issue(scopes=["read"])["token"]
    consent = tokens["access_token"].split(".")[1]
    assert len(sign_ins.plane.ok("GET", path, token=reader)["result"]) == 1
    assert sign_ins.plane.call("DELETE", f"{path}/{consent}", token=reader).status_code == 403
    assert sign_ins.call(url, tokens["access_token"]).status == 200
