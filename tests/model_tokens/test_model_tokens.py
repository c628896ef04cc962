"""The estimate of tokens bounds the true numbers of o200k_base from above, and is not far above them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway.model_tokens import about, at_most
from tests.model_tokens.texts import SAMPLES, texts

TRUE: dict[str, int] = json.loads(SAMPLES.read_text())


@pytest.mark.parametrize(("kind", "sample"), list(texts()), ids=[kind for kind, _ in texts()])
def test_a_text_has_at_most_the_tokens_that_are_estimated(kind: str, sample: str) -> None:
    assert TRUE[kind] <= at_most(sample), f"{at_most(sample)} are too few"


def test_the_bound_is_not_far_above_the_truth() -> None:
    for kind, sample in texts():
        if kind.startswith(("list", "events")):
            assert at_most(sample) <= TRUE[kind] * 1.5, kind
        assert at_most(sample) <= TRUE[kind] * 2.5 + 2, kind


@given(st.lists(st.sampled_from(list(texts())), min_size=1, max_size=6))
def test_the_bound_holds_for_texts_that_stand_together(parts: list[tuple[str, str]]) -> None:
    whole = "\n".join(sample for _, sample in parts)
    assert at_most(whole) >= sum(TRUE[kind] for kind, _ in parts)


@given(st.text(max_size=60), st.text(max_size=60))
def test_an_estimate_grows_with_its_text(first: str, second: str) -> None:
    assert at_most(first) <= at_most(first + second) <= at_most(first) + at_most(second) + 1
    assert 0 <= about(first) <= at_most(first) * 1.1 + 1
