"""Which argument a wrong name means, without knowing any integration."""

from __future__ import annotations

from functions.gateway import meant

FREE = {"text": {"type": "string"}, "rank": {"type": "integer"}}


def test_the_name_of_the_thing_means_its_content() -> None:
    assert meant.argument("ticket", "It is broken.", FREE, thing="ticket") == "text"
    assert meant.argument("ticket", "It is broken.", FREE, thing="order") is None
    assert meant.argument("ticket", 5, {"rank": {"type": "integer"}}, thing="ticket") is None
