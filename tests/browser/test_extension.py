"""The browser extension in Chromium, on pages that imitate the structure of each site, with a real endpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions import local
from functions.admin_api.extension.archive import SOURCE
from tests.browser.conftest import PATIENCE_MS, QUIET, chromium_path
from tests.patience import STUCK_SECONDS, until

pytestmark = pytest.mark.browser

PAGES = Path(__file__).parent / "pages"
CHATGPT = "https://chatgpt.com/c/0f1e-2d3c"
ADDRESSES = {
    "chatgpt": CHATGPT,
    "claude": "https://claude.ai/chat/9a8b-7c6d",
    "gemini": "https://gemini.google.com/app/5e4f3a2b",
}
CARD = "4111 1111 1111 1111"


class Extension:
    """A browser with the extension in it, and an endpoint with a server that is pinned to one person."""

    def __init__(self, context: Any, ready: local.Ready, url: str, key: str) -> None:
        self.context = context
        self.ready = ready
        self.url = url
        self.key = key

    def open(self, site: str, replace: tuple[str, str] = ("", "")) -> Any:
        """A page of a site."""
        source = (PAGES / f"{site}.html").read_text(encoding="utf-8").replace(*replace)
        self.context.route(f"{ADDRESSES[site]}*", lambda route: route.fulfill(body=source, content_type="text/html"))
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(ADDRESSES[site])
        return page

    def popup(self, page: Any | None = None) -> Any:
        """The window of the extension, for the tab of `page`."""
        [worker] = self.context.service_workers or [self.context.wait_for_event("serviceworker")]
        tab = 0
        if page is not None:
            find = "url => chrome.tabs.query({url: url + '*'}).then(tabs => tabs.at(-1).id)"
            tab = worker.evaluate(find, page.url)
        popup = self.context.new_page()
        popup.set_default_timeout(PATIENCE_MS)
        popup.goto(f"chrome-extension://{self.key}/popup.html?tab={tab}")
        return popup

    def connect(self) -> None:
        popup = self.popup()
        popup.get_by_label("MCP URL").fill(self.url)
        popup.get_by_role("button", name="Connect", exact=True).click()
        popup.get_by_text("Connected.").wait_for()
        popup.close()

    def memories(self) -> list[str]:
        """What the person's memory holds."""
        answer = httpx.post(
            f"{self.ready.base_url}/proxy/memories/list",
            params={"integrated_account_id": self.ready.account_id},
            headers={"authorization": f"Bearer {self.ready.api_token}"},
            json={"filters": {"user_id": "ana"}},
            timeout=STUCK_SECONDS,
            trust_env=False,
        )
        return [one["memory"] for one in answer.json()["result"]]

    def wait_for_memory(self, text: str) -> None:
        """Wait until a memory holds the text: a memory is made behind the answer to the request."""
        until(lambda: any(text in memory for memory in self.memories()), f"a memory holds {text!r}")


@pytest.fixture
def extension(ready: local.Ready, driver: Any, tmp_path: Path) -> Iterator[Extension]:
    made = httpx.post(
        f"{ready.base_url}/integrated-account/{ready.account_id}/mcp",
        headers={"authorization": f"Bearer {ready.api_token}"},
        json={"name": "extension", "config": {"pins": {"user_id": "ana"}}},
        timeout=STUCK_SECONDS,
        trust_env=False,
    ).json()
    folder = tmp_path / "extension"
    shutil.copytree(SOURCE, folder)
    # What a person allows in a dialog of the browser, which no program can press, is allowed from the start here.
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["host_permissions"] = manifest.pop("optional_host_permissions")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    context = driver.chromium.launch_persistent_context(
        str(tmp_path / "profile"),
        executable_path=chromium_path(),
        args=[*QUIET, f"--disable-extensions-except={folder}", f"--load-extension={folder}"],
    )
    [worker] = context.service_workers or [context.wait_for_event("serviceworker")]
    yield Extension(context, ready, made["url"], worker.url.split("/")[2])
    context.close()


@pytest.mark.parametrize(
    ("site", "said"), [("chatgpt", "Riga"), ("claude", "chess"), ("gemini", "allergic to peanuts")]
)
def test_a_conversation_is_stored_when_the_button_is_pressed_and_once(
    extension: Extension, site: str, said: str
) -> None:
    extension.connect()
    popup = extension.popup(extension.open(site))
    popup.get_by_text("2 turns").first.wait_for()
    assert extension.memories() == []
    popup.get_by_role("button", name="Store this conversation").click()
    popup.get_by_text("2 turns were sent to your memory.").wait_for()
    extension.wait_for_memory(said)
    assert CARD not in "".join(extension.memories()) + popup.content()
    before = extension.memories()
    popup.get_by_role("button", name="Store this conversation").click()
    popup.get_by_text("Everything here was sent before.").wait_for()
    assert extension.memories() == before


def test_a_page_that_has_changed_is_not_read(extension: Extension) -> None:
    extension.connect()
    popup = extension.popup(extension.open("chatgpt", ("data-message-author-role", "data-author")))
    popup.get_by_text("This page of ChatGPT has changed, so nothing is read from it.").wait_for()
    assert popup.get_by_role("button", name="Store this conversation").is_disabled()
    assert extension.memories() == []


def test_a_site_that_is_switched_on_stores_finished_turns_until_it_is_paused(extension: Extension) -> None:
    extension.connect()
    page = extension.open("chatgpt")
    popup = extension.popup(page)
    popup.get_by_role("checkbox", name="Keep storing on ChatGPT").check()
    popup.get_by_text("Finished turns on ChatGPT are stored from now on.").wait_for()
    popup.get_by_text("chatgpt, user: I moved to Riga.").wait_for()
    popup.reload()
    popup.get_by_role("checkbox", name="Pause everything").check()
    popup.get_by_text("Paused: nothing is stored.").wait_for()
    add = """text => {
      const turn = document.createElement("div");
      turn.dataset.messageAuthorRole = "user";
      turn.textContent = text;
      document.querySelector("main").append(turn);
    }"""
    page.evaluate(add, "I have a dog called Rex.")
    popup.get_by_role("checkbox", name="Pause everything").uncheck()
    page.evaluate(add, "I work as a nurse.")
    popup.wait_for_function(
        "() => chrome.storage.local.get('stored').then(({stored}) => stored.some(one => one.text.includes('nurse')))"
    )
    extension.wait_for_memory("nurse")


def test_what_is_known_is_put_into_the_prompt_box_and_not_sent(extension: Extension) -> None:
    extension.connect()
    page = extension.open("chatgpt")
    popup = extension.popup(page)
    popup.get_by_role("button", name="Store this conversation").click()
    popup.get_by_text("2 turns were sent").wait_for()
    extension.wait_for_memory("Riga")
    popup.get_by_role("button", name="Insert what is known").click()
    popup.get_by_text("Inserted above your words.").wait_for()
    written = page.locator("#prompt-textarea").inner_text()
    assert written.index("Riga") < written.index("Which city did I move to?")


def test_disconnecting_forgets_the_url(extension: Extension) -> None:
    extension.connect()
    popup = extension.popup()
    popup.get_by_role("button", name="Disconnect and forget").click()
    popup.get_by_label("MCP URL").wait_for()
    assert popup.evaluate("() => chrome.storage.local.get()") == {}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/mcp/none", "https://example.com/", "nonsense"])
def test_an_address_that_is_no_endpoint_is_refused(extension: Extension, url: str) -> None:
    popup = extension.popup()
    popup.get_by_label("MCP URL").fill(url)
    popup.get_by_role("button", name="Connect", exact=True).click()
    popup.wait_for_function("() => /cannot be reached|not an MCP URL|Invalid URL/.test(document.body.innerText)")
    assert popup.evaluate("() => chrome.storage.local.get('url')") == {}


def test_nothing_is_sent_anywhere_but_to_the_endpoint(extension: Extension) -> None:
    requests: list[str] = []
    extension.context.on("request", lambda request: requests.append(request.url))
    extension.connect()
    popup = extension.popup(extension.open("claude"))
    popup.get_by_role("button", name="Store this conversation").click()
    popup.get_by_text("2 turns were sent").wait_for()
    own = (extension.ready.base_url, "chrome-extension://", ADDRESSES["claude"])
    assert [url for url in requests if not url.startswith(own)] == []
