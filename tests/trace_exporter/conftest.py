"""A collector on a loopback socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.loopback import Upstream, upstream


@pytest.fixture(name="collector")
def _collector() -> Iterator[Upstream]:
    with upstream() as running:
        yield running
