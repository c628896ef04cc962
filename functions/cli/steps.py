"""One change that `postern apply` makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from functions.cli.terminal import printable
from functions.gateway import json_text
from functions.gateway.json_text import Json


@dataclass(frozen=True)
class Step:
    """One change: its sign, where its server is ("trust" for a trust), what is shown of it, and its request."""

    sign: str
    where: str
    name: str
    shown: Sequence[str]
    verb: str
    path: str
    body: Json = None

    @property
    def of_a_trust(self) -> bool:
        """True for a change of a trust; the others change servers."""
        return self.where == "trust"


def shown(value: Json) -> str:
    """A value as a change shows it."""
    return "-" if value is None else printable(json_text.spaced(value))
