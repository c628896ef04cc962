"""A loopback server in the place of DynamoDB that misbehaves in one named way, on every request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.patience import STUCK_SECONDS

Json = Any

ITEM = {"pk": {"S": "TOKEN#a"}, "sk": {"S": "-"}, "body": {"S": "{}"}, "version": {"N": "1"}}
SECRET = "a-value-of-an-item"
"""Stands in every item that a mode sends: it must reach no error and no log line."""

Mode = Callable[[socket.socket, threading.Event], None]


def _head(status: str, length: int, media_type: str = "application/x-amz-json-1.0") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n".encode()


def _text(status: str, body: str | bytes, media_type: str = "application/x-amz-json-1.0") -> Mode:
    data = body.encode() if isinstance(body, str) else body

    def answer(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(_head(status, len(data), media_type) + data)

    return answer


def _json(document: Json, status: str = "200 OK") -> Mode:
    return _text(status, json.dumps(document))


def _error(code: str, status: str = "400 Bad Request") -> Mode:
    return _json({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "the message"}, status)


def _items(item: Json) -> Mode:
    """The item in the place of every read's answer."""
    return _json({"Item": item, "Items": [item], "Responses": {"t": [item]}})


def _silent(_: socket.socket, over: threading.Event) -> None:
    over.wait()


def _trickle(first: bytes) -> Mode:
    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(first)
        while not over.wait(0.05):
            connection.sendall(b" ")

    return answer


def _hang_up(_: socket.socket, __: threading.Event) -> None:
    return


def _half(connection: socket.socket, _: threading.Event) -> None:
    connection.sendall(_head("200 OK", 1000) + b'{"Item"')


def _endless_header(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.is_set():
        connection.sendall(b"X-More: " + b"x" * 60_000 + b"\r\n")


def _huge(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(_head("200 OK", 10**12))
    while not over.is_set():
        connection.sendall(b" " * 1_000_000)


def _item(**changed: Json) -> Mode:
    item = {**ITEM, "body": {"S": json.dumps({"secret": SECRET})}, **changed}
    return _items({name: value for name, value in item.items() if value is not None})


FAILED: dict[str, Mode] = {
    "access denied": _error("AccessDeniedException"),
    "expired credentials": _error("ExpiredTokenException"),
    "unrecognized credentials": _error("UnrecognizedClientException"),
    "wrong signature": _error("InvalidSignatureException"),
    "no such table": _error("ResourceNotFoundException"),
    "not valid": _error("ValidationException"),
    "an unknown error": _error("SomethingNewException"),
    "an error without a type": _json({"message": "x"}, "400 Bad Request"),
}
"""What waiting does not cure: StoreError."""

PASSING: dict[str, Mode] = {
    "throttled": _error("ProvisionedThroughputExceededException"),
    "request limit": _error("RequestLimitExceeded"),
    "internal error": _error("InternalServerError", "500 Internal Server Error"),
    "a 503 in HTML": _text("503 Service Unavailable", "<html>busy</html>", "text/html"),
    "a 502 without a body": _text("502 Bad Gateway", ""),
    "HTML": _text("200 OK", "<html>sign in</html>", "text/html"),
    "nothing": _text("200 OK", ""),
    "bad JSON": _text("200 OK", f'{{"Item": "{SECRET}'),
    "bytes that are not UTF-8": _text("200 OK", b'{"Item": "\xff\xfe"}'),
    "deep JSON": _text("200 OK", "[" * 100_000),
    "null": _json(None),
    "a list": _json([ITEM]),
    "a number": _json(5),
    "items that are text": _items("x"),
    "an item without a body": _item(body=None),
    "an item without a version": _item(version=None),
    "an item without a key": _item(pk=None, sk=None),
    "a body that is not text": _item(body={"N": "1"}),
    "a body that is not JSON": _item(body={"S": SECRET}),
    "a body that is a list": _item(body={"S": "[]"}),
    "a version that is not a number": _item(version={"N": "one"}),
    "an expiry that is not a number": _item(expires_at={"N": "soon"}),
    "an expiry of the wrong type": _item(expires_at={"S": "1"}),
    "silence": _silent,
    "a connection that closes": _hang_up,
    "half a response": _half,
    "a trickling head": _trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "a trickling body": _trickle(_head("200 OK", 10**6)),
    "an endless head": _endless_header,
    "an endless body": _huge,
    "not HTTP": lambda connection, _: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
}
"""What may pass: StoreUnavailable."""

STALLING = ("silence", "a trickling head", "a trickling body", "an endless head", "an endless body", "not HTTP")
"""What ends when the client has waited long enough, and not before."""


@contextmanager
def hostile(mode: Mode) -> Iterator[str]:
    """The endpoint of a server in this mode. It fails a test whose client waits for ever."""
    over = threading.Event()
    stuck = threading.Timer(STUCK_SECONDS, over.set)
    stuck.start()
    listener = socket.create_server(("127.0.0.1", 0))
    workers: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while not over.is_set() and _request(connection):
                    mode(connection, over)
                    if mode in (_hang_up, _half):
                        return
            except OSError:
                return  # the client has gone

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            workers.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            workers[-1].start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert not over.is_set(), "the client waited until the server gave up"
    finally:
        stuck.cancel()
        stuck.join()
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _request(connection: socket.socket) -> bool:
    """Read one request; False at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            return False
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return True
