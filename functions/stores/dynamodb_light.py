"""The store of the data plane: `get`, and `write` of one put, on the DynamoDB table without an SDK.

Importing boto3 costs 150 ms of a cold start, and 0.5 ms per read. http.client and a signature made by hand cost 20 ms
and 0.1 ms. This store never waits and never retries, with one exception: a read is sent once more when a kept
connection has died. A caller that gets 503 with `retry-after` is better served than one whose function sleeps.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from functions.gateway import json_text
from functions.stores.amazon_roots import AMAZON_ROOTS
from functions.stores.dynamodb_items import failure, key_attributes, to_item, update, well_shaped
from functions.stores.sigv4 import Credentials, Signer
from functions.stores.store import (
    Change,
    Item,
    Key,
    Put,
    StoreError,
    StoreUnavailable,
    check_keys,
)

CONNECT_SECONDS = 1.0
"""Longest wait for a connection, in seconds. A handshake with DynamoDB in the same region takes a few ms."""

READ_SECONDS = 2.0
"""Longest time of an exchange, in seconds, however its bytes trickle. A GetItem that takes longer is an outage."""

MAX_RESPONSE_BYTES = 17_000_000
"""Bytes of one response: a BatchGetItem may have 16 MB."""

IDLE_SECONDS = 50.0
"""A connection that was idle for longer is replaced: the other side may have dropped it unnoticed."""


class LightDynamoStore:
    """`get` and `write` of the Store contract on the table `table`. Only one thread may use it at a time.

    `environment`  AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, as Lambda sets them;
                   AWS_ENDPOINT_URL_DYNAMODB or AWS_ENDPOINT_URL name another endpoint (a local stand-in).
    `utc_now`      the clock for signatures; `monotonic` the clock for idle connections, in seconds.
    Raises StoreError naming the variables that are missing.
    """

    def __init__(
        self,
        table: str,
        environment: Mapping[str, str],
        *,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        missing = [
            name for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environment.get(name)
        ]
        if missing:
            raise StoreError(f"DynamoDB store: {', '.join(missing)} not set; Lambda sets them, on a laptop you must")
        region = environment["AWS_REGION"]
        endpoint = (
            environment.get("AWS_ENDPOINT_URL_DYNAMODB")
            or environment.get("AWS_ENDPOINT_URL")
            or f"https://dynamodb.{region}.{'amazonaws.com.cn' if region.startswith('cn-') else 'amazonaws.com'}"
        )
        self._table = table
        self._endpoint = urlsplit(endpoint)
        self._tls = _tls_context(self._endpoint.hostname or "") if self._endpoint.scheme == "https" else None
        self._signer = Signer(
            Credentials(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                environment.get("AWS_SESSION_TOKEN") or None,
            ),
            region,
            "dynamodb",
        )
        self._utc_now = utc_now
        self._monotonic = monotonic
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store. One key is a GetItem, several are a BatchGetItem. Raises StoreUnavailable when DynamoDB leaves
        any key unprocessed."""
        check_keys("DynamoDB", keys)
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return []
        found: dict[Key, Item] = {}
        if len(wanted) == 1:
            request = {"TableName": self._table, "Key": key_attributes(wanted[0]), "ConsistentRead": True}
            answer = self._send("GetItem", request, again=True)
            with well_shaped():
                if "Item" in answer:
                    found[wanted[0]] = to_item(answer["Item"])
        else:
            of_table = {"Keys": [key_attributes(key) for key in wanted], "ConsistentRead": True}
            answer = self._send("BatchGetItem", {"RequestItems": {self._table: of_table}}, again=True)
            if answer.get("UnprocessedKeys"):
                raise StoreUnavailable("DynamoDB store: throttled (unprocessed keys)")
            with well_shaped():
                items = [to_item(attributes) for attributes in answer["Responses"].get(self._table, ())]
            found = {item.key: item for item in items}
        return [found.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        """See Store, for exactly one Put. The data plane has no permission for transactions and deletes. After a
        StoreUnavailable, the item may or may not have been written."""
        match changes:
            case [Put() as put]:
                self._send("UpdateItem", {"TableName": self._table, **update(put)}, again=False)
            case _:
                raise StoreError("DynamoDB store: the data plane can write one Put at a time and nothing else")

    def close(self) -> None:
        """Close the connection. The next operation opens another one."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, operation: str, request: dict[str, Any], *, again: bool) -> dict[str, Any]:
        """One operation. With `again`, it may be sent twice: a kept connection that has died is replaced once."""
        body = json_text.encode(request)
        headers = self._signer.headers(self._endpoint.netloc, f"DynamoDB_20120810.{operation}", body, self._utc_now())
        kept = self._is_alive()
        try:
            try:
                status, answer = self._exchange(body, headers)
            except (OSError, http.client.BadStatusLine) as error:
                if isinstance(error, TimeoutError) or not (kept and again):
                    raise
                self.close()
                status, answer = self._exchange(body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise StoreUnavailable(
                f"DynamoDB store: no answer from {self._endpoint.netloc} ({type(error).__name__})"
            ) from error
        if status == 200:
            with well_shaped():
                decoded: dict[str, Any] = {**json_text.decode_lenient(answer)}
            return decoded
        raise failure(*_read_error(status, answer), status=status)

    def _is_alive(self) -> bool:
        """True when a kept connection can be used. A connection that cannot be used is closed.

        An idle connection with something to read was closed by the other side.
        """
        if self._connection is None:
            return False
        sock = self._connection.sock
        idle = self._monotonic() - self._used_at
        if sock is None or idle > IDLE_SECONDS or select.select([sock], [], [], 0)[0]:
            self.close()
            return False
        return True

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        deadline = time.monotonic() + READ_SECONDS  # of the socket's own waits, which no injected clock can end
        self._connection.response_class = partial(_response, deadline)  # type: ignore[assignment]
        self._connection.sock.settimeout(READ_SECONDS)
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        answer = response.read(MAX_RESPONSE_BYTES + 1)
        if len(answer) > MAX_RESPONSE_BYTES:
            raise http.client.HTTPException(f"over {MAX_RESPONSE_BYTES} bytes")
        self._used_at = self._monotonic()
        return response.status, answer

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._endpoint.hostname or "", self._endpoint.port
        if self._tls is None:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        else:
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._tls)
        connection.connect()
        return connection


def _tls_context(host: str) -> ssl.SSLContext:
    """The one context of the process, made at its start: a connection that was idle for long is made anew, and each
    would pay for loading the roots. An endpoint outside AWS's main partition is checked against the machine's."""
    if not host.endswith(".amazonaws.com"):
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=AMAZON_ROOTS)
    return context


def _response(deadline: float, sock: socket.socket, **options: Any) -> http.client.HTTPResponse:
    """A response all of whose bytes must come before the deadline, however they trickle."""
    response = http.client.HTTPResponse(sock, **options)
    response.fp = io.BufferedReader(_Trickle(response.fp.detach(), sock, deadline))
    return response


class _Trickle(io.RawIOBase):
    """The bytes of a socket until a deadline on `time.monotonic()`. Each wait is shorter than the last.

    `raw` is the response's own file of the socket. It keeps the socket open when the response says
    `Connection: close` and http.client closes its side before the body is read.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """Yes: `io.BufferedReader` asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is. Raises TimeoutError after the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response did not end in time")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer) or 0

    def close(self) -> None:
        """Close the file, and with it a socket that nothing else keeps open."""
        self._raw.close()
        super().close()


def _read_error(status: int, answer: bytes) -> tuple[str, str]:
    """Code and message of an error response, which is JSON unless a proxy in between wrote it."""
    try:
        decoded = json_text.decode_lenient(answer)
        return decoded["__type"].rpartition("#")[2], decoded.get("message") or decoded.get("Message") or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {status}", "the response is not from DynamoDB"
