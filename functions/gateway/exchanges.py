"""What one call exchanges with the upstream: each request built, attached, sent and counted, each answer read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from functions.gateway import answers, credentials, rate_limits, requests
from functions.gateway.errors import ToolFailure
from functions.gateway.grants import Target
from functions.gateway.json_text import Json
from functions.gateway.large_documents import LARGE_BYTES, collector
from functions.gateway.outcomes import ToolCall, Trace
from functions.gateway.paging import Position
from functions.gateway.redaction import Secrets
from functions.gateway.upstream import Sender, UpstreamResponse
from tool_catalog.catalog import Catalog, Tool


class Exchanges:
    """The requests of one call, and the trace of what they did. `until_the_end` is closed when the call ends."""

    def __init__(
        self, call: ToolCall, target: Target, catalog: Catalog, sender: Sender, until_the_end: ExitStack
    ) -> None:
        self.call = call
        self.target = target
        self.catalog = catalog
        self.waits = sender.waits
        self._sender = sender
        self._until_the_end = until_the_end
        self._large = False
        self._trace = Trace()

    def trace(self) -> Trace:
        """What was done so far."""
        return self._trace

    async def read_beforehand(self, reader: Tool, given: Mapping[str, Json]) -> Json:
        """An object that a pin must admit before the call."""
        return answers.mapped(reader, await self.read_before(reader, given), self.target.base_url)

    async def read_before(self, reader: Tool, given: Mapping[str, Json], position: Position | None = None) -> Json:
        """What a read before the call finds, as the upstream wrote it."""
        return self.read(reader, await self._exchange(reader, given, position, own=False))

    async def read_after(self, tool: Tool, given: Mapping[str, Json], deadline: float) -> UpstreamResponse:
        """An answer about what the call queued, asked for after the call's own request."""
        return await self._exchange(tool, given, None, own=False, deadline=deadline)

    async def send(self, tool: Tool, given: Mapping[str, Json], position: Position | None = None) -> UpstreamResponse:
        """One request of the call itself. Raises a ToolFailure for anything but a 2xx answer."""
        return await self._exchange(tool, given, position, own=True)

    def read(self, tool: Tool, response: UpstreamResponse) -> Json:
        """The document of an answer, without the credential. Raises UpstreamUnreadable."""
        return answers.read(tool, response, self._secrets(tool))

    def _secrets(self, tool: Tool) -> Secrets:
        auths = [auth for auth in (self.catalog.auth, tool.request.auth) if auth is not None]
        return Secrets(self.target.credential, self.catalog.credentials, *auths)

    async def _exchange(
        self,
        tool: Tool,
        given: Mapping[str, Json],
        position: Position | None,
        *,
        own: bool,
        deadline: float | None = None,
    ) -> UpstreamResponse:
        """One request and its answer; `own`: it is the call's own, not one that reads an object before or after it.
        What is read after it leaves the call's own status as it is."""
        request = requests.build(
            tool,
            given,
            self.target.base_url,
            self.target.context,
            position,
            account_id=self.target.account_id,
        )
        request = credentials.attach(request, self.catalog.auth, self.target.credential, tool.request.auth)
        deadline = self.call.deadline if deadline is None else deadline
        sending = (
            self._sender.send(request, deadline)
            if self.call.span is None
            else self.call.span.sending(tool.request, self.target.base_url, request, deadline, self._sender)
        )
        clock = self.waits.now
        started = clock()
        status, rate_limit, sent = None, self._trace.rate_limit, True
        try:
            response = await sending
            status = response.status
            if len(response.body) > LARGE_BYTES and not self._large:
                self._large = True
                self._until_the_end.enter_context(collector.waiting())
            rate_limit = rate_limits.read(response.headers, self.catalog.rate_limits, status, self.call.now)
        except ToolFailure as failure:
            status, sent = failure.upstream_status, failure.sent
            raise
        finally:
            self._trace = Trace(
                requests=self._trace.requests + 1,
                seconds=self._trace.seconds + clock() - started,
                status=self._trace.status if self._trace.sent and not own else status,
                rate_limit=rate_limit,
                sent=self._trace.sent or (own and sent),
            )
        if not answers.is_result(tool, response):
            raise answers.refusal(tool, self.catalog, response, rate_limit, self._secrets(tool))
        return response
