"""Requests of the MCP endpoint as files, and mutations of them.

A file of the corpus holds header lines, an empty line and the body, as HTTP has them; `TOKEN` stands for a live token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

CORPUS = Path(__file__).parent / "corpus"

SPLICES = [
    *(b"null", b"[]", b"{}", b"-1", b"1e999", b"NaN", b"true", b'""', b"0.1", b"9" * 400),
    *(b"\xff", b"\x00", b"\\ud800", b"\\u0000", b"\r\n", b"[" * 200, b'{"a":' * 200, b"A" * 5_000),
    *(b'"jsonrpc":"2.0"', b'"id":null', b'"method":"tools/call"', b'"_meta":{}', b'"arguments":5', b'"cursor":"x"'),
]
"""What is put into a body: values at the edges of JSON, and members of messages."""


@dataclass(frozen=True)
class Request:
    """Header lines and a body."""

    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def read(cls, data: bytes) -> Request:
        """A file of the corpus."""
        head, _, body = data.partition(b"\n\n")
        lines = [line.partition(": ") for line in head.decode("latin-1").split("\n") if line]
        return cls(tuple((name, value) for name, _, value in lines), body)

    def written(self) -> bytes:
        """Inverse of `read`."""
        head = "\n".join(f"{name}: {value}" for name, value in self.headers)
        return head.encode("latin-1", "replace") + b"\n\n" + self.body


def corpus() -> list[Request]:
    """Every kept request, in the order of the files."""
    return [Request.read(path.read_bytes()) for path in sorted(CORPUS.iterdir())]


def mutated(request: Request, others: list[Request], random: Random) -> Request:
    """The request with one to four changes."""
    for _ in range(random.randint(1, 4)):
        request = random.choice(_CHANGES)(request, others, random)
    return request


def _body(change: Callable[[bytearray, int, Random], None]) -> Callable[[Request, list[Request], Random], Request]:
    def changed(request: Request, _: list[Request], random: Random) -> Request:
        body = bytearray(request.body)
        change(body, random.randrange(len(body) + 1), random)
        return Request(request.headers, bytes(body))

    return changed


def _flip(body: bytearray, place: int, random: Random) -> None:
    if place < len(body):
        body[place] = random.randrange(256)


def _cut(body: bytearray, place: int, random: Random) -> None:
    del body[place : place + random.randint(1, 40)]


def _splice(body: bytearray, place: int, random: Random) -> None:
    body[place : place + random.choice((0, 1, 5))] = random.choice(SPLICES)


def _repeat(body: bytearray, place: int, random: Random) -> None:
    part = body[place : place + random.randint(1, 60)]
    body[place:place] = part * random.randint(1, 5)


def _cross(request: Request, others: list[Request], random: Random) -> Request:
    other = random.choice(others)
    place, rest = random.randrange(len(request.body) + 1), random.randrange(len(other.body) + 1)
    return Request(random.choice((request, other)).headers, request.body[:place] + other.body[rest:])


def _header(request: Request, others: list[Request], random: Random) -> Request:
    headers = list(request.headers)
    pool = [line for other in others for line in other.headers]
    if headers and random.random() < 0.5:
        name, value = headers.pop(random.randrange(len(headers)))
        if random.random() < 0.7:
            values = ["", "x" * 3_000, value + value, value[:-1], "\xe9", "2026-07-28", "1999-01-01", "pst_x"]
            headers.append((name, random.choice(values)))
    else:
        headers.insert(random.randrange(len(headers) + 1), random.choice(pool))
    return Request(tuple(headers), request.body)


_CHANGES = [*map(_body, (_flip, _cut, _splice, _repeat)), _cross, _header]
