"""Trusts: made, listed, changed and removed."""

from __future__ import annotations

from typing import Any

import pytest

from functions.admin_api.trusts.presets import PRESETS, of, says_whose
from functions.admin_api.trusts.service import MAX_TRUSTS
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.stores import layout
from tests.admin_api.conftest import Plane
from tests.admin_api.trusts.conftest import Workloads
from tests.identity_issuer import IdentityIssuer


def test_a_trust_says_all_that_holds_for_it_and_has_no_secret(workloads: Workloads, plane: Plane) -> None:
    made = workloads.trust()
    assert made == {
        "id": made["id"],
        "name": "ci",
        "issuer": workloads.issuer.url,
        "audience": f"https://postern.example/trust/{made['id']}",
        "claims": {
            "event_name": list(PRESETS["github"].defaults["event_name"]),
            "repository": ["octo/agent"],
        },
        "account_ids": [workloads.account],
        "mint": {"methods": ["read"], "tags": [], "pins": {"user_id": "ci"}, "max_lifetime_seconds": 3600},
        "created_at": "2026-11-21T12:00:00Z",
        "updated_at": "2026-11-21T12:00:00Z",
    }
    for named in (made["id"], "ci"):
        assert plane.ok("GET", f"/trust/{named}") == made
    assert plane.ok("GET", "/trust") == {"result": [made], "next_cursor": None}


def test_the_audience_begins_with_the_address_of_the_management_api(
    workloads: Workloads, plane: Plane, settings: Settings
) -> None:
    """Not with the one that minted URLs have, and not with a header of the request where the settings say it."""
    object.__setattr__(settings, "management_url", "https://admin.example")  # as after a new start
    object.__setattr__(settings, "public_url", "https://mcp.example")
    assert workloads.trust()["audience"].startswith("https://admin.example/trust/tru_")


def test_a_listing_has_pages(workloads: Workloads, plane: Plane) -> None:
    ids = sorted(workloads.trust(f"t{number}")["id"] for number in range(5))
    found, cursor = [], None
    while True:
        query = {"limit": "2", **({"next_cursor": cursor} if cursor else {})}
        page = plane.ok("GET", "/trust", params=query)
        found += [trust["id"] for trust in page["result"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ids


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": None}, "name is missing; it is required: a name for people, 1 to 200 characters"),
        ({"issuer": "githup"}, 'issuer is "githup"; valid: github, gitlab, or an https URL on the public internet'),
        ({"issuer": "ftp://ci.example"}, 'issuer is "ftp://ci.example"; valid: github, gitlab, or an https URL'),
        ({"issuer": "https://user@ci.example"}, "valid: github, gitlab, or an https URL"),
        ({"claims": {}}, "claims is empty; it needs at least one entry"),
        ({"claims": {"repository": []}}, "claims.repository is empty; it needs at least one entry"),
        ({"claims": {"repository": "octo/agent"}}, 'claims.repository is "octo/agent"; it must be a list'),
        ({"claims": {"repository_id": [74]}}, "claims.repository_id.0 is 74; it must be a string"),
        (
            {"claims": {"sub": ["repo:octo/agent:*"]}},
            "values are compared whole, so a * matches nothing else; list each value",
        ),
        (
            {"claims": {"ref": ["refs/heads/main"]}},
            "list one of repository, repository_id, repository_owner, repository_owner_id, sub",
        ),
        (
            {"claims": {"sub": ["repo:octo/agent:pull_request", "ref:refs/heads/main"]}},
            'claims.sub: "ref:refs/heads/main" says nothing of whose workload it is, and anybody can have this '
            "subject; list one with repo:..., repository:...",
        ),
        (
            {"claims": {"repository": ["octo/agent "]}},
            'claims.repository.0 is "octo/agent "; values are compared whole; this one has a space at an end',
        ),
        (
            {"claims": {"repository": ["octo/\u200bagent"]}},
            "or a character that is not shown",
        ),
        (
            {"claims": {"repository": ["octo/agent"], "aud": ["x"], "exp": ["1"]}},
            "claims.aud: a trust does not list this claim; its value is audience",
        ),
        ({"account_ids": []}, "account_ids is empty; it needs at least one entry"),
        ({"account_ids": ["acc_gone"]}, 'account_ids.0: there is no integrated account "acc_gone"'),
        ({"account_ids": None}, "account_ids is missing; it is required: the accounts whose servers it may mint"),
        ({"mint": None}, "mint is missing; it is required: what it may mint"),
        ({"mint": {"methods": ["read"]}}, "mint.max_lifetime_seconds is missing; it is required"),
        ({"mint": {"max_lifetime_seconds": 0}}, "mint.max_lifetime_seconds is 0; it must be a whole number from 1 to"),
        (
            {"mint": {"max_lifetime_seconds": 60, "methods": ["raed"], "tags": ["memry"], "pins": {"user": "ci"}}},
            'mint.methods: "raed" is unknown; did you mean "read"?',
        ),
        ({"mint": {"max_lifetime_seconds": 60, "pins": {"user": "ci"}}}, 'mint.pins: "user" is unknown; did you mean'),
        ({"audience": ""}, "audience is empty; it needs at least one character"),
        ({"expires_at": "2027-01-01T00:00:00Z"}, "expires_at: unknown key"),
    ],
    ids=str,
)
def test_a_wrong_trust_is_refused_with_the_reason(
    workloads: Workloads, plane: Plane, changed: Json, message: str
) -> None:
    body: dict[str, Any] = {
        "name": "ci",
        "issuer": "github",
        "claims": {"repository": ["octo/agent"]},
        "account_ids": [workloads.account],
        "mint": {"max_lifetime_seconds": 60},
        **changed,
    }
    refused = plane.refused("POST", "/trust", {k: v for k, v in body.items() if v is not None}, status=400)
    assert message in refused["message"]
    assert plane.ok("GET", "/trust")["result"] == []
    assert plane.store.query(layout.TRUSTS) == []


@pytest.mark.parametrize(
    "url", ["http://ci.example", "https://127.0.0.1", "https://10.0.0.7/realm", "https://ci.internal", "https://[::1]"]
)
def test_an_issuer_on_a_private_address_is_refused_unless_settings_allow_it(
    workloads: Workloads, plane: Plane, settings: Settings, url: str
) -> None:
    object.__setattr__(settings, "private_upstreams", False)
    body = {
        "name": "ci",
        "issuer": url,
        "claims": {"sub": ["x"]},
        "account_ids": [workloads.account],
        "mint": {"max_lifetime_seconds": 60},
    }
    assert "https URL on the public internet" in plane.refused("POST", "/trust", body, status=400)["message"]
    object.__setattr__(settings, "private_upstreams", True)
    assert plane.ok("POST", "/trust", body)["issuer"] == url


def test_names_and_audiences_are_unique_and_free_again_when_the_trust_is_gone(
    workloads: Workloads, plane: Plane
) -> None:
    first = workloads.trust(audience="https://postern.example")
    body = {key: first[key] for key in ("name", "issuer", "claims", "account_ids", "mint")}
    assert "already a trust with the name" in plane.refused("POST", "/trust", body, status=409)["message"]
    named_as_id = {**body, "name": first["id"]}
    assert "already a trust with the name" in plane.refused("POST", "/trust", named_as_id, status=409)["message"]
    same = {**body, "name": "other", "audience": "https://postern.example"}
    assert f"the trust {first['id']} has the audience" in plane.refused("POST", "/trust", same, status=409)["message"]
    assert plane.ok("DELETE", "/trust/ci") == {"id": first["id"], "name": "ci"}
    plane.refused("GET", f"/trust/{first['id']}", status=404)
    plane.refused("DELETE", "/trust/ci", status=404)
    workloads.trust(audience="https://postern.example")


def test_a_change_replaces_what_it_names_and_nothing_else(workloads: Workloads, plane: Plane) -> None:
    made = workloads.trust()
    plane.clock.advance(minutes=1)
    changed = plane.ok("PATCH", "/trust/ci", {"claims": {"repository_id": ["74"]}})
    events = {"event_name": list(PRESETS["github"].defaults["event_name"])}
    claims = {**events, "repository_id": ["74"]}
    assert changed == {**made, "claims": claims, "updated_at": "2026-11-21T12:01:00Z"}
    changed = plane.ok("PATCH", "/trust/ci", {"mint": {"max_lifetime_seconds": 60}})
    assert changed["mint"] == {"methods": [], "tags": [], "pins": {}, "max_lifetime_seconds": 60}
    for body, status in (
        ({"claims": {"ref": ["refs/heads/main"]}}, 400),
        ({"claims": None}, 400),
        ({"mint": None}, 400),
        ({"account_ids": ["acc_gone"]}, 400),
        ({"issuer": "gitlab"}, 400),
        ({"audience": "x"}, 400),
    ):
        plane.refused("PATCH", "/trust/ci", body, status=status)
    assert plane.ok("GET", "/trust/ci") == changed


def test_a_deployment_has_a_limited_number_of_trusts(workloads: Workloads, plane: Plane) -> None:
    for number in range(MAX_TRUSTS):
        workloads.trust(f"t{number}")
    body = {"name": "more", "issuer": "github", "claims": {"repository": ["o/r"]}, "account_ids": [workloads.account]}
    refused = plane.refused("POST", "/trust", {**body, "mint": {"max_lifetime_seconds": 1}}, status=409)
    assert f"there are {MAX_TRUSTS} trusts" in refused["message"]
    gone = plane.ok("DELETE", f"/integrated-account/{workloads.account}")
    assert len(gone["removed"]["trusts"]) == MAX_TRUSTS
    assert plane.ok("GET", "/trust")["result"] == []


def test_an_account_leaves_no_trust_behind(workloads: Workloads, plane: Plane, issuer: IdentityIssuer) -> None:
    """Otherwise a later account with its id could be used by the workloads of the earlier one."""
    from functions.stores.store import Put

    [item] = plane.store.get([layout.account(workloads.account)])
    assert item is not None
    plane.store.write([Put(layout.account("acc_other"), {**item.body, "id": "acc_other"})])
    alone = workloads.trust("alone")
    both = workloads.trust("both", account_ids=[workloads.account, "acc_other"])
    gone = plane.ok("DELETE", f"/integrated-account/{workloads.account}")
    assert gone["removed"]["trusts"] == [alone["id"]]
    [left] = plane.ok("GET", "/trust")["result"]
    assert (left["id"], left["account_ids"]) == (both["id"], ["acc_other"])
    workloads.refusal(issuer.token(alone["audience"]))
    assert "is limited to the accounts acc_other" in workloads.refusal(issuer.token(both["audience"]), 403)


def test_an_api_token_with_limits_has_nothing_to_do_with_trusts(workloads: Workloads, plane: Plane) -> None:
    made = workloads.trust()
    limited = plane.ok("POST", "/api-token", {"name": "l", "scopes": ["manage"], "account_ids": [workloads.account]})
    for verb, path, action in (
        ("POST", "/trust", "make trusts"),
        ("GET", "/trust", "list trusts"),
        ("GET", f"/trust/{made['id']}", "read trusts"),
        ("PATCH", f"/trust/{made['id']}", "change trusts"),
        ("DELETE", f"/trust/{made['id']}", "remove trusts"),
    ):
        assert f"may not {action}" in plane.refused(verb, path, status=403, token=limited["token"])["message"]


def test_the_issuer_of_an_enterprise_on_github_has_the_claims_of_github() -> None:
    github = PRESETS["github"]
    assert of(f"{github.issuer}/octo-corp") == github
    assert of(f"{github.issuer}.evil.example") != github
    assert of("https://ci.example").owners == ()


@pytest.mark.parametrize(
    ("name", "subject", "whose"),
    [
        ("github", "repo:octo/agent:ref:refs/heads/main", True),
        ("github", "repo:octo@65/agent@74:environment:prod", True),
        ("github", "environment:prod:repository_owner_id:65", True),
        ("github", "environment:prod", False),
        ("github", "ref:refs/heads/repo", False),
        ("github", "workflow:repo", False),
        ("github", "repo:", False),
        ("github", "actor:mona:job_workflow_ref:octo/shared/.github/workflows/ci.yml@refs/heads/main", False),
        ("github", "octo/agent", False),
        ("gitlab", "project_path:octo/agent:ref_type:branch:ref:main", True),
        ("gitlab", "ref_type:branch:ref:main", False),
    ],
)
def test_a_subject_says_whose_workload_it_is_by_a_part_that_nobody_else_can_have(
    name: str, subject: str, whose: bool
) -> None:
    """Anybody can choose the parts of the subjects of their own repository, and leave the repository out."""
    assert says_whose(subject, PRESETS[name]) is whose


def test_a_vague_subject_is_admitted_beside_a_claim_that_names_an_owner(workloads: Workloads) -> None:
    """And at an issuer that nobody shares."""
    claims = {"sub": ["environment:prod"], "repository_id": ["74"]}
    assert workloads.trust(claims=claims)["claims"]["sub"] == ["environment:prod"]
    workloads.trust("own", issuer="https://ci.example", claims={"sub": ["job:7"]})


def test_an_issuer_that_is_known_by_name_is_stored_by_its_url() -> None:
    """The names and what they stand for are data; these are the issuers' own words."""
    assert PRESETS["github"].issuer == "https://token.actions.githubusercontent.com"
    assert PRESETS["gitlab"].issuer == "https://gitlab.com"
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(
        PRESETS["github"].defaults["event_name"]
    ), "events that somebody outside the repository causes"
