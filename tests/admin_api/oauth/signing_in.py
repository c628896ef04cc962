"""A person signs in to a running deployment with an API token, and a client gets its tokens: all of it over HTTP."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx

from functions.gateway.json_text import Json
from tests.admin_api.oauth.conftest import CHALLENGE, VERIFIER
from tests.patience import STUCK_SECONDS

CALLBACK = "http://127.0.0.1:5000/callback"


def signed_in(origin: str, url: str, api_token: str, client_name: str) -> Json:
    """The tokens of a client that a person let use the server of this MCP URL."""
    with httpx.Client(base_url=origin, timeout=STUCK_SECONDS, trust_env=False) as http:
        body = {"client_name": client_name, "redirect_uris": [CALLBACK]}
        client_id = http.post("/oauth/register", json=body).raise_for_status().json()["client_id"]
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": url,
        }
        page = http.get("/oauth/authorize", params=asked).raise_for_status().text
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
        fields = {name: unescape(value) for name, value in hidden} | {"api_token": api_token, "decision": "allow"}
        allowed = http.post("/oauth/authorize", data=fields, headers={"origin": origin})
        [code] = parse_qs(urlsplit(allowed.headers["location"]).query)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        tokens: Json = http.post("/oauth/token", data=form).raise_for_status().json()
        return tokens
