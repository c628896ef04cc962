"""The keys that the light store signs with: of the environment, or of a container's endpoint, asked for in time."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.stores.credentials import REFRESH_BEFORE, TRY_AGAIN_AFTER, Credentials, current_keys
from functions.stores.dynamodb_light import LightDynamoStore
from functions.stores.store import Key, StoreError, StoreUnavailable
from tests.stores.scripted_dynamodb import scripted

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
URI = "http://127.0.0.1:9001/2018-10-10/credentials"
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": URI, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t0ken"}
OUT_OF_DATE = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


def document(number: int, expires_at: datetime) -> bytes:
    return json.dumps(
        {
            "AccessKeyId": f"AKID{number}",
            "SecretAccessKey": f"s3cret-{number}",
            "Token": f"session-{number}",
            "Expiration": expires_at.isoformat().replace("+00:00", "Z"),
        }
    ).encode()


class Endpoint:
    """Gives keys for an hour, each time other ones, or fails."""

    def __init__(self) -> None:
        self.now = NOON
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.failure: Exception | None = None
        self.content: bytes | None = None

    def __call__(self, url: str, headers: Mapping[str, str]) -> bytes:
        self.asked.append((url, dict(headers)))
        if self.failure is not None:
            raise self.failure
        return self.content or document(len(self.asked), self.now + timedelta(hours=1))


def test_the_variables_are_used_where_they_are_there() -> None:
    endpoint = Endpoint()
    variables = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_SESSION_TOKEN": "session"}
    for environment in (variables, {**variables, **CONTAINER}):
        assert current_keys(environment, endpoint)(NOON) == Credentials("AKID", "s3cret", "session")
    assert endpoint.asked == []


def test_the_endpoint_is_asked_by_the_first_use_and_not_again_before_the_keys_near_their_end() -> None:
    endpoint = Endpoint()
    keys = current_keys({**OUT_OF_DATE, **CONTAINER}, endpoint)
    assert endpoint.asked == []
    last = NOON + timedelta(hours=1) - REFRESH_BEFORE - timedelta(seconds=1)
    assert {keys(moment) for moment in (NOON, NOON + timedelta(minutes=30), last)} == {
        Credentials("AKID1", "s3cret-1", "session-1")
    }
    assert endpoint.asked == [(URI, {"Authorization": "t0ken"})]
    endpoint.now = last + timedelta(seconds=1)
    assert keys(endpoint.now) == Credentials("AKID2", "s3cret-2", "session-2")
    assert len(endpoint.asked) == 2


def test_old_keys_serve_until_their_last_second_while_the_endpoint_fails() -> None:
    endpoint = Endpoint()
    keys = current_keys(CONTAINER, endpoint)
    first, end = keys(NOON), NOON + timedelta(hours=1)
    endpoint.failure = TimeoutError("timed out")
    due = end - REFRESH_BEFORE
    assert keys(due) == keys(due + TRY_AGAIN_AFTER - timedelta(seconds=1)) == first
    assert len(endpoint.asked) == 2, "a failure is not repeated by every request"
    assert keys(due + TRY_AGAIN_AFTER) == keys(end - timedelta(seconds=1)) == first
    with pytest.raises(StoreUnavailable, match=r"no keys from the container's endpoint \(TimeoutError\)"):
        keys(end)
    endpoint.failure, endpoint.now = None, end
    assert keys(end).access_key.startswith("AKID")


@pytest.mark.parametrize(
    "content",
    [
        b"s3cret",
        b"[]",
        b"{}",
        b'{"AccessKeyId": 1, "SecretAccessKey": "s3cret", "Token": "t", "Expiration": "2026-11-21T13:00:00Z"}',
        b'{"AccessKeyId": "AKID", "SecretAccessKey": "s3cret", "Token": "t", "Expiration": "soon"}',
    ],
)
def test_a_document_without_keys_is_an_outage_that_shows_nothing_of_it(content: bytes) -> None:
    endpoint = Endpoint()
    endpoint.content = content
    with pytest.raises(StoreUnavailable) as refused:
        current_keys(CONTAINER, endpoint)(NOON)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    "uri", ["http://169.254.1.1/x", "http://localhost.evil.example/", "file:///etc/x", "ftp://127.0.0.1"]
)
def test_keys_are_asked_of_this_machine_or_over_tls_only(uri: str) -> None:
    with pytest.raises(StoreError, match="neither https nor on this machine"):
        current_keys({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}, Endpoint())


def test_no_keys_and_no_endpoint_is_told_by_the_names_of_the_variables() -> None:
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY not set"):
        current_keys({})


@contextmanager
def served(status: int) -> Iterator[tuple[str, list[Any]]]:
    """An endpoint as Lambda has it."""
    seen: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("authorization")))
            content = document(1, NOON + timedelta(hours=1))
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/creds?v=1", seen
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [200, 500])
def test_the_store_signs_with_the_keys_of_a_real_endpoint(status: int) -> None:
    with served(status) as (uri, seen), scripted(*[{}] * (status == 200)) as script:
        environment = {
            "AWS_REGION": "us-east-1",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t0ken",
            "AWS_ENDPOINT_URL": script.endpoint,
        }
        store = LightDynamoStore("postern", environment, utc_now=lambda: NOON)
        if status == 200:
            assert store.get([Key("TOKEN#a")]) == [None]
            assert seen == [("/creds?v=1", "t0ken")]
        else:
            with pytest.raises(StoreUnavailable, match="no keys from the container's endpoint"):
                store.get([Key("TOKEN#a")])
            assert script.operations == []
        store.close()


def test_an_endpoint_that_speaks_no_http_is_an_outage_that_shows_nothing_of_what_it_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"s3cret s3cret\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}/creds"
        with pytest.raises(StoreUnavailable, match=r"no keys from the container's endpoint \(OSError\)") as refused:
            current_keys({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri})(NOON)
        thread.join()
    assert "s3cret" not in str(refused.value)


def test_keys_do_not_show_their_secrets() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", "hunter2", "hunter3"))
    assert "AKIDEXAMPLE" in shown
    assert "hunter" not in shown
