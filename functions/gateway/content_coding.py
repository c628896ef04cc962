"""The body of an upstream's answer, decoded while it arrives and never beyond a limit of bytes.

At most one content coding is accepted, and only one that was asked for: a chain of two turns 2 kB on the wire into
gigabytes of RAM. brotli and zstd have no bounded decoder in the standard library, so they are not asked for.
"""

from __future__ import annotations

import zlib

ACCEPTED = "gzip, deflate"
"""The Accept-Encoding of every request."""

_NAMES = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}

_KNOWN = ("br", "compress", "dcb", "dcz", "x-compress", "zstd")
"""Registered encodings that are not asked for; a message names no other, because an upstream may write anything."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_RAW_WINDOW = -zlib.MAX_WBITS


class BadCoding(ValueError):
    """The body cannot be decoded. The message completes the sentence "the upstream answered ..."."""


class OverLimit(ValueError):
    """The decoded body is over the limit."""


class Body:
    """Collects a body of at most `limit` decoded bytes. `coding` is the value of the Content-Encoding header."""

    def __init__(self, coding: str, limit: int) -> None:
        names = [name for name in (part.strip().lower() for part in coding.split(",")) if name not in ("", "identity")]
        if len(names) > 1:
            raise BadCoding(f"in {len(names)} content encodings, one inside the other; at most one is decoded")
        if names and names[0] not in _NAMES:
            name = f'the content encoding "{names[0]}"' if names[0] in _KNOWN else "a content encoding"
            raise BadCoding(f"in {name}, which was not asked for (asked: {ACCEPTED})")
        self._coding = _NAMES[names[0]] if names else ""
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []
        self._decoder: zlib._Decompress | None = None
        self._head = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes as they came over the wire. Raises BadCoding or OverLimit."""
        if not self._coding:
            self._keep(data)
            return
        try:
            while data:
                data = self._decode(data)
        except zlib.error:
            raise BadCoding("with bytes that are not in the content encoding it names") from None

    def end(self) -> bytes:
        """The whole body. Raises BadCoding for one that ends early."""
        if self._head or (self._decoder is not None and not self._decoder.eof):
            raise BadCoding("with bytes that are not in the content encoding it names")
        return b"".join(self._parts)

    def _decode(self, data: bytes) -> bytes:
        """Decode up to the limit; what is left over."""
        if self._decoder is None or self._decoder.eof:
            data = self._head + data
            if self._coding == "deflate" and len(data) < 2:
                self._head = data
                return b""
            self._head = b""
            self._decoder = zlib.decompressobj(self._window(data))
        self._keep(self._decoder.decompress(data, self._limit - self._size + 1))
        return self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail

    def _window(self, data: bytes) -> int:
        """The zlib window for these first bytes. `deflate` means zlib, but some servers send it without its header."""
        if self._coding == "gzip":
            return _GZIP_WINDOW
        return zlib.MAX_WBITS if data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0 else _RAW_WINDOW

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise OverLimit
        if data:
            self._parts.append(data)
