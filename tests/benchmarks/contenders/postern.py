"""Postern's own handler: the modules of its artefact, with the synthetic catalogue in place of the shipped ones."""

from __future__ import annotations

import os
import sys

from tests.benchmarks.contenders import Built, Setup


def build(setup: Setup, same_work: bool) -> Built:
    """The handler that Lambda would call, its table and its upstream on loopback."""
    sys.path.insert(0, setup["stage"])
    os.environ |= {
        "POSTERN_STORE": "dynamodb",
        "POSTERN_TABLE": setup["table_name"],
        "POSTERN_PRIVATE_UPSTREAMS": "true",
        "POSTERN_CALLS_PER_MINUTE": "600000",
        "POSTERN_CALL_BURST": "600000",
        "AWS_ENDPOINT_URL_DYNAMODB": setup["table"],
    }
    from functions.mcp_endpoint import handler

    return Built(handler.handler, handler.endpoint)
