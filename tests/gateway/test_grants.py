"""Tokens, records and their times."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.gateway import grants
from functions.gateway.grants import ApiToken, Grant, ServerConfig
from tests.gateway.calling import NOON, grant


def test_a_token_is_43_characters_and_an_api_token_says_what_it_is() -> None:
    handle = grants.mint_handle(secrets.token_bytes)
    token = grants.mint_token(secrets.token_bytes, handle)
    assert grants.TOKEN.fullmatch(token)
    assert grants.handle(token) == handle
    assert grants.mint_api_token(secrets.token_bytes).startswith("pst_")
    assert grants.mint_token(lambda count: bytes(count), "handle-1") == "handle-1" + "A" * 35
    assert grants.mint_secret(lambda count: bytes(count)) == "A" * 43
    assert token != grants.mint_token(secrets.token_bytes, handle)


def test_the_store_key_of_a_token_is_its_sha_256() -> None:
    assert grants.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_server_is_dead_from_the_very_second_of_its_end_on() -> None:
    end = NOON + timedelta(seconds=1)
    record = Grant.from_json({**grant().to_json(), "expires_at": grants.write_time(end)}, grant().account.to_json())
    assert grants.is_live(record, end - timedelta(microseconds=1))
    assert not grants.is_live(record, end)
    assert not grants.is_live(record, end + timedelta(days=1))
    assert grants.is_live(grant(), NOON + timedelta(days=100_000))


def test_a_server_comes_back_from_the_store_as_it_went_in() -> None:
    config = ServerConfig(
        methods=("read",),
        tags=("memories",),
        require_api_token_auth=True,
        pins={"user_id": "u"},
        fixed={"*": {"limit": 5}},
    )
    record = grant("https://api.example.com", config, org_id="org_1")
    assert Grant.from_json(record.to_json(), record.account.to_json(), revision=0) == record
    assert Grant.from_json(record.to_json(), record.account.to_json(), revision=7).revision == 7


def test_a_config_comes_back_as_it_went_in_and_needs_no_member() -> None:
    config = ServerConfig(tags=("a",), defaults={"x": {"limit": 1}})
    assert ServerConfig.from_json(config.to_json()) == config
    assert ServerConfig.from_json({}) == ServerConfig()


def test_no_repr_shows_what_is_sealed() -> None:
    account = {**grant().account.to_json(), "sealed_credential": "c2VhbGVk"}
    record = Grant.from_json({**grant().to_json(), "sealed_data_key": "c2VhbGVk"}, account)
    assert "sealed" not in repr(record)


@pytest.mark.parametrize(
    ("limits", "covered"),
    [
        ({}, True),
        ({"scopes": ("manage",)}, False),
        ({"account_ids": ("acc_1",)}, True),
        ({"account_ids": ("acc_2",)}, False),
        ({"server_ids": ("srv_1",)}, True),
        ({"server_ids": ("srv_2",)}, False),
        ({"account_ids": ("acc_1",), "server_ids": ("srv_2",)}, False),
    ],
)
def test_a_required_api_token_opens_only_what_it_is_for(limits: dict[str, tuple[str, ...]], covered: bool) -> None:
    given: dict[str, Any] = {"scopes": ("connect",), "account_ids": (), "server_ids": (), **limits}
    token = ApiToken(id="tok_1", name="n", created_at=NOON, expires_at=None, **given)
    assert token.covers(grant()) is covered
    assert ApiToken.from_json(token.to_json()) == token


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-31T23:59:59Z", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2027-01-01T00:59:59+01:00", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-12-31T23:59:59.5Z", datetime(2026, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_with_an_offset_is_read_in_utc(text: str, moment: datetime) -> None:
    assert grants.read_time(text) == moment
    assert grants.read_time(grants.write_time(moment)) == moment


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-12-31", "'2026-12-31' has no offset; write it in UTC with a Z, as 2026-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00+23:59", "'0001-01-01T00:00:00+23:59' is outside the years 1 to 9999 in UTC"),
        ("9999-12-31T23:59:59-01:00", "'9999-12-31T23:59:59-01:00' is outside the years 1 to 9999 in UTC"),
        ("tomorrow", "Invalid isoformat string: 'tomorrow'"),
    ],
)
def test_a_time_that_cannot_be_read_is_a_value_error_in_words(text: str, told: str) -> None:
    with pytest.raises(ValueError) as wrong:
        grants.read_time(text)
    assert str(wrong.value) == told
