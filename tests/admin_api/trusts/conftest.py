"""A deployment with a trust, and the issuer of its identity tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from functions.gateway.grants import write_time
from functions.gateway.json_text import Json
from tests.admin_api.conftest import Plane
from tests.identity_issuer import IdentityIssuer, github


@pytest.fixture
def issuer(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityIssuer]:
    with github(monkeypatch, plane.clock) as stand_in:
        yield stand_in


@dataclass
class Workloads:
    """Workflow runs at a deployment."""

    plane: Plane
    issuer: IdentityIssuer
    account: str

    def trust(self, name: str = "ci", **changed: Json) -> Json:
        """A new trust; a change to None leaves a key out."""
        body = {
            "name": name,
            "issuer": "github",
            "claims": {"repository": ["octo/agent"]},
            "account_ids": [self.account],
            "mint": {"methods": ["read"], "pins": {"user_id": "ci"}, "max_lifetime_seconds": 3600},
            **changed,
        }
        return self.plane.ok("POST", "/trust", {name: value for name, value in body.items() if value is not None})

    def wish(self, **changed: Json) -> Json:
        """The body for a server within the limits of the trust."""
        ends = write_time(self.plane.clock() + timedelta(minutes=15))
        return {"config": {"methods": ["read"], "pins": {"user_id": "ci"}}, "expires_at": ends, **changed}

    def mint(self, token: str, **changed: Json) -> Any:
        """The answer to a request to mint."""
        return self.plane.call("POST", f"/integrated-account/{self.account}/mcp", self.wish(**changed), token=token)

    def minted(self, token: str, **changed: Json) -> Json:
        answer = self.mint(token, **changed)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def refusal(self, token: str, status: int = 401, **changed: Json) -> str:
        """The words of a refusal, which repeat no token."""
        answer = self.mint(token, **changed)
        assert answer.status_code == status, answer.text
        assert token not in answer.text
        assert all(part not in answer.text for part in token.split(".") if len(part) > 20)
        return str(answer.json()["message"])


@pytest.fixture
def workloads(plane: Plane, issuer: IdentityIssuer, account: str) -> Workloads:
    return Workloads(plane, issuer, account)
