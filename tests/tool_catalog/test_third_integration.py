"""A third integration is a folder of YAML and nothing else: compiled, then driven through the call line to a stub.

The stub is a loopback server of this test. One run per auth scheme, changed in integration.yaml alone.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from functions.gateway.call import run
from functions.gateway.credentials import Credential
from functions.gateway.grants import ServerConfig, Target
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from tool_catalog.building import build
from tool_catalog.catalog import Catalog
from tool_catalog.compiled_document import to_bytes
from tool_catalog.compiled_file import read

RECORDS = Path(__file__).parent / "records" / "tickets"

SCHEMES = {
    "query": (
        'auth: {scheme: query, name: key, value: "{api_key}"}',
        "  api_key: {description: Key.",
        {"api_key": "k-1"},
    ),
    "bearer": ('auth: {scheme: bearer, value: "{api_key}"}', "  api_key: {description: Key.", {"api_key": "k-1"}),
    "basic": (
        'auth: {scheme: basic, username: "{mail}/token", password: "{api_key}"}',
        "  mail: {description: Address of the agent.}\n  api_key: {description: Key.",
        {"mail": "ada@example.com", "api_key": "k-1"},
    ),
}
AUTHORIZATION = {
    "query": None,
    "bearer": "Bearer k-1",
    "basic": "Basic " + base64.b64encode(b"ada@example.com/token:k-1").decode(),
}
TICKETS = [{"number": number, "subject": f"Ticket {number}", "secret_note": "x"} for number in range(1, 6)]


@dataclass
class Stub:
    """The requests a stub saw, less what every HTTP client sends."""

    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A help desk on a loopback port."""
    state = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            state.seen.append(
                {
                    "request": f"{self.command} {url.path}",
                    "query": query,
                    "authorization": self.headers.get("authorization"),
                    "request_id": self.headers.get("x-request-id"),
                    "body": body,
                }
            )
            status, document = self.respond(url.path, query)
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            for name, value in (("content-length", str(len(content))), ("x-limit", "100"), ("x-left", "99")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def respond(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
            if path == "/api/v2/teams/north/tickets":
                start, count = int(query["start"]), int(query["count"])
                page = TICKETS[start : start + count]
                return 200, {"data": {"tickets": page}, "more": start + count < len(TICKETS)}
            if path == "/api/v2/tickets/7":
                return 200, {"number": 7, "subject": "Printer on fire", "secret_note": "x"}
            if path == "/api/v2/tickets":
                return 201, {"number": 8, "subject": "Printer on fire"}
            if path == "/api/v2/tickets/assign":
                return 204, None
            if path == "/api/v2/settings":
                return 200, {"saved": True}
            return 404, {"error": "no such ticket"}

        do_GET = do_POST = do_PUT = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/api/v2"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def compiled(scheme: str, folder: Path) -> Catalog:
    """The catalogue of the ticket records with another auth scheme."""
    shutil.copytree(RECORDS, folder)
    auth, credential, _ = SCHEMES[scheme]
    path = folder / "integration.yaml"
    text = path.read_text().replace(SCHEMES["query"][0], auth).replace("  api_key: {description: Key", credential[:-1])
    path.write_text(text)
    document, problems = build(folder)
    assert problems == []
    assert document is not None
    return read(to_bytes(document), "tickets.json")


@dataclass
class Drive:
    """Calls tools of a catalogue against the stub."""

    catalog: Catalog
    stub: Stub
    credential: dict[str, str]

    def __call__(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The result of one call."""
        outcome = asyncio.run(self._call(name, arguments))
        assert isinstance(outcome, Done), outcome
        return outcome.body

    def fails(self, name: str, **arguments: Any) -> Failed:
        """The failure of one call."""
        outcome = asyncio.run(self._call(name, arguments))
        assert isinstance(outcome, Failed), outcome
        return outcome

    async def _call(self, name: str, arguments: dict[str, Any]) -> Done | Failed | UnknownTool:
        settings = Settings(private_upstreams=True)
        sender = Sender(settings)
        credential = Credential(self.credential)
        target = Target("acc_1", "tickets", self.stub.url, {"team": "north"}, ServerConfig(), credential)
        deadline = asyncio.get_running_loop().time() + 10
        asked = ToolCall(name, arguments, datetime(2026, 11, 20, tzinfo=UTC), deadline)
        try:
            return await run(asked, target, self.catalog, sender=sender, settings=settings)
        finally:
            await sender.close()


@pytest.fixture(params=sorted(SCHEMES))
def drive(request: pytest.FixtureRequest, stub: Stub, tmp_path: Path) -> Drive:
    """The ticket catalogue under each auth scheme."""
    return Drive(compiled(request.param, tmp_path / "tickets"), stub, SCHEMES[request.param][2])


def test_each_auth_scheme_puts_the_credential_where_it_belongs(drive: Drive, stub: Stub) -> None:
    scheme = drive.catalog.auth.scheme
    drive("get_single_tickets_ticket_by_id", id=7)
    assert stub.seen[0]["authorization"] == AUTHORIZATION[scheme]
    assert stub.seen[0]["query"] == ({"key": "k-1"} if scheme == "query" else {})


@pytest.fixture
def tickets(stub: Stub, tmp_path: Path) -> Drive:
    """The ticket catalogue as its records stand."""
    return Drive(compiled("query", tmp_path / "tickets"), stub, SCHEMES["query"][2])


def test_a_list_is_paged_by_offset_with_styles_constants_and_the_account_s_team(tickets: Drive, stub: Stub) -> None:
    pages = [tickets("list_all_tickets_tickets", labels=["urgent", "paid"], created={"from": "2026-01-01"})]
    while pages[-1]["next_cursor"]:
        pages.append(tickets("list_all_tickets_tickets", next_cursor=pages[-1]["next_cursor"]))
    assert [item["number"] for page in pages for item in page["result"]] == [1, 2, 3, 4, 5]
    assert pages[0]["result"][0] == {"number": 1, "subject": "Ticket 1"}
    assert stub.seen[0]["request"] == "GET /api/v2/teams/north/tickets"
    assert stub.seen[0]["query"] == {
        "labels": "urgent,paid",
        "created[from]": "2026-01-01",
        "view": "compact",
        "start": "0",
        "count": "2",
        "key": "k-1",
    }


def test_dropped_keys_do_not_reach_the_caller(tickets: Drive) -> None:
    assert tickets("get_single_tickets_ticket_by_id", id=7) == {"number": 7, "subject": "Printer on fire"}


def test_a_form_body_and_a_header_argument_are_sent_as_such(tickets: Drive, stub: Stub) -> None:
    assert tickets("create_a_tickets_ticket", subject="Printer on fire", request_id="r-1")["number"] == 8
    assert stub.seen[0]["body"] == "subject=Printer+on+fire"
    assert stub.seen[0]["request_id"] == "r-1"


def test_a_bare_array_is_the_whole_body_and_an_empty_answer_is_told_as_such(tickets: Drive, stub: Stub) -> None:
    answer = tickets("tickets_tickets_assign", body=[{"number": 7, "agent": "ada"}])
    assert answer == {"result": None, "_postern": {"status_code": 204}}
    assert json.loads(stub.seen[0]["body"]) == [{"number": 7, "agent": "ada"}]


def test_arguments_and_constants_are_nested_where_the_upstream_wants_them(tickets: Drive, stub: Stub) -> None:
    assert tickets("tickets_tickets_configure", days=3) == {"saved": True}
    assert json.loads(stub.seen[0]["body"]) == {"reminders": {"open": {"days": 3, "unit": "day"}}}


def test_an_upstream_refusal_keeps_its_status_and_text(tickets: Drive) -> None:
    failed = tickets.fails("get_single_tickets_ticket_by_id", id=9)
    assert failed.status == 404
    assert "no such ticket" in str(failed.failure.raw_response)
