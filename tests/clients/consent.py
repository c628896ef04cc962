"""The consent page as a browser handles it: it is read, filled in and sent, and the answer says where to go."""

from __future__ import annotations

import os
import sys
import time
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


class Form(HTMLParser):
    """The one form of a page: its action, and its fields with their values."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given["action"]
        if tag == "input":
            self.fields[given["name"]] = given.get("value", "")


def sign_in(address: str, api_token: str, decision: str = "allow") -> str:
    """Open the page at `address`, give the API token, and return where the browser is sent."""
    with httpx.Client(trust_env=False, verify=False, timeout=600) as browser:
        shown = browser.get(address)
        assert shown.status_code == 200, shown.text
        form = Form(shown.text)
        target = urljoin(address, form.action)
        origin = str(httpx.URL(target).copy_with(path="/", query=None)).rstrip("/")
        fields = {**form.fields, "api_token": api_token, "decision": decision}
        answer = browser.post(target, data=fields, headers={"origin": origin, "sec-fetch-site": "same-origin"})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


if __name__ == "__main__":  # as the browser of a client that opens one
    back = sign_in(sys.argv[1], os.environ["API_TOKEN"])
    patience = time.monotonic() + 600
    while True:  # mcp-remote opens the browser before it listens for what comes back
        try:
            httpx.get(back, trust_env=False, verify=False, timeout=600)
            break
        except httpx.ConnectError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.05)
