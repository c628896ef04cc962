"""Classes of values, as `dataclasses` makes them, at a fraction of what it takes to load them.

`dataclasses` loads `inspect`, `ast` and `tokenize` (7 ms of CPU), and writes and compiles the source of a class's
methods while its module is imported (0.7 ms each; the data plane has 60). Here every class shares its methods, and only
`__init__` is compiled, with the first value. `dataclasses.fields`, `replace` and `asdict` take these classes, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - the form of a re-export
    from dataclasses import field as field  # noqa: PLC0414
    from dataclasses import fields as fields  # noqa: PLC0414
    from dataclasses import replace as replace  # noqa: PLC0414
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False
    ) -> Callable[[type], type]:
        """`dataclasses.dataclass` for classes that inherit no fields."""
        return lambda declared: _made(declared, frozen=frozen, slots=slots, eq=eq, kw_only=kw_only)

    def field(**options: Any) -> Field:
        """`dataclasses.field`."""
        return Field(**options)

    def fields(of: Any) -> tuple[Field, ...]:
        """`dataclasses.fields`."""
        return tuple(of.__fields__.values())

    def replace(value: Any, /, **changes: Any) -> Any:
        """`dataclasses.replace`."""
        for name, one in value.__fields__.items():
            if one.init:
                if name not in changes:
                    changes[name] = getattr(value, name)
            elif name in changes:
                raise TypeError(f"{name!r} is no parameter of {type(value).__name__}")
        return type(value)(**changes)


class Missing:
    """What stands in place of a default that is not there."""


MISSING = Missing()


class Field:
    """A field as it was declared."""

    __slots__ = ("compare", "default", "default_factory", "init", "kw_only", "metadata", "name", "repr", "type")

    def __init__(
        self,
        *,
        default: Any = MISSING,
        default_factory: Any = MISSING,
        init: bool = True,
        repr: bool = True,
        compare: bool = True,
        metadata: Mapping[Any, Any] = MappingProxyType({}),
    ) -> None:
        self.name = ""
        self.type: Any = None
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare
        self.metadata = metadata
        self.kw_only = False

    def official(self) -> Any:
        """The field as `dataclasses` knows it."""
        import dataclasses

        options = {name: getattr(self, name) for name in ("init", "repr", "compare", "metadata", "kw_only")}
        for name in ("default", "default_factory"):
            if getattr(self, name) is not MISSING:
                options[name] = getattr(self, name)
        return dataclasses.field(**options)


def _made(declared: type, *, frozen: bool, slots: bool, eq: bool, kw_only: bool) -> type:
    assert not any(hasattr(base, "__fields__") for base in declared.__bases__)
    found = {name: _field(vars(declared), name, kind, kw_only) for name, kind in declared.__annotations__.items()}
    methods: dict[str, Any] = {
        "__fields__": found,
        "__dataclass_fields__": _OfDataclasses(),
        "__match_args__": tuple(name for name, one in found.items() if one.init and not one.kw_only),
        "__replace__": replace,
        "__repr__": _shown(tuple(name for name, one in found.items() if one.repr)),
    }
    if eq:
        methods |= _compared(tuple(name for name, one in found.items() if one.compare), hashed=frozen)
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
    if frozen and slots:
        methods |= {"__getstate__": _state, "__setstate__": _restore}
    own = {name: member for name, member in vars(declared).items() if name not in (*found, "__dict__", "__weakref__")}
    if slots:
        made = type(declared)(
            declared.__name__, declared.__bases__, {**methods, **own, "__slots__": tuple(found), "__init__": None}
        )
    else:
        made = declared
        for name, member in methods.items():
            if name not in own:
                setattr(made, name, member)
        for name, one in found.items():
            if one.default is not MISSING:
                setattr(made, name, one.default)
            elif name in vars(made):
                delattr(made, name)

    def init(self: Any, *values: Any, **named: Any) -> None:
        """Compiles the one that takes its place."""
        made.__init__ = _initialiser(made, found, slots=slots)  # type: ignore[misc]
        self.__init__(*values, **named)

    made.__init__ = init  # type: ignore[misc]
    return made


def _field(declared: Mapping[str, Any], name: str, kind: Any, kw_only: bool) -> Field:
    given = declared.get(name, MISSING)
    assert type(given).__module__ != "dataclasses", "the field of this module; as a default, repr would show a secret"
    one = given if isinstance(given, Field) else Field(default=given)
    assert not isinstance(one.default, list | dict | set), "a default that every value would share"
    one.name, one.type, one.kw_only = name, kind, kw_only
    return one


def _initialiser(made: type, found: Mapping[str, Field], *, slots: bool) -> Any:
    """`__init__` of the class: it writes each field through its slot, or into the value's dictionary.

    The one that `dataclasses` makes for a frozen class looks up `object.__setattr__` for each field, which takes twice
    the instructions: 0.1 million of a warm call.
    """
    used: dict[str, Any] = {"absent": MISSING}
    parameters, lines = ["self"], []
    if not slots:
        lines.append("    own = self.__dict__")
    for name, one in sorted(found.items(), key=lambda entry: entry[1].kw_only):  # stable: else in their order
        value = name
        if one.default_factory is not MISSING:
            used[f"make_{name}"] = one.default_factory
            value = f"make_{name}() if {name} is absent else {name}" if one.init else f"make_{name}()"
        elif not one.init:
            continue
        if one.kw_only and "*" not in parameters:
            parameters.append("*")
        if one.init and value != name:
            parameters.append(f"{name}=absent")
        elif one.init and one.default is not MISSING:
            used[f"default_{name}"] = one.default
            parameters.append(f"{name}=default_{name}")
        elif one.init:
            parameters.append(name)
        if slots:
            used[f"set_{name}"] = vars(made)[name].__set__
            lines.append(f"    set_{name}(self, {value})")
        else:
            lines.append(f"    own[{name!r}] = {value}")
    if hasattr(made, "__post_init__"):
        lines.append("    self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or ["    pass"])
    exec(source, used)  # noqa: S102 - of the names of fields, as `dataclasses` does it
    return used["__init__"]


def _shown(names: tuple[str, ...]) -> Callable[[Any], str]:
    def shown(self: Any) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({values})"

    return shown


def _compared(names: tuple[str, ...], *, hashed: bool) -> dict[str, Any]:
    """`__eq__` and `__hash__` over these fields."""
    of: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

    def equal(self: Any, other: Any) -> Any:
        return of(self) == of(other) if other.__class__ is self.__class__ else NotImplemented

    return {"__eq__": equal, "__hash__": (lambda self: hash(of(self))) if hashed else None}


class _OfDataclasses:
    """`__dataclass_fields__`, by which `dataclasses` knows a class: made when it is asked for the first time."""

    def __get__(self, value: object, of: Any) -> Any:
        import dataclasses

        declared = {
            "__annotations__": {name: one.type for name, one in of.__fields__.items()},
            **{name: one.official() for name, one in of.__fields__.items()},
        }
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False)(type(of.__name__, (), declared))
        of.__dataclass_fields__ = made.__dataclass_fields__
        return made.__dataclass_fields__


def _state(value: Any) -> list[Any]:
    """What a copy of the value is made from."""
    return [getattr(value, name) for name in value.__slots__]


def _restore(value: Any, state: list[Any]) -> None:
    for name, member in zip(value.__slots__, state, strict=True):
        object.__setattr__(value, name, member)


def _refuse(_: object, name: str, *__: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change {name!r}: the value is immutable")


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
