"""One product for all clients; each test mints servers of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.product import Product, running


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("product")) as product:
        yield product
