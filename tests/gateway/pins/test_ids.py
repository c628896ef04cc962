"""What may be pinned: one rule for the contract of the management API and for its checks."""

from __future__ import annotations

from typing import Any

import pytest

from functions.gateway.pins import ids


@pytest.mark.parametrize("value", ["usr_1", "a b", "é" * ids.MAX_CHARS, "**", "😀" * ids.MAX_CHARS, "0"])
def test_the_id_of_one_entity_can_be_pinned(value: str) -> None:
    assert ids.problem(value) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("é" * 257, f"it has 257 characters; {ids.RULE}"),
        ("", f"it is empty; {ids.RULE}"),
        (" ", f"it is empty; {ids.RULE}"),
        ("*", ids.RULE),
        ("a\x01b", f"it holds a character that cannot be printed; {ids.RULE}"),
        ("a\nb", f"it holds a character that cannot be printed; {ids.RULE}"),
        ("\ud800", f"it holds a character that cannot be printed; {ids.RULE}"),
        (7, f"it must be a string; {ids.RULE}"),
        (None, f"it must be a string; {ids.RULE}"),
        (["usr_1"], f"it must be a string; {ids.RULE}"),
    ],
)
def test_anything_else_is_refused_with_the_reason(value: Any, reason: str) -> None:
    assert ids.problem(value) == reason


def test_the_rule_names_its_limit() -> None:
    assert ids.RULE == 'a pin is the id of one entity: 1 to 256 printable characters, not the wildcard "*"'
