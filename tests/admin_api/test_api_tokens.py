"""API tokens: who may call, and what each may touch."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.api_tokens.item import ApiTokenItem
from functions.admin_api.api_tokens.root import KEPT_SECONDS, SecretsManagerRoot, bootstrap
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.servers.item import LiveToken, ServerItem
from functions.gateway.errors import Unauthenticated, Unavailable
from functions.gateway.grants import ApiToken, ServerConfig, digest, write_time
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Put
from tests.admin_api.conftest import START, Plane

GIVEN = "pst_" + "a" * 43
OTHER = "pst_" + "b" * 43


def make(plane: Plane, **body: Any) -> Any:
    return plane.ok("POST", "/api-token", {"name": "t", "scopes": ["manage"], **body})


def test_an_api_token_is_shown_once(plane: Plane) -> None:
    answer = plane.call("POST", "/api-token", {"name": "CI", "scopes": ["manage", "connect", "manage"][:2]})
    assert answer.status_code == 201
    made = answer.json()
    secret = made.pop("token")
    assert secret.startswith("pst_")
    assert len(secret) == 47
    assert made.pop("id").startswith("tok_")
    assert made == {
        "name": "CI",
        "scopes": ["manage", "connect"],
        "account_ids": [],
        "server_ids": [],
        "expires_at": None,
        "created_at": write_time(START),
        "mint": None,
    }
    listing = plane.call("GET", "/api-token").text
    assert "CI" in listing
    assert secret not in listing
    assert secret not in plane.call("GET", f"/api-token/{answer.json()['id']}").text


def test_a_managing_token_manages_and_is_the_creator_of_what_it_makes(plane: Plane, account: str) -> None:
    made = make(plane)
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"}, token=made["token"])
    assert server["created_by"] == made["id"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "send an API token in the header: Authorization: Bearer pst_..."),
        ("Bearer", "send an API token in the header: Authorization: Bearer pst_..."),
        ("Basic dXNlcjpwYXNz", "send an API token in the header: Authorization: Bearer pst_..."),
        ("Bearer nonsense", "this API token is unknown, revoked or expired; make one with POST /api-token"),
        (f"Bearer {OTHER}", "this API token is unknown, revoked or expired; make one with POST /api-token"),
        (f"Bearer {'x' * 6000}", "this API token is unknown, revoked or expired; make one with POST /api-token"),
    ],
)
def test_without_a_known_token_nothing_is_served(plane: Plane, header: str | None, message: str) -> None:
    answer = plane.client.get("/integrated-account", headers={"authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {"statusCode": 401, "error": "Unauthorized", "message": message}


def test_a_revoked_token_is_dead_at_once(plane: Plane) -> None:
    made = make(plane)
    plane.ok("GET", "/integrated-account", token=made["token"])
    assert plane.ok("DELETE", f"/api-token/{made['id']}") == {"id": made["id"], "name": "t"}
    plane.refused("GET", "/integrated-account", token=made["token"], status=401)
    plane.refused("DELETE", f"/api-token/{made['id']}", status=404)
    error = plane.refused("GET", f"/api-token/{made['id']}", status=404)
    assert error["message"] == f'there is no live API token "{made["id"]}"; GET /api-token lists them'


def test_a_token_is_dead_from_the_second_of_its_expiry(plane: Plane) -> None:
    made = make(plane, expires_at=write_time(START + timedelta(seconds=10)))
    plane.clock.advance(seconds=9)
    plane.ok("GET", "/integrated-account", token=made["token"])
    plane.clock.advance(seconds=1)
    plane.refused("GET", "/integrated-account", token=made["token"], status=401)
    plane.refused("GET", f"/api-token/{made['id']}", status=404)
    assert [token["id"] for token in plane.ok("GET", "/api-token")["result"]] == ["tok_root"]


def test_a_connect_token_may_not_manage(plane: Plane) -> None:
    made = make(plane, scopes=["connect"])
    error = plane.refused("GET", "/integrated-account", token=made["token"], status=403)
    assert (
        error["message"]
        == f"API token {made['id']} has the scope connect; this operation needs the scope read or manage"
    )


def test_a_connect_token_is_what_the_data_plane_checks(plane: Plane, account: str) -> None:
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})
    made = make(plane, scopes=["connect"], server_ids=[server["id"]])
    [item] = plane.store.get([layout.api_token(digest(made["token"]))])
    behind = plane.behind(server["token"])
    assert item is not None
    assert behind is not None
    assert ApiToken.from_json(item.body).covers(behind)
    other = plane.behind(plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "other"})["token"])
    assert other is not None
    assert not ApiToken.from_json(item.body).covers(other)


def test_a_token_limited_to_accounts_touches_those_alone(plane: Plane, account: str) -> None:
    token = make(plane, account_ids=[account])["token"]
    assert [entry["id"] for entry in plane.ok("GET", "/integrated-account", token=token)["result"]] == [account]
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"}, token=token)
    plane.ok("GET", f"/integrated-account/{account}/mcp/{server['id']}", token=token)
    plane.ok("GET", "/log", token=token)
    error = plane.refused("GET", "/integrated-account/acc_other", token=token, status=403)
    assert error["message"] == f'this API token is limited to the accounts {account}; it does not allow "acc_other"'
    for verb, path, body in [
        ("PATCH", "/integrated-account/acc_other", {"name": "x"}),
        ("DELETE", "/integrated-account/acc_other", None),
        ("GET", "/integrated-account/acc_other/mcp", None),
        ("POST", "/integrated-account/acc_other/mcp", {"name": "x"}),
        ("POST", "/integrated-account/acc_other/mcp/preview", {}),
        ("GET", "/integrated-account/acc_other/mcp/srv_x", None),
        ("PATCH", "/integrated-account/acc_other/mcp/srv_x", {}),
        ("DELETE", "/integrated-account/acc_other/mcp/srv_x", None),
        ("POST", "/integrated-account/acc_other/mcp/srv_x/rotate", None),
        ("GET", "/integrated-account/acc_other/tools", None),
        ("GET", "/proxy/memories?integrated_account_id=acc_other", None),
        ("GET", "/log?integrated_account_id=acc_other", None),
        ("POST", "/integrated-account", {"integration": "mem0", "credentials": {}}),
        ("POST", "/api-token", {"name": "x", "scopes": ["manage"]}),
        ("GET", "/api-token", None),
        ("GET", "/api-token/tok_root", None),
        ("DELETE", "/api-token/tok_root", None),
    ]:
        plane.refused(verb, path, body, token=token, status=403)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "t"},
         'scopes is missing; it is required: what the token may do, e.g. ["read"]; valid: read, call, mint, connect, '
         "manage"),
        ({"name": "t", "scopes": []}, "scopes is empty; it needs at least one entry"),
        ({"name": "t", "scopes": ["mange"]},
         'scopes.0 is "mange"; did you mean "manage"? valid: read, call, mint, connect, manage'),
        ({"name": "t", "scopes": ["admin"]},
         'scopes.0 is "admin"; did you mean "mint"? valid: read, call, mint, connect, manage'),
        ({"name": "t", "scopes": ["manage"], "server_ids": ["srv_x"]},
         'server_ids: only an API token with the single scope "connect" can be limited to servers; limit '
         'the others by account_ids'),
        ({"name": "t", "scopes": ["connect"], "account_ids": ["a b"]},
         'account_ids.0 is "a b"; an id has 1 to 64 letters, digits, - and _, and starts with a letter or a digit'),
        ({"name": "t", "scopes": ["connect"], "account_ids": ["acc_typo"]},
         'account_ids.0: there is no integrated account "acc_typo"; GET /integrated-account lists them'),
        ({"name": "t", "scopes": ["manage"], "expires_at": "2020-01-01T00:00:00Z"},
         "expires_at is 2020-01-01T00:00:00Z, which is not in the future (it is 2026-11-21T12:00:00Z now); "
         "give a later time in UTC, or null for never"),
    ],
)  # fmt: skip
def test_a_bad_body_makes_no_token_and_is_told_why(plane: Plane, body: Any, message: str) -> None:
    assert plane.refused("POST", "/api-token", body, status=400)["message"] == message


def test_a_listing_pages_through_every_token_once(plane: Plane) -> None:
    made = {make(plane, name=f"t{number}")["id"] for number in range(4)} | {"tok_root"}
    first = plane.ok("GET", "/api-token?limit=3")
    second = plane.ok("GET", f"/api-token?limit=3&next_cursor={first['next_cursor']}")
    assert [token["id"] for token in first["result"] + second["result"]] == sorted(made)
    assert second["next_cursor"] is None


# The first token.


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = SqliteStore(tmp_path / "fresh.sqlite")
    yield opened
    opened.close()


def tokens(store: SqliteStore, root: Any = lambda: None) -> ApiTokens:
    lookup = AccountLookup(store, {}, LocalKeys(Path("/nowhere"), random.Random(1).randbytes))
    return ApiTokens(store, lookup, root, lambda: START, random.Random(1).randbytes)


def test_bootstrap_makes_one_token_and_only_once(store: SqliteStore) -> None:
    made = bootstrap(store, START, random.Random(1).randbytes)
    assert made is not None
    assert tokens(store).authenticate(f"Bearer {made}").id == "tok_root"
    assert bootstrap(store, START, random.Random(2).randbytes) is None
    assert tokens(store).authenticate(f"bearer {made}").id == "tok_root"


def test_bootstrap_takes_a_given_token_and_a_new_one_takes_its_place(store: SqliteStore) -> None:
    for _ in range(2):
        assert bootstrap(store, START, random.Random(1).randbytes, GIVEN) == GIVEN
        assert tokens(store).authenticate(f"Bearer {GIVEN}").id == "tok_root"
    assert bootstrap(store, START, random.Random(1).randbytes, OTHER) == OTHER
    assert tokens(store).authenticate(f"Bearer {OTHER}").id == "tok_root"
    with pytest.raises(Unauthenticated):
        tokens(store).authenticate(f"Bearer {GIVEN}")


def test_bootstrap_refuses_a_token_that_could_be_guessed(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="the root API token must be pst_ and 43 characters"):
        bootstrap(store, START, random.Random(1).randbytes, "changeme")


class Secrets:
    """Secrets Manager with one secret, counted."""

    def __init__(self, secret: str | None) -> None:
        self.secret = secret
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        self.reads += 1
        if self.secret is None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")
        return {"SecretString": f"{self.secret}\n"}


def test_the_root_token_of_the_environment_manages_and_is_read_rarely(store: SqliteStore) -> None:
    now = [0.0]
    secrets = Secrets("generated-by-the-platform")
    root = SecretsManagerRoot("postern/root", lambda: now[0], secrets)
    api = tokens(store, root)
    for _ in range(3):
        assert api.authenticate("Bearer generated-by-the-platform").id == "tok_root"
    with pytest.raises(Unauthenticated):
        api.authenticate("Bearer generated-by-the-platforn")
    assert secrets.reads == 1
    secrets.secret = "rotated"
    now[0] = KEPT_SECONDS
    assert api.authenticate("Bearer rotated").id == "tok_root"
    with pytest.raises(Unauthenticated):
        api.authenticate("Bearer generated-by-the-platform")
    assert secrets.reads == 2


def test_a_stored_token_needs_no_secrets_manager(store: SqliteStore) -> None:
    bootstrap(store, START, random.Random(1).randbytes, GIVEN)
    secrets = Secrets(None)
    assert tokens(store, SecretsManagerRoot("s", lambda: 0.0, secrets)).authenticate(f"Bearer {GIVEN}").id == "tok_root"
    assert secrets.reads == 0


def test_a_secret_that_cannot_be_read_is_unavailable_and_a_kept_one_goes_on(store: SqliteStore) -> None:
    now = [0.0]
    secrets = Secrets(None)
    root = SecretsManagerRoot("postern/root", lambda: now[0], secrets)
    with pytest.raises(Unavailable) as caught:
        tokens(store, root).authenticate("Bearer x")
    assert caught.value.message == (
        "the root API token cannot be read: Secrets Manager returned AccessDeniedException; check "
        "POSTERN_ROOT_API_TOKEN_SECRET and the role's permission on it"
    )
    secrets.secret = "good"
    assert tokens(store, root).authenticate("Bearer good").id == "tok_root"
    secrets.secret, now[0] = None, KEPT_SECONDS * 2
    assert tokens(store, root).authenticate("Bearer good").id == "tok_root"


def removed_whole(plane: Plane, account_id: str) -> dict[str, list[str]]:
    """What went with an account, deleted in as many requests as it takes."""
    removed: dict[str, list[str]] = {"mcp_servers": [], "api_tokens": [], "trusts": []}
    query: dict[str, str] = {}
    while True:
        gone = plane.ok("DELETE", f"/integrated-account/{account_id}", params=query)
        for kind, ids in gone["removed"].items():
            removed[kind] += ids
        if gone["next_cursor"] is None:
            return removed
        query = {"next_cursor": gone["next_cursor"]}


def test_more_than_a_page_of_tokens_and_servers_of_an_account_end_with_it(plane: Plane, account: str) -> None:
    def token(number: int, *account_ids: str) -> ApiTokenItem:
        made = ApiToken(f"tok_{number:04}", "t", ("manage",), account_ids, (), START, None)
        return ApiTokenItem(made, digest(f"secret {number}"))

    own = [token(number, account) for number in range(250)]
    shared = [token(number, account, "acc_other") for number in range(250, 380)]
    foreign = [token(number, "acc_other") for number in range(380, 500)]
    for item in [*own, *shared, *foreign]:
        plane.store.write(item.puts(if_version=0))
    servers = [
        ServerItem(
            f"srv_{number:04}", account, f"s{number}", {}, ServerConfig(), None, "tok_root", START, START,
            (LiveToken(f"digest {number}", None),), START,
        )
        for number in range(230)
    ]  # fmt: skip
    for server in servers:
        plane.store.write([server.put(if_version=0), Put(layout.token(server.tokens[0].digest), {})])
    removed = removed_whole(plane, account)
    assert removed["mcp_servers"] == [server.id for server in servers]
    assert removed["api_tokens"] == [item.token.id for item in own]
    assert not plane.store.query(layout.servers(account), limit=1)
    assert plane.store.get([layout.token(server.tokens[0].digest) for server in servers[:100]]) == [None] * 100
    assert plane.store.get([layout.token(server.tokens[0].digest) for server in servers[130:]]) == [None] * 100
    for item in own:
        assert plane.store.get([layout.api_token_entry(item.token.id), layout.api_token(item.digest)]) == [None, None]
    for item in shared:
        entry, proof = plane.store.get([layout.api_token_entry(item.token.id), layout.api_token(item.digest)])
        assert entry is not None
        assert proof is not None
        assert entry.body["account_ids"] == proof.body["account_ids"] == ["acc_other"]
    for item in foreign:
        [entry] = plane.store.get([layout.api_token_entry(item.token.id)])
        assert entry is not None
        assert entry.version == 1


# The scope mint.


def minter(plane: Plane, account: str, **limits: Any) -> str:
    body = {
        "name": "CI",
        "scopes": ["mint"],
        "account_ids": [account],
        "mint": {"methods": ["read"], "pins": {"user_id": "ci"}, "max_lifetime_seconds": 3600, **limits},
    }
    token: str = plane.ok("POST", "/api-token", body)["token"]
    return token


def within(**changed: Any) -> dict[str, Any]:
    config = {"methods": ["read"], "pins": {"user_id": "ci"}, **changed.pop("config", {})}
    return {"name": "s", "config": config, "expires_at": write_time(START + timedelta(hours=1)), **changed}


def test_a_mint_token_makes_servers_within_its_limits(plane: Plane, account: str) -> None:
    token = minter(plane, account)
    path = f"/integrated-account/{account}/mcp"
    for config in ({}, {"methods": ["list"]}, {"tags": ["memories"]}, {"require_api_token_auth": True}):
        made = plane.ok("POST", path, within(config=config, name=f"s {config}"), token=token)
        assert made["created_by"] == plane.ok("GET", "/me", token=token)["id"]
        assert plane.behind(made["token"]) is not None
    plane.ok("POST", f"{path}/preview", {"config": {"methods": ["read"]}}, token=token)


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (within(config={"methods": ["read", "create"]}), ["config shows tools that it may not give: "]),
        (within(config={"methods": []}), ["config shows tools that it may not give: "]),
        (within(config={"pins": {"user_id": "root"}}), ["config.pins must hold user_id=ci"]),
        (within(config={"pins": None}), ["config.pins must hold user_id=ci"]),
        (
            within(config={"write_ids": {"run_id": ["*"]}}),
            ["config.write_ids must be empty, because the token has pins"],
        ),
        (within(expires_at=None), ["expires_at must be a time until 2026-11-21T13:00:00Z"]),
        (within(expires_at="2026-11-21T13:00:01Z"), ["expires_at must be a time until 2026-11-21T13:00:00Z"]),
        (
            {"name": "s"},
            [
                "config shows tools that it may not give: ",
                "config.pins must hold user_id=ci",
                "expires_at must be a time",
            ],
        ),
    ],
)
def test_a_server_beyond_the_limits_is_refused_with_every_reason(
    plane: Plane, account: str, body: dict[str, Any], reasons: list[str]
) -> None:
    token = minter(plane, account)
    for _ in range(3):
        error = plane.refused("POST", f"/integrated-account/{account}/mcp", body, token=token, status=403)
        assert error["message"].startswith("this API token may not mint this server: ")
        assert all(reason in error["message"] for reason in reasons)
    assert plane.ok("GET", f"/integrated-account/{account}/mcp")["result"] == []


def test_a_mint_token_mints_and_previews_and_does_nothing_else(plane: Plane, account: str) -> None:
    token = minter(plane, account)
    made = plane.ok("POST", f"/integrated-account/{account}/mcp", within(), token=token)
    path = f"/integrated-account/{account}/mcp/{made['id']}"
    other = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "somebody else's"})
    others = f"/integrated-account/{account}/mcp/{other['id']}"
    for verb, at in (("PATCH", path), ("DELETE", others), ("POST", f"{path}/rotate"), ("GET", path), ("GET", "/log")):
        plane.refused(verb, at, token=token, status=403)
    plane.ok("DELETE", path, token=token)
    error = plane.refused("POST", "/integrated-account/acc_other/mcp", within(), token=token, status=403)
    assert error["message"].endswith('; it does not allow "acc_other"')


def test_a_token_with_mint_and_manage_has_no_limits(plane: Plane, account: str) -> None:
    body = {"name": "t", "scopes": ["mint", "manage"], "mint": {"methods": ["read"], "max_lifetime_seconds": 1}}
    token = plane.ok("POST", "/api-token", body)["token"]
    assert plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"}, token=token)["expires_at"] is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"scopes": ["mint"]}, 'mint: an API token with the scope "mint" needs this key'),
        ({"scopes": ["read"], "mint": {"max_lifetime_seconds": 5}}, 'mint: an API token with the scope "mint"'),
        ({"scopes": ["mint"], "mint": {}},
         "mint.max_lifetime_seconds is missing; it is required: its servers expire at most this long after they are "
         "minted, in seconds"),
        ({"scopes": ["mint"], "mint": {"max_lifetime_seconds": 0}},
         "mint.max_lifetime_seconds is 0; it must be a whole number from 1 to 31622400"),
        ({"scopes": ["mint"], "mint": {"max_lifetime_seconds": 5, "metods": []}},
         'mint.metods: unknown key; did you mean "methods"?'),
        ({"scopes": ["mint"], "mint": {"max_lifetime_seconds": 5, "pins": {"user_id": "*"}}},
         'mint.pins.user_id is "*"; a pin is the id of one entity'),
        ({"scopes": ["mint"], "mint": {"max_lifetime_seconds": 5, "methods": ["read", "wriet"]}},
         'mint.methods: "wriet" is unknown; did you mean "write"?'),
        ({"scopes": ["mint"], "mint": {"max_lifetime_seconds": 5, "tags": ["memory"]}},
         'mint.tags: "memory" is unknown; did you mean "memories" or "members"?'),
    ],
)  # fmt: skip
def test_wrong_mint_limits_make_no_token(plane: Plane, body: dict[str, Any], message: str) -> None:
    assert plane.refused("POST", "/api-token", {"name": "t", **body}, status=400)["message"].startswith(message)
