"""The extension as a zip file, for "Load unpacked" after unpacking it. Equal sources give equal bytes."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

SOURCE = Path(__file__).parent / "source"

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive: the earliest that a zip file can hold."""


@cache
def archive() -> bytes:
    """The zip file. The sources are part of the deployment, so it is made once."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(SOURCE.iterdir()):
            entry = zipfile.ZipInfo(f"postern-memory/{path.name}", EPOCH)
            target.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return made.getvalue()


async def serve(_: Request) -> Response:
    """The archive. It holds no secret, so it asks for no API token."""
    headers = {"content-disposition": 'attachment; filename="postern-memory.zip"', "cache-control": "no-cache"}
    return Response(archive(), headers=headers, media_type="application/zip")
