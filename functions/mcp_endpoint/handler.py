"""Lambda entry of the data plane: API Gateway HTTP API (payload 2.0) and Function URL events."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from mangum import Mangum

from functions.gateway.audit import Audit
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.methods import Methods

if TYPE_CHECKING:
    from functions.gateway.audit import Journal

QUIET = ("mangum",)
"""Loggers that write whole URLs at INFO, and with them tokens and credentials."""


def _store(settings: Settings) -> Journal:
    if settings.store == "dynamodb":
        from functions.stores.dynamodb_light import LightDynamoStore

        return LightDynamoStore(settings.table, os.environ)
    from pathlib import Path

    from functions.stores.sqlite import SqliteStore

    return SqliteStore(Path(settings.state_dir) / "postern.sqlite")


settings = Settings.from_environment(os.environ)
logging.getLogger().setLevel(settings.log_level)
for name in QUIET:
    logging.getLogger(name).setLevel(logging.WARNING)
store = _store(settings)
sender = Sender(settings)
shared = store if settings.store == "dynamodb" else None
methods = Methods(settings, sender, Audit(settings, store, sys.stdout), shared=shared)
endpoint = Endpoint(settings=settings, store=store, methods=methods)
handler = Mangum(endpoint, lifespan="off")
