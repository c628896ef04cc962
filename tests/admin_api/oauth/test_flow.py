"""From a 401 to a call: discovery, registration, consent, tokens, refresh, revocation, and what ends them."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.admin_api.oauth.metadata import ACTIONS
from functions.gateway.grants import digest
from functions.mcp_endpoint.admission import DEAD, NOT_ACCEPTED, REQUIRED, SIGN_IN, SIGN_IN_AGAIN
from functions.stores import layout
from tests.admin_api.oauth.conftest import ADMIN, CALLBACK, LOOPBACK, MCP, SignIns


def test_a_client_finds_its_way_from_a_401_to_the_metadata(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    token = url.rsplit("/", 1)[1]
    refused = sign_ins.call(url)
    assert (refused.status, refused.code) == (401, 40101)
    assert refused.json["error"]["message"] == SIGN_IN
    metadata = f"{MCP}/.well-known/oauth-protected-resource/mcp/{token}"
    assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{metadata}", scope="connect"'
    assert "www-authenticate" in refused.headers["access-control-expose-headers"]
    for path in (urlsplit(metadata).path, f"/mcp/{token}/.well-known/oauth-protected-resource"):
        described = sign_ins.get(path)
        assert described.status == 200
        assert described.json["resource"] == url == f"{MCP}/mcp/{token}"
        assert described.json["authorization_servers"] == [f"{ADMIN}/oauth"]
        assert described.headers["cache-control"] == "no-store"
    for path in ("/.well-known/oauth-authorization-server/oauth", "/oauth/.well-known/oauth-authorization-server"):
        document = sign_ins.plane.client.get(path).json()
        assert document["issuer"] == f"{ADMIN}/oauth"
        assert document["code_challenge_methods_supported"] == ["S256"]
        assert document["authorization_response_iss_parameter_supported"] is True
        assert document["client_id_metadata_document_supported"] is True


@pytest.mark.parametrize("config", [{"require_api_token_auth": False}, {"oauth": False}, None])
def test_any_other_token_is_silent_byte_for_byte(sign_ins: SignIns, config: dict[str, bool] | None) -> None:
    """A plain token, a server that takes its API token in a header only, and a token that opens nothing."""
    token = "A" * 43 if config is None else sign_ins.mint(**config).rsplit("/", 1)[1]
    nothing = sign_ins.get("/.well-known/nothing")
    for path in (
        f"/.well-known/oauth-protected-resource/mcp/{token}",
        f"/mcp/{token}/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        f"/.well-known/oauth-authorization-server/mcp/{token}",
        f"/mcp/{token}/.well-known/oauth-authorization-server",
        f"/mcp/{token}/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ):
        answer = sign_ins.get(path)
        assert (answer.status, answer.header_lines, answer.body) == (404, nothing.header_lines, nothing.body)
    answer = sign_ins.call(f"{MCP}/mcp/{token}")
    assert "www-authenticate" not in answer.headers
    assert answer.status != 401


def test_the_origin_of_the_management_api_has_no_metadata_for_clients_to_stumble_on(sign_ins: SignIns) -> None:
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        assert sign_ins.plane.client.get(path).status_code == 404


def test_a_dead_token_is_never_a_401(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    _, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    server = sign_ins.plane.ok("GET", f"/integrated-account/{sign_ins.account}/mcp")["result"][0]["id"]
    sign_ins.plane.ok("DELETE", f"/integrated-account/{sign_ins.account}/mcp/{server}")
    for access_token in ("", tokens["access_token"]):
        answer = sign_ins.call(url, access_token)
        assert answer.status in (200, 404)
        assert answer.json["error"]["message"] == DEAD
        assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"authorization": "Bearer of-some-host"}, REQUIRED),
        ({"authorization": "Basic dXNlcjpwYXNz"}, REQUIRED),
        ({"x_api_key": "of-some-host"}, REQUIRED),
        ({"authorization": "Bearer pst_" + "x" * 43}, NOT_ACCEPTED),
        ({"x_api_key": "pst_" + "x" * 43}, NOT_ACCEPTED),
    ],
)
def test_a_caller_with_a_configured_header_is_never_sent_to_a_sign_in(
    sign_ins: SignIns, headers: dict[str, str], message: str
) -> None:
    answer = sign_ins.call(sign_ins.mint(), **headers)
    assert (answer.status, answer.json["error"]["message"]) == (403, message)
    assert "www-authenticate" not in answer.headers


def test_a_person_signs_in_and_the_client_calls_in_their_name(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue()
    client_id, tokens = sign_ins.sign_in(url, person["token"])
    assert tokens["token_type"] == "Bearer"
    assert (tokens["expires_in"], tokens["scope"]) == (600, "connect")
    assert tokens["access_token"].startswith(f"psa_{person['id']}.")
    for _ in range(3):
        assert sign_ins.call(url, tokens["access_token"]).status == 200
    assert sign_ins.call(url, x_api_key=tokens["access_token"]).status == 200
    sign_ins.plane.clock.advance(seconds=599)
    assert sign_ins.call(url, tokens["access_token"]).status == 200
    sign_ins.plane.clock.advance(seconds=1)
    ended = sign_ins.call(url, tokens["access_token"])
    assert (ended.status, ended.json["error"]["message"]) == (401, SIGN_IN_AGAIN)
    assert ended.headers["www-authenticate"].startswith('Bearer error="invalid_token", ')
    fresh = sign_ins.refresh(tokens["refresh_token"], client_id, resource=url)
    assert sign_ins.call(url, fresh["access_token"]).status == 200


def test_the_response_names_the_issuer_and_keeps_the_state_and_the_query_of_the_client(sign_ins: SignIns) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    for decision, member in (("allow", "code"), ("deny", "error")):
        fields = sign_ins.parameters(url, client_id)
        answer = sign_ins.send({**fields, "api_token": sign_ins.issue()["token"], "decision": decision})
        assert answer.status_code == 303
        location = answer.headers["location"]
        assert location.startswith(f"{CALLBACK}&")
        query = parse_qs(urlsplit(location).query)
        assert query["iss"] == [f"{ADMIN}/oauth"]
        assert query["state"] == ["a state & more"]
        assert member in query
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_loopback_address_may_have_another_port_and_nothing_else(sign_ins: SignIns) -> None:
    url, client_id, person = sign_ins.mint(), sign_ins.register()["client_id"], sign_ins.issue()["token"]
    other = LOOPBACK.replace("5000", "61234")
    code = sign_ins.code(url, client_id, person, redirect_uri=other)
    assert "access_token" in sign_ins.redeem(code, client_id, redirect_uri=other)
    for foreign in (f"{LOOPBACK}/more", "http://127.0.0.1:5000/", "http://localhost:5000/callback"):
        assert sign_ins.page(sign_ins.parameters(url, client_id, redirect_uri=foreign)).status_code == 400


def test_the_page_says_who_asks_for_what_and_runs_nothing(sign_ins: SignIns) -> None:
    client_id = sign_ins.register(client_name="<script>alert(1)</script>\n\u202eEvil")["client_id"]
    shown = sign_ins.page(sign_ins.parameters(sign_ins.mint(), client_id))
    assert "<script" not in shown.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Evil" in shown.text
    assert "\u202e" not in shown.text
    assert "client.example" in shown.text
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self' https://client.example;" in policy
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert shown.headers["x-frame-options"] == "DENY"
    assert shown.headers["cache-control"] == "no-store"


def test_what_a_person_signed_in_with_ends_their_tokens_at_once(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue()
    client_id, tokens = sign_ins.sign_in(url, person["token"])
    assert sign_ins.call(url, tokens["access_token"]).status == 200
    sign_ins.plane.ok("DELETE", f"/api-token/{person['id']}")
    assert sign_ins.call(url, tokens["access_token"]).status == 401
    assert sign_ins.refresh(tokens["refresh_token"], client_id, status=400)["error"] == "invalid_grant"


def test_tokens_do_not_outlive_the_api_token(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue(expires_at="2026-11-21T12:05:00Z")
    client_id, tokens = sign_ins.sign_in(url, person["token"])
    assert tokens["expires_in"] == 300
    sign_ins.plane.clock.advance(minutes=4)
    tokens = sign_ins.refresh(tokens["refresh_token"], client_id)
    assert tokens["expires_in"] == 60
    sign_ins.plane.clock.advance(minutes=1)
    assert sign_ins.call(url, tokens["access_token"]).status == 401
    assert sign_ins.refresh(tokens["refresh_token"], client_id, status=400)["error"] == "invalid_grant"


def test_an_operator_who_switches_oauth_off_ends_it_for_the_tokens_that_are_out(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    _, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    [server] = sign_ins.plane.ok("GET", f"/integrated-account/{sign_ins.account}/mcp")["result"]
    path = f"/integrated-account/{sign_ins.account}/mcp/{server['id']}"
    sign_ins.plane.ok("PATCH", path, {"config": {"oauth": False}})
    answer = sign_ins.call(url, tokens["access_token"])
    assert (answer.status, "www-authenticate" in answer.headers) == (403, False)


def test_a_consent_lives_on_with_its_use_and_ends_a_month_after_the_last(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    client_id, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    for _ in range(3):
        sign_ins.plane.clock.advance(days=29)
        tokens = sign_ins.refresh(tokens["refresh_token"], client_id)
        assert sign_ins.call(url, tokens["access_token"]).status == 200
    sign_ins.plane.clock.advance(days=30)
    assert sign_ins.refresh(tokens["refresh_token"], client_id, status=400)["error"] == "invalid_grant"


@pytest.mark.parametrize("member", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_both(sign_ins: SignIns, member: str) -> None:
    url = sign_ins.mint()
    client_id, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    other = sign_ins.sign_in(url, sign_ins.issue()["token"])[1]
    form = {"token": tokens[member], "client_id": client_id}
    for _ in range(2):
        answer = sign_ins.plane.client.post("/oauth/revoke", data=form)
        assert (answer.status_code, answer.json()) == (200, {})
    assert sign_ins.call(url, tokens["access_token"]).status == 401
    assert sign_ins.refresh(tokens["refresh_token"], client_id, status=400)["error"] == "invalid_grant"
    assert sign_ins.call(url, other["access_token"]).status == 200


def test_a_rotated_url_keeps_its_sign_ins_because_the_server_is_the_same(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    client_id, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    [server] = sign_ins.plane.ok("GET", f"/integrated-account/{sign_ins.account}/mcp")["result"]
    rotated = sign_ins.plane.ok("POST", f"/integrated-account/{sign_ins.account}/mcp/{server['id']}/rotate", {})["url"]
    assert sign_ins.call(rotated, tokens["access_token"]).status == 200
    assert sign_ins.call(rotated, sign_ins.refresh(tokens["refresh_token"], client_id)["access_token"]).status == 200


def test_the_log_has_each_decision_and_no_secret(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue()
    client_id, tokens = sign_ins.sign_in(url, person["token"])
    sign_ins.send({**sign_ins.parameters(url, client_id), "api_token": "pst_" + "x" * 43, "decision": "allow"})
    sign_ins.send({**sign_ins.parameters(url, client_id), "decision": "deny"})
    again = sign_ins.refresh(tokens["refresh_token"], client_id)
    sign_ins.refresh(tokens["refresh_token"], client_id, status=400)
    lines = [json.loads(line) for line in sign_ins.plane.decision_lines.getvalue().splitlines()]
    ours = [(line["action"], line["outcome"], line["principal"]) for line in lines if "Client" in line["action"]]
    assert ours == [("allowClient", "ok", person["id"]), ("refuseClient", "ok", "")]
    assert ("signInToServer", "refused", "") in [(line["action"], line["outcome"], line["principal"]) for line in lines]
    assert ("reuseToken", "refused", person["id"]) in [
        (line["action"], line["outcome"], line["principal"]) for line in lines
    ]
    for action in ACTIONS:
        kept = sign_ins.plane.ok("GET", f"/log?kind=decision&action={action}")["result"]
        assert len(kept) == (0 if action == "revokeToken" else 1), action
    written = sign_ins.plane.decision_lines.getvalue()
    secrets = [*tokens["access_token"].split(".")[2:], *tokens["refresh_token"].split(".")[2:], person["token"]]
    for secret in (*secrets, *again["refresh_token"].split(".")[2:], url.rsplit("/", 1)[1]):
        assert secret not in written


def test_a_copy_of_the_table_opens_nothing(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue()
    client_id = sign_ins.register()["client_id"]
    code = sign_ins.code(url, client_id, person["token"])
    tokens = sign_ins.redeem(code, client_id)
    tokens_2 = sign_ins.refresh(tokens["refresh_token"], client_id)
    dump = "\n".join(
        path.read_bytes().decode("latin-1") for path in sorted(sign_ins.plane.folder.glob("postern.sqlite*"))
    )
    assert layout.oauth_code(digest(code)).partition in dump
    principal, consent_id, *_ = tokens["access_token"].removeprefix("psa_").split(".")
    assert consent_id in dump
    secrets = [code, url, url.rsplit("/", 1)[1], person["token"]]
    for one in (tokens, tokens_2):
        secrets += [one["access_token"].split(".")[2], *one["refresh_token"].split(".")[2:]]
    for secret in secrets:
        assert secret not in dump
    # What is in the table is not taken in place of what it stands for.
    [item] = sign_ins.plane.store.get([layout.consent(principal, consent_id)])
    assert item is not None
    forged = f"psa_{principal}.{consent_id}.{item.body['access'][-1]['digest'][:43]}"
    assert sign_ins.call(url, forged).status == 401
    forged = f"psr_{principal}.{consent_id}.{item.body['family'][:43]}.{item.body['refresh'][:43]}"
    assert sign_ins.refresh(forged, client_id, status=400)["error"] == "invalid_grant"
    assert sign_ins.call(url, tokens_2["access_token"]).status == 200, "a guess ends nothing"
