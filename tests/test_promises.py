"""Each promise of a page has a test that holds it, and nothing is held that no page promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MANIFEST: dict[str, dict[str, str | list[str]]] = yaml.safe_load((ROOT / "tests/promises.yaml").read_text("utf-8"))

ELSEWHERE = "not ours"
"""In place of tests: a limit of a service that we only state."""


def promises(place: str) -> list[str]:
    """The bullets of a section, or the rows of its first table, without their marks."""
    page, _, heading = place.partition("#")
    text = (ROOT / page).read_text("utf-8")
    section = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.strip("| ") for line in section.splitlines() if line.startswith("|")][2:]
    bullets = [line[2:] for line in section.splitlines() if line.startswith("- ")]
    return [promise.replace("**", "").replace("`", "") for promise in rows or bullets]


@pytest.mark.parametrize("place", MANIFEST)
def test_every_promise_of_a_place_is_held(place: str) -> None:
    found = promises(place)
    assert found
    unheld = [promise for promise in found if not any(promise.startswith(words) for words in MANIFEST[place])]
    assert not unheld, f"tests/promises.yaml names no test for {unheld} of {place}"


@pytest.mark.parametrize("place", MANIFEST)
def test_every_entry_is_a_promise_and_its_tests_are_there(place: str) -> None:
    found = promises(place)
    for words, tests in MANIFEST[place].items():
        assert any(promise.startswith(words) for promise in found), f"{place} has no promise {words!r}"
        if tests == ELSEWHERE:
            continue
        assert isinstance(tests, list)
        assert tests
        for test in tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / "tests" / path).read_text("utf-8"), test
