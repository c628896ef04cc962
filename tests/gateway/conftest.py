"""An upstream of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway import loopback


@pytest.fixture
def upstream() -> Iterator[loopback.Upstream]:
    with loopback.upstream() as running:
        yield running
