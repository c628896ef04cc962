"""The store of the data plane: `get`, and `write` of one put, on the DynamoDB table without an SDK.

Importing boto3 costs 150 ms of a cold start, and 0.5 ms per read. A socket and a signature made by hand cost 10 ms and
0.1 ms. This store never waits and never retries, with one exception: a read is sent once more when a kept
connection has died. A caller that gets 503 with `retry-after` is better served than one whose function sleeps.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from functions.gateway import json_text
from functions.stores.amazon_roots import AMAZON_ROOTS
from functions.stores.connection import Connection, NotAResponse
from functions.stores.credentials import Ask, current_keys
from functions.stores.dynamodb_items import failure, key_attributes, to_item, update, well_shaped
from functions.stores.sigv4 import Signer
from functions.stores.store import (
    Change,
    Item,
    Key,
    Put,
    StoreError,
    StoreUnavailable,
    check_keys,
)

IDLE_SECONDS = 50.0
"""A connection that was idle for longer is replaced: the other side may have dropped it unnoticed."""

RESPONSES_KEPT = 128
"""Responses whose items are kept. One with the very bytes of an earlier one makes the very same items, for 0.12 million
instructions less of each request. Nobody changes the body of an item that was read."""

KEPT_BYTES = 16_384
"""Bytes of the largest response whose items are kept: a grant and its account take some 3 kB."""


class LightDynamoStore:
    """`get` and `write` of the Store contract on the table `table`. Only one thread may use it at a time.

    `environment`  AWS_REGION and the keys, as Lambda sets them (credentials.py); AWS_ENDPOINT_URL_DYNAMODB or
                   AWS_ENDPOINT_URL name another endpoint (a local stand-in).
    `utc_now`      the clock for signatures. A connection's idle time is the longer one by this clock and `monotonic`
                   (in seconds), which stands still while a function is frozen.
    `ask`          how the endpoint for the keys is asked.
    Raises StoreError naming the variables that are missing.
    """

    def __init__(
        self,
        table: str,
        environment: Mapping[str, str],
        *,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        ask: Ask | None = None,
    ) -> None:
        region = environment.get("AWS_REGION")
        if not region:
            raise StoreError("DynamoDB store: AWS_REGION not set; Lambda sets them, on a laptop you must")
        endpoint = (
            environment.get("AWS_ENDPOINT_URL_DYNAMODB")
            or environment.get("AWS_ENDPOINT_URL")
            or f"https://dynamodb.{region}.{'amazonaws.com.cn' if region.startswith('cn-') else 'amazonaws.com'}"
        )
        self._table = table
        self._endpoint = urlsplit(endpoint)
        self._tls = _tls_context(self._endpoint.hostname or "") if self._endpoint.scheme == "https" else None
        self._signer = Signer(current_keys(environment, ask), region, "dynamodb")
        self._utc_now = utc_now
        self._monotonic = monotonic
        self._connection: Connection | None = None
        self._used_at = (0.0, datetime.min.replace(tzinfo=UTC))

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store. One key is a GetItem, several are a BatchGetItem. Raises StoreUnavailable when DynamoDB leaves
        any key unprocessed."""
        check_keys("DynamoDB", keys)
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return []
        if len(wanted) == 1:
            request = {"TableName": self._table, "Key": key_attributes(wanted[0]), "ConsistentRead": True}
            items = _items(self._send("GetItem", request, again=True), None)
        else:
            of_table = {"Keys": [key_attributes(key) for key in wanted], "ConsistentRead": True}
            request = {"RequestItems": {self._table: of_table}}
            items = _items(self._send("BatchGetItem", request, again=True), self._table)
        found = {item.key: item for item in items}
        return [found.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        """See Store, for exactly one Put. The data plane has no permission for transactions and deletes. After a
        StoreUnavailable, the item may or may not have been written."""
        match changes:
            case [Put() as put]:
                _decoded(self._send("UpdateItem", {"TableName": self._table, **update(put)}, again=False))
            case _:
                raise StoreError("DynamoDB store: the data plane can write one Put at a time and nothing else")

    def close(self) -> None:
        """Close the connection. The next operation opens another one."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, operation: str, request: dict[str, Any], *, again: bool) -> bytes:
        """The response to one operation. With `again`, it may be sent twice: a kept connection that has died is
        replaced once."""
        body = json_text.encode(request)
        headers = self._signer.headers(self._endpoint.netloc, f"DynamoDB_20120810.{operation}", body, self._utc_now())
        kept = self._is_alive()
        try:
            try:
                status, answer = self._exchange(body, headers)
            except OSError as error:
                if isinstance(error, TimeoutError | NotAResponse) or not (kept and again):
                    raise
                self.close()
                status, answer = self._exchange(body, headers)
        except OSError as error:
            self.close()
            raise StoreUnavailable(
                f"DynamoDB store: no answer from {self._endpoint.netloc} ({type(error).__name__})"
            ) from error
        if status == 200:
            return answer
        raise failure(*_read_error(status, answer), status=status)

    def _is_alive(self) -> bool:
        """True when a kept connection can be used. A connection that cannot be used is closed.

        An idle connection with something to read was closed by the other side.
        """
        if self._connection is None:
            return False
        awake, wall = self._used_at
        idle = max(self._monotonic() - awake, (self._utc_now() - wall).total_seconds())
        if idle > IDLE_SECONDS or self._connection.has_something_to_read():
            self.close()
            return False
        return True

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            secure = self._tls is not None
            host, port = self._endpoint.hostname or "", self._endpoint.port or (443 if secure else 80)
            self._connection = Connection(host, port, self._tls)
        status, answer, again = self._connection.exchange(body, headers)
        self._used_at = (self._monotonic(), self._utc_now())
        if not again:
            self.close()
        return status, answer


def _items(answer: bytes, table: str | None) -> tuple[Item, ...]:
    """The items of a response to a GetItem, or to a BatchGetItem of `table`. Raises StoreUnavailable."""
    return _kept(answer, table) if len(answer) <= KEPT_BYTES else _read(answer, table)


def _read(answer: bytes, table: str | None) -> tuple[Item, ...]:
    decoded = _decoded(answer)
    if decoded.get("UnprocessedKeys"):
        raise StoreUnavailable("DynamoDB store: throttled (unprocessed keys)")
    with well_shaped():
        if table is not None:
            return tuple(map(to_item, decoded["Responses"].get(table, ())))
        return (to_item(decoded["Item"]),) if "Item" in decoded else ()


_kept = lru_cache(maxsize=RESPONSES_KEPT)(_read)


def _decoded(answer: bytes) -> dict[str, Any]:
    with well_shaped():
        decoded: dict[str, Any] = {**json_text.decode_lenient(answer)}
    return decoded


def _tls_context(host: str) -> ssl.SSLContext:
    """The one context of the process, made at its start: a connection that was idle for long is made anew, and each
    would pay for loading the roots. An endpoint outside AWS's main partition is checked against the machine's."""
    if not host.endswith(".amazonaws.com"):
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=AMAZON_ROOTS)
    return context


def _read_error(status: int, answer: bytes) -> tuple[str, str]:
    """Code and message of an error response, which is JSON unless a proxy in between wrote it."""
    try:
        decoded = json_text.decode_lenient(answer)
        return decoded["__type"].rpartition("#")[2], decoded.get("message") or decoded.get("Message") or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {status}", "the response is not from DynamoDB"
