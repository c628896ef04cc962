"""The collector of garbage waits while a large document is alive, and only then."""

from __future__ import annotations

import gc
import json

import pytest

from functions.gateway.large_documents import Collector
from tests.gateway.calling import call_once, catalog_of, tool
from tests.gateway.loopback import Upstream, answer

GET = tool("GET", "/things/1", name="get_a_thing", method="get")


def test_it_works_again_after_the_last_of_several_waits() -> None:
    collector = Collector()
    for _ in range(3):
        first, second = collector.waiting(), collector.waiting()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert not gc.isenabled()
        second.__exit__(None, None, None)
        assert gc.isenabled()


def test_one_that_was_switched_off_stays_off() -> None:
    gc.disable()
    try:
        with Collector().waiting():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 200_000])
@pytest.mark.parametrize("status", [200, 500])
def test_a_call_leaves_it_at_work(upstream: Upstream, members: int, status: int) -> None:
    """A document is walked at most once, as it is let go: each generation of the collector would walk it again."""
    upstream.answers(answer(status, json.dumps({"a": [[n] for n in range(members)]}).encode()))
    walks = 0

    def count(phase: str, info: object) -> None:
        nonlocal walks
        walks += phase == "start"

    gc.callbacks.append(count)
    try:
        call_once(catalog_of(GET), upstream.origin, GET.name, {})
    finally:
        gc.callbacks.remove(count)
    assert gc.isenabled()
    assert walks < 20
