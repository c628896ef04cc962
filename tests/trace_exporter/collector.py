"""Lines as the data plane writes them, and an exporter whose waits take no time."""

from __future__ import annotations

import asyncio
import io
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from opentelemetry.proto_json.collector.trace.v1.trace_service import ExportTraceServiceRequest

from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.upstream import Sender
from functions.trace_exporter.exporter import Exported, Exporter, Headers
from tests.gateway.calling import NOON, AdvancingLoop
from tests.gateway.loopback import Upstream

PATH = "/v1/traces"
SECRET = "se-cret-of-the-collector"
VERSION = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]["version"]

EXCHANGE: dict[str, Json] = {
    "span_id": "00f067aa0ba902b7",
    "verb": "GET",
    "scheme": "https",
    "host": "api.example.com",
    "port": 443,
    "path": "/things/{id}/",
    "at": 1_000_000,
    "ns": 30_000_000,
    "status": 200,
    "error": "",
    "resent": 0,
}
LINE: dict[str, Json] = {
    "kind": "span",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "at": 1_795_000_000_000_000_000,
    "ns": 40_000_000,
    "method": "tools/call",
    "version": "2026-07-28",
    "id": "7",
    "tool": "get_a_thing",
    "request_id": "req_1",
    "server_id": "srv_1",
    "account_id": "acc_1",
    "integration": "things",
    "client_name": "claude-code",
    "client_version": "2.1",
    "upstream": [EXCHANGE],
}


def line(**changed: Json) -> str:
    """A line of one call, with these members in place of its own; None takes one away."""
    return json.dumps({name: value for name, value in {**LINE, **changed}.items() if value is not None})


def exported(body: bytes) -> ExportTraceServiceRequest:
    """What the official messages read in the body of a request. Raises AssertionError for anything that they would not
    write themselves: an unknown name, an id that is not hexadecimal, a number in the wrong form."""
    document = json.loads(body)
    found = ExportTraceServiceRequest.from_dict(document)
    assert found.to_dict() == document
    return found


def spans(requests: Sequence[Any]) -> list[Any]:
    """The spans of requests that a collector received."""
    return [
        span
        for one in requests
        for resource in exported(one.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def attributes(of: Any) -> dict[str, Json]:
    """Attributes of a span or of a resource."""
    return {
        one.key: one.value.string_value if one.value.int_value is None else one.value.int_value for one in of.attributes
    }


@dataclass
class Exporting:
    """An exporter on an event loop that jumps over its waits, and the waits that it made."""

    collector: Upstream
    timeout_seconds: float = 10.0
    gzip: bool = False
    headers: Headers | None = None
    waits: list[float] = field(default_factory=list)

    def export(self, *lines: str) -> Exported:
        """Export these lines with a sender of its own."""

        async def pause(seconds: float) -> None:
            self.waits.append(seconds)
            cast(AdvancingLoop, asyncio.get_running_loop()).advance(seconds)
            await asyncio.sleep(0)

        async def go() -> Exported:
            sender = Sender(Settings(private_upstreams=True))
            settings = TraceSettings(
                endpoint=f"{self.collector.origin}{PATH}",
                headers={"api-key": SECRET},
                timeout_seconds=self.timeout_seconds,
                gzip=self.gzip,
                resource={"service.name": "postern"},
            )
            exporter = Exporter(settings, sender, self.headers, chance=lambda: 0.5, pause=pause, clock=lambda: NOON)
            try:
                return await exporter.export(lines)
            finally:
                await sender.close()

        with asyncio.Runner(loop_factory=AdvancingLoop) as runner:
            loop = cast(AdvancingLoop, runner.get_loop())
            self.collector.silent = lambda: loop.advance(3_600)
            return runner.run(go())


def traced(stream: io.StringIO) -> list[str]:
    """The lines in a stream that hold spans."""
    return [one for one in stream.getvalue().splitlines() if '"kind":"span"' in one]
