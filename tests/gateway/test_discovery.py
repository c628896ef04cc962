"""The three tools of the profile `discovery`, as the call line carries them out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from functions.gateway import discovery
from functions.gateway.errors import CallLimited
from functions.gateway.grants import ServerConfig
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.rate_limits import RateLimit
from functions.gateway.upstream import Sender
from tests.gateway.calling import MEM0, NOON, SETTINGS, target

LIMIT = RateLimit(60, 0, 1, 1)


def limited() -> None:
    raise CallLimited("too many calls", LIMIT)


def found(admit: Callable[[], None] = lambda: None) -> Done | Failed | UnknownTool:
    async def go() -> Done | Failed | UnknownTool:
        call = ToolCall(discovery.SEARCH, {"query": "find memories"}, NOON, asyncio.get_running_loop().time() + 20)
        here = target("https://api.example.com", ServerConfig(profile="discovery"))
        return await discovery.run(call, here, MEM0, sender=Sender(SETTINGS), settings=SETTINGS, admit=admit)

    return asyncio.run(go())


def test_a_search_is_a_call_that_waits_its_turn_like_any_other() -> None:
    for _ in range(3):
        refused = found(limited)
        assert isinstance(refused, Failed)
        assert isinstance(refused.failure, CallLimited)
        assert (refused.tool.name, refused.trace.rate_limit, refused.trace.sent) == (discovery.SEARCH, LIMIT, False)
        assert isinstance(found(), Done)
