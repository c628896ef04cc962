"""An OpenID Connect issuer, read within bounds."""

from __future__ import annotations

import asyncio
import base64
import json
import warnings
from collections.abc import Iterator
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey

from functions.admin_api.issuers import READINGS, Issuer, IssuerFailed, NotVerified
from functions.gateway.settings import Settings
from tests.admin_api.conftest import Clock
from tests.gateway import loopback
from tests.gateway.calling import AdvancingLoop
from tests.gateway.loopback import Told
from tests.identity_issuer import RSA, IdentityIssuer, ec_key, github

ALGORITHMS = ("RS256",)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[IdentityIssuer]:
    with github(monkeypatch, clock) as made:
        yield made


def test_many_requests_at_once_read_the_keys_once(stand_in: IdentityIssuer, clock: Clock) -> None:
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    tokens = [stand_in.token("a", run_id=str(number)) for number in range(20)]

    async def read() -> list[str]:
        every = await asyncio.gather(*(issuer.verified(token, ALGORITHMS) for token in tokens))
        return [claims["run_id"] for claims in every]

    assert asyncio.run(read()) == [str(number) for number in range(20)]
    assert stand_in.reads() == 1


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys"])
def test_a_slow_issuer_is_left_at_the_limit(stand_in: IdentityIssuer, clock: Clock, path: str) -> None:
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    stand_in.answers[path] = Told(b"HTTP/1.1 200 OK\r\n", "hang")
    with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
        loop = cast(AdvancingLoop, runner.get_loop())
        stand_in.upstream.silent = lambda: loop.advance(3_600)
        with pytest.raises(IssuerFailed, match="does not answer"):
            runner.run(issuer.verified(stand_in.token("a"), ALGORITHMS))


def test_an_issuer_that_fails_is_asked_a_few_times_a_minute(stand_in: IdentityIssuer, clock: Clock) -> None:
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    stand_in.answers["/keys"] = Told(b"", "reset")

    async def fail() -> IssuerFailed:
        with pytest.raises(IssuerFailed) as failed:
            await issuer.verified(stand_in.token("a"), ALGORITHMS)
        return failed.value

    errors = [asyncio.run(fail()) for _ in range(20)]
    assert stand_in.reads() == READINGS.burst
    assert str(errors[-1]) == "was asked for its keys several times in the last minute"
    assert errors[-1].retry_after == 60 // READINGS.calls_per_minute
    clock.advance(seconds=errors[-1].retry_after)
    del stand_in.answers["/keys"]
    assert asyncio.run(issuer.verified(stand_in.token("a"), ALGORITHMS))["run_id"] == "4711"


@pytest.mark.parametrize(
    "address",
    [
        *("http://127.0.0.1:1/keys", "ftp://issuer.example/keys", "file:///etc/passwd", "https://", None, 7),
        *("https://h.example:25/", "https://10.0.0.1/", "https://localhost/", "https://a b.example/"),
        *("https://h:99999/", "https://h:a/", "https://h:0/", "https://[::1/", "https://a:b@h/", "https://\u2100/"),
    ],
)
def test_keys_are_read_from_an_https_address_only(clock: Clock, address: object) -> None:
    """The host behind it is judged at the moment of connecting, as for every request."""
    issuer = Issuer("https://issuer.example", Settings(), clock)

    async def metadata(*_: object) -> dict[str, object]:
        return {"issuer": "https://issuer.example", "jwks_uri": address}

    issuer.ask = metadata  # type: ignore[method-assign,assignment]
    with pytest.raises(IssuerFailed, match="has no jwks_uri in its metadata that is an https address"):
        asyncio.run(issuer.metadata())


OTHER = RSAKey.generate_key(2048, {"kid": "rsa-1"})

UNREADABLE: dict[str, dict[str, object]] = {
    "an RSA key without its modulus": {"kty": "RSA", "kid": "x"},
    "numbers in place of texts": {"kty": "RSA", "kid": "x", "e": 1, "n": 2},
    "a curve of another kind": {"kty": "OKP", "crv": "Ed448", "kid": "x", "x": "AA"},
    "a curve that nobody knows": {"kty": "EC", "crv": "P-1024", "kid": "x", "x": "AA", "y": "AA"},
    "a point that is on no curve": {"kty": "EC", "crv": "P-256", "kid": "x", "x": "AA", "y": "AA"},
    "a kind that nobody knows": {"kty": "AKP", "kid": "x", "pub": "AA"},
    "a use that contradicts its operations": {**ec_key("x").as_dict(private=False), "key_ops": ["encrypt"]},
    "an id that is not a text": {**ec_key("x").as_dict(private=False), "kid": 7},
    "the id of the right key, and another type": {**ec_key("rsa-1").as_dict(private=False)},
    "the id of the right key, and another number": {**OTHER.as_dict(private=False)},
    "too few bits": {"kty": "RSA", "kid": "x", "e": "AQAB", "n": "f" * 171},
    "too many bits": {"kty": "RSA", "kid": "x", "e": "AQAB", "n": "f" * 12_000},
}


@pytest.mark.parametrize("entry", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("first", [True, False], ids=["in front", "behind"])
def test_a_key_that_does_not_count_leaves_the_others_usable(
    stand_in: IdentityIssuer, clock: Clock, entry: dict[str, object], first: bool
) -> None:
    """An issuer publishes a key of a new kind long before it signs with it."""
    right = RSA.as_dict(private=False)
    stand_in.answers["/keys"] = loopback.answer(200, {"keys": [entry, right] if first else [right, entry]})
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    for _ in range(3):
        assert asyncio.run(issuer.verified(stand_in.token("a"), ALGORITHMS))["run_id"] == "4711"


def test_a_key_of_few_bits_proves_nothing(stand_in: IdentityIssuer, clock: Clock) -> None:
    with warnings.catch_warnings(action="ignore"):
        stand_in.key = RSAKey.generate_key(1024, {"kid": "small"})
    stand_in.published = [stand_in.key, RSA]
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    with pytest.raises(NotVerified, match='its key "small" is not one that the issuer publishes'):
        asyncio.run(issuer.verified(stand_in.token("a"), ALGORITHMS))


def test_headers_that_are_not_known_say_nothing(stand_in: IdentityIssuer, clock: Clock) -> None:
    """RFC 7515, 4.1. Some issuers put the chain of certificates or a version there."""
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    token = signed_by_hand({"alg": "RS256", "kid": "rsa-1", "ver": "2", "x5c": ["A" * 2_000]}, {"run_id": "4711"})
    assert asyncio.run(issuer.verified(token, ALGORITHMS)) == {"run_id": "4711"}
    critical = signed_by_hand({"alg": "RS256", "kid": "rsa-1", "ver": "2", "crit": ["ver"]}, {"run_id": "4711"})
    with pytest.raises(NotVerified, match="its signature is not that of the issuer"):
        asyncio.run(issuer.verified(critical, ALGORITHMS))


def signed_by_hand(header: dict[str, object], claims: dict[str, object]) -> str:
    """A token whose header no library checks."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    assert RSA.private_key is not None
    signed = RSA.private_key.sign(b".".join(parts), PKCS1v15(), SHA256())
    return b".".join([*parts, base64.urlsafe_b64encode(signed).rstrip(b"=")]).decode()


def test_a_cached_key_waits_for_no_reading_that_a_stranger_caused(stand_in: IdentityIssuer, clock: Clock) -> None:
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    known, unknown = stand_in.token("a"), stand_in.token("a", header={"kid": "no-such-key"})

    async def read() -> None:
        await issuer.verified(known, ALGORITHMS)
        stand_in.answers["/keys"] = Told(b"HTTP/1.1 200 OK\r\n", "hang")
        strangers = [asyncio.create_task(issuer.verified(unknown, ALGORITHMS)) for _ in range(5)]
        while stand_in.reads() < 2:  # noqa: ASYNC110 - the issuer is on another thread
            await asyncio.sleep(0)
        for _ in range(3):
            assert (await issuer.verified(known, ALGORITHMS))["run_id"] == "4711"
        assert not any(stranger.done() for stranger in strangers)
        for stranger in strangers:
            stranger.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)

    asyncio.run(read())


def test_keys_that_moved_are_found_after_one_failure(stand_in: IdentityIssuer, clock: Clock) -> None:
    """The metadata, which say where the keys are, are read anew when the keys could not be read."""
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    asyncio.run(issuer.verified(stand_in.token("a"), ALGORITHMS))
    moved = loopback.answer(200, {"issuer": stand_in.url, "jwks_uri": f"{stand_in.url}/moved"})
    stand_in.answers["/.well-known/openid-configuration"] = moved
    stand_in.answers["/keys"] = loopback.answer(404, {})
    stand_in.key = ec_key("moved")
    stand_in.algorithm = "ES256"
    stand_in.answers["/moved"] = loopback.answer(200, {"keys": [stand_in.key.as_dict(private=False)]})
    with pytest.raises(IssuerFailed):
        asyncio.run(issuer.verified(stand_in.token("a"), ("ES256",)))
    assert asyncio.run(issuer.verified(stand_in.token("a"), ("ES256",)))["run_id"] == "4711"


def test_an_algorithm_is_refused_before_a_key_is_read(stand_in: IdentityIssuer, clock: Clock) -> None:
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    with pytest.raises(NotVerified, match="it is signed with"):
        asyncio.run(issuer.verified(stand_in.token("a"), ("ES256",)))
    assert stand_in.upstream.requests == []
