"""What stands around a contender, in a process of its own: an upstream and a table, on loopback.

The upstream answers every request with one constant JSON body. The table takes DynamoDB's GetItem, BatchGetItem,
PutItem and UpdateItem and checks no signature. Both keep connections open. With a certificate they speak TLS.

    python -m tests.benchmarks.world [CERTIFICATE KEY]

The first line of the output is a JSON object of both addresses. The process ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.synthetic import ANSWER, LIST_ANSWER

Json = Any

ROOT = Path(__file__).parents[2]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
RATE_LIMITS = b"X-RateLimit-Limit: 1000\r\nX-RateLimit-Remaining: 999\r\n"


class Addresses(NamedTuple):
    """Origins of the two servers."""

    upstream: str
    table: str


class _Served(asyncio.Protocol):
    """One kept connection; requests have a Content-Length or no body."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._transport.write(self.answer(head, rest[:length]))

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole response to one request."""
        raise NotImplementedError


class _Upstream(_Served):
    def answer(self, head: bytes, body: bytes) -> bytes:
        content = ANSWER if head.split(b" ", 2)[1].startswith(b"/v1/c") else LIST_ANSWER
        return HEAD % (RATE_LIMITS, len(content)) + content


ITEMS: dict[tuple[str, str], dict[str, Json]] = {}


class _Table(_Served):
    def answer(self, head: bytes, body: bytes) -> bytes:
        operation = head.lower().partition(b"x-amz-target:")[2].split(b"\r\n")[0].rpartition(b".")[2].decode()
        content = json.dumps(self._carried_out(operation, json.loads(body))).encode()
        return HEAD % (b"", len(content)) + content

    def _carried_out(self, operation: str, request: dict[str, Json]) -> dict[str, Json]:
        def key(attributes: dict[str, Json]) -> tuple[str, str]:
            return attributes["pk"]["S"], attributes["sk"]["S"]

        match operation:
            case "getitem":
                item = ITEMS.get(key(request["Key"]))
                return {"Item": {**request["Key"], **item}} if item else {}
            case "batchgetitem":
                [(name, wanted)] = request["RequestItems"].items()
                found = [ITEMS[key(one)] for one in wanted["Keys"] if key(one) in ITEMS]
                return {"Responses": {name: found}, "UnprocessedKeys": {}}
            case "filltable":  # not DynamoDB's: for a bench that writes a million equal items
                ITEMS.update(dict.fromkeys(((name, "-") for name in request["Keys"]), request["Item"]))
            case "putitem":
                ITEMS[key(request["Item"])] = request["Item"]
            case "updateitem":
                values = request["ExpressionAttributeValues"]
                where = key(request["Key"])
                version = int(ITEMS.get(where, {}).get("version", {"N": "0"})["N"]) + 1
                ITEMS[where] = {**request["Key"], "body": values[":body"], "version": {"N": str(version)}}
        return {}


async def main() -> None:
    """Serve until the standard input ends."""
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:3])
    loop = asyncio.get_running_loop()
    host = "localhost" if context else "127.0.0.1"
    scheme = "https" if context else "http"
    origins = []
    for protocol in (_Upstream, _Table):
        server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context)
        origins.append(f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}")
    print(json.dumps(Addresses(*origins)), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def running(*certificate: str) -> Iterator[Addresses]:
    """Both servers for as long as the context is open. `certificate`: paths of a certificate and its key, for TLS."""
    command = [sys.executable, "-m", "tests.benchmarks.world", *certificate]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Addresses(*json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(main())
