"""The page of a tool, in a host: the official MCP client and the official MCP Apps bridge drive it in Chromium, in a
sandbox under the policy that the specification asks of a host."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from functions import local
from tests.browser.conftest import INSTALLED, Watched
from tests.patience import STUCK_SECONDS

pytestmark = pytest.mark.browser

NODE_MODULES = INSTALLED.parent / "node" / "node_modules"
PAGE = Path(__file__).parent / "pages" / "host.html"
SEARCH, LIST, REMEMBER = "mem_0_memories_search", "list_all_mem_0_memories", "mem_0_memories_remember"
OF_ADA = {"filters": {"user_id": "ada"}}
ERAS = ("legacy", "auto")

SCRIPT = "<script>window.top.owned = window.owned = true</script><img src=x onerror='window.owned = true'>"
HOSTILE = {
    "markup": f"{SCRIPT}</script><style>*{{display:none}}</style><iframe src='https://example.com'></iframe>",
    "right to left": "\u202eمرحبا بالعالم \u202d txet desrever\u202c",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 e\u0301 \ud83d\udc4d🏽 \u200b",
    "long": "wide " * 20_000,
    "one word": "W" * 20_000,
}


class Server(http.server.BaseHTTPRequestHandler):
    """The host's files, and the frame that it puts the page of a tool into."""

    frame: dict[str, Any]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/frame":
            self._send(
                self.frame["html"].encode(),
                "text/html; charset=utf-8",
                {"content-security-policy": _policy(self.frame["csp"])},
            )
        elif path == "/":
            self._send(PAGE.read_bytes(), "text/html; charset=utf-8")
        elif path.startswith("/node/") and (file := NODE_MODULES / path.removeprefix("/node/")).is_file():
            self._send(file.read_bytes(), "text/javascript; charset=utf-8")
        else:
            self._send(b"", "text/plain", status=404)

    def do_POST(self) -> None:
        self.frame.update(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._send(b"{}", "application/json")

    def _send(self, body: bytes, kind: str, more: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *given: Any) -> None:
        """Nothing is printed."""


def _policy(csp: dict[str, list[str]]) -> str:
    """The policy of MCP Apps 2026-01-26, "Content Security Policy Enforcement"."""
    resources, reached = " ".join(csp["resourceDomains"]), " ".join(csp["connectDomains"])
    return (
        f"default-src 'none'; script-src 'self' 'unsafe-inline' {resources}; style-src 'self' 'unsafe-inline' "
        f"{resources}; connect-src 'self' {reached}; img-src 'self' data: {resources}; font-src 'self' {resources}; "
        f"media-src 'self' data: {resources}; frame-src {' '.join(csp['frameDomains']) or chr(39) + 'none' + chr(39)}; "
        f"object-src 'none'; base-uri {' '.join(csp['baseUriDomains']) or chr(39) + 'self' + chr(39)}"
    )


class Host(Watched):
    """A chat in a window of the browser, connected to a server of the local endpoint."""

    def __init__(self, ready: local.Ready, origin: str, page: Any) -> None:
        super().__init__(ready, page)
        self.origin = origin
        page.goto(origin)
        page.locator("body[data-ready=yes]").wait_for(state="attached")

    @property
    def view(self) -> Any:
        """The page of the tool."""
        return self.page.frame_locator("iframe")

    def connect(self, era: str = "auto", url: str = "") -> Any:
        return self.page.evaluate("([url, era]) => host.connect(url, era)", [url or self.ready.mcp_url, era])

    def call(self, name: str, given: dict[str, Any]) -> Any:
        return self.page.evaluate("([name, given]) => host.call(name, given)", [name, given])

    def show(self, name: str, given: dict[str, Any], **more: Any) -> Any:
        return self.page.evaluate("([name, given, more]) => host.show(name, given, more)", [name, given, more])

    def kept(self, name: str) -> Any:
        return self.page.evaluate(f"() => host.{name}")

    def remember(self, *facts: str, user: str = "ada") -> list[str]:
        """Store facts; returns their ids."""
        done = self.call(REMEMBER, {"facts": list(facts), "user_id": user})
        return [one["id"] for one in done["structuredContent"]["results"]]

    def mint(self, **config: Any) -> str:
        """The URL of a server of its own."""
        import httpx

        answer = httpx.post(
            f"{self.ready.base_url}/integrated-account/{self.ready.account_id}/mcp",
            headers={"authorization": f"Bearer {self.ready.api_token}"},
            json={"name": f"of a test {len(self.requests)}", "config": config},
            timeout=STUCK_SECONDS,
            trust_env=False,
        )
        assert answer.status_code == 201, answer.text
        self.server_id = answer.json()["id"]
        return str(answer.json()["url"])

    def revoke(self) -> None:
        import httpx

        answer = httpx.delete(
            f"{self.ready.base_url}/integrated-account/{self.ready.account_id}/mcp/{self.server_id}",
            headers={"authorization": f"Bearer {self.ready.api_token}"},
            timeout=STUCK_SECONDS,
            trust_env=False,
        )
        assert answer.status_code < 300, answer.text

    def violations(self) -> list[str]:
        """What axe finds wrong in the page of the tool. The page lets no other script in, so axe is put in from
        outside of it, as a debugger is."""
        source = (INSTALLED / "axe_playwright_python" / "axe.min.js").read_text(encoding="utf-8")
        frame = self.page.frames[-1]
        frame.evaluate(source)
        found = frame.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


@contextlib.contextmanager
def hosting() -> Iterator[str]:
    """The host's own files on a loopback socket; gives their origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Server,), {"frame": {}}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def host(ready: local.Ready, chromium: Any) -> Iterator[Host]:
    """A host, not connected yet. Errors of its pages and requests to anybody else fail the test."""
    context = chromium.new_context(viewport={"width": 800, "height": 900})
    with hosting() as origin:
        try:
            opened = Host(ready, origin, context.new_page())
            yield opened
        finally:
            context.close()
    # The browser asks for an icon, which the host does not have.
    unexpected = [text for text in opened.problems if "the server responded with a status of 40" not in text]
    assert unexpected == []
    assert [url for url in opened.requests if not url.startswith((opened.origin, ready.base_url))] == []


@pytest.mark.parametrize("era", ERAS)
def test_a_search_is_shown_as_cards_and_each_can_be_edited_and_looked_up(host: Host, era: str) -> None:
    capabilities = host.connect(era)
    assert capabilities["extensions"] == {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}
    [seat, _] = host.remember("Ada prefers window seats.", "Ada is allergic to peanuts.")
    uri = host.show(SEARCH, {"query": "window seats", **OF_ADA})
    assert uri == f"ui://mem0/{SEARCH}"
    view = host.view
    view.get_by_role("heading", level=1, name="Memories").wait_for()
    card = view.get_by_role("listitem").filter(has_text="Ada prefers window seats.")
    card.get_by_text("score").wait_for()
    card.get_by_text("Created").wait_for()
    card.get_by_role("button", name="Details").click()
    card.get_by_text(seat).wait_for()

    card.get_by_role("button", name="Edit").click()
    view.get_by_label("Text").fill("Ada prefers aisle seats.")
    view.get_by_role("button", name="Save").click()
    view.get_by_text("Ada prefers aisle seats.").wait_for()
    view.get_by_text(f"Saved the memory {seat}.").wait_for()
    stored = host.call("get_single_mem_0_memory_by_id", {"id": seat})["structuredContent"]
    assert stored["memory"] == "Ada prefers aisle seats."

    card = view.get_by_role("listitem").filter(has_text="Ada prefers aisle seats.").first
    card.get_by_role("button", name="History").click()
    card.get_by_text("UPDATE").wait_for()
    card.locator("del").filter(has_text="Ada prefers window seats.").wait_for()
    assert [call["name"] for call in host.kept("calls")] == [
        "update_a_mem_0_memory_by_id",
        "list_all_mem_0_memory_history",
    ]
    [told] = host.kept("told")
    assert told.endswith(f"Saved the memory {seat}.")


@pytest.mark.parametrize("era", ERAS)
def test_a_delete_asks_first(host: Host, era: str) -> None:
    host.connect(era)
    [seat, nuts] = host.remember("Ada prefers window seats.", "Ada is allergic to peanuts.")
    host.show(LIST, OF_ADA)
    view = host.view
    card = view.get_by_role("listitem").filter(has_text="peanuts")
    for leave in ("button", "key"):
        card.get_by_role("button", name="Delete", exact=True).click()
        view.get_by_text("Delete this memory for good?").wait_for()
        if leave == "button":
            view.get_by_role("button", name="Keep it").click()
        else:
            view.get_by_role("button", name="Keep it").press("Escape")
        view.get_by_text("Delete this memory for good?").wait_for(state="detached")
    assert host.kept("calls") == []
    card.get_by_role("button", name="Delete", exact=True).click()
    view.get_by_role("button", name="Delete for good").click()
    view.get_by_text(f"Deleted the memory {nuts}.").wait_for()
    card.wait_for(state="detached")
    assert [call["arguments"] for call in host.kept("calls")] == [{"id": nuts}]
    left = host.call(LIST, OF_ADA)["structuredContent"]["result"]
    assert [one["id"] for one in left] == [seat]


def test_a_list_goes_on_and_can_be_asked_for_again(host: Host) -> None:
    host.connect()
    host.remember(*(f"Fact number {number} about Ada." for number in range(5)))
    host.show(LIST, {**OF_ADA, "limit": 2})
    view = host.view
    view.get_by_text("2 of 5").wait_for()
    view.get_by_role("button", name="More").click()
    view.get_by_text("4 of 5").wait_for()
    view.get_by_role("button", name="More").click()
    view.get_by_text("5 shown").wait_for()
    assert view.get_by_role("button", name="More").count() == 0
    host.remember("Fact number 6 about Ada.")
    view.get_by_role("button", name="Look again").click()
    view.get_by_text("2 of 6").wait_for()


def test_a_context_has_its_own_place_of_the_items(host: Host) -> None:
    host.connect()
    host.remember("Ada prefers window seats.")
    host.show("mem_0_memories_get_context", {"query": "window seats", **OF_ADA})
    host.view.get_by_text("Ada prefers window seats.").wait_for()
    host.view.get_by_role("button", name="Delete").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_breaks_a_rule_of_axe(host: Host, scheme: str) -> None:
    host.connect()
    host.remember("Ada prefers window seats.", "Ada is allergic to peanuts.", HOSTILE["long"])
    context = {"theme": scheme}
    view = host.view
    host.show(LIST, OF_ADA, context=context)
    view.get_by_text("peanuts").wait_for()
    paper = host.page.frames[-1].evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(250, 248, 243)", "dark": "rgb(19, 25, 23)"}[scheme]
    assert host.violations() == []
    card = view.get_by_role("listitem").filter(has_text="peanuts")
    for name, shows in [("History", "ADD"), ("Details", "user_id"), ("Delete", "for good?")]:
        card.get_by_role("button", name=name, exact=True).click()
        card.get_by_text(shows).first.wait_for()
        assert host.violations() == [], name
    card.get_by_role("button", name="Edit").click()
    view.get_by_role("button", name="Save").wait_for()
    assert host.violations() == []
    host.show(LIST, {"filters": {"user_id": "nobody"}}, context=context)
    view.get_by_text("There is nothing to show.").wait_for()
    assert host.violations() == []
    host.show(LIST, OF_ADA, pending=True, context=context)
    view.get_by_text("Waiting for the answer").wait_for()
    assert host.violations() == []
    host.show(LIST, OF_ADA, cancelled="the person stopped it", context=context)
    view.get_by_text("The call was stopped: the person stopped it").wait_for()
    assert host.violations() == []


def test_the_page_follows_the_hosts_looks(host: Host) -> None:
    host.connect()
    variables = {"--color-background-primary": "rgb(1, 2, 3)", "--color-text-primary": "rgb(250, 250, 250)"}
    host.show(LIST, OF_ADA, context={"theme": "dark", "locale": "de-DE", "styles": {"variables": variables}})
    host.view.get_by_text("There is nothing to show.").wait_for()
    frame = host.page.frames[-1]
    look = "() => [getComputedStyle(document.body).backgroundColor, document.documentElement.lang]"
    assert frame.evaluate(look) == ["rgb(1, 2, 3)", "de-DE"]
    host.page.evaluate("() => host.context({theme: 'light'})")
    frame.wait_for_function("() => document.documentElement.style.colorScheme === 'light'")
    assert host.page.evaluate("() => host.teardown()") == {}
    assert host.kept("sizes")[-1] > 50


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_text_and_nothing_else(host: Host, name: str) -> None:
    text = HOSTILE[name].strip()
    host.connect()
    [id] = host.remember(text)
    stored = host.call(LIST, OF_ADA)["structuredContent"]["result"][0]["memory"]
    host.page.set_viewport_size({"width": 360, "height": 800})
    host.show(LIST, OF_ADA)
    card = host.view.get_by_role("listitem").first
    card.wait_for()
    more = card.get_by_role("button", name="Show all")
    if more.count():
        more.click()
        card.get_by_role("button", name="Show less").wait_for()
    assert card.locator("p.text").first.text_content() == stored
    frame = host.page.frames[-1]
    assert frame.evaluate("() => window.owned") is None
    assert host.page.evaluate("() => window.owned") is None
    assert frame.evaluate("() => document.querySelectorAll('iframe, img, body script:not([type])').length") == 0
    assert frame.evaluate("() => document.documentElement.scrollWidth <= innerWidth") is True
    # A text that the answer holds in part cannot be edited: saving it would lose the rest.
    assert card.get_by_role("button", name="Edit").count() == (0 if stored.endswith("characters]") else 1)
    card.get_by_role("button", name="Delete", exact=True).click()
    card.get_by_role("button", name="Delete for good").click()
    host.view.get_by_text(f"Deleted the memory {id}.").wait_for()


def test_answers_of_no_known_form_are_said_and_not_run(host: Host) -> None:
    host.connect()
    view = host.view
    for result, shows in [
        ({"content": [{"type": "text", "text": SCRIPT}], "isError": True}, "<script>window.top.owned"),
        ({"content": [{"type": "text", "text": '{"message": "No such user."}'}], "isError": True}, "No such user."),
        ({"content": [], "isError": True}, "It did not work."),
        ({"content": []}, "nothing that can be shown"),
        ({"content": [{"type": "text", "text": '{"result": []}'}]}, "There is nothing to show."),
        ({"content": [], "structuredContent": {"result": {"a": 1}}}, "There is nothing to show."),
        ({"content": [], "structuredContent": {"result": [None, 1, "x", []]}}, "1 shown"),
        ({"content": [], "structuredContent": {"result": [{"memory": {"a": SCRIPT}, "id": {}}]}}, '{"a":"<script>'),
        ({"content": [], "structuredContent": {"result": [{"other": 1}]}}, 'No text. {"other":1}'),
        (
            {"content": [], "structuredContent": {"result": [
                {"id": "1", "memory": "odd", "score": "high", "categories": "one", "created_at": "not a date",
                 "metadata": {"<b>": "<i>"}, "expiration_date": "2027-01-31"}
            ]}},
            "Created not a date",
        ),
    ]:  # fmt: skip
        host.show(LIST, OF_ADA, result=result)
        view.get_by_text(shows).first.wait_for()
    view.get_by_text("Expires 2027-01-31").wait_for()
    assert host.page.frames[-1].evaluate("() => window.owned") is None


def test_a_refusal_of_the_server_or_of_the_host_is_said_and_nothing_is_lost(host: Host) -> None:
    url = host.mint(pins={"user_id": "ada"})
    host.connect(url=url)
    host.call(REMEMBER, {"facts": ["Ada prefers window seats."]})
    view = host.view
    refusals: list[dict[str, Any]] = [
        {
            "answer": {
                "content": [{"type": "text", "text": '{"message": "This is outside the pins."}'}],
                "isError": True,
            }
        },
        {"refusal": "This is outside the pins."},
    ]
    for more in refusals:
        host.show(LIST, {}, **more)
        card = view.get_by_role("listitem").first
        card.get_by_role("button", name="Edit").click()
        card.get_by_label("Text").fill("Something else.")
        card.get_by_role("button", name="Save").click()
        card.get_by_text("This is outside the pins.").wait_for()
        assert card.get_by_label("Text").input_value() == "Something else."
        card.get_by_role("button", name="Cancel").click()
        card.get_by_role("button", name="Delete", exact=True).click()
        card.get_by_role("button", name="Delete for good").click()
        card.get_by_text("This is outside the pins.").wait_for()
        card.get_by_role("button", name="History").click()
        card.get_by_text("This is outside the pins.").wait_for()
        view.get_by_role("button", name="Look again").click()
        view.get_by_text("This is outside the pins.").nth(1).wait_for()
        assert view.get_by_role("listitem").filter(has_text="Ada prefers window seats.").count() == 1


def test_a_server_that_asks_for_a_confirmation_is_given_it_by_the_second_press(host: Host) -> None:
    host.connect(url=host.mint(confirm=["destructive"]))
    host.remember("Ada prefers window seats.", "Ada is allergic to peanuts.")
    host.show(LIST, OF_ADA)
    view = host.view
    card = view.get_by_role("listitem").filter(has_text="peanuts")
    card.get_by_role("button", name="Delete", exact=True).click()
    card.get_by_role("button", name="Delete for good").click()
    card.get_by_text("Press the button again to confirm.").wait_for()
    assert host.violations() == []
    card.get_by_role("button", name="Delete for good").click()
    card.wait_for(state="detached")
    card = view.get_by_role("listitem").first
    card.get_by_role("button", name="Edit").click()
    card.get_by_label("Text").fill("Ada prefers aisle seats.")
    card.get_by_role("button", name="Save").click()
    card.get_by_text("Press the button again to confirm.").wait_for()
    # Another text is another call: its first press asks anew.
    card.get_by_label("Text").fill("Ada prefers the aisle.")
    card.get_by_role("button", name="Save").click()
    card.get_by_text("Press the button again to confirm.").wait_for()
    card.get_by_role("button", name="Save").click()
    view.get_by_text("Ada prefers the aisle.").wait_for()
    left = host.call(LIST, OF_ADA)["structuredContent"]["result"]
    assert [one["memory"] for one in left] == ["Ada prefers the aisle."]


def test_a_server_that_ends_while_its_page_is_open_is_said(host: Host) -> None:
    host.connect(url=host.mint(pins={"user_id": "ada"}))
    host.call(REMEMBER, {"facts": ["Ada prefers window seats."]})
    host.show(LIST, {})
    card = host.view.get_by_role("listitem").first
    card.wait_for()
    host.revoke()
    card.get_by_role("button", name="Delete", exact=True).click()
    card.get_by_role("button", name="Delete for good").click()
    card.get_by_text("unknown, revoked or expired").wait_for()
    host.view.get_by_role("button", name="Look again").click()
    host.view.get_by_text("unknown, revoked or expired").nth(1).wait_for()


def test_a_server_that_only_reads_and_a_host_that_calls_nothing_offer_no_change(host: Host) -> None:
    host.connect()
    host.remember("Ada prefers window seats.")
    view = host.view
    host.show(LIST, OF_ADA, capabilities={})
    view.get_by_text("Ada prefers window seats.").wait_for()
    assert view.get_by_role("button").all_text_contents() == ["Details"]
    host.connect(url=host.mint(methods=["read"]))
    host.show(LIST, OF_ADA)
    view.get_by_text("Ada prefers window seats.").wait_for()
    names = [text.strip() for text in view.get_by_role("button").all_text_contents()]
    assert names == ["Look again", "History", "Details"]


def test_everything_is_done_with_the_keyboard(host: Host) -> None:
    host.connect()
    host.remember("Ada prefers window seats.")
    host.show(LIST, OF_ADA)
    view = host.view
    view.get_by_role("button", name="Edit").focus()
    host.page.keyboard.press("Enter")
    focused = partial(host.page.frames[-1].evaluate, "() => document.activeElement.textContent.trim()")
    host.page.frames[-1].wait_for_function("() => document.activeElement.tagName === 'TEXTAREA'")
    host.page.keyboard.press("Escape")
    view.get_by_label("Text").wait_for(state="detached")
    view.get_by_role("button", name="Delete", exact=True).focus()
    host.page.keyboard.press("Enter")
    host.page.frames[-1].wait_for_function("() => document.activeElement.textContent.trim() === 'Keep it'")
    host.page.keyboard.press("Tab")
    assert focused() == "Delete for good"
    host.page.keyboard.press("Enter")
    view.get_by_text("There is nothing to show.").wait_for()
    assert focused() == "Memories"
