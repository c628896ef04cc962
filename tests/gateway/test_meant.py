"""Which argument a wrong name means, without knowing any integration."""

from __future__ import annotations

from functions.gateway import meant

FREE = {"text": {"type": "string"}, "rank": {"type": "integer"}}


def test_the_name_of_the_thing_means_its_content() -> None:
    assert meant.argument("invoice", "It is broken.", FREE, thing="invoice") == "text"
    assert meant.argument("invoice", "It is broken.", FREE, thing="order") is None
    assert meant.argument("invoice", 5, {"rank": {"type": "integer"}}, thing="invoice") is None
