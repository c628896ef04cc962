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


MADE_LATER = ("__eq__", "__hash__", "__match_args__", "__replace__", "__repr__")
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
        full: Any = dataclasses.dataclass(frozen=True, init=False, kw_only=kw_only)(declared)
        made.__init__ = _initialiser(full, made)  # type: ignore[misc]
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


def _initialiser(full: Any, made: type) -> Any:
    """`__init__` of the class: it writes each field through its slot.

    The one that `dataclasses` makes for a frozen class looks up `object.__setattr__` for each field, which takes twice
    the instructions: 0.1 million of a warm call.
    """
    fields = sorted(full.__dataclass_fields__.values(), key=lambda each: each.kw_only)  # stable: else in their order
    used: dict[str, Any] = {"absent": dataclasses.MISSING}
    parameters, lines = ["self"], []
    for each in fields:
        name, value = each.name, each.name
        used[f"set_{name}"] = vars(made)[name].__set__
        if each.default_factory is not dataclasses.MISSING:
            used[f"make_{name}"] = each.default_factory
            value = f"make_{name}() if {name} is absent else {name}" if each.init else f"make_{name}()"
        elif not each.init:
            continue
        if each.kw_only and "*" not in parameters:
            parameters.append("*")
        if each.init and value != name:
            parameters.append(f"{name}=absent")
        elif each.init and each.default is not dataclasses.MISSING:
            used[f"default_{name}"] = each.default
            parameters.append(f"{name}=default_{name}")
        elif each.init:
            parameters.append(name)
        lines.append(f"    set_{name}(self, {value})")
    if hasattr(made, "__post_init__"):
        lines.append("    self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or ["    pass"])
    exec(source, used)  # noqa: S102 - of the names of fields, as `dataclasses` does it
    return used["__init__"]


def _state(value: Any) -> list[Any]:
    """What a copy of the value is made from."""
    return [getattr(value, name) for name in value.__slots__]


def _restore(value: Any, state: list[Any]) -> None:
    for name, member in zip(value.__slots__, state, strict=True):
        object.__setattr__(value, name, member)


def _refuse(_: object, name: str, *__: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change {name!r}: the value is immutable")


class Identity:
    """Values as the key of a cache: the very same ones, and not equal ones. The key holds the values, so that no others
    take their place."""

    __slots__ = ("values",)

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.values)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and tuple(map(id, self.values)) == tuple(map(id, other.values))
