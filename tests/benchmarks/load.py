"""Requests per second of a server under N kept connections, each sending its next request when the last is answered.

    python -m tests.benchmarks.load PORT PATH CONNECTIONS SECONDS WORDS < request.json

`request.json` is a list of headers and a body; each answer must be a 200 that holds WORDS. The first half second does
not count. Prints requests per second, the p50 and p95 of their milliseconds, and the number of all answers.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

WARM_UP_SECONDS = 0.5


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, words: bytes, taken: list[tuple[float, float]]) -> None:
        self._request = request
        self._words = words
        self._taken = taken
        self._buffer = bytearray()
        self._length = -1
        self._sent = 0.0
        self.wrong = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._length < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
            self._length = end + 4 + int(length or 0)
        if len(self._buffer) < self._length:
            return
        now = time.perf_counter()
        if not self._buffer.startswith(b"HTTP/1.1 200") or self._words not in self._buffer:
            self.wrong = bytes(self._buffer[:600]).decode("utf-8", "replace")
            self._transport.close()
            return
        self._taken.append((now, (now - self._sent) * 1000))
        self._buffer.clear()
        self._length = -1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.wrong = self.wrong or "the connection was closed"


async def _measure(port: int, request: bytes, connections: int, seconds: float, words: bytes) -> dict[str, float]:
    taken: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Client(request, words, taken), "127.0.0.1", port)
        clients.append(client)
    started = time.perf_counter() + WARM_UP_SECONDS
    await asyncio.sleep(WARM_UP_SECONDS + seconds)
    wrong = next((client.wrong for client in clients if client.wrong), "")
    if wrong:
        sys.exit(f"not a result: {wrong}")
    counted = [one for at, one in taken if at >= started]
    figures = {"per_second": len(counted) / seconds, "answers": len(taken)}
    if len(counted) < 2:
        return {**figures, "p50": float("nan"), "p95": float("nan")}
    return {
        **figures,
        "p50": statistics.median(counted),
        "p95": statistics.quantiles(counted, n=20)[18],
    }


def main() -> None:
    """Measure and print."""
    port, path, connections, seconds, words = sys.argv[1:6]
    headers, body = json.load(sys.stdin)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{lines}content-length: {len(body.encode())}\r\n\r\n"
    request = (head + body).encode()
    print(json.dumps(asyncio.run(_measure(int(port), request, int(connections), float(seconds), words.encode()))))


if __name__ == "__main__":
    main()
