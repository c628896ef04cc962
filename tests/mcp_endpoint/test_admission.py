"""Which presented secret is which, and who comes in: as tables, because each line is a decision about security."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from functions.gateway.errors import Forbidden, NotFound, Refused, Unavailable
from functions.gateway.grants import handle, is_live, keys_of
from functions.mcp_endpoint.admission import (
    DEAD,
    MISSING,
    NOT_ACCEPTED,
    REQUIRED,
    SIGN_IN,
    SIGN_IN_AGAIN,
    Admitted,
    NotAdmitted,
    Presented,
    SignInNeeded,
    admit,
    presented,
)
from functions.stores import layout
from functions.stores.store import Delete, Item, Key, Put, StoreUnavailable
from tests.mcp_endpoint.endpoint import NOON, Bench

TOKEN = "T" * 43
OTHER = "O" * 43
PST = "pst_" + "a" * 43
PST_2 = "pst_" + "b" * 43
PST_LIKE_TOKEN = "pst_" + "c" * 39
"""43 characters, so a token, although it begins as API tokens do: one in 16 million tokens does."""
PSA = f"psa_tok_2.{'c' * 22}.{'s' * 43}"


@pytest.mark.parametrize(
    ("path", "bearer", "x_api_key", "token", "api_token"),
    [
        # The path holds the token; whatever is in a header can only be the API token.
        (TOKEN, "", "", TOKEN, ""),
        (TOKEN, PST, "", TOKEN, PST),
        (TOKEN, "", PST, TOKEN, PST),
        (TOKEN, PST, PST_2, TOKEN, PST),
        (TOKEN, "of-some-host", PST, TOKEN, PST),
        (TOKEN, "of-some-host", "", TOKEN, ""),
        (TOKEN, TOKEN, "", TOKEN, ""),
        (TOKEN, OTHER, "", TOKEN, ""),
        ("garbled", TOKEN, "", "garbled", ""),
        ("", TOKEN, "", "", ""),
        (TOKEN, PSA, "", TOKEN, PSA),
        (TOKEN, "", PSA, TOKEN, PSA),
        (TOKEN, PSA, PST, TOKEN, PSA),
        # The path has no place for one: the first header that looks like a token is the token.
        (None, TOKEN, "", TOKEN, ""),
        (None, "", TOKEN, TOKEN, ""),
        (None, TOKEN, OTHER, TOKEN, ""),
        (None, TOKEN, PST, TOKEN, PST),
        (None, PST, TOKEN, TOKEN, PST),
        (None, "garbled", TOKEN, TOKEN, ""),
        (None, PST_LIKE_TOKEN, PST, PST_LIKE_TOKEN, PST),
        # No header looks like a token.
        (None, "", "", "", ""),
        (None, PST, "", "", PST),
        (None, "garbled", "", "garbled", ""),
        (None, "garbled", PST, "garbled", PST),
        (None, PSA, "", "", PSA),
        (None, PSA, "garbled", "garbled", PSA),
    ],
)
def test_each_presented_secret_is_what_its_place_and_its_look_say(
    path: str | None, bearer: str, x_api_key: str, token: str, api_token: str
) -> None:
    assert presented(path, bearer, x_api_key) == Presented(token, api_token)


def test_no_secret_stands_in_a_repr() -> None:
    assert repr(Presented(TOKEN, PST)) == "Presented()"


class Counting:
    """Counts the reads of a store."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.reads: list[int] = []

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        self.reads.append(len(keys))
        return self._bench.store.get(keys)


ALIVE, ENDED = timedelta(seconds=1), timedelta(0)


@pytest.mark.parametrize(
    ("required", "grant_lives", "api_token", "comes_in_as"),
    [
        # A grant that requires no API token: its own id is the principal, or that of an API token it accepts.
        (False, None, None, "srv_1"),
        (False, ALIVE, None, "srv_1"),
        (False, ALIVE, {}, "tok_1"),
        (False, ALIVE, {"lives": ENDED}, "srv_1"),
        (False, ALIVE, {"server_ids": ("srv_2",)}, "srv_1"),
        (False, ALIVE, "unknown", "srv_1"),
        # A grant that requires one.
        (True, ALIVE, {}, "tok_1"),
        (True, ALIVE, {"lives": ALIVE}, "tok_1"),
        (True, ALIVE, {"account_ids": ("acc_1",), "server_ids": ("srv_1",)}, "tok_1"),
        (True, ALIVE, None, Forbidden(REQUIRED)),
        (True, ALIVE, "unknown", Forbidden(NOT_ACCEPTED)),
        (True, ALIVE, {"lives": ENDED}, Forbidden(NOT_ACCEPTED)),
        (True, ALIVE, {"scopes": ("manage",)}, Forbidden(NOT_ACCEPTED)),
        (True, ALIVE, {"account_ids": ("acc_2",)}, Forbidden(NOT_ACCEPTED)),
        (True, ALIVE, {"server_ids": ("srv_2",)}, Forbidden(NOT_ACCEPTED)),
        # An ended grant, whatever else is presented.
        (False, ENDED, None, NotFound(DEAD)),
        (False, ENDED, {}, NotFound(DEAD)),
        (True, ENDED, {}, NotFound(DEAD)),
        (True, ENDED, None, NotFound(DEAD)),
    ],
)
def test_who_comes_in_and_as_whom(
    bench: Bench,
    required: bool,
    grant_lives: timedelta | None,
    api_token: dict[str, object] | str | None,
    comes_in_as: str | Refused,
) -> None:
    token = bench.mint(lives=grant_lives, require_api_token_auth=required)
    issued = bench.issue_api_token(**api_token) if isinstance(api_token, dict) else PST if api_token else ""  # type: ignore[arg-type]
    store = Counting(bench)
    if isinstance(comes_in_as, Refused):
        with pytest.raises(type(comes_in_as)) as refused:
            admit(Presented(token, issued), store, NOON)
        assert refused.value.message == comes_in_as.message
    else:
        admitted = admit(Presented(token, issued), store, NOON)
        assert isinstance(admitted, Admitted)
        assert (admitted.grant.id, admitted.principal) == ("srv_1", comes_in_as)
        assert is_live(admitted.grant, NOON)
    assert store.reads == [3 if issued else 2], "one read: the grant, its account, and the API token if there is one"


UNKNOWN_CONSENT = PSA
NO_ACCESS_TOKEN = "psa_garbled"


@pytest.mark.parametrize(
    ("required", "access_token", "comes_in_as", "keys"),
    [
        (True, {}, "tok_2", 4),
        (True, {"lives": ALIVE}, "tok_2", 4),
        (True, {"server_ids": ("srv_1",)}, "tok_2", 4),
        (True, {"id": "person@example.com"}, None, 2),
        (True, {"lives": ENDED}, None, 4),
        (True, {"server_id": "srv_2"}, None, 4),
        (True, {"server_ids": ("srv_2",)}, None, 4),
        (True, {"scopes": ("read",)}, None, 4),
        (True, {"expires_at": NOON}, None, 4),
        (True, UNKNOWN_CONSENT, None, 4),
        (True, NO_ACCESS_TOKEN, None, 2),
        (False, {}, "tok_2", 4),
        (False, {"lives": ENDED}, "srv_1", 4),
        (False, UNKNOWN_CONSENT, "srv_1", 4),
        (False, NO_ACCESS_TOKEN, "srv_1", 2),
    ],
)
def test_an_access_token_stands_for_the_api_token_behind_it(
    bench: Bench, required: bool, access_token: dict[str, object] | str, comes_in_as: str | None, keys: int
) -> None:
    token = bench.mint(require_api_token_auth=required)
    issued = access_token if isinstance(access_token, str) else bench.issue_access_token(**access_token)  # type: ignore[arg-type]
    store = Counting(bench)
    if comes_in_as is None:
        with pytest.raises(NotAdmitted, match="was not accepted"):
            admit(Presented(token, issued), store, NOON)
    else:
        admitted = admit(Presented(token, issued), store, NOON)
        assert (admitted.grant.id, admitted.principal) == ("srv_1", comes_in_as)
    assert store.reads == [keys], "one read: the grant, its account, the consent, and the API token behind it"


@pytest.mark.parametrize("known", [True, False])
def test_the_token_of_an_ended_grant_opens_nothing_with_an_access_token(bench: Bench, known: bool) -> None:
    issued = bench.issue_access_token()
    token = bench.mint(require_api_token_auth=True, lives=ENDED) if known else TOKEN
    for sign_in in (True, False, True):
        with pytest.raises(NotFound) as refused:
            admit(Presented(token, issued), bench.store, NOON, sign_in=sign_in)
        assert refused.value.message == DEAD


@pytest.mark.parametrize(
    ("presents", "refused_as", "detail"),
    [
        (None, REQUIRED, "no API token"),
        (PST, NOT_ACCEPTED, "unknown API token"),
        ({"lives": ENDED}, NOT_ACCEPTED, "API token tok_1 has expired"),
        ({"server_ids": ("srv_2",)}, NOT_ACCEPTED, "API token tok_1 is not for this server"),
    ],
)
def test_a_refused_api_token_is_explained_to_the_log_and_not_to_the_caller(
    bench: Bench, presents: dict[str, object] | str | None, refused_as: str, detail: str
) -> None:
    token = bench.mint(require_api_token_auth=True)
    issued = bench.issue_api_token(**presents) if isinstance(presents, dict) else presents or ""  # type: ignore[arg-type]
    with pytest.raises(NotAdmitted) as refused:
        admit(Presented(token, issued), bench.store, NOON)
    assert (refused.value.message, refused.value.detail) == (refused_as, detail)
    assert refused.value.grant.id == "srv_1"
    assert refused.value.status == 403
    assert not isinstance(refused.value, SignInNeeded)


@pytest.mark.parametrize(
    ("presents", "refused_as", "detail", "again"),
    [
        (None, SIGN_IN, "no API token", False),
        (UNKNOWN_CONSENT, SIGN_IN_AGAIN, "unknown API token", True),
        (NO_ACCESS_TOKEN, SIGN_IN_AGAIN, "unknown API token", True),
        ({"lives": ENDED}, SIGN_IN_AGAIN, "API token tok_2 has expired", True),
        ({"server_id": "srv_2"}, SIGN_IN_AGAIN, "API token tok_2 is not for this server", True),
    ],
)
def test_a_caller_who_may_sign_in_is_asked_to_and_the_log_has_the_reason(
    bench: Bench, presents: dict[str, object] | str | None, refused_as: str, detail: str, again: bool
) -> None:
    token = bench.mint(require_api_token_auth=True)
    issued = bench.issue_access_token(**presents) if isinstance(presents, dict) else presents or ""  # type: ignore[arg-type]
    with pytest.raises(SignInNeeded) as needed:
        admit(Presented(token, issued), bench.store, NOON, sign_in=True)
    assert (needed.value.message, needed.value.detail, needed.value.again) == (refused_as, detail, again)
    assert needed.value.grant.id == "srv_1"
    assert needed.value.status == 401


def test_a_person_is_told_how_to_sign_in() -> None:
    assert SIGN_IN == (
        "This MCP server requires an API token; send one as Authorization: Bearer pst_... or sign in with it: a client "
        "that has OAuth opens a browser for that. Its operator can issue one"
    )
    assert SIGN_IN_AGAIN == (
        "The access token was not accepted: it has expired, was revoked or is not for this server. Refresh it, or sign "
        "in again"
    )


def test_no_sign_in_is_asked_for_where_the_server_has_none_or_requires_nothing(bench: Bench) -> None:
    without = bench.mint(require_api_token_auth=True, oauth=False)
    for _ in range(3):
        with pytest.raises(NotAdmitted) as refused:
            admit(Presented(without, ""), bench.store, NOON, sign_in=True)
        assert (type(refused.value), refused.value.message) == (NotAdmitted, REQUIRED)
    assert admit(Presented(bench.mint(), ""), bench.store, NOON, sign_in=True).principal == "srv_1"


def test_a_caller_with_an_accepted_token_is_not_asked_to_sign_in(bench: Bench) -> None:
    token = bench.mint(require_api_token_auth=True)
    for issued, principal in ((bench.issue_api_token(), "tok_1"), (bench.issue_access_token(), "tok_2")):
        assert admit(Presented(token, issued), bench.store, NOON, sign_in=True).principal == principal


def test_a_call_after_the_expiry_is_logged_with_the_server_and_without_the_token(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    token = bench.mint(lives=ENDED)
    caplog.set_level(logging.INFO, "functions.mcp_endpoint.admission")
    with pytest.raises(NotFound):
        admit(Presented(token, ""), bench.store, NOON)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "server srv_1 was called after its expiry")
    ]


def test_the_revision_of_a_grant_is_the_version_of_its_item(bench: Bench) -> None:
    token = bench.mint()
    key = keys_of(token)[0]
    for version in (1, 2, 3):
        assert admit(Presented(token, ""), bench.store, NOON).grant.revision == version
        [item] = bench.store.get([key])
        assert item is not None
        bench.store.write([Put(key, item.body)])


def test_a_grant_is_read_once_while_the_store_returns_the_same_items(bench: Bench) -> None:
    token = bench.mint()

    class Keeping:
        """Returns the items of its first read until they are forgotten."""

        def __init__(self) -> None:
            self.items: list[Item | None] = []

        def get(self, keys: Sequence[Key]) -> list[Item | None]:
            self.items = self.items or bench.store.get(keys)
            return self.items

    store = Keeping()
    first, second, third = (admit(Presented(token, ""), store, NOON).grant for _ in range(3))
    assert first is second is third
    store.items = []
    assert admit(Presented(token, ""), store, NOON).grant is not first, "equal items may be other ones"


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        (Presented("", ""), MISSING),
        (Presented("", PST), MISSING),
        (Presented("garbled", PST), DEAD),
        (Presented(TOKEN + "=", ""), DEAD),
        (Presented(TOKEN[1:], ""), DEAD),
        (Presented("a/b" + TOKEN[3:], ""), DEAD),
        (Presented(PST, ""), DEAD),
    ],
)
def test_a_secret_that_does_not_look_like_a_token_opens_nothing_and_costs_no_read(
    bench: Bench, secrets: Presented, message: str
) -> None:
    store = Counting(bench)
    with pytest.raises(NotFound) as refused:
        admit(secrets, store, NOON)
    assert refused.value.message == message
    assert store.reads == []


def test_an_unknown_token_opens_nothing_even_with_an_api_token(bench: Bench) -> None:
    with pytest.raises(NotFound) as refused:
        admit(Presented(TOKEN, bench.issue_api_token()), bench.store, NOON)
    assert refused.value.message == DEAD


def test_a_store_out_of_reach_is_told_with_a_time_to_come_back(caplog: pytest.LogCaptureFixture) -> None:
    class Down:
        def get(self, keys: Sequence[Key]) -> list[Item | None]:
            raise StoreUnavailable("throttled", retry_after=3)

    with pytest.raises(Unavailable) as refused:
        admit(Presented(TOKEN, ""), Down(), NOON)
    assert refused.value.retry_after == 3
    assert refused.value.message == "This endpoint cannot look up URLs at the moment; try again in 3 s"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "the store is unavailable: throttled")
    ]


def test_a_grant_opens_with_the_item_of_no_other_account(bench: Bench) -> None:
    """As if the item of one account had been copied over another's: the grant's own account is not there."""
    token = bench.mint()
    assert admit(Presented(token, ""), bench.store, NOON).grant.account.id == "acc_1"
    _, key = keys_of(token)
    [account] = bench.store.get([key])
    assert account is not None
    bench.store.write([Put(key, {**account.body, "id": "acc_2"})])
    with pytest.raises(NotFound, match=DEAD):
        admit(Presented(token, ""), bench.store, NOON)


def test_a_removed_account_ends_every_token_of_its_servers(bench: Bench) -> None:
    token = bench.mint()
    assert admit(Presented(token, ""), bench.store, NOON)
    bench.store.write([Delete(key) for key in layout.granted_accounts(handle(token))])
    with pytest.raises(NotFound, match=DEAD):
        admit(Presented(token, ""), bench.store, NOON)


def test_the_calls_of_an_account_are_spread_over_its_copies(bench: Bench) -> None:
    """A partition of the table takes so many reads a second, and all URLs of an account would share one."""
    shared = "handle01"
    tokens = [shared + bench.mint()[8:] for _ in range(400)]
    read = Counter(keys_of(token)[1] for token in tokens)
    assert set(read) == set(layout.granted_accounts(shared))
    assert max(read.values()) < 200, "with 400 random tokens, a copy has 100 of them give or take 9"


def test_a_removed_grant_ends_its_token_while_its_account_is_still_there(bench: Bench) -> None:
    token = bench.mint()
    assert admit(Presented(token, ""), bench.store, NOON)
    bench.store.write([Delete(keys_of(token)[0])])
    for api_token in ("", bench.issue_api_token(), bench.issue_access_token()):
        with pytest.raises(NotFound, match=DEAD):
            admit(Presented(token, api_token), bench.store, NOON)
