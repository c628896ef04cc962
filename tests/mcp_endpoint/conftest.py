"""A bench with an empty store for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mcp_endpoint.endpoint import Bench, bench


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Bench:
    return bench(tmp_path)
