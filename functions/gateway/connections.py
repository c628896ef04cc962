"""HTTP/1.1 with upstreams over kept connections: sockets, TLS, framing, content encodings, and nothing above them.

h11 frames the messages, as it does under httpx. There is no redirect, cookie, proxy or netrc to switch off, because
none is here. A whole warm call takes 4.7 million instructions with this file and took 6.6 million with httpx's client.
The first call of a process imports httpx, httpcore and an anyio backend no more, which were 0.09 s of CPU.
"""

from __future__ import annotations

import asyncio
import functools
import select
import socket
import zlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from functions.gateway.addresses import NotReachable, public_addresses
from functions.gateway.requests import UpstreamRequest

if TYPE_CHECKING:
    import ssl

    import h11

KEEPALIVE_SECONDS = 30
"""An idle connection is kept this long: under the usual 60 s of load balancers, so that we close first."""

MAX_CONNECTIONS = 100
"""Connections in use per process; a Lambda serves one request at a time, a laptop some dozens."""

MAX_HEAD_BYTES = 100_000
"""Longest head of an answer, and longest line of a chunked one."""

DEFAULT_HEADERS = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "keep-alive"),
    ("User-Agent", "postern"),
)
"""Sent with each request that does not have a header of the same name."""

READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Verbs after which a lost answer changed nothing."""

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Verbs whose requests say that they have no body when they have none."""

TARGET = "/%:?#[]@!$&'()*+,;=-._~"
"""Characters of a request target beside letters and digits; others are percent-encoded."""


class Broken(Exception):
    """The connection ended, or what came was not HTTP, before the answer was complete. `began`: a part of it came."""

    def __init__(self, message: str, *, began: bool) -> None:
        super().__init__(message)
        self.began = began


class Unsendable(Exception):
    """The request has no form in HTTP. The text shows nothing of it."""


class WrongEncoding(Exception):
    """The body is not in the content encoding that its header names."""


class TooLong(Exception):
    """The body, decoded, is over the limit. `status` is the answer's."""

    def __init__(self, status: int) -> None:
        super().__init__("the answer is over the limit")
        self.status = status


class Reply(NamedTuple):
    """`headers` have lower-case names, a repeated one its values joined by commas; `body` is decoded."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connections:
    """The kept connections of one event loop. `private`: addresses that are not of the public internet are allowed."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._idle: dict[str, list[_Connection]] = {}
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)
        self._swept_at = 0.0

    async def exchange(self, request: UpstreamRequest, most: int) -> Reply:
        """The answer to one request, its decoded body of at most `most` bytes.

        A kept connection may have been closed by the far side without our noticing. A request that changes nothing is
        sent once more, on a fresh connection, when a kept one ends without a byte of an answer; no other ever is.
        Raises NotReachable, Broken, Unsendable, WrongEncoding or TooLong.
        """
        message = _message(request)
        async with self._places:
            self._sweep()
            kept = self._kept(request.origin)
            if kept is not None:
                try:
                    return await self._on(kept, request, message, most)
                except Broken as broken:
                    if broken.began or not (request.safe or request.verb in READS):
                        raise
            return await self._on(await self._connected(request.origin), request, message, most)

    def close(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    async def _on(self, connection: _Connection, request: UpstreamRequest, message: h11.Request, most: int) -> Reply:
        try:
            reply = await connection.exchange(message, request.body, most)
        except BaseException:
            connection.abort()
            raise
        if connection.reusable():
            connection.used_at = asyncio.get_running_loop().time()
            self._idle.setdefault(request.origin, []).append(connection)
        else:
            connection.abort()
        return reply

    def _kept(self, origin: str) -> _Connection | None:
        """The connection used last, because it is the least likely to be dead."""
        idle = self._idle.get(origin, [])
        while idle:
            connection = idle.pop()
            if connection.alive():
                return connection
            connection.abort()
        return None

    def _sweep(self) -> None:
        """Close what was idle for too long, at most once in KEEPALIVE_SECONDS of a busy process."""
        now = asyncio.get_running_loop().time()
        if now - self._swept_at < KEEPALIVE_SECONDS / 2:
            return
        self._swept_at = now
        for origin, connections in list(self._idle.items()):
            fresh = [one for one in connections if now - one.used_at < KEEPALIVE_SECONDS]
            for connection in connections:
                if connection not in fresh:
                    connection.abort()
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]

    async def _connected(self, origin: str) -> _Connection:
        """A new connection. Raises NotReachable."""
        where = _place(origin)
        context = tls_context() if where.secure else None
        addresses = [where.host] if self._private else await public_addresses(where.host, where.port)
        problem: Exception | None = None
        for address in addresses:  # a name with both kinds of address, on a machine without IPv6
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection,
                    address,
                    where.port,
                    ssl=context,
                    server_hostname=where.host if context else None,
                )
            except socket.gaierror as error:
                raise NotReachable("the name does not resolve") from error
            except (OSError, UnicodeError) as error:
                problem = error
            else:
                return connection
        if isinstance(problem, UnicodeError):
            raise NotReachable("the name does not resolve") from problem
        raise NotReachable("refused or unreachable") from problem


class _Connection(asyncio.Protocol):
    """One connection and the framing of its messages."""

    def __init__(self) -> None:
        import h11

        self.used_at = asyncio.get_running_loop().time()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._waiting = False
        self._spoiled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._waiting:
            self._http.receive_data(data)
            self._wake()
        else:
            self._spoiled = True  # nobody asked: it must not become the answer to the next request

    def eof_received(self) -> None:
        if self._waiting and not self._spoiled:
            self._http.receive_data(b"")
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever ended it
        self._ended()

    def _ended(self) -> None:
        self._spoiled = True
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def alive(self) -> bool:
        """Whether a kept connection is worth using. One that has something to read was closed by the far side, which a
        loop that stood still, as Lambda's does between two requests, has not noticed."""
        if self._spoiled or self._transport is None or self._transport.is_closing():
            return False
        if asyncio.get_running_loop().time() - self.used_at >= KEEPALIVE_SECONDS:
            return False
        readable = select.poll()
        readable.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not readable.poll(0)

    def reusable(self) -> bool:
        """Whether another request may follow the answer that was read; makes the framing ready for it."""
        import h11

        ready = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if self._spoiled or not ready or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        return True

    async def exchange(self, message: h11.Request, body: bytes | None, most: int) -> Reply:
        """Send a request and read its answer. Raises Broken, WrongEncoding or TooLong."""
        import h11

        assert self._transport is not None
        parts = [self._http.send(message), self._http.send(h11.Data(data=body)) if body else b""]
        parts.append(self._http.send(h11.EndOfMessage()))
        self._waiting = True
        began = False
        try:
            self._transport.write(b"".join(filter(None, parts)))
            response = await self._event()
            while not isinstance(response, h11.Response):  # a 1xx before it
                response = await self._event()
            began = True
            return Reply(response.status_code, _headers(response), await self._body(response, most))
        except h11.RemoteProtocolError as error:
            raise Broken(
                "what came is not HTTP, or ended early", began=began or bool(self._http.trailing_data[0])
            ) from error
        finally:
            self._waiting = False

    async def _body(self, response: h11.Response, most: int) -> bytes:
        import h11

        decoders = _decoders(response)
        chunks: list[bytes] = []
        left = most
        while isinstance(event := await self._event(), h11.Data):
            chunk = bytes(event.data)
            for decoder in decoders:
                chunk = decoder.decoded(chunk, left)
            left -= len(chunk)
            if left < 0:
                raise TooLong(response.status_code)
            chunks.append(chunk)
        if chunks and any(not decoder.complete for decoder in decoders):
            raise WrongEncoding
        return b"".join(chunks)

    async def _event(self) -> h11.Event:
        """The next event of the answer. Raises Broken, h11.RemoteProtocolError."""
        import h11

        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                assert isinstance(event, h11.Event)
                return event
            if self._spoiled:
                began = self._http.their_state is not h11.SEND_RESPONSE or bool(self._http.trailing_data[0])
                raise Broken("the connection ended", began=began)
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival


class _Decoder:
    """One content encoding: gzip, or deflate with the header of zlib or, as some servers send it, without."""

    def __init__(self, encoding: str) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS)
        self._raw_may_follow = encoding == "deflate"

    def decoded(self, chunk: bytes, left: int) -> bytes:
        """The chunk, decoded as far as `left` bytes and one more, which is too many. Raises WrongEncoding."""
        try:
            decoded = self._zlib.decompress(chunk, left + 1)
        except zlib.error as error:
            if not self._raw_may_follow:
                raise WrongEncoding from error
            self._zlib, self._raw_may_follow = zlib.decompressobj(-zlib.MAX_WBITS), False
            return self.decoded(chunk, left)
        self._raw_may_follow = False
        return decoded

    @property
    def complete(self) -> bool:
        """Whether the encoded stream reached its end."""
        return self._zlib.eof


class _Place(NamedTuple):
    """An origin, taken apart. `authority` is the Host header."""

    secure: bool
    host: str
    port: int
    authority: bytes


@functools.lru_cache(maxsize=1_000)
def _place(origin: str) -> _Place:
    """Raises Unsendable."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
        authority = origin.partition("://")[2].rpartition("@")[2]
        encoded = authority.encode("ascii" if authority.isascii() else "idna")
    except ValueError:
        raise Unsendable("the address of the upstream is not a URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise Unsendable("the address of the upstream is not an http or https URL")
    secure = parts.scheme == "https"
    return _Place(secure, host, port or (443 if secure else 80), encoded)


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The one TLS context of the process. Loading its 140 roots takes 25 ms, which each connection would pay anew."""
    import ssl

    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _message(request: UpstreamRequest) -> h11.Request:
    """The head of a request. Raises Unsendable."""
    import h11

    target = request.url[len(request.origin) :] or "/"
    if not target.isascii() or " " in target:
        target = quote(target, safe=TARGET)
    given = {name.lower() for name, _ in request.headers}
    headers = [(b"Host", _place(request.origin).authority)]
    headers += [(name.encode(), value.encode()) for name, value in DEFAULT_HEADERS if name.lower() not in given]
    headers += [(name.encode(), value.encode()) for name, value in request.headers]
    if request.body is not None or request.verb in WITH_BODY:
        headers.append((b"Content-Length", str(len(request.body or b"")).encode()))
    try:
        return h11.Request(method=request.verb, target=target, headers=headers)
    except (h11.LocalProtocolError, UnicodeError):
        raise Unsendable("the request has no form in HTTP") from None  # its text may quote a credential


def _headers(response: h11.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name = raw_name.decode("ascii")
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _decoders(response: h11.Response) -> list[_Decoder]:
    """The encodings to undo, the last one applied first. One that we do not know is left as it is."""
    named = _headers(response).get("content-encoding", "")
    encodings = [part.strip().lower() for part in named.split(",")]
    return [_Decoder(encoding) for encoding in reversed(encodings) if encoding in ("gzip", "deflate")]
