"""FastMCP's from_openapi over the synthetic document, as its documentation shows it."""

from __future__ import annotations

import json

from tests.benchmarks.contenders import Built, Setup
from tests.benchmarks.contenders.adapters import CurrentCall, behind_mangum


def build(setup: Setup, same_work: bool) -> Built:
    """The server behind Mangum."""
    import httpx2
    from fastmcp import FastMCP

    with open(setup["specification"], "rb") as file:
        document = json.load(file)
    client = httpx2.AsyncClient(base_url=setup["upstream"], trust_env=False)
    server = FastMCP.from_openapi(document, client=client, name="bench")
    app = server.http_app(json_response=True, stateless_http=True)
    return behind_mangum(app, None, CurrentCall())
