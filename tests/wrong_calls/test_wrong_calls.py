"""The answer to a call that is wrong in a typical way leads a script to the call that was meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.gateway import loopback
from tests.gateway.loopback import Upstream
from tests.wrong_calls.scoring import cases, verdict

LEAST = 0.95
"""The share of all points that the answers of each integration must be worth."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with loopback.upstream() as running:
        yield running


@pytest.mark.parametrize("file", ["cases.yaml"])
def test_no_answer_misleads_and_nearly_all_lead_to_what_was_meant(upstream: Upstream, file: str) -> None:
    scores: dict[str, list[int]] = defaultdict(list)
    misled = []
    for case in cases(file):
        found = verdict(case, upstream)
        scores[case.on].append(found.score)
        if found.score == 0:
            misled.append(f"{case.on}: {case.label}: {found.why}: {found.answers}")
    assert not misled
    for integration, points in scores.items():
        assert sum(points) >= LEAST * 2 * len(points), (integration, points)
