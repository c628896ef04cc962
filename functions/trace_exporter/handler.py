"""The Lambda handler of the trace exporter: lines of requests that CloudWatch Logs delivers become spans in OTLP.

It is a function of its own, apart from the log subscriber: a collector that is slow or gone delays no log entry and
repeats none of its writes, and the header that opens the collector is readable by this function alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from functions.gateway import metrics
from functions.gateway.settings import Settings, SettingsError
from functions.gateway.trace_settings import TraceSettings, headers
from functions.gateway.upstream import Sender
from functions.log_subscriber import deliveries
from functions.trace_exporter.exporter import Exporter

logger = logging.getLogger(__name__)


class LeftOver(Exception):
    """The collector could not be reached; the delivery is to be repeated."""


class SecretHeaders:
    """The headers in a secret of Secrets Manager, read once and when the collector refuses them."""

    def __init__(self, secret_id: str) -> None:
        self._secret_id = secret_id
        self._read: Mapping[str, str] | None = None

    async def __call__(self, anew: bool) -> Mapping[str, str]:
        """Raises OSError, without what the secret holds."""
        if self._read is None or anew:
            text = self._text()
            try:
                self._read = headers(text)
            except ValueError as problem:
                raise OSError(f"the secret of POSTERN_TRACE_HEADERS_SECRET_ID {problem}") from None
        return self._read

    def _text(self) -> str:
        from functions.admin_api.aws import aws_client, error_code

        client = aws_client("secretsmanager")
        try:
            text: str = client.get_secret_value(SecretId=self._secret_id)["SecretString"]
        except Exception as error:
            raise OSError(f"the secret could not be read: {error_code(error)}") from None
        finally:
            client.close()
        return text


def _traces(environment: Mapping[str, str]) -> TraceSettings:
    found = TraceSettings.from_environment(environment)
    if not found.endpoint:
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT is not set; the trace exporter has nothing to send to")
    about = {"deployment.environment.name": _settings.environment, "cloud.provider": "aws"}
    if region := environment.get("AWS_REGION"):
        about["cloud.region"] = region
    return replace(found, resource={**about, **found.resource})


_settings = Settings.from_environment(os.environ)
logging.getLogger().setLevel(_settings.log_level)
traces = _traces(os.environ)
sender = Sender(replace(_settings, private_upstreams=True))
"""The operator names the collector, which may be one in a layer of this very function."""
_exporter = Exporter(traces, sender, SecretHeaders(traces.headers_secret_id) if traces.headers_secret_id else None)
loop = asyncio.new_event_loop()
"""The one loop of the process, because a kept connection lives on the loop that opened it."""


def handler(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """On an exception Lambda repeats the whole delivery twice, a minute and two minutes later, then sends it to the
    dead-letter queue. Spans that were taken are then sent again, and a backend knows them by their ids."""
    done = loop.run_until_complete(_exporter.export(deliveries.lines(event)))
    values = {"spans_exported": done.taken, "spans_lost": done.lost + done.unreadable, "spans_left": done.left}
    if counted := {name: value for name, value in values.items() if value}:
        line = metrics.line(_settings.environment, datetime.now(UTC), counted)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if done.left:
        raise LeftOver(f"{done.left} spans are left over: {done.reason}")
    return {"taken": done.taken, "lost": done.lost, "unreadable": done.unreadable}
