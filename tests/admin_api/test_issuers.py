"""An OpenID Connect issuer, read within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest

from functions.admin_api.issuers import READINGS, Issuer, IssuerFailed, NotVerified
from functions.gateway.settings import Settings
from tests.admin_api.conftest import Clock
from tests.gateway.calling import AdvancingLoop
from tests.gateway.loopback import Told
from tests.identity_issuer import IdentityIssuer, github

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
    "address", ["http://127.0.0.1:1/keys", "ftp://issuer.example/keys", "file:///etc/passwd", "https://", None, 7]
)
def test_keys_are_read_from_an_https_address_only(clock: Clock, address: object) -> None:
    """The host behind it is judged at the moment of connecting, as for every request."""
    issuer = Issuer("https://issuer.example", Settings(), clock)

    async def metadata(*_: object) -> dict[str, object]:
        return {"issuer": "https://issuer.example", "jwks_uri": address}

    issuer.ask = metadata  # type: ignore[method-assign,assignment]
    with pytest.raises(IssuerFailed, match="has no jwks_uri in its metadata that is an https address"):
        asyncio.run(issuer.metadata())


def test_an_algorithm_is_refused_before_a_key_is_read(stand_in: IdentityIssuer, clock: Clock) -> None:
    issuer = Issuer(stand_in.url, Settings(private_upstreams=True), clock)
    with pytest.raises(NotVerified, match="it is signed with"):
        asyncio.run(issuer.verified(stand_in.token("a"), ("ES256",)))
    assert stand_in.upstream.requests == []
