"""How an agent's process speaks to the test that started it: JSON Lines out, one line back for each pause."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from functions.gateway.json_text import Json


def tell(**what: Json) -> None:
    """Say one thing."""
    print(json.dumps(what), flush=True)


def retry_after(result: Any) -> int | None:
    """Seconds to wait before a refused call may be made again; None when it was not refused for its rate."""
    limit = (result.meta or {}).get("postern/rate-limit") or {}
    seconds: int | None = limit.get("retry_after_seconds")
    refused = result.is_error if hasattr(result, "is_error") else result.isError  # version 2 and 1 of the MCP package
    return seconds if refused else None


async def pause(seconds: int) -> None:
    """Wait until the test has moved the clock by `seconds`."""
    tell(pause=seconds)
    await asyncio.to_thread(sys.stdin.readline)
