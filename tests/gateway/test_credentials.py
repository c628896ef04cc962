"""Sealing, opening and attaching a credential."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway import credentials, errors
from functions.gateway.credentials import Credential, SealError
from functions.gateway.requests import UpstreamRequest
from tool_catalog.request_template import Auth

KEY = bytes(range(32))


def request(*headers: tuple[str, str]) -> UpstreamRequest:
    return UpstreamRequest("GET", "https://api.example.com", "/", headers=headers)


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=200), max_size=4))
def test_a_sealed_credential_opens_as_it_was(fields: dict[str, str]) -> None:
    sealed = credentials.seal_credential(fields, KEY, "acc_1", secrets.token_bytes)
    assert dict(credentials.open_credential(sealed, KEY, "acc_1")) == fields


def test_nothing_but_the_token_opens_a_servers_credential() -> None:
    token = "t" * 43
    sealed = credentials.seal_credential({"api_key": "k"}, KEY, "acc_1", secrets.token_bytes)
    box = credentials.seal(KEY, credentials.token_key(token), "acc_1", secrets.token_bytes)
    assert credentials.open_with_token(sealed, box, credentials.token_key(token), "acc_1")[0]["api_key"] == "k"
    for other_token, account in (("u" * 43, "acc_1"), (token, "acc_2")):
        with pytest.raises(SealError) as wrong:
            credentials.open_with_token(sealed, box, credentials.token_key(other_token), account)
        assert str(wrong.value) == f"a sealed value of account {account} does not open"


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(24), bytes(60)])
def test_bytes_that_are_no_box_do_not_open(sealed: bytes) -> None:
    with pytest.raises(SealError):
        credentials.open_sealed(sealed, KEY, "acc_1")


def test_each_sealing_is_another_box() -> None:
    first, second = (credentials.seal(b"same", KEY, "acc_1", secrets.token_bytes) for _ in range(2))
    assert first != second


def test_the_token_key_is_hkdf_sha256_as_rfc_5869_writes_it() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"postern token key v1").derive(b"t" * 43)
    assert credentials.token_key("t" * 43) == derived


def test_the_repr_of_a_credential_shows_names_only() -> None:
    shown = repr(Credential({"api_key": "s3cret", "user": "me"}))
    assert shown == "Credential(api_key=***, user=***)"


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (Auth("header", "X-Key", "Token {api_key}"), ("X-Key", "Token k1")),
        (Auth("header", "X-Key", "{absent}"), ("X-Key", "")),
        (Auth("bearer", value="{api_key}"), ("Authorization", "Bearer k1")),
        (Auth("basic", username="{user}", password="{api_key}"), ("Authorization", "Basic bsOpOmsx")),
    ],
)
def test_a_credential_goes_into_the_header_its_scheme_names(auth: Auth, header: tuple[str, str]) -> None:
    attached = credentials.attach(request(("A", "b")), auth, Credential({"api_key": "k1", "user": "né"}))
    assert attached.headers == (("A", "b"), header)
    assert "k1" not in repr(attached)


def test_a_credential_goes_into_the_query_where_the_scheme_says_so() -> None:
    attached = credentials.attach(request(), Auth("query", "key", "{api_key}"), {"api_key": "a&b=c"})
    assert attached.url == "https://api.example.com/?key=a%26b%3Dc"
    assert "a&b" not in repr(attached)


def test_no_scheme_attaches_nothing() -> None:
    assert credentials.attach(request(), Auth("none"), {"api_key": "k"}) == request()


@pytest.mark.parametrize("scheme", ["header", "bearer", "basic", "query"])
@pytest.mark.parametrize("secret", ["a\nb", "a\rb", "a\0b", "a\x7fb", "a\ud800b"])
def test_a_credential_that_cannot_be_sent_is_told_without_showing_it(scheme: str, secret: str) -> None:
    auth = Auth(scheme, "X-Key", "{api_key}", "{api_key}", "{api_key}")  # type: ignore[arg-type]
    with pytest.raises(errors.UpstreamUnreachable) as wrong:
        credentials.attach(request(), auth, {"api_key": secret})
    assert secret not in str(wrong.value)


def test_a_credential_goes_into_a_cookie_beside_the_cookies_of_the_call() -> None:
    auth = Auth("cookie", "sid", "{api_key}")
    attached = credentials.attach(request(("Cookie", "lang=en"), ("A", "b")), auth, {"api_key": "k;1"})
    assert attached.headers == (("A", "b"), ("Cookie", "lang=en; sid=k%3B1"))


def test_credentials_that_belong_together_are_all_attached() -> None:
    auth = Auth("header", "X-App", "{app}", also=(Auth("query", "key", "{key}"), Auth("bearer", value="{token}")))
    attached = credentials.attach(request(), auth, {"app": "a", "key": "k", "token": "t"})
    assert attached.headers == (("X-App", "a"), ("Authorization", "Bearer t"))
    assert attached.query == "key=k"


def test_a_tool_with_a_credential_of_its_own_sends_that_alone_or_says_what_the_account_lacks() -> None:
    usual, own = Auth("header", "X-Key", "{api_key}"), Auth("bearer", value="{token}")
    attached = credentials.attach(request(), usual, {"api_key": "k", "token": "t"}, own)
    assert attached.headers == (("Authorization", "Bearer t"),)
    assert credentials.attach(request(), usual, {"api_key": "k"}, Auth("none")).headers == ()
    with pytest.raises(errors.UpstreamUnreachable) as lacking:
        credentials.attach(request(), usual, {"api_key": "k"}, own)
    assert lacking.value.message == (
        "this tool needs the credential field token, which this account does not have; nothing was sent. "
        "An operator must reconnect the account with it"
    )
