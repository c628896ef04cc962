"""What the ASGI peers share: an application whose lifespan is entered once, behind Mangum."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tests.benchmarks.contenders import Built, Event
from tests.benchmarks.contenders.work import Refused, Work, token_of

if TYPE_CHECKING:
    from starlette.applications import Starlette


class CurrentCall:
    """The grant and token of the request in progress, for the tool that it calls."""

    def __init__(self) -> None:
        self._of: ContextVar[tuple[dict[str, Any], str]] = ContextVar("call")

    def begin(self, grant: dict[str, Any], token: str) -> None:
        """From here on, the request that is in progress is this one."""
        self._of.set((grant, token))

    @property
    def grant(self) -> dict[str, Any]:
        """What the token opens."""
        return self._of.get()[0]

    @property
    def token(self) -> str:
        """The secret in the path."""
        return self._of.get()[1]


def behind_mangum(app: Starlette, work: Work | None, call: CurrentCall) -> Built:
    """The application as a Lambda handler, in its best case: plain Mangum fails at the second invocation, because the
    SDK's session manager starts once. With `work`, each request reads its token first."""
    from mangum import Mangum

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    living: list[asyncio.Task[None]] = []
    mangum: Callable[[Event, Any], dict[str, Any]] = Mangum(app, lifespan="off")

    async def live(started: asyncio.Event) -> None:
        async with app.router.lifespan_context(app):
            started.set()
            await asyncio.Event().wait()

    async def enter() -> None:
        started = asyncio.Event()
        living.append(asyncio.create_task(live(started)))
        await started.wait()

    def handle(event: Event, context: Any) -> dict[str, Any]:
        if not living:
            loop.run_until_complete(enter())
        if work is not None:
            try:
                call.begin(work.admit(token_of(event)), token_of(event))
            except Refused:
                return {"statusCode": 404, "headers": {}, "body": "{}", "isBase64Encoded": False}
        path = "/mcp"
        http = {**event["requestContext"]["http"], "path": path}
        return mangum({**event, "rawPath": path, "requestContext": {**event["requestContext"], "http": http}}, context)

    return Built(handle, app if work is None else _admitting(app, work, call))


def _admitting(app: Any, work: Work, call: CurrentCall) -> Any:
    """The application behind the read of the token in its path, for the load: the read waits for its answer, as that of
    Postern does."""

    async def admitted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path, _, token = scope["path"].rpartition("/")
            call.begin(work.admit(token), token)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    return admitted
