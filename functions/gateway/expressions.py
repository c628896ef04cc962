"""JMESPath: the catalogue's own expressions, which are trusted, and a caller's `fields`, which are bounded.

The language has no loops, but `[@, @] | [@, @] | ...` doubles its value with every step; so what a caller's expression
makes is counted while it is made, and evaluation stops at a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from functions.gateway.json_text import Json

FIELDS_CHARS = 1_000
"""Longest `fields` expression."""

STEPS = 300_000
"""Steps of one projection over all items of an answer, about a second. 30 fields of 200 items take 14,000."""

COPIED_PER_STEP = 50
"""Characters or entries of a value found that cost as much as one step."""

WEIGHED_PER_STEP = 5
"""Values on a multi-select, counted one by one, that cost as much as one step."""


OPTIONS = 64
"""Upstreams whose functions are kept: more than one deployment's accounts use at a time."""


class BadExpression(ValueError):
    """An expression that cannot be read or does not fit its document; the text says why, in one line."""


def search(expression: str, document: Json, base_url: str = "") -> Json:
    """What an expression of the catalogue finds. `base_url` is what `address()` puts before a path. Raises
    BadExpression where the document is not of its kind."""
    from jmespath.exceptions import JMESPathError

    try:
        return _compiled(expression).search(document, options=_options(base_url))
    except (JMESPathError, *_UNFIT) as error:
        raise BadExpression(_misfit(error)) from error


class Fields:
    """A caller's projection of items, in a limited number of steps. Raises BadExpression when it cannot be read."""

    def __init__(self, expression: str, steps: int = STEPS) -> None:
        import jmespath
        from jmespath.exceptions import JMESPathError

        if len(expression) > FIELDS_CHARS:
            raise BadExpression(f"the expression has {len(expression)} characters; at most {FIELDS_CHARS} are allowed")
        try:
            self._parsed = jmespath.compile(expression).parsed
        except (JMESPathError, *_UNFIT) as error:
            raise BadExpression(_reason(error)) from error
        self._steps = steps

    def of(self, items: Sequence[Json]) -> list[Json]:
        """Each item through the expression. Raises BadExpression."""
        from jmespath.exceptions import JMESPathError

        interpreter = _bounded()(_options(""), self._steps)
        try:
            return [interpreter.visit(self._parsed, item) for item in items]
        except (JMESPathError, *_UNFIT) as error:
            raise BadExpression(_misfit(error)) from error


_UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What jmespath raises in addition to its own errors, e.g. for a slice with step 0 or an infinite number."""


class _TooMuch(ValueError):
    """An expression makes more than the limit allows."""


def _misfit(error: Exception) -> str:
    """Why an expression does not fit a document, without any word of the document: what jmespath says may quote it."""
    from jmespath.exceptions import ArityError, JMESPathTypeError, UnknownFunctionError

    if isinstance(error, JMESPathTypeError):
        expected = " or ".join(map(str, error.expected_types))
        return f"{error.function_name}() takes {expected} and was given {error.actual_type}"
    if isinstance(error, ArityError | UnknownFunctionError | _TooMuch | RecursionError) or str(error) == _STEP_0:
        return _reason(error)
    return "it does not fit what the answer holds"


_STEP_0 = "slice step cannot be zero"
"""The words of Python's ValueError for a slice with step 0."""


def _reason(error: Exception) -> str:
    """Why an expression cannot be read."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(": ")[:200]


@cache
def _compiled(expression: str) -> Any:
    import jmespath

    return jmespath.compile(expression)


@lru_cache(OPTIONS)
def _options(base_url: str) -> Any:
    import jmespath
    from jmespath import functions

    class Functions(functions.Functions):
        """JMESPath's own functions, and the ones that only our records have."""

        @functions.signature({"types": ["string", "null"]}, {"types": ["number"]})
        def _func_excerpt(self, string: str | None, length: float) -> str:
            """The first `length` characters, cut at a word, with an ellipsis where something was left out."""
            words = " ".join((string or "").split())
            if len(words) <= length:
                return words
            head = words[: int(length)]
            return (head.rsplit(" ", 1)[0] if " " in head else head) + "…"

        @functions.signature({"types": ["string"]})
        def _func_address(self, path: str) -> str:
            """The address of a path at the upstream of this account."""
            return base_url.rstrip("/") + path

    return jmespath.Options(custom_functions=Functions())


@cache
def _bounded() -> Any:
    from jmespath.visitor import TreeInterpreter

    class Bounded(TreeInterpreter):
        """Counts each node visited and the length of what it returns. A multi-select counts with all that it holds,
        because only this construct can hold one value several times."""

        def __init__(self, options: Any, steps: int) -> None:
            super().__init__(options)
            self._left = float(steps)

        def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
            found = super().visit(node, *args, **kwargs)
            self._spend(1 + (len(found) // COPIED_PER_STEP if isinstance(found, str | list | dict) else 0))
            return found

        def visit_multi_select_list(self, node: Any, value: Any) -> Any:
            return self._weighed(super().visit_multi_select_list(node, value))

        def visit_multi_select_dict(self, node: Any, value: Any) -> Any:
            return self._weighed(super().visit_multi_select_dict(node, value))

        def _weighed(self, made: Any) -> Any:
            inside = [made]
            while inside:
                value = inside.pop()
                children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
                self._spend(len(children) / WEIGHED_PER_STEP)
                inside += children
            return made

        def _spend(self, steps: float) -> None:
            self._left -= steps
            if self._left < 0:
                raise _TooMuch("the expression produces too much output; select fewer fields")

    return Bounded
