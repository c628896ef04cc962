"""People who sign in at an identity provider, which a test plays on the loopback: it signs what it is told to."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from functions.admin_api.oauth.provider import admits
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings, SettingsError
from tests.admin_api.conftest import START
from tests.admin_api.oauth.conftest import ADMIN, CALLBACK, OWN_PAGE, SignIns
from tests.gateway import loopback
from tests.gateway.loopback import Received, Told, Upstream

CLIENT_ID = "postern-at-the-provider"
SECRET = "the client secret / at the provider"
NOW = int(START.timestamp())


class Idp:
    """A provider. `claims` are put over those of a right ID token; `key` signs; `answers` replaces an answer."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.key: Any = ECKey.generate_key("P-256", {"kid": "1", "use": "sig"})
        self.published = [self.key]
        self.claims: dict[str, Json] = {}
        self.answers: dict[str, Told] = {}
        self.nonce = ""
        self.challenge = ""
        self.algorithm = "ES256"
        upstream.script = self.answer

    def answer(self, received: Received) -> Told:
        path = received.target.split("?")[0]
        if path in self.answers:
            return self.answers[path]
        origin = self.upstream.origin
        if path == "/.well-known/openid-configuration":
            return loopback.answer(
                200,
                {
                    "issuer": origin,
                    "authorization_endpoint": f"{origin}/authorize",
                    "token_endpoint": f"{origin}/token",
                    "jwks_uri": f"{origin}/keys",
                },
            )
        if path == "/keys":
            return loopback.answer(200, {"keys": [key.as_dict(private=False) for key in self.published]})
        assert path == "/token"
        form = {name: value for name, [value] in parse_qs(received.body.decode()).items()}
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() == self.challenge
        assert form["redirect_uri"] == f"{ADMIN}/oauth/callback"
        claims = {
            "iss": origin,
            "aud": CLIENT_ID,
            "sub": "person-1",
            "email": "Ada@Example.com",
            "email_verified": True,
            "nonce": self.nonce,
            "iat": NOW,
            "exp": NOW + 300,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.key.kid or "1"}
        return loopback.answer(200, {"id_token": jwt.encode(header, claims, self.key, algorithms=[self.algorithm])})


@pytest.fixture
def idp() -> Iterator[Idp]:
    with loopback.upstream() as upstream:
        yield Idp(upstream)


@pytest.fixture
def settings(tmp_path: Path, idp: Idp) -> Settings:
    return Settings(
        state_dir=str(tmp_path),
        private_upstreams=True,
        management_url=ADMIN,
        public_url="https://mcp.example",
        oidc_issuer=idp.upstream.origin,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SECRET,
        oidc_people=("ada@example.com", "@friends.example"),
    )


def leave(sign_ins: SignIns, idp: Idp, url: str, client_id: str) -> dict[str, str]:
    """The person allows the client; gives the query with which the provider sends them back."""
    answer = sign_ins.send({**sign_ins.parameters(url, client_id), "decision": "allow"})
    assert answer.status_code == 200, answer.text
    [address] = re.findall(r'content="0;url=([^"]+)"', answer.text)
    query = {name: value for name, [value] in parse_qs(urlsplit(unescape(address)).query).items()}
    assert query["client_id"] == CLIENT_ID
    assert query["scope"] == "openid email"
    assert "a state" not in address, "the client's state is not the provider's business"
    cookie = answer.headers["set-cookie"]
    assert cookie.endswith("; Path=/oauth; HttpOnly; SameSite=Lax; Max-Age=600; Secure")
    idp.nonce, idp.challenge = query["nonce"], query["code_challenge"]
    return {"state": query["state"], "code": "a-code"}


def come_back(sign_ins: SignIns, query: dict[str, str]) -> Any:
    return sign_ins.plane.client.get("/oauth/callback", params=query, follow_redirects=False)


def test_a_person_signs_in_at_the_provider_and_stays_one_person(sign_ins: SignIns, idp: Idp) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    shown = sign_ins.page(sign_ins.parameters(url, client_id))
    assert "You sign in at <strong>127.0.0.1</strong>" in shown.text
    assert "api_token" not in shown.text
    principals = set()
    for _ in range(3):
        back = come_back(sign_ins, leave(sign_ins, idp, url, client_id))
        assert back.status_code == 303, back.text
        assert back.headers["location"].startswith(CALLBACK)
        query = parse_qs(urlsplit(back.headers["location"]).query)
        assert query["state"] == ["a state & more"]
        tokens = sign_ins.redeem(query["code"][0], client_id)
        assert sign_ins.call(url, tokens["access_token"]).status == 200
        principals.add(tokens["access_token"].split(".")[0])
        fresh = sign_ins.refresh(tokens["refresh_token"], client_id)
        assert sign_ins.call(url, fresh["access_token"]).status == 200
    [principal] = principals
    assert principal.startswith("psa_per_")
    [sent] = {r.headers["authorization"] for r in idp.upstream.requests if r.target == "/token"}
    assert base64.b64decode(sent.decode().removeprefix("Basic ")).decode() == (
        "postern-at-the-provider:the%20client%20secret%20%2F%20at%20the%20provider"
    )
    assert sum(r.target == "/keys" for r in idp.upstream.requests) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": [CLIENT_ID, "another-client"]},
        {"aud": None},
        {"azp": "another-client"},
        {"sub": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": NOW - 61},
        {"exp": None},
        {"iat": None},
        {"iat": NOW + 3_600},
        {"nbf": NOW + 3_600},
        {"exp": "soon"},
    ],
    ids=str,
)
def test_an_id_token_for_another_sign_in_signs_nobody_in(sign_ins: SignIns, idp: Idp, claims: dict[str, Json]) -> None:
    idp.claims = claims
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    back = come_back(sign_ins, leave(sign_ins, idp, url, client_id))
    assert back.status_code == 400
    assert "location" not in back.headers


@pytest.mark.parametrize("case", ["foreign key", "shared secret", "no signature"])
def test_an_id_token_that_the_provider_did_not_sign_signs_nobody_in(sign_ins: SignIns, idp: Idp, case: str) -> None:
    if case == "foreign key":
        idp.key = ECKey.generate_key("P-256", {"kid": "1"})
    elif case == "shared secret":
        idp.key, idp.algorithm = OctKey.import_key(SECRET, {"kid": "1"}), "HS256"
    else:
        unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        idp.answers["/token"] = loopback.answer(200, {"id_token": f"{unsigned}.e30."})
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    back = come_back(sign_ins, leave(sign_ins, idp, url, client_id))
    assert (back.status_code, "location" in back.headers) == (400, False)


def test_a_provider_may_change_its_keys(sign_ins: SignIns, idp: Idp) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    assert come_back(sign_ins, leave(sign_ins, idp, url, client_id)).status_code == 303
    idp.key = ECKey.generate_key("P-256", {"kid": "2", "use": "sig"})
    idp.published = [idp.key]
    assert come_back(sign_ins, leave(sign_ins, idp, url, client_id)).status_code == 303


@pytest.mark.parametrize(
    ("claims", "admitted"),
    [
        ({"email": "ada@example.com"}, True),
        ({"email": "anybody@friends.example"}, True),
        ({"email": "mallory@example.com"}, False),
        ({"email": "ada@example.com.evil.example"}, False),
        ({"email": "x@notfriends.example"}, False),
        ({"email_verified": False}, False),
        ({"email_verified": None}, False),
        ({"email_verified": "true"}, False),
        ({"email": None}, False),
        ({"email": "sub:ada@example.com"}, False),
        ({"sub": "ada@example.com", "email": None}, False),
    ],
    ids=str,
)
def test_the_settings_name_who_may_sign_in(
    sign_ins: SignIns, idp: Idp, claims: dict[str, Json], admitted: bool
) -> None:
    idp.claims = claims
    back = come_back(sign_ins, leave(sign_ins, idp, sign_ins.mint(), sign_ins.register()["client_id"]))
    assert ("location" in back.headers) is admitted
    if not admitted:
        assert "does not let you use its MCP servers" in back.text


def test_entries_for_people() -> None:
    assert admits(("*",), "sub:1")
    assert admits(("sub:1",), "sub:1")
    assert not admits(("sub:1",), "sub:2")
    assert not admits(("@x",), "sub:a@x")
    assert not admits((), "ada@example.com")


def test_what_one_browser_began_no_other_finishes_and_nobody_twice(sign_ins: SignIns, idp: Idp) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    query = leave(sign_ins, idp, url, client_id)
    cookies = sign_ins.plane.client.cookies
    mine = dict(cookies)
    cookies.clear()
    assert "another browser" in come_back(sign_ins, query).text
    cookies.update({**mine, "postern_sign_in": "x" * 43})
    assert "another browser" in come_back(sign_ins, query).text
    cookies.clear()
    cookies.update(mine)
    assert come_back(sign_ins, query).status_code == 303
    cookies.update(mine)
    assert "finished before" in come_back(sign_ins, query).text
    query = leave(sign_ins, idp, url, client_id)
    sign_ins.plane.clock.advance(minutes=10)
    assert "took too long" in come_back(sign_ins, query).text
    assert come_back(sign_ins, {}).status_code == 400


def test_a_person_who_does_not_sign_in_is_a_refusal(sign_ins: SignIns, idp: Idp) -> None:
    query = leave(sign_ins, idp, sign_ins.mint(), sign_ins.register()["client_id"])
    back = come_back(sign_ins, {"state": query["state"], "error": "server_error", "error_description": "<their words>"})
    assert parse_qs(urlsplit(back.headers["location"]).query)["error"] == ["access_denied"]
    assert "their" not in back.headers["location"]


def test_an_answer_of_another_provider_is_refused(sign_ins: SignIns, idp: Idp) -> None:
    query = leave(sign_ins, idp, sign_ins.mint(), sign_ins.register()["client_id"])
    assert come_back(sign_ins, {**query, "iss": "https://evil.example"}).status_code == 400


def test_a_form_that_no_browser_says_is_ours_starts_no_sign_in(sign_ins: SignIns) -> None:
    """At a provider the person may be signed in already: a page of another site must not send the form."""
    fields = {**sign_ins.parameters(sign_ins.mint(), sign_ins.register()["client_id"]), "decision": "allow"}
    for headers in ({}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert sign_ins.send(fields, headers).status_code == 403
    assert sign_ins.send(fields, OWN_PAGE).status_code == 200


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
@pytest.mark.parametrize("case", ["error", "text", "reset", "list"])
def test_a_provider_that_does_not_answer_as_it_should_is_a_page(
    sign_ins: SignIns, idp: Idp, path: str, case: str
) -> None:
    idp.answers[path] = {
        "error": loopback.answer(500, {"inside": "secret-of-the-provider"}),
        "text": loopback.answer(200, b"secret-of-the-provider", ("content-type", "text/html")),
        "reset": Told(b"", "reset"),
        "list": loopback.answer(200, ["secret-of-the-provider"]),
    }[case]
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    if path == "/.well-known/openid-configuration":
        answer = sign_ins.send({**sign_ins.parameters(url, client_id), "decision": "allow"})
    else:
        answer = come_back(sign_ins, leave(sign_ins, idp, url, client_id))
    assert answer.status_code == 400
    assert "identity provider" in answer.text
    assert "secret-of" not in answer.text


def test_a_person_who_is_no_longer_named_gets_no_more_tokens(sign_ins: SignIns, idp: Idp, settings: Settings) -> None:
    url, client_id = sign_ins.mint(), sign_ins.register()["client_id"]
    back = come_back(sign_ins, leave(sign_ins, idp, url, client_id))
    tokens = sign_ins.redeem(parse_qs(urlsplit(back.headers["location"]).query)["code"][0], client_id)
    later = replace(settings, oidc_people=("somebody@example.com",))
    assert not admits(later.oidc_people, "Ada@Example.com")
    object.__setattr__(settings, "oidc_people", later.oidc_people)  # as after a new start with other settings
    assert sign_ins.refresh(tokens["refresh_token"], client_id, status=400)["error"] == "invalid_grant"


def test_a_copy_of_the_table_does_not_finish_a_sign_in(sign_ins: SignIns, idp: Idp) -> None:
    query = leave(sign_ins, idp, sign_ins.mint(), sign_ins.register()["client_id"])
    cookie = sign_ins.plane.client.cookies["postern_sign_in"]
    dump = "".join(path.read_bytes().decode("latin-1") for path in sign_ins.plane.folder.glob("postern.sqlite*"))
    for secret in (query["state"], cookie, idp.nonce, idp.challenge, SECRET):
        assert secret not in dump


def test_the_settings_of_a_provider_belong_together() -> None:
    alone = {"POSTERN_OIDC_ISSUER": "https://idp.example"}
    for given in (alone, {**alone, "POSTERN_OIDC_CLIENT_ID": "x"}, {**alone, "POSTERN_OIDC_PEOPLE": "*"}):
        with pytest.raises(SettingsError, match="POSTERN_OIDC_PEOPLE"):
            Settings.from_environment(given)
    assert Settings.from_environment({**alone, "POSTERN_OIDC_CLIENT_ID": "x", "POSTERN_OIDC_PEOPLE": "*"}).oidc_issuer
    assert "hidden" not in repr(Settings(oidc_client_secret="hidden"))
