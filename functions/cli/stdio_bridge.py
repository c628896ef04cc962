"""MCP over standard input and output, carried to an MCP URL: one line is one message, in both directions.

A request is answered in its own thread, so a slow call holds up no other. The headers that HTTP needs are made from the
message: the revision that it states itself, or the one that the handshake agreed on.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import httpx

from functions.cli.management_api import verification
from functions.gateway import json_text
from functions.gateway.json_text import Json

MAX_CALLS = 16
"""Requests of one client that are carried at the same time."""

SECONDS = 120.0
"""Longest wait for an answer: longer than any call of the endpoint takes."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

NOT_JSON = -32700
UNREACHABLE = -32000


class Writer(Protocol):
    """Where messages go."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


def serve(lines: Iterable[str], out: Writer, url: str) -> None:
    """Carry messages until the lines end, and every answer is written."""
    bridge = _Bridge(out, url)
    with bridge.client, ThreadPoolExecutor(MAX_CALLS) as pool:
        for line in lines:
            if not line.strip():
                continue
            try:
                message = json_text.decode(line.encode())
            except json_text.NotJson as problem:
                bridge.write({"jsonrpc": "2.0", "id": None, "error": {"code": NOT_JSON, "message": str(problem)}})
                continue
            if isinstance(message, dict) and message.get("method") == "initialize":
                bridge.carry(message)  # alone: what follows speaks the revision that is agreed on here
            else:
                pool.submit(bridge.carry, message)


class _Bridge:
    def __init__(self, out: Writer, url: str) -> None:
        self.client = httpx.Client(timeout=SECONDS, trust_env=False, verify=verification(url))
        self._url = url
        self._out = out
        self._lock = threading.Lock()
        self._agreed = ""

    def write(self, message: Json) -> None:
        """Write one message as one line."""
        with self._lock:
            self._out.write(json_text.text(message) + "\n")
            self._out.flush()

    def carry(self, message: Json) -> None:
        """Send one message, and write what answers it."""
        asked = message if isinstance(message, dict) else {}
        try:
            response = self.client.post(self._url, content=json_text.encode(message), headers=self._headers(asked))
            answer = json_text.decode(response.content) if response.content else None
        except (httpx.HTTPError, json_text.NotJson) as problem:
            text = f"the memory cannot be reached ({type(problem).__name__}); restart this server in the client"
            answer = {"jsonrpc": "2.0", "error": {"code": UNREACHABLE, "message": text}}
        if not isinstance(answer, dict) or "id" not in asked or "method" not in asked:
            return
        if asked["method"] == "initialize" and isinstance(answer.get("result"), Mapping):
            self._agreed = str(answer["result"].get("protocolVersion", ""))
        self.write({**answer, "id": asked["id"]})

    def _headers(self, message: Mapping[str, Json]) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        params = message.get("params")
        params = params if isinstance(params, Mapping) else {}
        meta = params.get("_meta")
        stated = meta.get(VERSION_KEY) if isinstance(meta, Mapping) else None
        if not isinstance(stated, str):
            return {**headers, "mcp-protocol-version": self._agreed} if self._agreed else headers
        headers |= {"mcp-protocol-version": stated, "mcp-method": _header(str(message.get("method", "")))}
        name = params.get(NAMED_BY.get(str(message.get("method")), ""))
        return {**headers, "mcp-name": _header(name)} if isinstance(name, str) else headers


def _header(value: str) -> str:
    """A value as HTTP takes it: as it is, or in base64 where a header cannot carry it."""
    if value.isascii() and value.isprintable() and value == value.strip() and not value.startswith("=?base64?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="
