"""The sign-in of OAuth in Chromium, and the operator's list of sign-ins.

The consent page breaks no rule of axe, its form reaches the server from this origin, and the browser follows the
redirect to another origin under the policy of the page.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from functions import local
from tests.admin_api.oauth.signing_in import signed_in
from tests.browser.conftest import INSTALLED, PATIENCE_MS, Console
from tests.patience import STUCK_SECONDS

pytestmark = pytest.mark.browser

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Callback:
    """The client: a program on this computer, at an origin of its own, that waits for people to come back."""

    def __init__(self) -> None:
        self.queries: list[dict[str, list[str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/callback"):
                    outer.queries.append(parse_qs(urlsplit(self.path).query))
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>Back</title><p>You are back in the client</p>")

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.uri = f"http://127.0.0.1:{self._server.server_port}/callback"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def callback() -> Iterator[Callback]:
    waiting = Callback()
    yield waiting
    waiting.close()


def test_an_operator_sees_who_signed_in_to_a_server_and_ends_one(console: Console) -> None:
    server = f"/integrated-account/{console.ready.account_id}/mcp"
    minted = console.api("POST", server, {"config": {"require_api_token_auth": True}, "name": "Shared notes"})
    person = console.api("POST", "/api-token", {"name": "Anna", "scopes": ["connect"]})
    for client in ("Some <b>client</b>", "Another client"):
        signed_in(console.ready.base_url, minted["url"], person["token"], client)
    console.sign_in()
    console.open(f"servers/{console.ready.account_id}/{minted['id']}")
    console.page.get_by_role("tab", name="Who signed in").click()
    console.shows("Some <b>client</b>")
    assert console.violations() == []
    row = console.page.get_by_role("row").filter(has_text="Another client")
    row.get_by_role("button", name="End").click()
    console.page.get_by_role("dialog").get_by_role("textbox").fill("Anna")
    console.page.get_by_role("dialog").get_by_role("button", name="End").click()
    row.wait_for(state="detached")
    [left] = console.api("GET", f"{server}/{minted['id']}/consent")["result"]
    assert left["client_name"] == "Some <b>client</b>"
    assert console.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_refuses_then_errs_then_allows(
    ready: local.Ready, chromium: Any, callback: Callback, scheme: str
) -> None:
    with httpx.Client(base_url=ready.base_url, timeout=STUCK_SECONDS, trust_env=False) as product:
        operator = {"authorization": f"Bearer {ready.api_token}"}
        config = {"config": {"require_api_token_auth": True}, "name": "Notes of the team"}
        url = product.post(f"/integrated-account/{ready.account_id}/mcp", json=config, headers=operator).json()["url"]
        body = {"name": "person", "scopes": ["connect"]}
        api_token = product.post("/api-token", json=body, headers=operator).json()["token"]
        registered = {"client_name": "A client", "redirect_uris": [callback.uri]}
        client_id = product.post("/oauth/register", json=registered).json()["client_id"]
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": callback.uri,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "s",
        "resource": url,
    }
    address = f"{ready.base_url}/oauth/authorize?{urlencode(parameters)}"
    context = chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    refusals: list[str] = []
    page.on("console", lambda said: refusals.append(said.text) if "Content Security Policy" in said.text else None)

    page.goto(address)
    page.get_by_role("heading", name="Allow this client?").wait_for()
    page.get_by_text("Notes of the team").first.wait_for()
    page.get_by_text("a program on this computer").wait_for()
    page.evaluate((INSTALLED / "axe_playwright_python" / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [one["id"] for one in found] == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off on a phone"

    page.get_by_role("button", name="Refuse").click()
    page.get_by_text("You are back in the client").wait_for()
    assert callback.queries.pop()["error"] == ["access_denied"]

    page.goto(address)
    page.get_by_label("Your API token").fill("pst_" + "x" * 43)
    page.get_by_role("button", name="Sign in and allow").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Your API token").fill(api_token)
    page.keyboard.press("Enter")
    page.get_by_text("You are back in the client").wait_for()
    query = callback.queries.pop()
    assert query["iss"] == [f"{ready.base_url}/oauth"]
    assert len(query["code"][0]) == 43
    assert callback.queries == []
    assert [text for text in refusals if "form-action" in text] == []
    context.close()
