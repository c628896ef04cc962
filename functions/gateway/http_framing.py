"""What is HTTP/1.1: a request as bytes, and the bytes of an answer's parts read; without input or output.

What counts as HTTP is what h11 takes for it: the tests compare both. h11 itself makes an object and a step of its state
machine for each part of a message, which took 0.55 million instructions of a warm call and 10 ms of a first one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from functions.gateway.value_classes import dataclass, field

MAX_HEAD_BYTES = 102_400
"""Bytes of one answer's status line and headers; servers refuse far less in a request, e.g. 8 kB."""

LENGTH_DIGITS = 20
"""Digits of a Content-Length, as h11 counts them."""

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++"
_TEXT = rb"[^\x00\r\n\v\f]*+"
_FIELDS = rb"(?:%b:%b\r?\n(?:[ \t]++%b\r?\n)*+)*+" % (_TOKEN, _TEXT, _TEXT)
"""Header lines; a line that begins with a space continues the one before it."""

LINE_END = re.compile(rb"\r\n")
ANY_LINE_END = re.compile(rb"\n")
HEAD_END = re.compile(rb"\n\r?\n")
_HEAD = re.compile(rb"HTTP/([0-9]\.[0-9]) ([0-9]{3})(?: %b)?\r?\n(%b)\r?\n" % (_TEXT, _FIELDS))
_TRAILERS = re.compile(_FIELDS)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\n]*)?[ \t]*\r\n")
_CONTINUED = re.compile(r"\r?\n[ \t]+")
_SENT_FIELD = rb"%b: (?:[^\x00\s]++(?:[ \t]++[^\x00\s]++)*+)?\r\n" % _TOKEN
_REQUEST = re.compile(rb"%b [\x21-\x7e]++ HTTP/1\.1\r\n(?:%b)*+" % (_TOKEN, _SENT_FIELD))


class Unsendable(Exception):
    """The request has no valid form in HTTP, so nothing was sent."""


class NotHttp(Exception):
    """The bytes of an answer are not HTTP. The message names the part that is not, and shows none of its bytes."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request as it goes over the wire; `target` is path and query, percent-encoded."""

    verb: str
    target: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers of one answer: names in lower case, the values of repeated ones as one list.

    `chunked`, `length`  how the body is framed; neither: it ends with the connection.
    `persistent`  the upstream keeps the connection open after the body.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    chunked: bool
    length: int | None
    persistent: bool


def request(outgoing: Outgoing) -> bytes:
    """The request as bytes. Raises Unsendable."""
    lines = [f"{outgoing.verb} {outgoing.target} HTTP/1.1\r\n", *map("%s: %s\r\n".__mod__, outgoing.headers)]
    try:
        content = "".join(lines).encode()
    except UnicodeError:
        # Its text quotes what could not be sent, a credential maybe: not to be shown by a traceback either.
        raise Unsendable from None
    names = [name.lower() for name, _ in outgoing.headers]
    lengths = [value for name, value in outgoing.headers if name.lower() == "content-length"]
    is_framed = lengths == [str(len(outgoing.body))] or not (lengths or outgoing.body)
    framed_once = is_framed and names.count("host") == 1 and "transfer-encoding" not in names
    # As many line ends as lines: a value that holds one would be another header.
    if not framed_once or content.count(b"\n") != len(lines) or not _REQUEST.fullmatch(content):
        raise Unsendable
    return b"%b\r\n%b" % (content, outgoing.body)


def head(content: bytes) -> Head:
    """A status line and headers, with the empty line that ends them. Raises NotHttp."""
    found = _HEAD.fullmatch(content)
    if found is None:
        raise NotHttp("a head of another form")
    status = int(found[2])
    if status < 100 or status == 101:  # 101 agrees to what is never asked for
        raise NotHttp("a status that no request has")
    lines = found[3].decode("latin-1")
    if "\n " in lines or "\n\t" in lines:
        lines = _CONTINUED.sub(" ", lines)
    headers: dict[str, str] = {}
    for line in lines.split("\n")[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t\r")
        if name == "transfer-encoding" and name in headers:
            raise NotHttp("several transfer codings")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise NotHttp("a transfer coding other than chunked")
        headers["transfer-encoding"] = "chunked"
    options = {option.strip() for option in headers.get("connection", "").lower().split(",")}
    persistent = "close" not in options and found[1] >= b"1.1"
    return Head(status, headers, coding is not None, _length(headers), persistent)


def chunk_size(line: bytes) -> int:
    """Bytes of the chunk that this line begins; 0 for the last one. Raises NotHttp."""
    found = _CHUNK.fullmatch(line)
    if found is None:
        raise NotHttp("a chunk without a size")
    return int(found[1], 16)


def check_fields(content: bytes | bytearray) -> None:
    """Raises NotHttp for lines after the last chunk that are not headers."""
    if _TRAILERS.fullmatch(content) is None:
        raise NotHttp("trailers of another form")


def _length(headers: dict[str, str]) -> int | None:
    """The Content-Length. One that is repeated must repeat its value, which then stands once. Raises NotHttp."""
    given = headers.get("content-length")
    if given is None:
        return None
    values = {value.strip() for value in given.split(",")}
    value = values.pop()
    if values or not (value.isascii() and value.isdigit() and len(value) <= LENGTH_DIGITS):
        raise NotHttp("lengths that differ, or are not numbers")
    headers["content-length"] = value
    return int(value)
