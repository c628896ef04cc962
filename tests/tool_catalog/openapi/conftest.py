"""What the tests of the import share: the small specification, variations of it, and one call to import either."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from functions.gateway.json_text import Json
from tool_catalog.openapi import importer
from tool_catalog.openapi.document import Document, read
from tool_catalog.openapi.progress import Progress
from tool_catalog.openapi.report import Report

PARCELS = Path(__file__).parent / "parcels.yaml"
GOLDEN = Path(__file__).parent / "golden"

Import = Callable[..., Report]


@pytest.fixture
def parcels() -> dict[str, Json]:
    """The small specification, to be changed."""
    return copy.deepcopy(read(PARCELS).data)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """The folder of all records."""
    return tmp_path / "records"


@pytest.fixture
def imports(tmp_path: Path, into: Path) -> Import:
    """Import a specification (data, or a file) as the integration `parcels`."""

    def imports(specification: dict[str, Json] | Path = PARCELS, **options: Any) -> Report:
        path = specification
        if not isinstance(path, Path):
            path = tmp_path / "openapi.json"
            path.write_text(json.dumps(specification))
        asked = importer.Options(path, options.pop("integration", "parcels"), into, **options)
        return importer.run(asked, Progress(StringIO(), lambda: 0.0))

    return imports


def document(schemas: dict[str, Json] | None = None, version: str = "3.0.3") -> Document:
    """A document with these component schemas."""
    data = {"openapi": version, "components": {"schemas": schemas or {}}}
    return Document("openapi.json", data, nullable=version.startswith("3.0"))
