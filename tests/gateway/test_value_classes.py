"""A value class does what `dataclasses` makes of the same declaration, and makes it with its first value."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from functions.gateway import value_classes

ROOT = Path(__file__).parents[2]


def declared(field: Any) -> type:
    class Declared:
        """What it says."""

        name: str
        secret: str = field(repr=False)
        sizes: list[int] = field(default_factory=list)
        size: int = 3
        note: str = field(default="", compare=False, metadata={"help": "words"})
        constant = "c"

        @property
        def double(self) -> int:
            return self.size * 2

        def __post_init__(self) -> None:
            assert self.name

    Declared.__qualname__ = "Declared"
    return Declared


def both(**options: bool) -> list[Any]:
    options = {"frozen": True, "slots": True} | options
    return [
        value_classes.dataclass(**options)(declared(value_classes.field)),
        dataclasses.dataclass(**options)(declared(dataclasses.field)),
    ]


@pytest.mark.parametrize("options", [{}, {"kw_only": True}])
def test_values_are_as_dataclasses_makes_them(options: dict[str, bool]) -> None:
    for made in both(**options):
        value, other = made(name="a", secret="s3cret"), made(name="a", secret="s3cret")
        assert value == other != made(name="b", secret="s3cret")
        assert value == made(name="a", secret="s3cret", note="not compared")
        assert repr(value) == "Declared(name='a', sizes=[], size=3, note='')"
        assert (value.double, value.constant, made.__doc__) == (6, "c", "What it says.")
        assert dataclasses.replace(value, size=4).double == 8
        if sys.version_info >= (3, 13):
            assert copy.replace(value, size=4).double == 8
        assert dataclasses.asdict(value) == {
            "name": "a",
            "secret": "s3cret",
            "sizes": [],
            "size": 3,
            "note": "",
        }
        assert value.sizes is not other.sizes
        assert copy.copy(value) == copy.deepcopy(value) == value
        assert not hasattr(value, "__dict__")
        assert made.__slots__ == ("name", "secret", "sizes", "size", "note")
        for name in ("name", "unknown"):
            with pytest.raises((FrozenInstanceError, TypeError)):
                setattr(value, name, "x")
        with pytest.raises(FrozenInstanceError):
            del value.name
        with pytest.raises(TypeError):
            made(name="a", secret="s", unknown=1)
        with pytest.raises(AssertionError):
            made(name="", secret="s")


def test_values_are_hashed_compared_and_matched_as_dataclasses_does_it() -> None:
    @value_classes.dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0

    assert len({Point(1), Point(1, 0), Point(2)}) == 2
    given: Any = (1, 0)
    assert Point(1) != given
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


@pytest.mark.parametrize(
    "options", [{}, {"frozen": False}, {"slots": False}, {"frozen": False, "slots": False}, {"eq": False}]
)
def test_classes_that_change_have_no_slots_or_are_not_compared_are_as_dataclasses_makes_them(
    options: dict[str, bool],
) -> None:
    ours, official = both(**options)
    for made in (ours, official):
        value, other = made("a", "s"), made("a", "s")
        assert (value == other) == (made.__eq__ is not object.__eq__) == options.get("eq", True)
        assert hasattr(value, "__dict__") != options.get("slots", True)
        if options.get("frozen", True):
            with pytest.raises(FrozenInstanceError):
                value.size = 4
        else:
            value.size = 4
            assert value.double == 8
            assert made.__hash__ is None
        assert made.size.__class__ is (int if not options.get("slots", True) else type(made.name))
    assert repr(ours("a", "s")) == repr(official("a", "s"))
    assert ours.__match_args__ == official.__match_args__


def test_the_fields_of_a_class_are_known_before_its_first_value() -> None:
    ours, official = both()

    def known(of: Any) -> list[Any]:
        members = ("name", "type", "init", "repr", "compare", "metadata")
        return [[getattr(one, member) for member in members] for one in of]

    assert known(dataclasses.fields(ours)) == known(dataclasses.fields(official)) == known(value_classes.fields(ours))
    assert [one.default for one in dataclasses.fields(ours)] == [one.default for one in dataclasses.fields(official)]
    assert [one.default for one in value_classes.fields(ours) if one.name == "size"] == [3]
    assert dataclasses.is_dataclass(ours)


def test_a_value_is_replaced_as_dataclasses_does_it() -> None:
    @value_classes.dataclass(frozen=True, slots=True)
    class Counted:
        name: str
        seen: list[int] = value_classes.field(init=False, default_factory=list)

    first: Any = Counted("a")
    first.seen.append(1)
    for replace in (value_classes.replace, dataclasses.replace):
        second: Any = replace(first, name="b")
        assert (second.name, second.seen) == ("b", [])
        with pytest.raises((TypeError, ValueError)):
            replace(first, seen=[])
        with pytest.raises(TypeError):
            replace(first, unknown=1)


def test_what_would_be_shown_or_shared_by_mistake_is_refused() -> None:
    with pytest.raises(AssertionError, match="would show a secret"):
        value_classes.dataclass(frozen=True, slots=True)(declared(dataclasses.field))
    with pytest.raises(AssertionError, match="every value would share"):
        value_classes.dataclass(frozen=True)(type("Shared", (), {"__annotations__": {"one": list}, "one": []}))
    heir = type("Heir", (both()[0],), {"__annotations__": {}})
    with pytest.raises(AssertionError):
        value_classes.dataclass(frozen=True, slots=True)(heir)


def test_a_start_and_a_call_of_the_data_plane_do_without_dataclasses() -> None:
    """It and what it loads take 7 ms, and each class that it makes 0.7 ms."""
    program = "import sys, functions.mcp_endpoint.handler as h; h.store.close(); print(*sys.modules)"
    environment = {"PATH": "/usr/bin", "POSTERN_STORE": "dynamodb", "POSTERN_TABLE": "t", "AWS_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not {"dataclasses", "inspect", "ast"} & set(done.stdout.split())


def test_a_field_that_is_not_given_is_made_for_each_value() -> None:
    def declare(module: Any) -> Any:
        seen = module.field(init=False, default_factory=list)
        made = type("Made", (), {"__annotations__": {"name": str, "seen": list}, "seen": seen})
        return module.dataclass(frozen=True, slots=True)(made)

    for module in (value_classes, dataclasses):
        made = declare(module)
        first, second = made("a"), made("a")
        assert first == second
        assert first.seen == []
        assert first.seen is not second.seen
        with pytest.raises(TypeError):
            made("a", [])


@pytest.mark.parametrize("slots", [True, False])
def test_a_method_that_a_class_has_itself_is_kept(slots: bool) -> None:
    def declare(module: Any) -> Any:
        def shown(value: Any) -> str:
            return f"<{value.name}>"

        made = type("Made", (), {"__annotations__": {"name": str}, "__repr__": shown})
        return module.dataclass(frozen=True, slots=slots)(made)

    for module in (value_classes, dataclasses):
        assert repr(declare(module)("a")) == "<a>"
