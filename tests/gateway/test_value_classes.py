"""A value class does what `dataclasses` makes of the same declaration, and makes it with its first value."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from dataclasses import FrozenInstanceError, field, fields
from pathlib import Path
from typing import Any

import pytest

from functions.gateway.value_classes import dataclass

ROOT = Path(__file__).parents[2]


class Declared:
    """What it says."""

    name: str
    secret: str = field(repr=False)
    sizes: list[int] = field(default_factory=list)
    size: int = 3
    constant = "c"

    @property
    def double(self) -> int:
        return self.size * 2

    def __post_init__(self) -> None:
        assert self.name


def declared() -> type:
    return type("Declared", (), {**vars(Declared), "__annotations__": dict(Declared.__annotations__)})


def both(**options: bool) -> list[Any]:
    return [
        dataclass(frozen=True, slots=True, **options)(declared()),
        dataclasses.dataclass(frozen=True, slots=True, **options)(declared()),
    ]


@pytest.mark.parametrize("options", [{}, {"kw_only": True}])
def test_values_are_as_dataclasses_makes_them(options: dict[str, bool]) -> None:
    for made in both(**options):
        value, other = made(name="a", secret="s3cret"), made(name="a", secret="s3cret")
        assert value == other != made(name="b", secret="s3cret")
        assert repr(value) == "Declared(name='a', sizes=[], size=3)"
        assert (value.double, value.constant, made.__doc__) == (6, "c", "What it says.")
        assert dataclasses.replace(value, size=4).double == 8
        assert dataclasses.asdict(value) == {"name": "a", "secret": "s3cret", "sizes": [], "size": 3}
        assert value.sizes is not other.sizes
        assert copy.copy(value) == copy.deepcopy(value) == value
        assert not hasattr(value, "__dict__")
        assert made.__slots__ == ("name", "secret", "sizes", "size")
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
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0

    assert len({Point(1), Point(1, 0), Point(2)}) == 2
    given: Any = (1, 0)
    assert Point(1) != given
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_the_fields_of_a_class_are_known_before_its_first_value() -> None:
    ours, official = both()
    assert [(one.name, one.default) for one in fields(ours)] == [(one.name, one.default) for one in fields(official)]
    assert dataclasses.is_dataclass(ours)


def test_only_immutable_classes_that_inherit_from_nothing_are_made() -> None:
    with pytest.raises(AssertionError):
        dataclass(frozen=False, slots=True)(declared())
    with pytest.raises(AssertionError):
        dataclass(frozen=True, slots=True)(type("Heir", (declared(),), {"__annotations__": {}}))


def test_a_start_of_the_data_plane_makes_few_classes_in_full() -> None:
    """Each takes 0.7 ms of it."""
    program = (
        "import dataclasses\nmade = []\nofficial = dataclasses._process_class\n"
        "dataclasses._process_class = lambda cls, *a, **k: (made.append(cls.__name__), official(cls, *a, **k))[1]\n"
        "import functions.mcp_endpoint.handler as h\nh.store.close()\nprint(*made)"
    )
    environment = {"PATH": "/usr/bin", "POSTERN_STORE": "dynamodb", "POSTERN_TABLE": "t", "AWS_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) <= 12, done.stdout


def test_a_field_that_is_not_given_is_made_for_each_value() -> None:
    def declare(decorate: Any) -> Any:
        return decorate(
            type(
                "Made",
                (),
                {"__annotations__": {"name": str, "seen": list}, "seen": field(init=False, default_factory=list)},
            )
        )

    for decorate in (dataclass(frozen=True, slots=True), dataclasses.dataclass(frozen=True, slots=True)):
        made = declare(decorate)
        first, second = made("a"), made("a")
        assert first == second
        assert first.seen == []
        assert first.seen is not second.seen
        with pytest.raises(TypeError):
            made("a", [])
