"""What FastMCP's `from_openapi` lists for a document, as JSON: `python fastmcp_listing.py FILE` in its environment."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path


def main() -> None:
    """Read, convert, list."""
    import httpx2
    import yaml
    from fastmcp import Client, FastMCP

    logging.disable(logging.CRITICAL)
    content = Path(sys.argv[1]).read_text(encoding="utf-8")
    document = json.loads(content) if content.lstrip().startswith("{") else yaml.safe_load(content)
    client = httpx2.AsyncClient(base_url="https://api.example.com", trust_env=False)
    server = FastMCP.from_openapi(json.loads(json.dumps(document, default=str)), client=client)

    async def listed() -> list[dict[str, object]]:
        async with Client(server) as session:
            return [tool.model_dump(by_alias=True, exclude_none=True) for tool in await session.list_tools()]

    json.dump(asyncio.run(listed()), sys.stdout)


if __name__ == "__main__":
    main()
