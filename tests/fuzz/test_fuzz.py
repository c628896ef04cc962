"""The kept corpus, and a bounded run of the fuzzer with a fixed seed. `make fuzz MINUTES=` runs it for longer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.requests import CORPUS, Request, corpus
from tests.fuzz.run import ask, endpoint, fuzz

REQUESTS = 1_500
"""Some seconds; the seed is fixed, so a failure is the same one every time."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_every_kept_request_is_answered(name: str, tmp_path: Path) -> None:
    request = Request.read((CORPUS / name).read_bytes())
    assert request.written() == (CORPUS / name).read_bytes()
    with endpoint(tmp_path) as app:
        statuses = [asyncio.run(ask(app, request)) for _ in range(3)]
    assert len(set(statuses)) == 1
    if not name.startswith("found-"):
        assert statuses[0] in (200, 202), "the corpus begins with requests that work"


def test_no_mutated_request_breaks_the_endpoint(tmp_path: Path) -> None:
    assert len(corpus()) >= 8
    with endpoint(tmp_path) as app:
        statuses: Counter[int] = asyncio.run(fuzz(app, 20261125, lambda asked: asked < REQUESTS))
    assert statuses.total() == REQUESTS
    assert statuses[200] > REQUESTS / 50, "mutations that reach no method prove little"
    assert statuses[400] > REQUESTS / 50
