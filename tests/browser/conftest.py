"""The whole endpoint on the loopback, and Debian's Chromium with the console open in it."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions import local
from functions.gateway.settings import Settings
from tests.patience import STUCK_SECONDS

INSTALLED = Path(__file__).parents[2] / ".cache" / "browser"
"""Where `make browser` puts the driver."""

QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Chromium without its own requests to the network, and without a sandbox, because CI runs as root."""

PATIENCE_MS = 60_000
"""How long a test waits for something to appear: a generous limit for a busy machine, never a measure."""


def chromium_path() -> str:
    """Where Chromium is."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable is not None, "run `make browser`, which installs Chromium"
    return executable


@contextlib.contextmanager
def driving() -> Iterator[Any]:
    """Playwright, of which a process may have one at a time."""
    sys.path.insert(0, str(INSTALLED))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Playwright for all tests."""
    with driving() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(driver: Any) -> Iterator[Any]:
    """A browser for all tests."""
    launched = driver.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
    yield launched
    launched.close()


class Watched:
    """The endpoint, and one page of the browser whose errors and requests are kept."""

    def __init__(self, ready: local.Ready, page: Any) -> None:
        self.ready = ready
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: self.requests.append(request.url))


class Console(Watched):
    """The page with the console in it."""

    def api(self, verb: str, path: str, body: Any = None) -> Any:
        """A request to the management API with the root API token."""
        headers = {"authorization": f"Bearer {self.ready.api_token}"}
        answer = httpx.request(
            verb, self.ready.base_url + path, headers=headers, json=body, timeout=STUCK_SECONDS, trust_env=False
        )
        assert answer.status_code < 300, answer.text
        return answer.json()

    def sign_in(self) -> None:
        """Open the console by a link, as `postern console` does."""
        self.page.goto(self.api("POST", "/console/sign-in-link")["url"])
        self.page.get_by_role("navigation", name="Screens").wait_for()

    def open(self, place: str) -> None:
        """Go to a screen, e.g. "servers"."""
        self.page.evaluate("place => { location.hash = place }", f"#/{place}")

    def shows(self, text: str, **more: Any) -> None:
        """Wait until the text is visible."""
        self.page.get_by_text(text, **more).first.wait_for()

    def violations(self) -> list[str]:
        """What axe finds wrong on the page: rule and element."""
        source = (INSTALLED / "axe_playwright_python" / "axe.min.js").read_text(encoding="utf-8")
        self.page.evaluate(source)
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[local.Ready]:
    environment = {"POSTERN_STATE_DIR": str(tmp_path / "state"), "HOME": os.environ.get("HOME", str(tmp_path))}
    settings = Settings.from_environment(environment)
    with local.start(settings, environment, audit_stream=io.StringIO()) as started:
        yield started


@pytest.fixture
def console(ready: local.Ready, chromium: Any) -> Iterator[Console]:
    """The console, signed out, in a window of its own. Errors of the page fail the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=ready.base_url)
    page = context.new_page()
    opened = Console(ready, page)
    yield opened
    context.close()
    unexpected = [text for text in opened.problems if "the server responded with a status of 4" not in text]
    assert unexpected == []
    assert [url for url in opened.requests if not url.startswith((ready.base_url, "blob:"))] == []
