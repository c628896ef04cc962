"""GitHub's issuer of identity tokens, played on the loopback: it publishes keys, and signs what a workflow run is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from functions.admin_api.trusts import presets
from functions.gateway.json_text import Json
from tests.gateway import loopback
from tests.gateway.loopback import Received, Told, Upstream

LIVES_SECONDS = 300
"""Life of an identity token of GitHub."""

REQUEST_TOKEN = "the-run-s-own-request-token"

RUN: dict[str, Json] = {
    "sub": "repo:octo/agent:ref:refs/heads/main",
    "jti": "6c1e8a2b-0000-4000-8000-000000000000",
    "repository": "octo/agent",
    "repository_id": "74",
    "repository_owner": "octo",
    "repository_owner_id": "65",
    "repository_visibility": "private",
    "run_id": "4711",
    "run_number": "10",
    "run_attempt": "2",
    "actor": "mona",
    "actor_id": "12",
    "workflow": "ci",
    "workflow_ref": "octo/agent/.github/workflows/ci.yml@refs/heads/main",
    "job_workflow_ref": "octo/agent/.github/workflows/ci.yml@refs/heads/main",
    "event_name": "push",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "head_ref": "",
    "base_ref": "",
    "environment": "prod",
    "runner_environment": "github-hosted",
}
"""The claims of a workflow run, less those that every token has."""

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})


class IdentityIssuer:
    """`key` signs with `algorithm`; `published` is what the issuer shows; `answers` replaces an answer by its path."""

    def __init__(self, upstream: Upstream, clock: Callable[[], datetime]) -> None:
        self.upstream = upstream
        self.clock = clock
        self.key: Any = RSA
        self.algorithm = "RS256"
        self.published: list[Any] = [RSA]
        self.answers: dict[str, Told] = {}
        self.run: dict[str, Json] = dict(RUN)
        upstream.script = self._answer

    @property
    def url(self) -> str:
        return self.upstream.origin

    @property
    def request_url(self) -> str:
        """What a workflow finds in ACTIONS_ID_TOKEN_REQUEST_URL."""
        return f"{self.url}/request?api-version=2.0"

    def token(self, audience: Json, *, header: dict[str, Json] | None = None, **claims: Json) -> str:
        """An identity token. A claim of None is left out."""
        now = int(self.clock().timestamp())
        given = {"iss": self.url, "aud": audience, "iat": now, "nbf": now - 300, "exp": now + LIVES_SECONDS}
        every = {**given, **self.run, **claims}
        signed = {"alg": self.algorithm, "kid": self.key.kid, "typ": "JWT", **(header or {})}
        signed = {name: value for name, value in signed.items() if value is not None}
        content = {name: value for name, value in every.items() if value is not None}
        return jwt.encode(signed, content, self.key, algorithms=[self.algorithm])

    def reads(self, path: str = "/keys") -> int:
        """How often something was read of the issuer."""
        return sum(received.target == path for received in self.upstream.requests)

    def _answer(self, received: Received) -> Told:
        url = urlsplit(received.target)
        if url.path in self.answers:
            return self.answers[url.path]
        if url.path == "/.well-known/openid-configuration":
            return loopback.answer(200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        if url.path == "/keys":
            return loopback.answer(200, {"keys": [key.as_dict(private=False) for key in self.published]})
        if url.path == "/request":
            if received.headers.get("authorization") != f"Bearer {REQUEST_TOKEN}".encode():
                return loopback.answer(401, {"message": "a secret of GitHub's"})
            [audience] = parse_qs(url.query)["audience"]
            return loopback.answer(200, {"count": 1, "value": self.token(audience)})
        return loopback.answer(404, {})


def ec_key(key_id: str = "ec-1") -> Any:
    return ECKey.generate_key("P-256", {"kid": key_id, "use": "sig"})


@contextmanager
def github(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], datetime] | None = None) -> Iterator[IdentityIssuer]:
    """The issuer, which the preset `github` names as long as this lasts."""
    with loopback.upstream() as upstream:
        issuer = IdentityIssuer(upstream, clock or (lambda: datetime.now(UTC)))
        known = {**presets.PRESETS, "github": replace(presets.PRESETS["github"], issuer=issuer.url)}
        monkeypatch.setattr(presets, "PRESETS", known)
        yield issuer
