"""The spans of MCP requests. Loaded where requests are traced, and nowhere else.

Each request of an admitted caller has one. Who is not admitted has none: anybody could fill a tracing backend.
"""

from __future__ import annotations

from functions.gateway import audit
from functions.gateway.errors import INTERNAL_ERROR
from functions.gateway.grants import Grant
from functions.gateway.json_text import Json
from functions.gateway.tracing import Tracer
from functions.mcp_endpoint.http import Request
from functions.mcp_endpoint.methods import MethodResult, Methods, Visit
from functions.mcp_endpoint.protocol import Call, Refusal, RpcError

ARRIVED = "postern.arrived"
"""Member of a request's scope: what the tracer's clock said when the request came."""

UNREADABLE = "_OTHER"
"""The method of a message that is not a request we serve: its own word for that could be any text."""


class Traces:
    """Makes the spans of one process."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def arrived(self, request: Request) -> None:
        """Note when a request came: its span begins before its caller is admitted."""
        request.scope[ARRIVED] = self._tracer.clock()

    def refuse(self, request: Request, message: Refusal, grant: Grant, request_id: str) -> None:
        """Write the span of a message that is not a request we serve."""
        span = self._tracer.begin(request.lines, {}, request.scope[ARRIVED])
        span.code = message.code
        name, version = audit.client(request.headers.get("user-agent", ""))
        about = {"method": UNREADABLE, "client_name": name, "client_version": version}
        self._tracer.write(span, {**about, **_served(grant, request_id)})

    async def answer(self, request: Request, message: Call, visit: Visit, methods: Methods) -> MethodResult:
        """Carry out one method and write its span. Raises what the method raises."""
        span = self._tracer.begin(request.lines, message.trace, request.scope[ARRIVED])
        try:
            return await methods.answer(message, visit.within(span))
        except RpcError as error:
            span.code = error.code
            raise
        except Exception as error:
            span.code, span.error = INTERNAL_ERROR, type(error).__name__
            raise
        finally:
            self._tracer.write(span, _described(message, visit))


def _described(call: Call, visit: Visit) -> dict[str, Json]:
    """A request, as its line says it. `id` is the client's own, as JSON-RPC has it."""
    name, version = call.client or audit.client(visit.user_agent)
    return {
        "method": call.method,
        "version": call.version,
        "id": str(call.id),
        "client_name": name,
        "client_version": version,
        **_served(visit.grant, visit.request_id),
    }


def _served(grant: Grant, request_id: str) -> dict[str, Json]:
    return {
        "server_id": grant.id,
        "account_id": grant.account.id,
        "integration": grant.account.integration,
        "labels": dict(grant.labels),
        "request_id": request_id,
    }
