"""What must not work: stolen, replayed, foreign, forged and expired things, open redirects, forged forms, floods."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functions.admin_api.oauth import redirects, registration
from functions.admin_api.oauth.limits import MAX_BODY_BYTES, RATES, REGISTRATIONS
from functions.gateway.json_text import Json
from tests.admin_api.oauth.conftest import ADMIN, CALLBACK, CHALLENGE, MCP, OWN_PAGE, VERIFIER, SignIns, redemption

GOLDEN = Path(__file__).parents[2] / "golden" / "messages" / "oauth.json"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_verifier": VERIFIER[:-1]}, "invalid_grant"),
        ({"code_verifier": "é" * 43}, "invalid_grant"),
        ({"client_id": "pcl_of-somebody-else"}, "invalid_grant"),
        ({"client_id": ""}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_grant"),
        ({"resource": f"{MCP}/mcp/{'B' * 43}"}, "invalid_target"),
        ({"code": "A" * 43}, "invalid_grant"),
        ({"code": ""}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_redeemed_by_the_client_that_asked_for_it_alone(
    sign_ins: SignIns, changed: dict[str, str], error: str
) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    code = sign_ins.code(url, client_id, sign_ins.issue()["token"])
    refused = sign_ins.token(
        400,
        **{
            "grant_type": "authorization_code",
            "code": code,
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changed,
        },
    )
    assert refused["error"] == error
    assert "access_token" not in refused
    assert "access_token" in sign_ins.redeem(code, client_id), "a wrong attempt does not cost the right client its code"


def test_a_code_that_is_used_again_ends_what_its_first_use_made(sign_ins: SignIns) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    code = sign_ins.code(url, client_id, sign_ins.issue()["token"])
    tokens = sign_ins.redeem(code, client_id)
    assert sign_ins.call(url, tokens["access_token"]).status == 200
    for _ in range(2):
        assert sign_ins.redeem(code, client_id, status=400)["error"] == "invalid_grant"
        assert sign_ins.call(url, tokens["access_token"]).status == 401
        assert sign_ins.refresh(tokens["refresh_token"], client_id, status=400)["error"] == "invalid_grant"


def test_a_code_ends_after_a_minute(sign_ins: SignIns) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    code = sign_ins.code(url, client_id, sign_ins.issue()["token"])
    sign_ins.plane.clock.advance(seconds=60)
    assert sign_ins.redeem(code, client_id, status=400)["error"] == "invalid_grant"


def test_of_two_who_redeem_a_code_at_once_at_most_one_is_served_and_its_tokens_end(sign_ins: SignIns) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    code = sign_ins.code(url, client_id, sign_ins.issue()["token"])
    form = redemption(code, client_id)
    together = threading.Barrier(4)

    def redeem() -> Json:
        together.wait()
        answer = sign_ins.plane.client.post("/oauth/token", data=form)
        return answer.json() if answer.status_code == 200 else None

    with ThreadPoolExecutor(4) as pool:
        served = [body for body in pool.map(lambda _: redeem(), range(4)) if body]
    assert len(served) <= 1
    for body in served:
        assert sign_ins.call(url, body["access_token"]).status == 401


def test_a_refresh_token_that_is_used_again_ends_the_family(sign_ins: SignIns) -> None:
    url = sign_ins.mint()
    client_id, first = sign_ins.sign_in(url, sign_ins.issue()["token"])
    second = sign_ins.refresh(first["refresh_token"], client_id)
    third = sign_ins.refresh(second["refresh_token"], client_id)
    assert sign_ins.call(url, third["access_token"]).status == 200
    refused = sign_ins.refresh(first["refresh_token"], client_id, status=400)
    assert refused["error"] == "invalid_grant"
    for tokens in (first, second, third):
        assert sign_ins.call(url, tokens["access_token"]).status == 401
        assert sign_ins.refresh(tokens["refresh_token"], client_id, status=400)["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": "pcl_of-somebody-else"}, "invalid_grant"),
        ({"client_id": ""}, "invalid_grant"),
        ({"resource": f"{MCP}/mcp/{'B' * 43}"}, "invalid_target"),
    ],
)
def test_a_refresh_token_is_of_one_client_and_one_resource(
    sign_ins: SignIns, changed: dict[str, str], error: str
) -> None:
    url = sign_ins.mint()
    client_id, tokens = sign_ins.sign_in(url, sign_ins.issue()["token"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client_id, **changed}
    assert sign_ins.token(400, **form)["error"] == error
    assert "access_token" in sign_ins.refresh(tokens["refresh_token"], client_id)


def test_an_access_token_opens_no_other_server_and_nothing_of_the_management_api(sign_ins: SignIns) -> None:
    here, there, plain = sign_ins.mint(), sign_ins.mint(), sign_ins.mint(require_api_token_auth=False)
    _, tokens = sign_ins.sign_in(here, sign_ins.issue()["token"])
    assert sign_ins.call(there, tokens["access_token"]).status == 401
    assert sign_ins.call(plain, tokens["access_token"]).status == 200, "a plain server asks nobody"
    assert sign_ins.plane.call("GET", "/me", token=tokens["access_token"]).status_code == 401
    for forged in (
        tokens["access_token"][:-1],
        tokens["access_token"] + "A",
        tokens["refresh_token"],
        tokens["access_token"].replace("psa_", "psa_x"),
        "psa_",
        "psa_..",
        "psa_tok_root.AAAAAAAAAAAAAAAAAAAAAA." + "A" * 43,
    ):
        assert sign_ins.call(here, forged).status in (401, 403)


@pytest.mark.parametrize(
    "uri",
    [
        "http://client.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "https://user:password@client.example/",
        "https://client.example@evil.example/",
        "https://client.example/#fragment",
        "https://client.example/call back",
        "https://client.example\\@evil.example/",
        "https:///callback",
        "https://",
        "https:callback",
        "//client.example/callback",
        "/callback",
        "javascript:alert(1)",
        "data:text/html,hi",
        "file:///etc/passwd",
        "custom-scheme://callback",
        "https://client.example:0/",
        "https://client.example:port/",
        "https://*.example/",
        "https://client.example/\r\nX-Injected: 1",
        "https://client.example/;form-action *",
        "https://client.example/'\"><script>",
        "https://cliént.example/",
        "https://client.example/" + "a" * redirects.MAX_URI_CHARS,
        "",
        None,
        7,
        ["https://client.example/"],
    ],
)
def test_a_redirect_uri_is_https_or_on_the_persons_own_computer(sign_ins: SignIns, uri: Json) -> None:
    assert not redirects.is_valid(uri)
    answer = sign_ins.plane.client.post("/oauth/register", json={"redirect_uris": [uri]})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example/callback",
        "https://client.example/callback",
        "https://client.example/callback?kept=1&more=1",
        "https://client.example/callback?kept=1/../../evil",
        "https://client.example:8443/callback?kept=1",
        "https://CLIENT.example/callback?kept=1",
        "https://client.example.evil.example/callback?kept=1",
        "http://client.example/callback?kept=1",
        "http://127.0.0.1:5000/callback?x=1",
        "http://127.0.0.1:5000/other",
        "http://127.0.0.1:5000@evil.example/callback",
        "http://127.0.0.1:99999999/callback",
        "",
    ],
)
def test_nobody_is_redirected_to_an_address_that_the_client_did_not_register(sign_ins: SignIns, asked: str) -> None:
    url, client_id, person = sign_ins.mint(), sign_ins.register()["client_id"], sign_ins.issue()["token"]
    parameters = sign_ins.parameters(url, client_id, redirect_uri=asked)
    for answer in (
        sign_ins.page(parameters),
        sign_ins.send({**parameters, "api_token": person, "decision": "allow"}),
        sign_ins.send({**parameters, "decision": "deny"}),
    ):
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "<a " not in answer.text


@pytest.mark.parametrize(
    "changed",
    [
        {"response_type": "token"},
        {"response_type": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": ""},
        {"code_challenge": ""},
        {"code_challenge": "short"},
        {"resource": ""},
        {"resource": "https://evil.example/mcp/" + "A" * 43},
        {"resource": f"{MCP}/mcp/{'A' * 43}"},
        {"resource": MCP},
    ],
    ids=lambda changed: " ".join(f"{name}={value[:24]}" for name, value in changed.items()),
)
def test_a_wrong_request_has_a_page_and_redirects_nobody_by_itself(
    sign_ins: SignIns, changed: dict[str, str], request: pytest.FixtureRequest
) -> None:
    client_id = sign_ins.register()["client_id"]
    answer = sign_ins.page(sign_ins.parameters(sign_ins.mint(), client_id, **changed))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert f'<a href="{CALLBACK.replace("&", "&amp;")}&amp;error=' in answer.text, "the client's own address"
    assert "<form" not in answer.text


def test_the_resource_is_an_mcp_url_of_this_deployment_that_asks_for_a_sign_in(sign_ins: SignIns) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    token = url.rsplit("/", 1)[1]
    for good in (url, f"{url}/", url.replace("mcp.example", "MCP.example")):
        assert sign_ins.page(sign_ins.parameters(good, client_id)).status_code == 200
    for bad in (
        f"http://mcp.example/mcp/{token}",
        f"https://evil.example/mcp/{token}",
        f"https://mcp.example@evil.example/mcp/{token}",
        f"https://evil.example/?{url}",
        f"{url}?x=1",
        f"{url}#x",
        f"{url}/more",
        f"{MCP}/mcp/",
        f"{MCP}:8443/mcp/{token}",
        "https://[/mcp/",
        sign_ins.mint(require_api_token_auth=False),
        sign_ins.mint(oauth=False),
    ):
        assert sign_ins.page(sign_ins.parameters(bad, client_id)).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{ADMIN}.evil.example"},
        {"origin": ADMIN.replace("https", "http")},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": ADMIN, "sec-fetch-site": "cross-site"},
    ],
)
def test_a_form_of_another_site_decides_nothing(sign_ins: SignIns, headers: dict[str, str]) -> None:
    fields = sign_ins.parameters(sign_ins.mint(), sign_ins.register()["client_id"])
    person = sign_ins.issue()["token"]
    for decision in ("allow", "deny"):
        answer = sign_ins.send({**fields, "api_token": person, "decision": decision}, headers)
        assert answer.status_code == 403
        assert "location" not in answer.headers


def test_the_consent_page_sets_no_cookie_and_shows_no_api_token_again(sign_ins: SignIns) -> None:
    fields = sign_ins.parameters(sign_ins.mint(), sign_ins.register()["client_id"])
    assert "set-cookie" not in sign_ins.page(fields).headers
    wrong = "pst_" + "x" * 43
    refused = sign_ins.send({**fields, "api_token": wrong, "decision": "allow"})
    assert refused.status_code == 403
    assert "This API token was not accepted" in refused.text
    assert wrong not in refused.text


@pytest.mark.parametrize("limits", [{"scopes": ["manage"]}, {"server_ids": ["srv_other"]}, {"expires": True}])
def test_only_an_api_token_that_opens_the_server_signs_in(sign_ins: SignIns, limits: dict[str, Json]) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    if limits.pop("expires", False):
        limits["expires_at"] = "2026-11-21T12:00:01Z"
    person = sign_ins.issue(**limits)["token"]
    sign_ins.plane.clock.advance(seconds=1)
    for secret in (person, "", "psa_x", sign_ins.plane.root, "x" * 10_000):
        fields = {**sign_ins.parameters(url, client_id), "api_token": secret, "decision": "allow"}
        assert sign_ins.send(fields).status_code == 403


def test_a_flood_of_registrations_is_bounded_in_the_process_and_in_the_table(sign_ins: SignIns) -> None:
    burst = RATES["register"].burst
    statuses = []
    for number in range(burst + 5):
        body = {"redirect_uris": [f"https://client.example/{number}"]}
        statuses.append(sign_ins.plane.client.post("/oauth/register", json=body).status_code)
    assert statuses == [201] * burst + [429] * 5
    refused = sign_ins.plane.client.post("/oauth/register", json={"redirect_uris": [CALLBACK]})
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"] == "temporarily_unavailable"
    assert burst < REGISTRATIONS.burst
    sign_ins.plane.clock.advance(minutes=5)
    assert sign_ins.plane.client.post("/oauth/register", json={"redirect_uris": [CALLBACK]}).status_code == 201


def test_an_equal_registration_is_one_client_and_one_item(sign_ins: SignIns) -> None:
    first = sign_ins.register()
    assert {sign_ins.register()["client_id"] for _ in range(5)} == {first["client_id"]}
    assert sign_ins.register(client_name="Another")["client_id"] != first["client_id"]
    assert first["client_id"].startswith(registration.ID_PREFIX)
    assert "client_secret" not in first


def test_a_registration_ends_unless_somebody_signs_in_with_it(sign_ins: SignIns) -> None:
    url, person = sign_ins.mint(), sign_ins.issue()["token"]
    used, unused = sign_ins.register()["client_id"], sign_ins.register(client_name="Unused")["client_id"]
    sign_ins.code(url, used, person)
    sign_ins.plane.clock.advance(days=1)
    assert sign_ins.page(sign_ins.parameters(url, used)).status_code == 200
    assert sign_ins.page(sign_ins.parameters(url, unused)).status_code == 400
    sign_ins.plane.clock.advance(days=89)
    assert sign_ins.page(sign_ins.parameters(url, used)).status_code == 400
    assert sign_ins.register()["client_id"] == used


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "invalid_request"),
        (b"[]", "invalid_request"),
        (b"{}", "invalid_redirect_uri"),
        (b'{"redirect_uris": []}', "invalid_redirect_uri"),
        (b'{"redirect_uris": "https://client.example/"}', "invalid_redirect_uri"),
        (json.dumps({"redirect_uris": [CALLBACK] * 11}).encode(), "invalid_redirect_uri"),
        (json.dumps({"redirect_uris": [CALLBACK], "grant_types": ["implicit"]}).encode(), "invalid_client_metadata"),
        (json.dumps({"redirect_uris": [CALLBACK], "grant_types": "x"}).encode(), "invalid_client_metadata"),
        (json.dumps({"redirect_uris": [CALLBACK], "response_types": ["token"]}).encode(), "invalid_client_metadata"),
        (b'{"x": "' + b"a" * MAX_BODY_BYTES + b'"}', "invalid_request"),
        (b"\xff\xfe", "invalid_request"),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else value,
)
def test_a_registration_that_is_none_is_refused_in_the_words_of_the_rfc(
    sign_ins: SignIns, body: bytes, error: str
) -> None:
    answer = sign_ins.plane.client.post("/oauth/register", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"grant_type=authorization_code&grant_type=refresh_token", "application/x-www-form-urlencoded"),
        (b'{"grant_type": "authorization_code"}', "application/json"),
        (b"\xff=\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(100)), "application/x-www-form-urlencoded"),
        (b"code=" + b"a" * MAX_BODY_BYTES, "application/x-www-form-urlencoded"),
        (b"", ""),
    ],
    ids=["twice", "json", "not UTF-8", "many fields", "large", "empty"],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/authorize"])
def test_a_form_that_is_none_is_a_4xx(sign_ins: SignIns, path: str, content: bytes, media_type: str) -> None:
    headers = {**OWN_PAGE, **({"content-type": media_type} if media_type else {})}
    answer = sign_ins.plane.client.post(path, content=content, headers=headers)
    assert 400 <= answer.status_code < 500


def test_a_parameter_that_is_there_twice_or_too_long_is_refused(sign_ins: SignIns) -> None:
    parameters = sign_ins.parameters(sign_ins.mint(), sign_ins.register()["client_id"])
    for name in parameters:
        twice = sign_ins.plane.client.get("/oauth/authorize", params=[*parameters.items(), (name, "x")])
        assert twice.status_code == 400
    assert sign_ins.page({**parameters, "state": "s" * 4_001}).status_code == 400
    assert sign_ins.page({**parameters, "unknown": "x" * 5_000}).status_code == 200
    assert sign_ins.page({}).status_code == 400


@pytest.mark.parametrize("endpoint", ["authorize", "token", "revoke"])
def test_each_open_endpoint_is_limited(sign_ins: SignIns, endpoint: str) -> None:
    verb = "GET" if endpoint == "authorize" else "POST"
    statuses = [sign_ins.plane.client.request(verb, f"/oauth/{endpoint}").status_code for _ in range(100)]
    burst = RATES[endpoint].burst
    assert 429 not in statuses[: burst - 1]  # the marks are floats: the last one may be over by a hair
    assert set(statuses[burst:]) == {429}


def test_the_texts_of_refusals(sign_ins: SignIns) -> None:
    """What a person and a client read; reviewed in tests/golden/messages/oauth.json. UPDATE_GOLDEN=1 rewrites it."""
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    good = sign_ins.parameters(url, client_id)
    texts: dict[str, str] = {}
    for what, changed in {
        "no client": {"client_id": ""},
        "unknown client": {"client_id": "pcl_x"},
        "foreign redirect": {"redirect_uri": "https://evil.example/"},
        "implicit flow": {"response_type": "token"},
        "no PKCE": {"code_challenge": ""},
        "no resource": {"resource": ""},
        "foreign resource": {"resource": "https://evil.example/mcp/x"},
        "plain server": {"resource": sign_ins.mint(require_api_token_auth=False)},
    }.items():
        shown = sign_ins.page({name: value for name, value in {**good, **changed}.items() if value})
        texts[f"page: {what}"] = shown.text.partition("<p>")[2].partition("</p>")[0]
    for what, form in {
        "no grant type": {"code": "x"},
        "unknown code": {"grant_type": "authorization_code", "code": "x"},
        "unknown refresh token": {"grant_type": "refresh_token", "refresh_token": "x"},
    }.items():
        refused = sign_ins.token(400, **form)
        texts[f"token: {what}"] = f"{refused['error']}: {refused['error_description']}"
    code = sign_ins.code(url, client_id, sign_ins.issue()["token"])
    for what, changed in {
        "another client": {"client_id": "x"},
        "another redirect": {"redirect_uri": "https://evil.example/"},
        "another verifier": {"code_verifier": "w" * 43},
        "another resource": {"resource": MCP},
    }.items():
        refused = sign_ins.redeem(code, client_id, status=400, **changed)
        texts[f"token: {what}"] = f"{refused['error']}: {refused['error_description']}"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(texts, indent=1) + "\n")
    assert json.loads(GOLDEN.read_text()) == texts
