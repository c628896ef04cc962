"""Lambda entry of the data plane."""

from __future__ import annotations

import gc

gc.disable()  # a collection finds nothing while modules load, and those of a start take 9 of its 87 ms of CPU

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from functions.gateway import events, upstream_tls
from functions.gateway.audit import Audit
from functions.gateway.metrics import Counter
from functions.gateway.settings import Settings, is_traced
from functions.gateway.upstream import Sender
from functions.gateway.waits.blocking import Blocking, finished
from functions.mcp_endpoint import snapshot
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.http import of_event, to_event
from functions.mcp_endpoint.methods import Methods

if TYPE_CHECKING:
    from functions.mcp_endpoint.traces import Traces
    from functions.stores.dynamodb_light import LightDynamoStore
    from functions.stores.sqlite import SqliteStore


def _traces() -> Traces | None:
    if not is_traced(os.environ):
        return None
    from functions.gateway.tracing import Tracer
    from functions.mcp_endpoint.traces import Traces

    tracer = Tracer.of(os.environ, sys.stdout)
    return Traces(tracer) if tracer is not None else None


def _store(settings: Settings) -> LightDynamoStore | SqliteStore:
    if settings.store == "dynamodb":
        from functions.stores.dynamodb_light import LightDynamoStore

        return LightDynamoStore(settings.table, os.environ)
    from pathlib import Path

    from functions.stores.sqlite import SqliteStore

    return SqliteStore(Path(settings.state_dir) / "postern.sqlite")


settings = Settings.from_environment(os.environ)
logging.getLogger().setLevel(settings.log_level)
store = _store(settings)
sender = Sender(settings, Blocking())
on_aws = settings.store == "dynamodb"
log = Audit(settings, None if on_aws else store, sys.stdout)
"""On AWS the line is the entry: functions/log_subscriber puts it into the table, and no call waits for that."""
methods = Methods(settings, sender, log, shared=store if on_aws else None, confirmations=store)
count = Counter(settings.environment, sys.stdout)
endpoint = Endpoint(settings=settings, store=store, methods=methods, count=count, traces=_traces())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The answer to one event, of whatever kind. Lambda sends the next one when this one has its answer."""
    arrived = events.read(event, settings.mounted_at)
    if arrived is None:
        return dict(events.NO_REQUEST)
    return to_event(finished(endpoint.answer(of_event(arrived, context))), arrived)


def _close() -> None:
    finished(sender.close())
    store.close()


if on_aws and snapshot.is_taken(os.environ):
    snapshot.register(_close)
elif on_aws:
    upstream_tls.prepare()

if on_aws:
    gc.freeze()  # what was loaded stays, so the first collection need not walk it
gc.enable()
