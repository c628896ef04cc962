"""Which endpoint a command speaks to, and what it says when there is none or it is not well."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions.cli.management_api import verification
from tests.cli.conftest import Local, run

TOKEN = "pst_" + "s" * 43


@contextmanager
def _answering(status: int, body: str) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A loopback server that always answers this; its address, and the path and Authorization of each request."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("authorization")))
            self.send_response(status)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


EMPTY_PAGE = json.dumps({"result": [], "next_cursor": None})


def test_without_any_endpoint_a_command_says_how_to_get_one(empty: dict[str, str]) -> None:
    ran = run("account", "list", environment=empty)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "postern: no endpoint: start one here with `postern serve`, or name one with --endpoint and --api-token (or "
        f"POSTERN_ENDPOINT and POSTERN_API_TOKEN); there is no {empty['POSTERN_STATE_DIR']}/local.json\n"
    )


def test_an_endpoint_without_a_token_is_refused_before_anything_is_sent(empty: dict[str, str]) -> None:
    ran = run("account", "list", "--endpoint", "https://example.com/", environment=empty)
    assert (ran.code, ran.err) == (
        1,
        "postern: no API token for https://example.com: give --api-token, or set POSTERN_API_TOKEN\n",
    )


@pytest.mark.parametrize("address", ["example.com", "ftp://example.com", "https://", "https://example.com/?a=b"])
def test_an_address_that_is_none_is_wrong_usage(address: str, empty: dict[str, str]) -> None:
    ran = run("account", "list", "--endpoint", address, "--api-token", TOKEN, environment=empty)
    assert (ran.code, ran.err) == (
        2,
        f'postern: the endpoint is "{address}"; write e.g. https://example.com or http://127.0.0.1:8765\n',
    )


def test_options_go_before_variables_and_variables_before_the_local_endpoint(local: Local) -> None:
    with _answering(200, EMPTY_PAGE) as (address, seen):
        ran = local("account", "list", POSTERN_ENDPOINT=address, POSTERN_API_TOKEN=TOKEN)
        assert ran.code == 0, ran.err
        assert local("account", "list", "--api-token", "other", POSTERN_ENDPOINT=address).code == 0
    assert [authorization for _, authorization in seen] == [f"Bearer {TOKEN}", "Bearer other"]


def test_the_local_token_goes_to_the_local_endpoint_alone(local: Local) -> None:
    with _answering(200, EMPTY_PAGE) as (address, seen):
        ran = local("account", "list", "--endpoint", address)
    assert ran.code == 1
    assert ran.err == f"postern: no API token for {address}: give --api-token, or set POSTERN_API_TOKEN\n"
    assert seen == []


def test_the_local_endpoint_can_be_named_without_its_token(local: Local) -> None:
    assert local("account", "list", "--endpoint", local.ready.base_url + "/").code == 0


def test_a_broken_state_file_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "local.json").write_text('{"base_url": ', encoding="utf-8")
    ran = run("account", "list", environment={"POSTERN_STATE_DIR": str(tmp_path)})
    assert ran.code == 1
    assert ran.err.startswith(f"postern: {tmp_path}/local.json cannot be read (NotJson); `postern serve` replaces")


def test_a_broken_state_file_does_not_matter_where_endpoint_and_token_are_named(tmp_path: Path) -> None:
    (tmp_path / "local.json").write_text('{"base_url": ', encoding="utf-8")
    state = {"POSTERN_STATE_DIR": str(tmp_path)}
    with _answering(200, EMPTY_PAGE) as (address, seen):
        named = run("account", "list", "--endpoint", address, "--api-token", TOKEN, environment=state)
        assert named.code == 0, named.err
        variables = {"POSTERN_ENDPOINT": address, "POSTERN_API_TOKEN": TOKEN}
        assert run("account", "list", environment={**state, **variables}).code == 0
        half = run("account", "list", "--endpoint", address, environment=state)
        assert (half.code, "local.json cannot be read" in half.err) == (1, True), half.err
    assert [authorization for _, authorization in seen] == [f"Bearer {TOKEN}"] * 2


def test_an_endpoint_that_is_not_there_is_told_as_such(empty: dict[str, str]) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        ran = run("account", "list", "--endpoint", address, "--api-token", TOKEN, environment=empty)
    assert (ran.code, ran.err) == (
        1,
        f"postern: {address} cannot be reached (ConnectError); check that it is running (`postern serve` starts one "
        "here)\n",
    )


def test_an_answer_that_is_no_json_is_not_taken_for_one(empty: dict[str, str]) -> None:
    with _answering(502, "<html>bad gateway</html>") as (address, _):
        ran = run("account", "list", "--endpoint", address, "--api-token", TOKEN, environment=empty)
    assert (ran.code, ran.err) == (
        1,
        f"postern: {address} answered 502 without JSON; check that this is the address of a Postern endpoint\n",
    )


def test_a_wrong_token_is_told_in_the_endpoints_words_and_never_repeated(local: Local) -> None:
    ran = local("server", "list", "--endpoint", local.ready.base_url, "--api-token", TOKEN)
    assert ran.code == 1
    assert ran.err.startswith("postern: Unauthorized (401): this API token is unknown, revoked or expired")
    assert TOKEN not in ran.out + ran.err


def test_several_problems_are_listed_one_a_line(empty: dict[str, str]) -> None:
    body = {
        "statusCode": 400,
        "error": "Bad Request",
        "message": "2 problems: a; b",
        "details": {"problems": ["methods: unknown\x1b[2J", "tags: unknown"], "valid": ["read"]},
        "rate_limit": {"retry_after_seconds": 7},
    }
    with _answering(400, json.dumps(body)) as (address, _):
        named = ["account", "list", "--endpoint", address, "--api-token", TOKEN]
        ran = run(*named, environment=empty)
        as_json = run(*named, "--json", environment=empty)
    assert ran.err == (
        "postern: Bad Request (400): 2 problems\n"
        "  - methods: unknown\\x1b[2J\n"
        "  - tags: unknown\n"
        '  {"valid": ["read"]}\n'
        "  retry in 7 s\n"
    )
    assert json.loads(as_json.err) == body
    assert as_json.out == ""


def test_an_error_without_a_message_is_still_told(empty: dict[str, str]) -> None:
    with _answering(403, '{"Message": null}') as (address, _):
        ran = run("account", "list", "--endpoint", address, "--api-token", TOKEN, environment=empty)
    assert (ran.code, ran.err) == (1, "postern: refused with status 403\n")


def test_with_no_account_or_several_the_command_asks_which(empty: dict[str, str]) -> None:
    two = json.dumps({"result": [{"id": "acc_1"}, {"id": "acc_2"}], "next_cursor": None})
    for page, message in (
        (EMPTY_PAGE, "there is no integrated account; connect one with `postern account add`"),
        (two, "there are 2 integrated accounts; name one with --account: acc_1, acc_2"),
    ):
        with _answering(200, page) as (address, seen):
            ran = run("server", "preview", "--endpoint", address, "--api-token", TOKEN, environment=empty)
        assert (ran.code, ran.err) == (1, f"postern: {message}\n")
        assert [path for path, _ in seen] == ["/integrated-account?limit=100"]


def test_an_id_cannot_leave_its_place_in_a_path(empty: dict[str, str]) -> None:
    with _answering(404, '{"message": "no", "error": "Not Found"}') as (address, seen):
        where = ["--endpoint", address, "--api-token", TOKEN]
        run("server", "get", "../../api-token", "--account", "a/b?c", *where, environment=empty)
    assert [path for path, _ in seen] == ["/integrated-account/a%2Fb%3Fc/mcp/..%2F..%2Fapi-token"]


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("http://127.0.0.1:8765", False),
        ("http://[::1]:8765/mcp/x", False),
        ("https://127.0.0.1:8765", True),
        ("http://postern.example", True),  # a proxy of the environment may speak TLS
        ("https://postern.example", True),
    ],
)
def test_certificate_roots_are_loaded_unless_plain_http_stays_on_this_machine(url: str, checked: bool) -> None:
    verify = verification(url)
    if checked:
        assert verify is True
    else:
        assert isinstance(verify, ssl.SSLContext)
        assert (verify.verify_mode, verify.check_hostname, verify.get_ca_certs()) == (ssl.CERT_REQUIRED, True, [])


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (ValueError(f"a text with {TOKEN}"), "unexpected ValueError at "),
        (OSError(28, "No space left on device", "/full/file"), "/full/file: No space left on device"),
        (TimeoutError(), "the operating system: TimeoutError"),
    ],
)
def test_whatever_happens_a_command_ends_in_one_line_without_a_value(
    raised: Exception, line: str, empty: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr("functions.cli.commands.snippet.read_local", fail)
    ran = run("snippet", "--client", "cursor", environment=empty)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"postern: {line}")
    assert ran.err.count("\n") == 1
    assert TOKEN not in ran.err
