"""What every rule of the gate uses: the list of problems, and the rules for texts and expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jmespath

from tool_catalog.schemas import Place
from tool_catalog.yaml_source import Problem

JMESPATH_FUNCTIONS = (*sorted(jmespath.functions.Functions.FUNCTION_TABLE), "address", "excerpt")
"""The standard functions, and ours: excerpt(string, number) gives the first characters, cut at a word; address(path) is
a path at the upstream of the account."""


DRAFT = "DRAFT: "
"""How a text begins that was made up from names, because the API documents nothing."""


class Gate:
    """Everything found wrong so far. A rule adds to it and continues, so that one run reports every problem.

    `drafts`: texts that begin with DRAFT are accepted.
    """

    def __init__(self, *, drafts: bool = False) -> None:
        self.problems: list[Problem] = []
        self.drafts = drafts

    def report(self, place: Place, message: str) -> None:
        """Add a problem at `place`."""
        self.problems.append(place.problem(message))

    def length(self, place: Place, text: str, bounds: tuple[int, int]) -> None:
        """A text for a model has at least `bounds[0]` and at most `bounds[1]` characters, runs of spaces as one."""
        length = len(" ".join(text.split()))
        if not bounds[0] <= length <= bounds[1]:
            self.report(place, f"{length} characters; {bounds[0]} to {bounds[1]} are useful to a model")
        elif text.startswith(DRAFT) and not self.drafts:
            self.report(place, "is a draft made up from names; write what the API does, or use --allow-drafts")

    def jmespath(self, place: Place, expression: str) -> None:
        """`expression` parses and calls only functions that exist."""
        try:
            parsed = jmespath.compile(expression).parsed
        except jmespath.exceptions.JMESPathError as error:
            self.report(place, f"not JMESPath: {' '.join(str(error).split())}")
            return
        for name in _functions(parsed):
            if name not in JMESPATH_FUNCTIONS:
                known = ", ".join(JMESPATH_FUNCTIONS)
                self.report(place, f'JMESPath has no function "{name}"; functions: {known}')


def _functions(parsed: Mapping[str, Any]) -> Iterator[str]:
    if parsed["type"] == "function_expression":
        yield parsed["value"]
    for child in parsed.get("children", ()):
        yield from _functions(child)
