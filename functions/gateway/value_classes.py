"""Dataclasses of immutable values whose methods are made when their first value is.

`dataclasses` writes the source of a class's methods and compiles it while a module is imported. That takes 0.7 ms for
each class, and the data plane has 60, of which a listing makes a quarter. Here a class gets its slots at once, and the
methods that `dataclasses` would have made with its first value: 34 ms of CPU less of 154 until the first listing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - the form of a re-export
else:

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False) -> Callable[[type], type]:
        """`dataclasses.dataclass` for classes that are frozen, have slots and inherit from nothing."""
        assert frozen
        assert slots
        return lambda declared: _made(declared, kw_only=kw_only)


MADE_LATER = ("__eq__", "__hash__", "__init__", "__match_args__", "__replace__", "__repr__")
"""What `dataclasses` makes of a class's fields; a class may have its own in place of it."""


class _Fields:
    """`__dataclass_fields__`, by which `dataclasses.fields`, `replace` and `asdict` know a class."""

    def __init__(self, complete: Callable[[], Any]) -> None:
        self._complete = complete

    def __get__(self, value: object, of: type) -> Any:
        return self._complete().__dict__["__dataclass_fields__"]


def _made(declared: type, *, kw_only: bool) -> type:
    assert declared.__bases__ == (object,)
    names = tuple(declared.__annotations__)
    own = {name: member for name, member in vars(declared).items() if name not in (*names, "__dict__", "__weakref__")}

    def complete() -> Any:
        """The class as `dataclasses` makes it, its methods in place of those below."""
        full: Any = dataclasses.dataclass(frozen=True, kw_only=kw_only)(declared)
        for name in MADE_LATER:
            if name in vars(full) and name not in own:
                setattr(made, name, vars(full)[name])
        made.__dataclass_fields__ = full.__dataclass_fields__  # type: ignore[attr-defined]
        return full

    def init(self: Any, *values: Any, **named: Any) -> None:
        complete()
        self.__init__(*values, **named)

    made: type = type(declared)(
        declared.__name__,
        declared.__bases__,
        {
            **own,
            "__slots__": names,
            "__init__": init,
            "__setattr__": _refuse,
            "__delattr__": _refuse,
            "__getstate__": _state,
            "__setstate__": _restore,
            "__dataclass_fields__": _Fields(complete),
        },
    )
    return made


def _state(value: Any) -> list[Any]:
    """What a copy of the value is made from."""
    return [getattr(value, name) for name in value.__slots__]


def _restore(value: Any, state: list[Any]) -> None:
    for name, member in zip(value.__slots__, state, strict=True):
        object.__setattr__(value, name, member)


def _refuse(_: object, name: str, *__: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change {name!r}: the value is immutable")
