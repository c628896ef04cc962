"""A change that makes the tools worse for a model fails: its figures are held against docs/agents.md.

UPDATE_GOLDEN=1 writes the present figures into the page.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from functions.gateway.model_tokens import about
from tests.gateway import loopback
from tests.gateway.loopback import Upstream
from tests.model_gate.replay import replayed
from tests.wrong_calls.scoring import cases, verdict

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
SETS = {"made with": "cases.yaml", "kept aside": "held_out.yaml"}

REFUSAL_TOKENS = 120
"""Tokens of a refusal: more would cost a model more than the call itself."""

SLACK = 1.03
"""How far the tokens of a job may be above the page: scores of the embedded memory differ in their digits."""

Row = tuple[str, ...]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with loopback.upstream() as running:
        yield running


def table(name: str) -> tuple[int, int]:
    """Where the rows of a table of the page begin and end."""
    found = re.compile(rf"<!-- {name} -->\n\|[^\n]+\n\|[-| ]+\n((?:\|[^\n]+\n)*)").search(PAGE.read_text())
    assert found is not None, f"docs/agents.md has no table {name}"
    return found.span(1)


def kept(name: str, rows: Sequence[Row]) -> dict[str, Row]:
    """The rows of a table of the page by their first cell, or `rows` where they are to be written into it."""
    page, (begin, end) = PAGE.read_text(), table(name)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page[:begin] + "".join(f"| {' | '.join(row)} |\n" for row in rows) + page[end:])
        return {row[0]: row[1:] for row in rows}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page[begin:end].splitlines()]
    found: dict[str, Row] = {cells[0]: tuple(cells[1:]) for cells in lines}
    assert list(found) == [row[0] for row in rows], "UPDATE_GOLDEN=1 writes the table anew"
    return found


def test_the_answers_to_wrong_calls_are_worth_at_least_what_they_were(upstream: Upstream) -> None:
    rows: list[Row] = []
    misled = []
    for label, file in SETS.items():
        points: dict[str, list[int]] = defaultdict(list)
        settled: Counter[str] = Counter()
        for case in cases(file):
            found = verdict(case, upstream)
            points[case.on].append(found.score)
            settled[case.on] += found.score == 2 and len(found.answers) == 1
            if found.score == 0:
                misled.append(f"{case.on}: {case.label}: {found.why}")
        for integration, scores in points.items():
            share = f"{50 * sum(scores) / len(scores):.1f} %"
            counts = len(scores), scores.count(2), settled[integration], scores.count(1)
            rows.append((f"{integration}, {label}", *map(str, counts), share))
    assert not misled
    before = kept("scores", rows)
    for name, number, right, at_once, *_ in rows:
        assert int(number) >= int(before[name][0]), f"{name} has lost cases"
        assert int(right) >= int(before[name][1]), f"{name}: {right} calls lead to what was meant; the page says more"
        assert int(at_once) >= int(before[name][2]), f"{name}: {at_once} calls were put right; the page says more"


def test_the_jobs_take_no_more_calls_and_tokens_than_they_did() -> None:
    found = replayed()
    rows: list[Row] = [(job.job, *map(str, (job.steps, job.calls, job.settled, job.tokens))) for job in found]
    before = kept("jobs", rows)
    for job in found:
        steps, calls, _, tokens = map(int, before[job.job])
        assert job.steps >= steps, f"{job.job} has lost steps"
        assert job.calls <= calls, f"{job.job} takes {job.calls} calls; the page says {calls}"
        assert job.tokens <= tokens * SLACK, f"{job.job} takes {job.tokens} tokens; the page says {tokens}"


def test_a_refusal_costs_at_most_120_tokens(upstream: Upstream) -> None:
    refusals = [verdict(case, upstream).answers[0] for file in SETS.values() for case in cases(file)]
    assert not [f"{about(refusal)}: {refusal}" for refusal in refusals if about(refusal) > REFUSAL_TOKENS]
