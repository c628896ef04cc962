"""A deployment with OAuth: the management API, and the endpoint on the same store and clock."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.methods import Methods
from tests.admin_api.conftest import Plane
from tests.mcp_endpoint.endpoint import Answer, CannedSender, exchange, legacy, post

ADMIN = "https://postern.example"
MCP = "https://mcp.example"
CALLBACK = "https://client.example/callback?kept=1"
LOOPBACK = "http://127.0.0.1:5000/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
OWN_PAGE = {"origin": ADMIN, "sec-fetch-site": "same-origin"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path), private_upstreams=True, management_url=ADMIN, public_url=MCP)


def redemption(code: str, redeemer: str, **changed: str) -> dict[str, str]:
    """The form by which the client `redeemer` redeems a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": redeemer,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **changed,
    }


@dataclass
class SignIns:
    """People, clients and servers of one deployment."""

    plane: Plane
    account: str
    endpoint: Endpoint
    numbers: list[int] = field(default_factory=lambda: [0])

    def mint(self, **config: Json) -> str:
        """The MCP URL of a new server that requires an API token."""
        body = {"config": {"require_api_token_auth": True, **config}}
        return str(self.plane.ok("POST", f"/integrated-account/{self.account}/mcp", body)["url"])

    def issue(self, **limits: Json) -> Json:
        """A new API token."""
        self.numbers[0] += 1
        body = {"name": f"person {self.numbers[0]}", "scopes": ["connect"], **limits}
        return self.plane.ok("POST", "/api-token", body)

    def register(self, *uris: str, status: int = 201, **metadata: Json) -> Json:
        """The answer to a registration."""
        body = {"client_name": "Some client", "redirect_uris": list(uris or (CALLBACK, LOOPBACK)), **metadata}
        answer = self.plane.client.post("/oauth/register", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def parameters(self, url: str, client_id: str, **changed: str) -> dict[str, str]:
        """Those of an authorization request; a change to "" leaves one out."""
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "a state & more",
            "resource": url,
            **changed,
        }
        return {name: value for name, value in parameters.items() if value}

    def page(self, parameters: dict[str, str]) -> Any:
        return self.plane.client.get("/oauth/authorize", params=parameters)

    def send(self, fields: dict[str, str], headers: dict[str, str] = OWN_PAGE) -> Any:
        """The form of the consent page."""
        return self.plane.client.post("/oauth/authorize", data=fields, headers=headers, follow_redirects=False)

    def code(self, url: str, client_id: str, api_token: str, **changed: str) -> str:
        """A person opens the page, reads it and allows the client."""
        shown = self.page(self.parameters(url, client_id, **changed))
        assert shown.status_code == 200, shown.text
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', shown.text)
        fields = {name: unescape(value) for name, value in hidden}
        answer = self.send({**fields, "api_token": api_token, "decision": "allow"})
        assert answer.status_code == 303, answer.text
        [code] = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        return str(code)

    def token(self, status: int = 200, **form: str) -> Json:
        """The answer of the token endpoint; a field of "" is left out."""
        answer = self.plane.client.post("/oauth/token", data={name: value for name, value in form.items() if value})
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    def redeem(self, code: str, redeemer: str, status: int = 200, **changed: str) -> Json:
        """The answer to the client `redeemer`, whose request is changed."""
        return self.token(status, **redemption(code, redeemer, **changed))

    def refresh(self, refresh_token: str, client_id: str, status: int = 200, **changed: str) -> Json:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id, **changed}
        return self.token(status, **form)

    def sign_in(self, url: str, api_token: str) -> tuple[str, Json]:
        """A client's id and its first tokens."""
        client_id = self.register()["client_id"]
        return client_id, self.redeem(self.code(url, client_id, api_token), client_id)

    def call(self, url: str, access_token: str = "", **headers: str) -> Answer:
        """A listing at the endpoint."""
        lines = [("host", "mcp.example"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        if access_token:
            lines.append(("authorization", f"Bearer {access_token}"))
        return post(self.endpoint, url.rsplit("/", 1)[1], legacy("tools/list").adding(*lines))

    def get(self, path: str, **headers: str) -> Answer:
        return exchange(self.endpoint, "GET", path, [("host", "mcp.example"), *headers.items()])


@pytest.fixture
def sign_ins(plane: Plane, account: str, settings: Settings) -> SignIns:
    endpoint = Endpoint(
        settings=settings, store=plane.store, methods=Methods(settings, CannedSender(), None), clock=plane.clock
    )
    return SignIns(plane, account, endpoint)
