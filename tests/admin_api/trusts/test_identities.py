"""Workflow runs that mint with the identity token of their issuer, and tokens that must open nothing."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey

from functions.admin_api import issuers
from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.operations import OPERATIONS
from functions.admin_api.trusts.contract import TrustCreate
from functions.admin_api.trusts.identities import Identities
from functions.admin_api.trusts.service import Trusts
from functions.gateway.errors import Unavailable
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Put
from tests.admin_api.conftest import Plane
from tests.admin_api.trusts.conftest import Workloads
from tests.gateway import loopback
from tests.gateway.loopback import Told
from tests.identity_issuer import RSA, IdentityIssuer, ec_key

GOLDEN = Path(__file__).parents[2] / "golden" / "messages" / "trusts.json"


def test_a_workflow_run_mints_and_revokes_without_a_stored_secret(
    workloads: Workloads, plane: Plane, issuer: IdentityIssuer
) -> None:
    trust = workloads.trust()
    for number in range(3):
        minted = workloads.minted(issuer.token(trust["audience"]), name=f"run {number}")
        assert minted["created_by"] == f"{trust['id']}/octo/agent/4711"
        assert minted["config"]["pins"] == {"user_id": "ci"}
        path = f"/integrated-account/{workloads.account}/mcp/{minted['id']}"
        gone = plane.ok("DELETE", path, token=issuer.token(trust["audience"], run_attempt="3"))
        assert gone["removed"] == {"tokens": 1}
        assert plane.behind(minted["token"]) is None
    assert issuer.reads() == 1, "the keys are cached"


def test_a_token_signed_with_es256_is_read_too(workloads: Workloads, issuer: IdentityIssuer) -> None:
    issuer.key, issuer.algorithm = ec_key(), "ES256"
    issuer.published = [issuer.key]
    workloads.minted(issuer.token(workloads.trust()["audience"]))


def test_the_log_names_repository_and_run(workloads: Workloads, plane: Plane, issuer: IdentityIssuer) -> None:
    trust = workloads.trust()
    minted = workloads.minted(issuer.token(trust["audience"]))
    plane.clock.advance(seconds=1)
    workloads.refusal(issuer.token(trust["audience"]), 403, expires_at=None)
    who = f"{trust['id']}/octo/agent/4711"
    entries = plane.ok("GET", "/log", params={"kind": "decision", "principal": who})["result"]
    assert [(entry["action"], entry["outcome"], entry["server_id"]) for entry in entries] == [
        ("createServer", "refused", ""),
        ("createServer", "ok", minted["id"]),
    ]
    [made] = plane.ok("GET", "/log", params={"kind": "decision", "action": "createTrust"})["result"]
    assert made["trust_id"] == trust["id"]
    assert "trust_id" not in entries[0]


def test_a_run_revokes_what_it_minted_and_nothing_else(
    workloads: Workloads, plane: Plane, issuer: IdentityIssuer
) -> None:
    trust = workloads.trust()
    by_root = plane.ok("POST", f"/integrated-account/{workloads.account}/mcp", {"name": "root's"})
    by_another = workloads.minted(issuer.token(trust["audience"], run_id="1"))
    path = f"/integrated-account/{workloads.account}/mcp/"
    for server in (by_root, by_another):
        for named in (server["id"], server["name"]):
            refused = plane.refused("DELETE", path + named, status=403, token=issuer.token(trust["audience"]))
            assert "may revoke only the servers that it minted" in refused["message"]
        assert plane.behind(server["token"]) is not None
    plane.ok("DELETE", path + by_root["id"])


def test_an_api_token_with_the_scope_mint_revokes_what_it_minted(workloads: Workloads, plane: Plane) -> None:
    limits = {"scopes": ["mint"], "mint": {"max_lifetime_seconds": 3600}}
    mine, other = (plane.ok("POST", "/api-token", {"name": name, **limits})["token"] for name in ("mine", "other"))
    server = workloads.minted(mine)
    path = f"/integrated-account/{workloads.account}/mcp/{server['id']}"
    plane.refused("DELETE", path, status=403, token=other)
    plane.ok("DELETE", path, token=mine)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"expires_at": None}, "expires_at must be a time until 2026-11-21T13:00:00Z"),
        ({"expires_at": "2026-11-21T13:00:01Z"}, "expires_at must be a time until 2026-11-21T13:00:00Z"),
        ({"config": {"methods": ["read"]}}, "config.pins must hold user_id=ci"),
        ({"config": {"pins": {"user_id": "ci"}}}, "config shows tools that it may not give: "),
        ({"config": {"methods": ["read"], "pins": {"user_id": "mallory"}}}, "config.pins must hold user_id=ci"),
        (
            {"config": {"methods": ["read"], "pins": {"user_id": "ci"}, "write_ids": {"run_id": ["*"]}}},
            "config.write_ids must be empty",
        ),
    ],
    ids=["never", "too long", "no pins", "more tools", "other pins", "write ids"],
)
def test_nothing_beyond_the_limits_of_the_trust_is_minted(
    workloads: Workloads, plane: Plane, issuer: IdentityIssuer, changed: Json, reason: str
) -> None:
    trust = workloads.trust()
    said = workloads.refusal(issuer.token(trust["audience"]), 403, **changed)
    assert said.startswith(f"trust {trust['id']} may not mint this server: ")
    assert reason in said
    bulk = {"name": "many", "count": 3, **workloads.wish(**changed)}
    path = f"/integrated-account/{workloads.account}/mcp/bulk-create"
    plane.refused("POST", path, bulk, status=403, token=issuer.token(trust["audience"]))
    assert plane.ok("GET", f"/integrated-account/{workloads.account}/mcp")["result"] == []


def test_another_account_is_refused(workloads: Workloads, plane: Plane, issuer: IdentityIssuer, account: str) -> None:
    trust = workloads.trust()
    [item] = plane.store.get([layout.account(account)])
    assert item is not None
    plane.store.write([Put(layout.account("acc_other"), {**item.body, "id": "acc_other"})])
    refused = plane.refused(
        "POST",
        "/integrated-account/acc_other/mcp",
        workloads.wish(),
        status=403,
        token=issuer.token(trust["audience"]),
    )
    assert f"trust {trust['id']} is limited to the accounts {account}" in refused["message"]


def test_an_identity_token_opens_no_other_operation(workloads: Workloads, plane: Plane, issuer: IdentityIssuer) -> None:
    """Its own operations are in the document, and `GET /me` lists them."""
    token = issuer.token(workloads.trust()["audience"])
    me = plane.ok("GET", "/me", token=token)
    own = {row.name for row in OPERATIONS if row.workloads}
    assert own == {"getMe", "createServer", "createServers", "previewServer", "deleteServer"}
    assert set(me["operations"]) == own | {"signIn"}
    assert (me["name"], me["scopes"], me["account_ids"]) == ("ci", ["mint"], [workloads.account])
    assert me["expires_at"] == "2026-11-21T12:05:00Z"
    document = plane.ok("GET", "/openapi.json", token="")
    for row in OPERATIONS:
        described = document["paths"][row.path][row.verb]["security"]
        assert ({"identityToken": []} in described) is row.workloads
        if row.scopes and not row.workloads:
            path = row.path.replace("{account_id}", workloads.account).replace("{integration}", "mem0")
            refused = plane.refused(row.verb.upper(), path, status=403, token=token)
            assert "this operation needs an API token with the scope" in refused["message"]


def test_a_removed_or_changed_trust_holds_for_the_next_request(
    workloads: Workloads, plane: Plane, issuer: IdentityIssuer
) -> None:
    trust = workloads.trust()
    token = issuer.token(trust["audience"])
    workloads.minted(token)
    plane.ok("PATCH", f"/trust/{trust['id']}", {"claims": {"repository_id": ["74"], "ref": ["refs/heads/next"]}})
    assert 'this trust allows "refs/heads/next"' in workloads.refusal(token, 403)
    plane.ok("PATCH", "/trust/ci", {"claims": {"repository_id": ["74"]}, "mint": {"max_lifetime_seconds": 60}})
    assert "expires_at must be a time until 2026-11-21T12:01:00Z" in workloads.refusal(token, 403)
    plane.ok("DELETE", "/trust/ci")
    assert "no trust has the audience" in workloads.refusal(token)


# What a token must be.

Forged = Callable[[IdentityIssuer, str], str]


def unsigned(issuer: IdentityIssuer, audience: str) -> str:
    claims = issuer.token(audience).split(".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa-1"}').rstrip(b"=").decode()
    return f"{none}.{claims}."


def signed_with_the_public_key(issuer: IdentityIssuer, audience: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa-1"}').rstrip(b"=").decode()
    signed = f"{header}.{issuer.token(audience).split('.')[1]}"
    signature = hmac.digest(issuer.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def signed_with_another_key(issuer: IdentityIssuer, audience: str) -> str:
    genuine, issuer.key = issuer.key, RSAKey.generate_key(2048, {"kid": "rsa-1"})
    token = issuer.token(audience)
    issuer.key = genuine
    return token


def signed_with_a_key_in_its_header(issuer: IdentityIssuer, audience: str) -> str:
    genuine, issuer.key = issuer.key, RSAKey.generate_key(2048, {"kid": "rsa-1"})
    token = issuer.token(audience, header={"jwk": issuer.key.as_dict(private=False)})
    issuer.key = genuine
    return token


def signed_with_another_algorithm(issuer: IdentityIssuer, audience: str) -> str:
    genuine = issuer.key, issuer.algorithm
    issuer.key, issuer.algorithm = RSAKey.import_key({**RSA.as_dict(private=True), "alg": "PS256"}), "PS256"
    token = issuer.token(audience)
    issuer.key, issuer.algorithm = genuine
    return token


def with_other_claims(issuer: IdentityIssuer, audience: str) -> str:
    header, _, signature = issuer.token(audience).split(".")
    return f"{header}.{issuer.token(audience, run_id='1').split('.')[1]}.{signature}"


def deep(issuer: IdentityIssuer, audience: str) -> str:
    header, _, signature = issuer.token(audience).split(".")
    claims = base64.urlsafe_b64encode(b"[" * 2_000 + b"]" * 2_000).rstrip(b"=").decode()
    return f"{header}.{claims}.{signature}"


FORGED: dict[str, Forged] = {
    "alg none": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "another key": signed_with_another_key,
    "a key in the header": signed_with_a_key_in_its_header,
    "other claims": with_other_claims,
    "PS256": signed_with_another_algorithm,
    "no kid": lambda issuer, audience: issuer.token(audience, header={"kid": None}),
    "unknown kid": lambda issuer, audience: issuer.token(audience, header={"kid": "rsa-2"}),
    "kid of another type": lambda issuer, audience: (
        base64.urlsafe_b64encode(b'{"alg":"RS256","kid":1}').rstrip(b"=").decode()
        + issuer.token(audience)[issuer.token(audience).index(".") :]
    ),
    "another audience": lambda issuer, audience: issuer.token("https://other.example"),
    "two audiences": lambda issuer, audience: issuer.token([audience, "https://other.example"]),
    "no audience": lambda issuer, audience: issuer.token(None),
    "another issuer": lambda issuer, audience: issuer.token(audience, iss="https://evil.example"),
    "a slash too many": lambda issuer, audience: issuer.token(audience, iss=f"{issuer.url}/"),
    "an expiry beyond any clock": lambda issuer, audience: issuer.token(audience, exp=-(2**2_000)),
    "an expiry of another age": lambda issuer, audience: issuer.token(audience, exp=-1e308),
    "white space in front": lambda issuer, audience: (
        base64.urlsafe_b64encode(b'{ "alg": "none"}').rstrip(b"=").decode() + ".e30."
    ),
    "no issuer": lambda issuer, audience: issuer.token(audience, iss=None),
    "expired": lambda issuer, audience: issuer.token(audience, exp=int(issuer.clock().timestamp()) - 60),
    "no expiry": lambda issuer, audience: issuer.token(audience, exp=None),
    "expiry as text": lambda issuer, audience: issuer.token(audience, exp="2100000000"),
    "not yet": lambda issuer, audience: issuer.token(audience, nbf=int(issuer.clock().timestamp()) + 61),
    "from the future": lambda issuer, audience: issuer.token(audience, iat=int(issuer.clock().timestamp()) + 61),
    "no time of issue": lambda issuer, audience: issuer.token(audience, iat=None),
    "too long": lambda issuer, audience: issuer.token(audience, padding="x" * 9_000),
    "one segment": lambda issuer, audience: issuer.token(audience).split(".")[0],
    "four segments": lambda issuer, audience: issuer.token(audience) + ".e30",
    "no JSON": lambda issuer, audience: "eyJ.eyJ.eyJ",
    "deep JSON": deep,
    "no object": lambda issuer, audience: "eyJhbGciOiJSUzI1NiJ9.W10.",
}


@pytest.mark.parametrize("case", FORGED)
def test_a_token_that_does_not_count_opens_nothing(
    workloads: Workloads, plane: Plane, issuer: IdentityIssuer, case: str
) -> None:
    trust = workloads.trust()
    token = FORGED[case](issuer, trust["audience"])
    for _ in range(3):
        said = workloads.refusal(token)
        assert said.startswith("the identity token was not accepted: ")
        assert "octo/agent" not in said, "nobody without a valid signature hears what the trust allows"
    assert plane.ok("GET", f"/integrated-account/{workloads.account}/mcp")["result"] == []


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_clocks_may_be_a_little_apart(workloads: Workloads, issuer: IdentityIssuer, claim: str) -> None:
    now = int(issuer.clock().timestamp())
    apart: Json = {"exp": now - 59, "iat": now + 60, "nbf": now + 60}[claim]
    changed: dict[str, Json] = {claim: apart}
    workloads.minted(issuer.token(workloads.trust()["audience"], **changed))


@pytest.mark.parametrize("exp", [1e300, 2**200, 4_102_444_800.5], ids=str)
def test_an_expiry_far_away_breaks_nothing(workloads: Workloads, issuer: IdentityIssuer, exp: float) -> None:
    workloads.minted(issuer.token(workloads.trust()["audience"], exp=exp))


# What its claims must be.

OTHER_CLAIMS: dict[str, tuple[Json, Json]] = {
    "repository": ({"repository": ["octo/agent"]}, {"repository": "mallory/agent"}),
    "case": ({"repository": ["octo/agent"]}, {"repository": "Octo/agent"}),
    "registered anew": ({"repository": ["octo/agent"], "repository_id": ["74"]}, {"repository_id": "99"}),
    "owner registered anew": (
        {"repository": ["octo/agent"], "repository_owner_id": ["65"]},
        {"repository_owner_id": "9"},
    ),
    "branch": (
        {"repository": ["octo/agent"], "ref": ["refs/heads/main", "refs/tags/v1"]},
        {"ref": "refs/pull/7/merge"},
    ),
    "environment": ({"repository": ["octo/agent"], "environment": ["prod"]}, {"environment": None}),
    "workflow": (
        {
            "repository": ["octo/agent"],
            "job_workflow_ref": ["octo/agent/.github/workflows/ci.yml@refs/heads/main"],
        },
        {"job_workflow_ref": "octo/agent/.github/workflows/other.yml@refs/heads/main"},
    ),
    "pull request in the subject": (
        {"sub": ["repo:octo/agent:ref:refs/heads/main"]},
        {"sub": "repo:octo/agent:pull_request"},
    ),
    "environment in the subject": (
        {"sub": ["repo:octo/agent:environment:prod"]},
        {"sub": "repo:octo/agent:environment:production"},
    ),
    "an event that strangers cause": ({"repository": ["octo/agent"]}, {"event_name": "pull_request_target"}),
    "number": ({"repository_id": ["74"]}, {"repository_id": 74}),
    "list": ({"repository": ["octo/agent"]}, {"repository": ["octo/agent"]}),
    "object": ({"repository": ["octo/agent"]}, {"repository": {"octo/agent": True}}),
    "true": ({"repository_id": ["74"], "ref_protected": ["true"]}, {"ref_protected": True}),
    "no run": ({"repository": ["octo/agent"]}, {"run_id": None}),
    "a run that is no text": ({"repository": ["octo/agent"]}, {"run_id": "4711\n"}),
}


@pytest.mark.parametrize("case", OTHER_CLAIMS)
def test_a_run_with_other_claims_than_the_trust_lists_is_refused(
    workloads: Workloads, issuer: IdentityIssuer, case: str
) -> None:
    claims, changed = OTHER_CLAIMS[case]
    trust = workloads.trust(claims=claims)
    fitting = {name: values[0] for name, values in claims.items()}
    workloads.minted(issuer.token(trust["audience"], **fitting))
    said = workloads.refusal(issuer.token(trust["audience"], **{**fitting, **changed}), 403)
    assert said.startswith(f"trust {trust['id']} does not admit this identity: ")


def test_an_event_is_admitted_where_the_trust_lists_it(workloads: Workloads, issuer: IdentityIssuer) -> None:
    trust = workloads.trust(claims={"repository": ["octo/agent"], "event_name": ["pull_request_target"]})
    workloads.minted(issuer.token(trust["audience"], event_name="pull_request_target"))
    assert 'has event_name "push"' in workloads.refusal(issuer.token(trust["audience"]), 403)


def test_an_issuer_of_another_kind_is_data(workloads: Workloads, plane: Plane) -> None:
    """Any OpenID Connect issuer, with its URL and its own claims; its subject stands in the log."""
    with loopback.upstream() as upstream:
        own = IdentityIssuer(upstream, plane.clock)
        trust = workloads.trust(issuer=own.url, claims={"project": ["p-1"]}, audience="https://postern.example")
        token = own.token("https://postern.example", sub="job:7", project="p-1")
        assert workloads.minted(token)["created_by"] == f"{trust['id']}/job:7"
        assert trust["claims"] == {"project": ["p-1"]}
        assert "project" in workloads.refusal(own.token("https://postern.example", project="p-2"), 403)


def test_workloads_with_long_names_are_told_apart_in_the_log(workloads: Workloads, plane: Plane) -> None:
    with loopback.upstream() as upstream:
        own = IdentityIssuer(upstream, plane.clock)
        trust = workloads.trust(issuer=own.url, claims={"project": ["p-1"]}, audience="https://postern.example")
        path = f"/integrated-account/{workloads.account}/mcp/"
        tokens = {
            end: own.token("https://postern.example", sub=f"{'x' * 300}{end}", project="p-1") for end in ("a", "b")
        }
        minted = {end: workloads.minted(token, name=end) for end, token in tokens.items()}
        names = {end: server["created_by"] for end, server in minted.items()}
        assert names["a"] != names["b"]
        assert all(name.startswith(f"{trust['id']}/xxx") and len(name) == 200 for name in names.values())
        for end, name in names.items():
            entries = plane.ok("GET", "/log", params={"kind": "decision", "principal": name})["result"]
            assert [entry["server_id"] for entry in entries] == [minted[end]["id"]]
        plane.refused("DELETE", path + minted["a"]["id"], status=403, token=tokens["b"])
        plane.ok("DELETE", path + minted["a"]["id"], token=tokens["a"])


# The issuer.


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys"])
@pytest.mark.parametrize("case", ["error", "text", "list", "reset", "redirect", "too large", "no keys", "another's"])
def test_an_issuer_that_cannot_be_read_opens_nothing_and_says_what_to_do(
    workloads: Workloads, plane: Plane, issuer: IdentityIssuer, path: str, case: str
) -> None:
    trust = workloads.trust()
    token = issuer.token(trust["audience"])
    issuer.answers[path] = {
        "error": loopback.answer(500, {"inside": "a-word-of-the-issuer"}),
        "text": loopback.answer(200, b"a-word-of-the-issuer", ("content-type", "text/html")),
        "list": loopback.answer(200, ["a-word-of-the-issuer"]),
        "reset": Told(b"", "reset"),
        "redirect": loopback.answer(302, {}, ("location", f"{issuer.url}/elsewhere")),
        "too large": loopback.answer(200, {"keys": [], "padding": "x" * issuers.MAX_BYTES}),
        "no keys": loopback.answer(200, {"issuer": issuer.url, "keys": [{"kty": "oct", "k": "AA"}, 1, {"kty": "RSA"}]}),
        "another's": loopback.answer(200, {"issuer": "https://a-word-of-the-issuer", "keys": "none"}),
    }[case]
    for _ in range(3):
        answer = workloads.mint(token)
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"]
        said = answer.json()["message"]
        assert said.startswith(f"the identity token could not be checked, because its issuer {issuer.url} ")
        assert "nothing was done. Try again in " in said
        assert "a-word-of-the-issuer" not in said
    assert issuer.reads("/elsewhere") == 0
    issuer.answers.clear()
    plane.clock.advance(minutes=1)
    workloads.minted(issuer.token(trust["audience"]))


def test_keys_change_and_strangers_cause_few_readings(
    workloads: Workloads, plane: Plane, issuer: IdentityIssuer
) -> None:
    trust = workloads.trust()
    workloads.minted(issuer.token(trust["audience"]), name="first")
    issuer.key = RSAKey.generate_key(2048, {"kid": "rsa-2", "use": "sig"})
    issuer.published = [*issuer.published, issuer.key]
    workloads.minted(issuer.token(trust["audience"]), name="second")
    assert issuer.reads() == 2
    answers = [workloads.mint(issuer.token(trust["audience"], header={"kid": f"no-{n}"})) for n in range(50)]
    assert {answer.status_code for answer in answers} == {401, 503}
    assert issuer.reads() == 1 + issuers.READINGS.burst
    workloads.minted(issuer.token(trust["audience"]), name="third")
    plane.clock.advance(hours=1)
    workloads.minted(issuer.token(trust["audience"]), name="fourth")
    assert issuer.reads() == 2 + issuers.READINGS.burst, "the cache ends, whatever strangers have asked for"


def test_no_key_is_fetched_for_an_audience_or_an_issuer_that_nobody_trusts(
    workloads: Workloads, issuer: IdentityIssuer
) -> None:
    trust = workloads.trust()
    for token in (issuer.token("https://other.example"), issuer.token(trust["audience"], iss="http://127.0.0.1:1")):
        workloads.refusal(token)
    assert issuer.upstream.requests == []


def test_strangers_cause_one_log_entry_a_second(workloads: Workloads, plane: Plane, issuer: IdentityIssuer) -> None:
    trust = workloads.trust()
    for number in range(20):
        workloads.refusal(issuer.token(trust["audience"], repository=f"mallory/{number}"), 403)
    refused = {"kind": "decision", "outcome": "refused"}
    assert len(plane.ok("GET", "/log", params=refused)["result"]) == 1
    plane.clock.advance(seconds=1)
    workloads.refusal(issuer.token(trust["audience"], repository="mallory/agent"), 403)
    newest = plane.ok("GET", "/log", params=refused)["result"][0]
    assert (newest["error"], newest["principal"], newest["repeated"]) == ("NotTrusted", "", 19)


def test_no_token_reaches_the_log_or_the_disk(workloads: Workloads, plane: Plane, issuer: IdentityIssuer) -> None:
    trust = workloads.trust()
    tokens = [issuer.token(trust["audience"]), issuer.token(trust["audience"], repository="mallory/agent")]
    workloads.minted(tokens[0])
    workloads.refusal(tokens[1], 403)
    dump = "".join(path.read_bytes().decode("latin-1") for path in plane.folder.glob("postern.sqlite*"))
    for token in tokens:
        signature = token.split(".")[2]
        assert signature not in dump + plane.lines.getvalue() + plane.decision_lines.getvalue()


def test_the_words_of_every_refusal(workloads: Workloads, plane: Plane, issuer: IdentityIssuer) -> None:
    """What a reader of a CI log gets; reviewed in tests/golden/messages/trusts.json. UPDATE_GOLDEN=1 rewrites it."""
    said = {}
    for case, forge in FORGED.items():
        trust = workloads.trust(case)
        said[case] = workloads.refusal(forge(issuer, trust["audience"])).replace(trust["id"], "TRUST")
    for case, (claims, changed) in OTHER_CLAIMS.items():
        trust = workloads.trust(case + " of the claims", claims=claims)
        fitting = {name: values[0] for name, values in claims.items()}
        token = issuer.token(trust["audience"], **{**fitting, **changed})
        said[f"claims: {case}"] = workloads.refusal(token, 403).replace(trust["id"], "TRUST")
    plane.clock.advance(hours=2)
    for case, told in {"error": loopback.answer(500, {}), "reset": Told(b"", "reset")}.items():
        issuer.answers["/keys"] = told
        trust = workloads.trust(case)
        answer = workloads.refusal(issuer.token(trust["audience"]), 503)
        said[f"issuer: {case}"] = answer.replace(trust["id"], "TRUST").replace(issuer.url, "ISSUER")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    assert said == json.loads(GOLDEN.read_text()), "the words changed; UPDATE_GOLDEN=1 writes them, then read the diff"


def test_a_private_address_of_an_issuer_is_never_connected_to(
    tmp_path: Path, issuer: IdentityIssuer, plane: Plane, account: str
) -> None:
    """A trust that was made while private addresses were allowed, at a deployment that does not allow them."""
    store = SqliteStore(tmp_path / "other.sqlite")
    [account_item] = plane.store.get([layout.account(account)])
    assert account_item is not None
    store.write([Put(layout.account("acc_1"), {**account_item.body, "id": "acc_1"})])
    lookup = AccountLookup(store, {}, LocalKeys(tmp_path / "keys", os.urandom))
    laptop = Settings(private_upstreams=True)
    body = TrustCreate(
        name="ci",
        issuer=issuer.url,
        claims={"repository": ["octo/agent"]},
        account_ids=["acc_1"],
        mint={"max_lifetime_seconds": 60},  # type: ignore[arg-type]
    )
    trust = Trusts(laptop, store, lookup, issuer.clock, os.urandom).create(body, "https://postern.example")
    with pytest.raises(Unavailable, match="does not answer as it should"):
        asyncio.run(Identities(Settings(), store, issuer.clock).admit(issuer.token(trust.audience)))
    assert issuer.upstream.requests == []
    store.close()
